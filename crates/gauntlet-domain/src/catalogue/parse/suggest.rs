//! "Did you mean": the known word nearest to an unknown one.

/// Words longer than this are not compared: nobody types them by hand.
const LONGEST: usize = 64;

/// The candidate that was probably meant: equal but for case, underscores and hyphens, or within a
/// third of its letters, or begun with at least three letters. The first of equals wins.
pub(super) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = letters(written);
    if written.is_empty() || written.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance_within_reason(&written, &letters(candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Vec<char> {
    let kept = word.chars().filter(|letter| !matches!(letter, '_' | '-' | ' '));
    kept.flat_map(char::to_lowercase).take(LONGEST + 1).collect()
}

fn distance_within_reason(written: &[char], candidate: &[char]) -> Option<usize> {
    let limit = (written.len().max(candidate.len()) / 3).max(1);
    if written.len() >= 3 && candidate.starts_with(written) {
        return Some(1);
    }
    if written.len().abs_diff(candidate.len()) > limit {
        return None;
    }
    let distance = edit_distance(written, candidate);
    (distance <= limit && distance < written.len()).then_some(distance)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to make one
/// word into the other.
fn edit_distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row];
        for column in 1..=to.len() {
            let same = from[row - 1] == to[column - 1];
            let replaced = last[column - 1] + usize::from(!same);
            let mut best = replaced.min(last[column] + 1).min(current[column - 1] + 1);
            if row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1] {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_letters() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("absolute", "abslute", 1),
            ("same", "same", 0),
            ("flaw", "lawn", 2),
            ("gaols", "goals", 1),
            ("ab", "ba", 1),
        ] {
            let [a, b] = [from, to].map(|word| word.chars().collect::<Vec<_>>());
            assert_eq!(edit_distance(&a, &b), expected, "{from} {to}");
            assert_eq!(edit_distance(&b, &a), expected, "{to} {from}");
        }
    }

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let fields =
            ["statCode", "stat_code", "operator", "targetValue", "target_value", "type", "statistic"];
        for (written, expected) in [
            ("statcode", Some("statCode")),
            ("stat-code", Some("statCode")),
            ("taget_value", Some("targetValue")),
            ("Operator", Some("operator")),
            ("typ", Some("type")),
            ("stati", Some("statistic")),
            ("colour", None),
            ("x", None),
            ("", None),
            ("___", None),
            ("é", None),
        ] {
            assert_eq!(nearest(written, fields), expected, "{written}");
        }
        assert_eq!(nearest(&"a".repeat(10_000), fields), None);
    }
}
