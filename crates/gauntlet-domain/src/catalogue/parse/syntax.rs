//! From text to a tree of JSON values, with the faults of the JSON itself.
//!
//! Files are strict JSON. Comments, trailing commas and missing commas are faults that the reader
//! gets over, so that they are reported together with what the values get wrong. Anything else ends
//! the reading: after it nobody can say what was meant.

use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions,
    ast::Value,
    common::Range,
    errors::ParseError,
    parse_to_ast,
    tokens::{Token, TokenAndRange},
};

use super::{
    fault::{Message, Report},
    path::Path,
    values::quote,
};

/// Reads the text, or says why it is not JSON.
pub(super) fn read<'t>(text: &'t str, report: &mut Report<'_>) -> Option<Value<'t>> {
    let first_error = match parse_to_ast(text, &CollectOptions::default(), &options(false)) {
        Ok(parsed) => {
            check_again(text, report);
            return parsed.value.or_else(|| {
                let problem = r#"the file is empty; allowed: an object with a list "challenges""#;
                report.add(0, Path::Root, Message::new(problem));
                None
            });
        }
        Err(error) => error,
    };
    let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
    match parse_to_ast(text, &collect, &options(true)) {
        Ok(parsed) => {
            check_tokens(text, parsed.tokens.as_deref().unwrap_or_default(), report);
            parsed.value
        }
        Err(error) => {
            if error.range().start != first_error.range().start {
                add_error(&first_error, report);
            }
            add_error(&error, report);
            None
        }
    }
}

/// What the parser lets pass: nothing, or what [`check_tokens`] reports.
fn options(forgiving: bool) -> ParseOptions {
    ParseOptions {
        allow_comments: forgiving,
        allow_trailing_commas: forgiving,
        allow_missing_commas: forgiving,
        allow_loose_object_property_names: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn add_error(error: &ParseError, report: &mut Report<'_>) {
    let problem = format!("not JSON: {}", begin_small(&error.kind().to_string()));
    report.add(error.range().start, Path::Root, Message::new(problem));
}

/// A second opinion: the first parser takes line breaks within texts, and more kinds of blanks than
/// JSON has.
fn check_again(text: &str, report: &mut Report<'_>) {
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) else { return };
    if error.is_eof() {
        return; // An empty file; everything else that ends early was found before.
    }
    let shown = error.to_string();
    let problem = shown.rsplit_once(" at line ").map_or(shown.as_str(), |(problem, _)| problem);
    let offset = report.offset(error.line(), error.column());
    report.add(offset, Path::Root, Message::new(format!("not JSON: {}", begin_small(problem))));
}

/// Reports what only the forgiving parser accepts.
fn check_tokens(text: &str, tokens: &[TokenAndRange<'_>], report: &mut Report<'_>) {
    let mut before: Option<&TokenAndRange<'_>> = None;
    for current in tokens {
        match &current.token {
            Token::CommentLine(_) | Token::CommentBlock(_) => {
                add_token(text, current.range, "JSON has no comments", report);
                continue;
            }
            Token::CloseBrace | Token::CloseBracket => {
                if let Some(comma) = before.filter(|token| token.token == Token::Comma) {
                    add_token(text, comma.range, "a comma stands only between two items", report);
                }
            }
            token => {
                if is_start(token) && before.is_some_and(|token| is_end(&token.token)) {
                    add_token(text, current.range, "a comma is missing before this", report);
                }
            }
        }
        before = Some(current);
    }
}

fn add_token(text: &str, range: Range, problem: &str, report: &mut Report<'_>) {
    let found = quote(text.get(range.start..range.end).unwrap_or_default());
    report.add(range.start, Path::Root, Message::new(format!("not JSON: {problem}")).found(found));
}

fn is_start(token: &Token<'_>) -> bool {
    is_scalar(token) || matches!(token, Token::OpenBrace | Token::OpenBracket)
}

fn is_end(token: &Token<'_>) -> bool {
    is_scalar(token) || matches!(token, Token::CloseBrace | Token::CloseBracket)
}

fn is_scalar(token: &Token<'_>) -> bool {
    matches!(token, Token::String(_) | Token::Number(_) | Token::Boolean(_) | Token::Null)
}

/// Other people's messages begin with a capital; ours go on from "not JSON: ".
fn begin_small(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
