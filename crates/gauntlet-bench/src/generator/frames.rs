//! HTTP/2's frames, as far as a client of gRPC meets them, and both sides of flow control.

use std::collections::HashMap;

use crate::Result;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const INITIAL_WINDOW_SIZE: u16 = 4;
/// The largest window that there is: the peer never has to wait for us.
const WINDOW: u32 = (1 << 31) - 1;
/// What HTTP/2 begins with.
const FIRST_WINDOW: u32 = 65_535;
/// Largest frame that every peer takes.
pub(super) const MAX_FRAME: usize = 16_384;
const HEAD: usize = 9;

/// Appends the head of a frame.
pub(super) fn head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// A frame that says something about a call.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

/// The connection below the calls.
#[derive(Debug)]
pub(super) struct Link {
    /// What we may send on the connection.
    pub(super) window: i64,
    /// What we may send on a new stream.
    pub(super) stream_window: i64,
    /// What the peer granted beyond that, by stream; used for long streams only.
    granted: HashMap<u32, i64>,
    /// Bytes received since the peer's window was opened last.
    received: u32,
}

impl Default for Link {
    fn default() -> Self {
        let window = i64::from(FIRST_WINDOW);
        Self { window, stream_window: window, granted: HashMap::new(), received: 0 }
    }
}

impl Link {
    /// Appends what a client says first.
    pub(super) fn hello(out: &mut Vec<u8>) {
        out.extend_from_slice(PREFACE);
        head(out, 6, SETTINGS, 0, 0);
        out.extend_from_slice(&INITIAL_WINDOW_SIZE.to_be_bytes());
        out.extend_from_slice(&WINDOW.to_be_bytes());
        window_update(out, 0, WINDOW - FIRST_WINDOW);
    }

    /// What the peer granted to a stream beyond [`Link::stream_window`], taken.
    pub(super) fn take_granted(&mut self, stream: u32) -> i64 {
        self.granted.remove(&stream).unwrap_or(0)
    }

    /// Reads the next frame; what is the connection's own business is done here. Answers how many
    /// bytes the frame had, and the frame if it belongs to a call. `None`: it is not whole yet.
    ///
    /// # Errors
    /// The peer gives the connection or a call up, or sends what nobody asked for.
    pub(super) fn next<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Option<Frame<'a>>)>> {
        let Some((head, _)) = input.split_at_checked(HEAD) else { return Ok(None) };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some(payload) = input.get(HEAD..HEAD + length) else { return Ok(None) };
        let (kind, flags) = (head[3], head[4]);
        let stream = number(&head[5..]) & 0x7fff_ffff;
        let frame = match kind {
            DATA | HEADERS if flags & (PADDED | PRIORITY) != 0 => {
                return Err("a frame with padding, which this generator does not read".into());
            }
            DATA => {
                self.receive(length, out);
                Some(Frame { kind, flags, stream, payload })
            }
            HEADERS if flags & END_HEADERS == 0 => return Err("headers in more than one frame".into()),
            HEADERS => Some(Frame { kind, flags, stream, payload }),
            CONTINUATION => return Err("headers in more than one frame".into()),
            // Error 0 only says that nothing more of a call is wanted.
            RST_STREAM if number(payload) != 0 => {
                return Err(format!("the server gave call {stream} up: error {}", number(payload)).into());
            }
            GOAWAY => {
                let debug = String::from_utf8_lossy(payload.get(8..).unwrap_or_default());
                return Err(format!("the server gave the connection up: {debug:?}").into());
            }
            SETTINGS if flags & ACK == 0 => {
                self.settings(payload, out);
                None
            }
            PING if flags & ACK == 0 => {
                self::head(out, payload.len(), PING, ACK, 0);
                out.extend_from_slice(payload);
                None
            }
            WINDOW_UPDATE => {
                let more = i64::from(number(payload) & 0x7fff_ffff);
                if stream == 0 {
                    self.window += more;
                } else {
                    *self.granted.entry(stream).or_default() += more;
                }
                None
            }
            _ => None,
        };
        Ok(Some((HEAD + length, frame)))
    }

    fn settings(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        for setting in payload.chunks_exact(6) {
            if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                self.stream_window = i64::from(number(&setting[2..]));
            }
        }
        head(out, 0, SETTINGS, ACK, 0);
    }

    /// Opens the peer's window again long before it is used up.
    fn receive(&mut self, length: usize, out: &mut Vec<u8>) {
        self.received += u32::try_from(length).unwrap_or(0);
        if self.received > WINDOW / 4 {
            window_update(out, 0, self.received);
            self.received = 0;
        }
    }
}

/// Appends an update of the peer's window; stream 0 is the connection.
pub(super) fn window_update(out: &mut Vec<u8>, stream: u32, more: u32) {
    head(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&more.to_be_bytes());
}

/// The first four bytes as a number; 0 when there are fewer.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
