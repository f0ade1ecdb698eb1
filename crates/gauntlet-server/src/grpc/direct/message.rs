//! Reading the one message of a call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use hyper::body::Body;
use prost::Message;

use crate::{
    error::{ApiError, Reason},
    grpc::MAX_MESSAGE,
};

/// A flag for compression, which is not announced here, and four bytes of length.
pub(super) const PREFIX: usize = 5;

/// A body that is being read to its end, which is nearly always its first frame.
#[derive(Debug)]
pub(super) struct Reading<B> {
    body: B,
    read: Bytes,
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    pub(super) const fn new(body: B) -> Self {
        Self { body, read: Bytes::new() }
    }

    /// The whole body, once it is there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ApiError>> {
        while !self.body.is_end_stream() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { break };
            let Ok(frame) = frame else {
                let error = ApiError::new(Reason::InvalidInput, "the message ended too early");
                return Poll::Ready(Err(error));
            };
            let Ok(data) = frame.into_data() else { continue };
            if self.read.is_empty() {
                self.read = data;
            } else {
                let mut joined = BytesMut::from(std::mem::take(&mut self.read));
                joined.extend_from_slice(&data);
                self.read = joined.freeze();
            }
            if self.read.len() > MAX_MESSAGE + PREFIX {
                return Poll::Ready(Err(too_large()));
            }
        }
        Poll::Ready(Ok(std::mem::take(&mut self.read)))
    }
}

fn too_large() -> ApiError {
    ApiError::new(Reason::InvalidInput, format!("the message is larger than {MAX_MESSAGE} bytes"))
}

/// Takes the message out of what carries it.
pub(super) fn decode<M: Message + Default>(mut body: Bytes) -> Result<M, ApiError> {
    let broken = || ApiError::new(Reason::InvalidInput, "the message is not the protobuf of this method");
    let prefix = body.first_chunk::<PREFIX>().ok_or_else(broken)?;
    let [flag, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(too_large());
    }
    let end = PREFIX + length;
    if flag != 0 || body.len() < end {
        return Err(broken());
    }
    body.truncate(end);
    M::decode(body.slice(PREFIX..)).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

    use gauntlet_proto::iam::UserLoggedIn;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    async fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> Result<Bytes, ApiError> {
        let mut reading = Reading::new(body);
        poll_fn(|cx| reading.poll(cx)).await
    }

    fn framed(message: &impl Message) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        [&[0], &length[..], &bytes].concat()
    }

    fn login() -> UserLoggedIn {
        UserLoggedIn { id: "1".into(), user_id: "p".repeat(300), ..UserLoggedIn::default() }
    }

    #[tokio::test]
    async fn a_message_may_come_in_pieces() {
        let whole = framed(&login());
        for size in [1, 4, 5, 6, 100, whole.len()] {
            let pieces = whole.chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))));
            let pieces: Vec<Result<_, Infallible>> = pieces.collect();
            let body = StreamBody::new(futures_util::stream::iter(pieces));
            let read = read(body).await.expect("read");
            assert_eq!(decode::<UserLoggedIn>(read).expect("decoded"), login(), "{size}");
        }
        let read = read(Full::new(Bytes::from(whole))).await.expect("read");
        assert_eq!(decode::<UserLoggedIn>(read).expect("decoded"), login());
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let whole = framed(&login());
        let decoded = |bytes: &[u8]| {
            decode::<UserLoggedIn>(Bytes::copy_from_slice(bytes)).map_err(|error| error.message)
        };
        // What comes after the message is not looked at, as tonic does it.
        assert_eq!(decoded(&[&whole[..], b"more"].concat()), Ok(login()));
        assert_eq!(decoded(&[0; PREFIX]), Ok(UserLoggedIn::default()));
        let broken = Err("the message is not the protobuf of this method".to_owned());
        for cut in [0, 1, PREFIX - 1, PREFIX, whole.len() - 1] {
            assert_eq!(decoded(&whole[..cut]), broken, "{cut}");
        }
        assert_eq!(decoded(&[&[1], &whole[1..]].concat()), broken, "compressed");
        assert_eq!(decoded(&[0, 0, 0, 0, 1, 0xff]), broken);
        let large = Err(format!("the message is larger than {MAX_MESSAGE} bytes"));
        assert_eq!(decoded(&[0, 0, 1, 0, 1, 0]), large);
        let body = Full::new(Bytes::from(vec![0; MAX_MESSAGE + PREFIX + 1]));
        assert_eq!(read(body).await.map_err(|error| error.message), large.map(|_| Bytes::new()));
    }
}
