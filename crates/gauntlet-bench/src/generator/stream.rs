//! Many messages on one gRPC call, each answered: `gauntlet.events.v1.EventStream/Publish`.

use super::{
    Answer, Call, Wire,
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Link, MAX_FRAME, head, window_update},
    h2::{judge, prefix},
    hpack::{Decoder, Encoder},
};
use crate::Result;

/// The one call of a connection.
const STREAM: u32 = 1;
/// How much is received before the peer's window is opened again.
const UPDATE_AFTER: u32 = 1 << 29;

/// One connection with one long call. Messages that are there together go out in one frame, as
/// real clients send them.
#[derive(Debug)]
pub(super) struct Publish {
    link: Link,
    encoder: Encoder,
    decoder: Decoder,
    /// Messages that wait for [`Wire::flush`].
    waiting: Vec<u8>,
    /// What the stream may send beyond the peer's first window for a stream.
    granted: i64,
    sent: i64,
    next: u64,
    /// Bytes of answers that are not whole messages yet.
    partial: Vec<u8>,
    received: u32,
}

impl Publish {
    pub(super) fn new(path: &str) -> Self {
        Self {
            link: Link::default(),
            encoder: Encoder::new(&[path.to_owned()]),
            decoder: Decoder::default(),
            waiting: Vec::new(),
            granted: 0,
            sent: 0,
            next: 0,
            partial: Vec::new(),
            received: 0,
        }
    }

    fn room(&self) -> i64 {
        self.link.window.min(self.link.stream_window + self.granted - self.sent)
    }

    /// Reads whole messages off `partial`.
    fn acks(&mut self, answers: &mut Vec<Answer>) -> Result<()> {
        let mut rest = self.partial.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some((message, after)) = after.split_at_checked(length) else { break };
            answers.push(Answer { number: ack(message)?, refused: false });
            rest = after;
        }
        let left = rest.len();
        self.partial.drain(..self.partial.len() - left);
        Ok(())
    }
}

/// The sequence of an `Ack` that says OK: no field but the sequence, which is left out when it is 0.
fn ack(message: &[u8]) -> Result<u64> {
    let Some((8, mut rest)) = message.split_first().map(|(tag, rest)| (*tag, rest)) else {
        return if message.is_empty() { Ok(0) } else { Err(refused(message)) };
    };
    let (mut sequence, mut shift) = (0, 0);
    while let Some((byte, others)) = rest.split_first() {
        sequence |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        rest = others;
        if byte & 0x80 == 0 || shift > 56 {
            break;
        }
    }
    if rest.is_empty() { Ok(sequence) } else { Err(refused(message)) }
}

fn refused(message: &[u8]) -> crate::Failure {
    format!("an event of the stream was refused: {:?}", String::from_utf8_lossy(message)).into()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

impl Wire for Publish {
    fn hello(&mut self, out: &mut Vec<u8>) {
        Link::hello(out);
        let mut block = Vec::new();
        self.encoder.write(0, b"", &mut block);
        head(out, block.len(), HEADERS, END_HEADERS, STREAM);
        out.extend_from_slice(&block);
    }

    fn has_room(&self, call: &Call<'_>) -> bool {
        // 32: prefixes, and the sequence.
        self.room() >= i64::try_from(self.waiting.len() + call.body.len() + 32).unwrap_or(i64::MAX)
    }

    /// The body is a `StatItemUpdated`.
    fn begin(&mut self, call: &Call<'_>, _: &mut Vec<u8>) {
        let mut event = Vec::with_capacity(32);
        event.push(0x08);
        varint(&mut event, self.next);
        event.push(0x1a);
        varint(&mut event, call.body.len() as u64);
        self.next += 1;
        prefix(&mut self.waiting, event.len() + call.body.len());
        self.waiting.extend_from_slice(&event);
        self.waiting.extend_from_slice(call.body);
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        for part in self.waiting.chunks(MAX_FRAME) {
            head(out, part.len(), DATA, 0, STREAM);
            out.extend_from_slice(part);
        }
        let length = i64::try_from(self.waiting.len()).unwrap_or(0);
        self.link.window -= length;
        self.sent += length;
        self.waiting.clear();
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>, answers: &mut Vec<Answer>) -> Result<usize> {
        let mut used = 0;
        while let Some((length, frame)) = self.link.next(&input[used..], out)? {
            used += length;
            let Some(frame) = frame else { continue };
            if frame.kind == HEADERS {
                let statuses = self.decoder.read(frame.payload)?;
                if frame.flags & END_STREAM != 0 {
                    judge(statuses.grpc, statuses.http, 0)?;
                    return Err("the server ended the stream".into());
                }
                continue;
            }
            self.received += u32::try_from(frame.payload.len()).unwrap_or(0);
            if self.received > UPDATE_AFTER {
                window_update(out, STREAM, self.received);
                self.received = 0;
            }
            self.partial.extend_from_slice(frame.payload);
            self.acks(answers)?;
        }
        self.granted += self.link.take_granted(STREAM);
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_proto::events::Ack;
    use prost::Message as _;

    use super::*;

    #[test]
    fn acks_are_read_as_prost_writes_them() {
        for sequence in [0, 1, 127, 128, 300, 1 << 40] {
            let bytes = Ack { sequence, ..Ack::default() }.encode_to_vec();
            assert_eq!(ack(&bytes).ok(), Some(sequence));
            let refused = Ack { sequence, code: 8, ..Ack::default() }.encode_to_vec();
            assert!(ack(&refused).is_err());
        }
    }
}
