//! Header compression, as far as a load generator needs it.
//!
//! Requests are written the way a real client writes them: constant headers go into the peer's
//! table once and are one byte each from then on, so that the server under test pays what it pays
//! in life. Of responses only two headers are read, `:status` and `grpc-status`; the table behind
//! them is kept by class instead of by text.

use std::collections::VecDeque;

use crate::Result;

/// The first index of the dynamic table.
const DYNAMIC: usize = 62;
/// More entries than fit into the default table of 4,096 bytes, at 32 bytes and more each.
const MOST_ENTRIES: usize = 128;

/// Appends an integer with a prefix of `bits`, under the given first byte.
fn write_integer(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let limit = (1_usize << bits) - 1;
    if value < limit {
        out.push(first | low(value));
        return;
    }
    out.push(first | low(limit));
    let mut rest = value - limit;
    while rest >= 128 {
        out.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    out.push(low(rest));
}

/// The low byte of a number that is known to be small.
fn low(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    write_integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// A header that repeats: its index in the static table for the name (0: none), name, value.
type Constant = (usize, &'static str, String);

/// Writes the headers of requests of one connection.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The method, as an index of the static table.
    method: u8,
    shared: Vec<Constant>,
    paths: Vec<String>,
    /// Where each constant came into the peer's table; `None`: not yet.
    shared_at: Option<usize>,
    paths_at: Vec<Option<usize>>,
    inserted: usize,
}

impl Encoder {
    /// For gRPC calls of these paths.
    pub(super) fn new(paths: &[String]) -> Self {
        let call = [(0, "te", "trailers"), (31, "content-type", "application/grpc")];
        Self::with(0x83, &call, paths)
    }

    /// For GET requests of one path whose replies may be compressed.
    pub(super) fn get(path: &str) -> Self {
        Self::with(0x82, &[(16, "accept-encoding", "zstd")], &[path.to_owned()])
    }

    fn with(method: u8, headers: &[(usize, &'static str, &str)], paths: &[String]) -> Self {
        let every = [(1, ":authority", "bench"), (58, "user-agent", "gauntlet-bench")];
        let constant =
            |(index, name, value): &(usize, &'static str, &str)| (*index, *name, (*value).to_owned());
        Self {
            method,
            shared: every.iter().chain(headers).map(constant).collect(),
            paths: paths.to_vec(),
            shared_at: None,
            paths_at: vec![None; paths.len()],
            inserted: 0,
        }
    }

    /// Appends the header block of a call of the path with this position, by this player (empty:
    /// nobody).
    pub(super) fn write(&mut self, path: usize, player: &[u8], out: &mut Vec<u8>) {
        // :scheme http
        out.extend_from_slice(&[self.method, 0x86]);
        if let Some(at) = self.paths_at[path] {
            write_integer(out, 0x80, 7, DYNAMIC + self.inserted - 1 - at);
        } else {
            self.paths_at[path] = Some(self.inserted);
            self.inserted += 1;
            write_integer(out, 0x40, 6, 4);
            write_string(out, self.paths[path].as_bytes());
        }
        if let Some(first) = self.shared_at {
            for at in 0..self.shared.len() {
                write_integer(out, 0x80, 7, DYNAMIC + self.inserted - 1 - (first + at));
            }
        } else {
            self.shared_at = Some(self.inserted);
            self.inserted += self.shared.len();
            for (index, name, value) in &self.shared {
                write_integer(out, 0x40, 6, *index);
                if *index == 0 {
                    write_string(out, name.as_bytes());
                }
                write_string(out, value.as_bytes());
            }
        }
        if !player.is_empty() {
            out.push(0);
            write_string(out, b"x-mock-user-id");
            write_string(out, player);
        }
    }
}

/// What a header of a response is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `:status`, with its value.
    Http(u16),
    /// `grpc-status`, with its value.
    Grpc(u16),
    Other,
}

/// The two headers of a response block that say how the call went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Statuses {
    pub(super) http: Option<u16>,
    pub(super) grpc: Option<u16>,
}

/// Reads the headers of responses of one connection.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Class>,
}

impl Decoder {
    /// Reads one whole header block.
    ///
    /// # Errors
    /// A block that breaks off, or an index that was never given out.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<Statuses> {
        let mut statuses = Statuses::default();
        let mut rest = block;
        while let Some(first) = rest.first().copied() {
            let class = if first & 0x80 != 0 {
                let index = read_integer(&mut rest, 7)?;
                self.class(index)?
            } else if first & 0xe0 == 0x20 {
                // A new size of the table: it only decides what is forgotten.
                read_integer(&mut rest, 5)?;
                continue;
            } else {
                let indexed = first & 0x40 != 0;
                let class = self.literal(&mut rest, if indexed { 6 } else { 4 })?;
                if indexed {
                    self.table.push_front(class);
                    self.table.truncate(MOST_ENTRIES);
                }
                class
            };
            match class {
                Class::Http(status) => statuses.http = Some(status),
                Class::Grpc(status) => statuses.grpc = Some(status),
                Class::Other => {}
            }
        }
        Ok(statuses)
    }

    fn literal(&self, rest: &mut &[u8], bits: u32) -> Result<Class> {
        let name = match read_integer(rest, bits)? {
            0 => {
                let (text, huffman) = read_string(rest)?;
                let is_status = if huffman { text == GRPC_STATUS_HUFFMAN } else { text == b"grpc-status" };
                if is_status { Class::Grpc(0) } else { Class::Other }
            }
            index => self.class(index)?,
        };
        let (value, huffman) = read_string(rest)?;
        Ok(match name {
            Class::Http(_) => Class::Http(number(value, huffman)?),
            Class::Grpc(_) => Class::Grpc(number(value, huffman)?),
            Class::Other => Class::Other,
        })
    }

    fn class(&self, index: usize) -> Result<Class> {
        const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        match index {
            0 => Err("a header with index 0".into()),
            8..=14 => Ok(Class::Http(STATUSES[index - 8])),
            1..DYNAMIC => Ok(Class::Other),
            _ => {
                let class = self.table.get(index - DYNAMIC).copied();
                class.ok_or_else(|| format!("a header with the unknown index {index}").into())
            }
        }
    }
}

fn take(rest: &mut &[u8]) -> Result<u8> {
    let (first, others) = rest.split_first().ok_or("a header block that breaks off")?;
    *rest = others;
    Ok(*first)
}

fn read_integer(rest: &mut &[u8], bits: u32) -> Result<usize> {
    let limit = (1_usize << bits) - 1;
    let mut value = usize::from(take(rest)?) & limit;
    if value < limit {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = usize::from(take(rest)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a header with a number that does not end".into())
}

/// The bytes of a string, and whether they are in Huffman's code.
fn read_string<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], bool)> {
    let huffman = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = read_integer(rest, 7)?;
    let (text, others) = rest.split_at_checked(length).ok_or("a header block that breaks off")?;
    *rest = others;
    Ok((text, huffman))
}

/// `grpc-status` in Huffman's code.
const GRPC_STATUS_HUFFMAN: &[u8] = &[0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];

/// A decimal number, which is all that statuses are.
fn number(text: &[u8], huffman: bool) -> Result<u16> {
    let mut value = 0;
    let mut digit = |digit: u16| value = (value * 10 + digit) % 10_000;
    if !huffman {
        for byte in text {
            if !byte.is_ascii_digit() {
                return Err("a status that is no number".into());
            }
            digit(u16::from(byte - b'0'));
        }
        return Ok(value);
    }
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = text.iter();
    loop {
        while held < 6
            && let Some(byte) = bytes.next()
        {
            bits = bits << 8 | u32::from(*byte);
            held += 8;
        }
        // 0, 1 and 2 have five bits, the other digits six; what is left over is ones.
        if held >= 5 && (bits >> (held - 5)) & 0x1f <= 2 {
            held -= 5;
            digit(u16::try_from((bits >> held) & 0x1f).unwrap_or(0));
        } else if held >= 6 && (0x19..=0x1f).contains(&((bits >> (held - 6)) & 0x3f)) {
            held -= 6;
            digit(u16::try_from((bits >> held) & 0x3f).unwrap_or(0) - 0x16);
        } else if held < 8 && bits & ((1 << held) - 1) == (1 << held) - 1 {
            return Ok(value);
        } else {
            return Err("a status that is no number".into());
        }
        bits &= (1 << held) - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_huffmans_code_are_read() {
        // RFC 7541, C.6: "302" and "307"; "0" and "14" by the table of its appendix B.
        for (text, expected) in [
            (&[0x64, 0x02][..], 302),
            (&[0x64, 0x0e, 0xff], 307),
            (&[0x07], 0),
            (&[0x0b, 0x5f], 14),
            (&[0x7f], 9),
        ] {
            assert_eq!(number(text, true).ok(), Some(expected), "{text:x?}");
        }
        assert_eq!(number(b"200", false).ok(), Some(200));
        assert!(number(&[0x1c, 0x64], true).is_err(), "letters");
    }

    #[test]
    fn a_table_is_kept_over_blocks() {
        let mut decoder = Decoder::default();
        let mut first = vec![0x88];
        first.extend([0x40, 0x80 | 8]);
        first.extend(GRPC_STATUS_HUFFMAN);
        first.extend([0x81, 0x07]);
        let ok = Statuses { http: Some(200), grpc: Some(0) };
        assert_eq!(decoder.read(&first).ok(), Some(ok));
        assert_eq!(decoder.read(&[0x88, 0xbe]).ok(), Some(ok));
        // Another value under the name in the table, not to be kept.
        assert_eq!(
            decoder.read(&[0x0f, 62 - 15, 0x01, b'8']).ok(),
            Some(Statuses { http: None, grpc: Some(8) })
        );
        assert!(decoder.read(&[0xbf]).is_err(), "an index that was never given out");
    }

    #[test]
    fn constant_headers_are_one_byte_from_the_second_call_on() {
        let mut encoder = Encoder::new(&["/a".to_owned(), "/b".to_owned()]);
        let mut block = |path, player: &[u8]| {
            let mut out = Vec::new();
            encoder.write(path, player, &mut out);
            out
        };
        assert!(block(0, b"").len() > 40);
        assert_eq!(block(0, b""), [0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe]);
        assert!(block(1, b"").len() < 15, "only its path is new");
        assert_eq!(block(1, b"ann").len(), 7 + 1 + 15 + 4);
        assert_eq!(block(0, b"")[2..4], [0xc3, 0xc2]);
    }
}
