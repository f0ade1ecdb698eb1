//! HTTP/1.1 with keep-alive, one request at a time.

use super::{Answer, Call, Wire};
use crate::Result;

/// One connection of an HTTP client. The body of a call is the whole request.
#[derive(Debug)]
pub(super) struct Http1 {
    expected: u16,
    /// Whether 429 is an answer like others.
    refusals: bool,
    /// Whether the answer that comes is a 429.
    refused: bool,
    next: u64,
    /// Bytes of the body that are still to come; `None`: the head is.
    missing: Option<usize>,
}

impl Http1 {
    /// For requests that are answered with this status.
    pub(super) const fn new(expected: u16, refusals: bool) -> Self {
        Self { expected, refusals, refused: false, next: 0, missing: None }
    }
}

/// The status of a response's head, and the length of its body.
fn read_head(head: &[u8]) -> Result<(u16, usize)> {
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let status: u16 = status.parse().map_err(|_| format!("no HTTP response: {text:?}"))?;
    let mut length = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        }
    }
    let bodiless = status == 304 || status == 204;
    let length = if bodiless { 0 } else { length.ok_or("a response without content-length")? };
    Ok((status, length))
}

impl Wire for Http1 {
    fn hello(&mut self, _: &mut Vec<u8>) {}

    fn has_room(&self, _: &Call<'_>) -> bool {
        true
    }

    fn begin(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(call.body);
    }

    fn feed(&mut self, input: &[u8], _: &mut Vec<u8>, answers: &mut Vec<Answer>) -> Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.missing {
                None => {
                    let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                        return Ok(used);
                    };
                    let (status, length) = read_head(&rest[..end])?;
                    self.refused = self.refusals && status == 429;
                    if status != self.expected && !self.refused {
                        let body = String::from_utf8_lossy(&rest[end..]);
                        return Err(format!("HTTP status {status}: {}", body.trim()).into());
                    }
                    used += end + 4;
                    self.missing = Some(length);
                }
                Some(0) => {
                    self.missing = None;
                    answers.push(Answer { number: self.next, refused: self.refused });
                    self.next += 1;
                }
                Some(missing) => {
                    let taken = missing.min(rest.len());
                    if taken == 0 {
                        return Ok(used);
                    }
                    used += taken;
                    self.missing = Some(missing - taken);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_in_pieces_are_put_together() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        let mut wire = Http1::new(200, false);
        let (mut answers, mut held) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            for byte in reply {
                held.push(*byte);
                let used = wire.feed(&held, &mut Vec::new(), &mut answers).expect("a good response");
                held.drain(..used);
            }
        }
        assert_eq!(answers.iter().map(|answer| answer.number).collect::<Vec<_>>(), [0, 1, 2]);
        let refused =
            wire.feed(b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", &mut Vec::new(), &mut answers);
        assert!(refused.is_err_and(|error| error.to_string().contains("503")));
        assert!(wire.feed(b"HTTP/1.1 304 Not Modified\r\n\r\n", &mut Vec::new(), &mut answers).is_err());
        let mut unchanged = Http1::new(304, false);
        unchanged.feed(b"HTTP/1.1 304 Not Modified\r\n\r\n", &mut Vec::new(), &mut answers).expect("no body");
        assert_eq!(answers.len(), 4);
    }
}
