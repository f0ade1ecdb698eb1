//! Values of the settings of traces.

use tonic::transport::Uri;

use super::Wrong;

/// The address of a collector.
pub(crate) fn collector(text: &str) -> Result<Uri, Wrong> {
    let allowed = "the URL of a collector, such as http://127.0.0.1:4317";
    let uri: Uri = text.parse().map_err(|_| Wrong::allowed(allowed))?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("https") => {
            Err(Wrong::allowed(allowed).hint("send to a collector beside it, which may encrypt"))
        }
        _ => Err(Wrong::allowed(allowed)),
    }
}

/// A share.
pub(crate) fn ratio(text: &str) -> Result<f64, Wrong> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(Wrong::allowed("a number from 0 to 1, such as 0.01")),
    }
}

/// A name that is not empty.
pub(crate) fn service_name(text: &str) -> Result<String, Wrong> {
    let name = text.trim();
    if name.is_empty() { Err(Wrong::allowed("a name")) } else { Ok(name.to_owned()) }
}

/// Pairs with commas between them; a value's other characters may be written as `%XX`.
pub(crate) fn attributes(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (key.trim(), decoded(value.trim())?);
        (!key.is_empty()).then(|| (key.to_owned(), value))
    };
    pairs.map(pair).collect::<Option<_>>().ok_or_else(|| {
        Wrong::allowed(
            "pairs such as deployment.environment.name=staging,service.version=1, with %2C for a comma",
        )
    })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_over_http() {
        assert_eq!(collector("http://127.0.0.1:4317").unwrap().port_u16(), Some(4317));
        assert!(collector("http://otel-collector.observability:4317/").is_ok());
        for text in ["", "127.0.0.1:4317", "collector", "https://collector:4317", "grpc://x:1", "http://"] {
            assert!(collector(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ratio_is_a_share() {
        assert_eq!(ratio("0").unwrap().to_bits(), 0.0_f64.to_bits());
        assert_eq!(ratio("0.25").unwrap().to_bits(), 0.25_f64.to_bits());
        assert!(ratio("1").is_ok());
        for text in ["", "-0.1", "1.1", "NaN", "inf", "1%", "always"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }

    #[test]
    fn attributes_are_pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            attributes("a=1, b.c = x%2Cy,d=").unwrap(),
            [pair("a", "1"), pair("b.c", "x,y"), pair("d", "")]
        );
        assert_eq!(attributes("").unwrap(), []);
        for text in ["a", "=1", "a=%2", "a=%zz", "a=%ff", "a=1,b"] {
            assert!(attributes(text).is_err(), "{text}");
        }
    }
}
