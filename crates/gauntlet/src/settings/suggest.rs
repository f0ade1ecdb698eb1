//! "Did you mean": the known word nearest to an unknown one.

/// The candidate within a third of the word's letters, taking hyphens and underscores for the same
/// and capitals for small letters; the first of equals.
pub(crate) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = letters(written);
    // Nobody types longer words by hand, and the comparison takes the product of the lengths.
    if written.is_empty() || written.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&written, &letters(candidate)), candidate))
        .filter(|(distance, _)| *distance <= written.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Vec<char> {
    word.chars().map(|letter| if letter == '_' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

/// How many letters to add, remove or replace to make one word of the other.
fn distance(from: &[char], to: &[char]) -> usize {
    // costs[n]: from what was read of `from` so far to the first n letters of `to`.
    let mut costs: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], read + 1);
        for (at, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = costs[at + 1];
            costs[at + 1] = replaced.min(diagonal + 1).min(costs[at] + 1);
        }
    }
    costs[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_within_a_third_is_meant() {
        let words = ["store", "store-wait", "catalogue", "http"];
        for (written, meant) in [
            ("stroe", None),
            ("stor", Some("store")),
            ("storee", Some("store")),
            ("store_wait", Some("store-wait")),
            ("STORE-WAIT", Some("store-wait")),
            ("catalog", Some("catalogue")),
            ("catalouge", Some("catalogue")),
            ("htttp", Some("http")),
            ("grpc", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, words), meant, "{written}");
        }
    }
}
