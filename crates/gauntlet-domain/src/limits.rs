//! Sizes that every entry point holds to. They are part of the public contract.

/// Longest id of a player, challenge, goal, event or statistic, in Unicode code points.
pub const MAX_ID_CHARS: usize = 100;
/// Most goals that one selection may name or draw.
pub const MAX_SELECTION: usize = 100;

/// What is wrong with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The id has no characters.
    #[error("is empty")]
    Empty,
    /// The id has more than [`MAX_ID_CHARS`] code points.
    #[error("is longer than {MAX_ID_CHARS} characters")]
    TooLong,
    /// The id has a control character (U+0000 to U+001F, U+007F to U+009F).
    #[error("has a control character")]
    Control,
}

/// Checks an id: 1 to [`MAX_ID_CHARS`] code points, no control characters. Ids are compared by
/// bytes; colons, spaces and any script are fine.
///
/// # Errors
/// Says which of the three conditions fails first.
pub fn check_id(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > MAX_ID_CHARS && id.chars().count() > MAX_ID_CHARS {
        return Err(IdError::TooLong);
    }
    if id.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_in_code_points_and_free_of_control_characters() {
        for good in ["a", "user:1 with space", "ß".repeat(100).as_str(), "玩家"] {
            assert_eq!(check_id(good), Ok(()), "{good}");
        }
        for (bad, error) in [
            ("", IdError::Empty),
            ("ß".repeat(101).as_str(), IdError::TooLong),
            ("a\0b", IdError::Control),
            ("a\nb", IdError::Control),
            ("a\u{85}b", IdError::Control),
        ] {
            assert_eq!(check_id(bad), Err(error), "{bad:?}");
        }
    }
}
