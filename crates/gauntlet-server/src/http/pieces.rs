//! A body made of pieces of a text that stays and of bytes of its own.

use std::{
    collections::VecDeque,
    convert::Infallible,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A shorter piece of the text is copied: each piece of a body costs about as much as copying so
/// many bytes.
const WORTH_KEEPING: usize = 4 * 1024;
/// With more pieces than this, one copy of all is cheaper to send.
const MOST: usize = 64;

/// Bytes to come, in order.
#[derive(Debug)]
pub(super) struct Pieces {
    text: Bytes,
    /// What comes next, written by whoever has it.
    pub(super) own: Vec<u8>,
    /// Ranges of the text, each with how much of `own` comes before it.
    kept: Vec<(usize, Range<usize>)>,
}

impl Pieces {
    pub(super) const fn new(text: Bytes) -> Self {
        Self { text, own: Vec::new(), kept: Vec::new() }
    }

    /// Adds a piece of the text.
    pub(super) fn kept(&mut self, range: Range<usize>) {
        if range.len() < WORTH_KEEPING {
            self.own.extend_from_slice(&self.text[range]);
        } else {
            self.kept.push((self.own.len(), range));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.own.len() + self.kept.iter().map(|(_, range)| range.len()).sum::<usize>()
    }

    /// Everything, one after the other.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        let mut copied = 0;
        for (before, range) in &self.kept {
            out.extend_from_slice(&self.own[copied..*before]);
            out.extend_from_slice(&self.text[range.clone()]);
            copied = *before;
        }
        out.extend_from_slice(&self.own[copied..]);
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        if self.kept.is_empty() {
            return self.own;
        }
        let mut all = Vec::new();
        self.append_to(&mut all);
        all
    }

    /// A body that sends the pieces as they are.
    pub(super) fn into_body(self) -> Body {
        if self.kept.is_empty() || self.kept.len() > MOST {
            return self.into_vec().into();
        }
        let left = self.len() as u64;
        let Self { text, own, kept } = self;
        let own = Bytes::from(own);
        let mut bytes = VecDeque::with_capacity(2 * kept.len() + 1);
        let mut sent = 0;
        for (before, range) in kept {
            bytes.push_back(own.slice(sent..before));
            bytes.push_back(text.slice(range));
            sent = before;
        }
        bytes.push_back(own.slice(sent..));
        bytes.retain(|piece: &Bytes| !piece.is_empty());
        Body::new(InPieces { bytes, left })
    }
}

struct InPieces {
    bytes: VecDeque<Bytes>,
    left: u64,
}

impl HttpBody for InPieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.bytes.pop_front();
        self.left -= piece.as_ref().map_or(0, Bytes::len) as u64;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_is_what_its_pieces_are() {
        let text: Bytes = (0..40_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
        let long = WORTH_KEEPING;
        let cases: [&[Range<usize>]; 5] = [
            &[],
            &[5..6],
            &[0..long, 7..8, 3..2 * long],
            &[0..long - 1, 0..long, 0..long, 9..9],
            &vec![1..long + 1; MOST + 1],
        ];
        for ranges in cases {
            let make = || {
                let mut pieces = Pieces::new(text.clone());
                let mut expected = Vec::new();
                for (number, range) in ranges.iter().enumerate() {
                    let own = number.to_string();
                    pieces.own.extend_from_slice(own.as_bytes());
                    expected.extend_from_slice(own.as_bytes());
                    pieces.kept(range.clone());
                    expected.extend_from_slice(&text[range.clone()]);
                }
                (pieces, expected)
            };
            let (pieces, expected) = make();
            assert_eq!(pieces.len(), expected.len());
            let body = pieces.into_body();
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(body.collect().await.expect("a body").to_bytes(), expected);
            let (pieces, expected) = make();
            assert_eq!(pieces.into_vec(), expected);
        }
    }
}
