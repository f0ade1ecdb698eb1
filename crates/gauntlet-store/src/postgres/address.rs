//! Parts of a database URL that the client library does not know.

use std::ops::Range;

use percent_encoding::percent_decode_str;

/// Takes the parameters of these names out of a database URL, or out of `key=value` pairs. What
/// cannot be read stays as it is, for the client to complain of.
pub(super) fn take(url: &str, names: &[&str]) -> (String, Vec<(String, String)>) {
    let prefix = ["postgres://", "postgresql://"].into_iter().find(|prefix| url.starts_with(prefix));
    let found = match prefix {
        Some(prefix) => of_url(url, prefix.len()),
        None => of_pairs(url).unwrap_or_default(),
    };
    let (mut rest, mut taken, mut end) = (String::with_capacity(url.len()), Vec::new(), 0);
    for Parameter { span, name, value } in found {
        if names.contains(&name.as_str()) {
            rest.push_str(&url[end..span.start]);
            end = span.end;
            taken.push((name, value));
        }
    }
    rest.push_str(&url[end..]);
    (rest, taken)
}

struct Parameter {
    /// Where it stands; in a URL with the `&` after it.
    span: Range<usize>,
    name: String,
    value: String,
}

fn of_url(url: &str, begin: usize) -> Vec<Parameter> {
    // A question mark in front of the @ belongs to the password.
    let host = url[begin..].find('@').map_or(begin, |at| begin + at);
    let Some(question) = url[host..].find('?') else { return Vec::new() };
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let (mut found, mut at) = (Vec::new(), host + question + 1);
    for part in url[at..].split_inclusive('&') {
        let pair = part.strip_suffix('&').unwrap_or(part).split_once('=');
        if let Some((name, value)) = pair.and_then(|(name, value)| Some((decode(name)?, decode(value)?))) {
            found.push(Parameter { span: at..at + part.len(), name, value });
        }
        at += part.len();
    }
    found
}

/// `key = value`, `key='it\'s'`, with white space between; `None`: something else.
fn of_pairs(text: &str) -> Option<Vec<Parameter>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let start = after_space(text, at);
        if start == text.len() {
            return Some(found);
        }
        let length = text[start..].find(|c: char| c == '=' || c.is_whitespace())?;
        let name = text[start..start + length].to_owned();
        let equals = after_space(text, start + length);
        let begin = after_space(text, equals + text[equals..].strip_prefix('=').map(|_| 1)?);
        let (value, end) = value(text, begin)?;
        found.push(Parameter { span: start..end, name, value });
        at = end;
    }
}

fn after_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

/// The value that begins here, and where it ends.
fn value(text: &str, begin: usize) -> Option<(String, usize)> {
    let quoted = text[begin..].starts_with('\'');
    let begin = begin + usize::from(quoted);
    let mut value = String::new();
    let mut letters = text[begin..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '\'' if quoted => return Some((value, begin + at + 1)),
            letter if !quoted && letter.is_whitespace() => return Some((value, begin + at)),
            letter => value.push(letter),
        }
    }
    (!quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_and_the_rest_stays() {
        for (url, rest, taken) in [
            ("postgres://u@h/d", "postgres://u@h/d", ""),
            ("postgres://u@h/d?sslmode=require", "postgres://u@h/d?", "sslmode=require"),
            (
                "postgresql://u:a?sslmode=x@h?a=1&sslmode=require&b=2",
                "postgresql://u:a?sslmode=x@h?a=1&b=2",
                "sslmode=require",
            ),
            ("postgres://h/d?sslrootcert=%2Fca%20file&x=1", "postgres://h/d?x=1", "sslrootcert=/ca file"),
            ("host=h sslmode=require user=u", "host=h  user=u", "sslmode=require"),
            (
                "host=h password='it\\'s sslmode=x' sslmode = 'verify-ca'",
                "host=h password='it\\'s sslmode=x' ",
                "sslmode=verify-ca",
            ),
            ("sslrootcert=a\\ b", "", "sslrootcert=a b"),
            ("nonsense", "nonsense", ""),
            ("host=h sslmode='open", "host=h sslmode='open", ""),
            ("", "", ""),
        ] {
            let (left, found) = take(url, &["sslmode", "sslrootcert"]);
            let found: Vec<String> =
                found.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((left.as_str(), found.join(" ").as_str()), (rest, taken), "{url}");
        }
    }
}
