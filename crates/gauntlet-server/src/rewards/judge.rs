//! What an answer over HTTP says about a grant.

use super::{
    GrantAnswer, Search,
    client::{Failed, HttpAnswer},
};

/// The most of a platform's words that is kept as a reason.
const EXCERPT: usize = 200;

/// What 503 means at a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// Not carried out, when it says when to come back; proxies, which answer 503 also after they
    /// have passed a call on, do not say that.
    NotDoneIfItSaysWhen,
    /// Nobody can tell.
    Ambiguous,
}

/// Judges the answer to a grant. `read` reads the body of a 2xx answer, and says why when it is
/// not one of the platform's.
pub(super) fn grant(
    answer: Result<HttpAnswer, Failed>,
    read: impl FnOnce(&[u8]) -> Result<GrantAnswer, String>,
    unavailable: Unavailable,
) -> GrantAnswer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failed::NotSent(why)) => return GrantAnswer::NotDone { why, retry_after: None },
        Err(Failed::Lost(why)) => return GrantAnswer::Ambiguous(why),
    };
    let (status, retry_after) = (answer.status.as_u16(), answer.retry_after);
    let not_done = || GrantAnswer::NotDone { why: format!("status {status}"), retry_after };
    match status {
        200..=299 => {
            let body = answer.body.and_then(|body| read(&body));
            body.unwrap_or_else(|why| GrantAnswer::Ambiguous(format!("status {status}, but {why}")))
        }
        // 401 is about our credentials and not about the grant: somebody will mend them.
        401 | 425 | 429 => not_done(),
        503 if unavailable == Unavailable::NotDoneIfItSaysWhen && retry_after.is_some() => not_done(),
        // 408 and 409: an attempt of before may still be under way.
        400..=499 if !matches!(status, 408 | 409) => {
            let said = answer.body.map(|body| excerpt(&body)).unwrap_or_default();
            let said = if said.is_empty() { said } else { format!(": {said}") };
            GrantAnswer::Refused(format!("status {status}{said}"))
        }
        _ => GrantAnswer::Ambiguous(format!("status {status}")),
    }
}

/// Judges the answer to a search: only a 200 that says so says so.
pub(super) fn search(
    answer: Result<HttpAnswer, Failed>,
    read: impl FnOnce(&[u8]) -> Result<Search, String>,
) -> Search {
    match answer {
        Err(Failed::NotSent(why) | Failed::Lost(why)) => Search::Unanswered(why),
        Ok(answer) if answer.status != 200 => {
            Search::Unanswered(format!("status {}", answer.status.as_u16()))
        }
        Ok(answer) => answer.body.and_then(|body| read(&body)).unwrap_or_else(Search::Unanswered),
    }
}

/// The beginning of what a platform said, on one line, for reasons that operators read.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the shape that is judged")]
    fn answer(status: u16, retry_after: Option<u64>) -> Result<HttpAnswer, Failed> {
        let status = StatusCode::from_u16(status).unwrap();
        Ok(HttpAnswer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            body: Ok(Bytes::from("no\nsuch item")),
        })
    }

    #[test]
    fn a_status_says_whether_a_call_was_carried_out() {
        let judged = |status, retry_after| {
            let read = |_: &[u8]| Ok(GrantAnswer::Granted);
            grant(answer(status, retry_after), read, Unavailable::NotDoneIfItSaysWhen)
        };
        for (status, retry_after, expected) in [
            (200, None, "granted"),
            (202, None, "granted"),
            (301, None, "ambiguous"),
            (307, None, "ambiguous"),
            (400, None, "refused"),
            (401, None, "not_done"),
            (404, None, "refused"),
            (408, None, "ambiguous"),
            (409, None, "ambiguous"),
            (422, None, "refused"),
            (425, None, "not_done"),
            (429, None, "not_done"),
            (500, Some(1), "ambiguous"),
            (502, Some(1), "ambiguous"),
            (503, None, "ambiguous"),
            (503, Some(1), "not_done"),
            (504, Some(1), "ambiguous"),
            (599, None, "ambiguous"),
        ] {
            assert_eq!(judged(status, retry_after).as_str(), expected, "{status} {retry_after:?}");
        }
        assert_eq!(judged(400, None), GrantAnswer::Refused("status 400: no such item".into()));
        let waiting =
            GrantAnswer::NotDone { why: "status 429".into(), retry_after: Some(Duration::from_secs(9)) };
        assert_eq!(judged(429, Some(9)), waiting);
        let never = grant(answer(503, Some(1)), |_| Ok(GrantAnswer::Granted), Unavailable::Ambiguous);
        assert_eq!(never, GrantAnswer::Ambiguous("status 503".into()));
    }

    #[test]
    fn an_answer_that_cannot_be_read_decides_nothing() {
        let odd = grant(answer(200, None), |_| Err("odd".into()), Unavailable::Ambiguous);
        assert_eq!(odd, GrantAnswer::Ambiguous("status 200, but odd".into()));
        for status in [204, 302, 404, 500] {
            let found = search(answer(status, None), |_| Ok(Search::NotFound));
            assert_eq!(found, Search::Unanswered(format!("status {status}")));
        }
        assert_eq!(search(answer(200, None), |_| Ok(Search::NotFound)), Search::NotFound);
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(excerpt(b" a\r\nb\0c \xff"), "a  b c \u{fffd}");
        assert_eq!(excerpt(&vec![b'x'; 100_000]).len(), EXCERPT);
    }
}
