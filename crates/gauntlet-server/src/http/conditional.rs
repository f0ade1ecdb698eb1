//! Answering "not modified": entity tags against `If-None-Match`.

use axum::http::{HeaderMap, header::IF_NONE_MATCH};

/// Whether the caller has what the tag stands for. The comparison is the weak one of RFC 9110:
/// `W/"x"` and `"x"` are the same.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let ours = opaque(tag);
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|list| list.to_str().ok())
        // Our own tags have no commas in them.
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|theirs| theirs == "*" || opaque(theirs) == ours)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn compares_weakly_with_every_tag_of_the_list() {
        for (lists, known) in [
            (&[r#"W/"00ff""#][..], true),
            (&[r#""00ff""#], true),
            (&["*"], true),
            (&[r#""a", W/"00ff" , "b""#], true),
            (&[r#""a""#, r#""00ff""#], true),
            (&[], false),
            (&[""], false),
            (&[r#"W/"00FF""#], false),
            (&["00ff"], false),
            (&[r#""a", "b""#], false),
        ] {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(IF_NONE_MATCH, HeaderValue::from_static(list));
            }
            assert_eq!(is_known(&headers, r#"W/"00ff""#), known, "{lists:?}");
        }
    }
}
