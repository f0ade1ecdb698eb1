//! Secrets stay out of logs and messages.

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";

/// A database URL, or what was meant to be one, without its passwords.
///
/// It hides too much rather than too little: passwords are often put into URLs without encoding,
/// so everything up to the last `@` may belong to one.
pub(crate) fn mask(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(start);
    let (user, rest) = match rest.rsplit_once('@') {
        None => (String::new(), rest),
        Some((user, rest)) => match user.split_once(':') {
            None => (format!("{user}@"), rest),
            Some((name, _)) => (format!("{name}:{MASK}@"), rest),
        },
    };
    let Some((place, query)) = rest.split_once('?') else {
        return format!("{scheme}{user}{rest}");
    };
    let options: Vec<String> = query
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
            _ => option.to_owned(),
        })
        .collect();
    format!("{scheme}{user}{place}?{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn passwords_are_hidden() {
        for (url, masked) in [
            ("postgres://ann:secret@db:5432/game", "postgres://ann:***@db:5432/game"),
            ("postgres://ann@db/game", "postgres://ann@db/game"),
            ("postgres://db/game", "postgres://db/game"),
            ("postgres://ann:se@cret/?@db/game", "postgres://ann:***@db/game"),
            ("postgres://ann:@db", "postgres://ann:***@db"),
            (
                "postgres://db/game?password=secret&sslmode=disable",
                "postgres://db/game?password=***&sslmode=disable",
            ),
            ("postgres://a:b@db/game?sslpassword=secret", "postgres://a:***@db/game?sslpassword=***"),
            ("mysql://ann:secret@db/game", "mysql://ann:***@db/game"),
            ("ann:secret@db/game", "ann:***@db/game"),
            ("sqlite:gauntlet.db", "sqlite:gauntlet.db"),
            ("", ""),
        ] {
            assert_eq!(mask(url), masked, "{url}");
        }
    }
}
