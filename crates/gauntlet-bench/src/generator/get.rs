//! HTTP/2 as apps and browsers speak it: many GET requests of one path on one connection.

use std::collections::HashSet;

use super::{
    Answer, Call, Wire,
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Link, head},
    hpack::{Decoder, Encoder},
};
use crate::Result;

/// One connection of an HTTP/2 client. Calls have a player and no body.
#[derive(Debug)]
pub(super) struct Get {
    link: Link,
    encoder: Encoder,
    decoder: Decoder,
    next_stream: u32,
    block: Vec<u8>,
    /// Whether 429 is an answer like others.
    refusals: bool,
    /// Calls that were refused and whose body is still to come, by stream.
    refused: HashSet<u32>,
}

impl Get {
    pub(super) fn new(path: &str, refusals: bool) -> Self {
        Self {
            link: Link::default(),
            encoder: Encoder::get(path),
            decoder: Decoder::default(),
            next_stream: 1,
            block: Vec::new(),
            refusals,
            refused: HashSet::new(),
        }
    }
}

impl Wire for Get {
    fn hello(&mut self, out: &mut Vec<u8>) {
        Link::hello(out);
    }

    fn has_room(&self, _: &Call<'_>) -> bool {
        true
    }

    fn begin(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        self.block.clear();
        self.encoder.write(0, call.player, &mut self.block);
        head(out, self.block.len(), HEADERS, END_HEADERS | END_STREAM, self.next_stream);
        out.extend_from_slice(&self.block);
        self.next_stream += 2;
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>, answers: &mut Vec<Answer>) -> Result<usize> {
        let mut used = 0;
        while let Some((length, frame)) = self.link.next(&input[used..], out)? {
            used += length;
            let Some(frame) = frame else { continue };
            if frame.kind == HEADERS {
                match self.decoder.read(frame.payload)?.http {
                    Some(200) => {}
                    Some(429) if self.refusals => drop(self.refused.insert(frame.stream)),
                    status => return Err(format!("HTTP status {status:?}").into()),
                }
            }
            if frame.flags & END_STREAM != 0 && matches!(frame.kind, HEADERS | DATA) {
                let refused = self.refused.remove(&frame.stream);
                answers.push(Answer { number: u64::from(frame.stream / 2), refused });
            }
        }
        Ok(used)
    }
}
