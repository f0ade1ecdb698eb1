//! Telling HTTP/2 from HTTP/1 by a connection's first bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection of which the first bytes were read already.
pub(super) struct Prefixed<S> {
    first: [u8; PREFACE.len()],
    /// The part of `first` that was not read from here yet.
    unread: std::ops::Range<usize>,
    rest: S,
}

/// Reads until it is clear what the peer speaks.
pub(super) async fn detect<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Protocol, Prefixed<S>)> {
    let mut first = [0; PREFACE.len()];
    let mut length = 0;
    let protocol = loop {
        match stream.read(&mut first[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
        if first[..length] != PREFACE[..length] {
            break Protocol::Http1;
        }
        if length == PREFACE.len() {
            break Protocol::Http2;
        }
    };
    Ok((protocol, Prefixed { first, unread: 0..length, rest: stream }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buf);
        }
        let length = self.unread.len().min(buf.remaining());
        let end = self.unread.start + length;
        buf.put_slice(&self.first[self.unread.start..end]);
        self.unread.start = end;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.rest.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes at a time.
    struct Slow<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl AsyncRead for Slow<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let (now, later) = self.bytes.split_at(self.step.min(self.bytes.len()).min(buf.remaining()));
            buf.put_slice(now);
            self.bytes = later;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn tells_the_protocols_apart_and_loses_no_byte() {
        let http2 = [&PREFACE[..], b"and frames"].concat();
        for (bytes, expected) in [
            (&http2[..], Protocol::Http2),
            (b"GET / HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"POST / HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"x", Protocol::Http1),
        ] {
            for step in [1, 2, 7, 100] {
                let (protocol, mut stream) = detect(Slow { bytes, step }).await.unwrap();
                assert_eq!(protocol, expected, "{bytes:?}");
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, bytes);
            }
        }
        let ended = detect(Slow { bytes: b"PRI * HT", step: 3 }).await;
        assert_eq!(ended.err().map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
    }
}
