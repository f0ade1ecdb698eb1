//! Unary gRPC calls over HTTP/2.

use super::{
    Answer, Call, Wire,
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Link, head},
    hpack::{Decoder, Encoder},
};
use crate::Result;

/// `RESOURCE_EXHAUSTED`.
const REFUSED: u16 = 8;

/// One connection of a gRPC client.
#[derive(Debug)]
pub(super) struct Unary {
    link: Link,
    encoder: Encoder,
    decoder: Decoder,
    next_stream: u32,
    block: Vec<u8>,
    /// Whether status 8 is an answer like others.
    refusals: bool,
}

impl Unary {
    pub(super) fn new(paths: &[String], refusals: bool) -> Self {
        Self {
            link: Link::default(),
            encoder: Encoder::new(paths),
            decoder: Decoder::default(),
            next_stream: 1,
            block: Vec::new(),
            refusals,
        }
    }
}

/// Appends the five bytes before a message of gRPC.
pub(super) fn prefix(out: &mut Vec<u8>, length: usize) {
    out.push(0);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Whether a call that ended with these headers went well.
pub(super) fn judge(grpc: Option<u16>, http: Option<u16>, call: u64) -> Result<()> {
    match grpc {
        Some(0) => Ok(()),
        Some(status) => Err(format!("call {call} ended with grpc-status {status}").into()),
        None => Err(format!("call {call} ended without grpc-status (HTTP status {http:?})").into()),
    }
}

impl Wire for Unary {
    fn hello(&mut self, out: &mut Vec<u8>) {
        Link::hello(out);
    }

    fn has_room(&self, call: &Call<'_>) -> bool {
        self.link.window >= i64::try_from(call.body.len() + 5).unwrap_or(i64::MAX)
    }

    fn begin(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.block.clear();
        self.encoder.write(call.path, call.player, &mut self.block);
        head(out, self.block.len(), HEADERS, END_HEADERS, stream);
        out.extend_from_slice(&self.block);
        let length = call.body.len() + 5;
        self.link.window -= i64::try_from(length).unwrap_or(0);
        head(out, length, DATA, END_STREAM, stream);
        prefix(out, call.body.len());
        out.extend_from_slice(call.body);
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>, answers: &mut Vec<Answer>) -> Result<usize> {
        let mut used = 0;
        while let Some((length, frame)) = self.link.next(&input[used..], out)? {
            used += length;
            let Some(frame) = frame else { continue };
            // Small messages never need more than a new stream's window.
            self.link.take_granted(frame.stream);
            let number = u64::from(frame.stream / 2);
            if frame.kind == HEADERS {
                let statuses = self.decoder.read(frame.payload)?;
                if frame.flags & END_STREAM != 0 {
                    let refused = self.refusals && statuses.grpc == Some(REFUSED);
                    if !refused {
                        judge(statuses.grpc, statuses.http, number)?;
                    }
                    answers.push(Answer { number, refused });
                }
            } else if frame.flags & END_STREAM != 0 {
                return Err(format!("call {number} ended without trailers").into());
            }
        }
        Ok(used)
    }
}
