//! Compressed replies: what the caller takes, and the compressors.
//!
//! This is done by hand because a stock compression layer picks level 6 of gzip, at 2.1 ms for a
//! reply of 250 KB against 0.35 ms for level 1.

use std::cell::RefCell;

use super::pieces::Pieces;
use axum::http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};
use flate2::{Compress, Compression, FlushCompress, Status};

/// Bodies below this are sent as they are: they fit into one packet either way.
const WORTH_COMPRESSING: usize = 1024;

/// Level of zstd: 16 KB from 250 KB in 0.35 ms; level 3 takes a quarter longer and saves nothing.
const ZSTD_LEVEL: i32 = 1;
/// Level of gzip: 31 KB from 250 KB in 0.35 ms; level 6 saves 14 KB and takes 1.9 ms.
const GZIP_LEVEL: u32 = 1;
/// Quality of Brotli, near the others in time.
const BROTLI_QUALITY: i32 = 1;
/// Brotli's window: as much of the text before as it looks back at, 2^18 bytes.
const BROTLI_WINDOW: i32 = 18;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Zstd,
    Brotli,
    Gzip,
}

/// Cheapest first: that decides between encodings that the caller likes equally.
const COMPRESSED: [Encoding; 3] = [Encoding::Zstd, Encoding::Gzip, Encoding::Brotli];

impl Encoding {
    /// The value of `Content-Encoding`, if there is one.
    pub(super) const fn header(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
            Self::Brotli => Some(HeaderValue::from_static("br")),
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
        }
    }

    fn is_named(self, name: &str) -> bool {
        let names: &[&str] = match self {
            Self::Identity => &["identity"],
            Self::Zstd => &["zstd"],
            Self::Brotli => &["br"],
            Self::Gzip => &["gzip", "x-gzip"],
        };
        names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// How a body of this length is sent to a caller.
    pub(super) fn of_reply(headers: &HeaderMap, length: usize) -> Self {
        if length > WORTH_COMPRESSING { Self::negotiate(headers) } else { Self::Identity }
    }

    /// What the caller likes best. A caller who takes nothing that we have gets the body as it
    /// is, which serves him better than an error.
    fn negotiate(headers: &HeaderMap) -> Self {
        let wishes: Vec<(&str, u16)> = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .filter_map(wish)
            .collect();
        let weight = |encoding: Self| {
            wishes.iter().find(|(name, _)| encoding.is_named(name)).map(|(_, weight)| *weight)
        };
        // Who takes anything has named nothing that it can read, and everybody reads gzip.
        let rest = wishes.iter().find(|(name, _)| *name == "*").map(|(_, weight)| *weight);
        let rest = |encoding| rest.filter(|_| encoding == Self::Gzip);
        let plain = weight(Self::Identity).unwrap_or(0);
        COMPRESSED
            .into_iter()
            .map(|encoding| (encoding, weight(encoding).or_else(|| rest(encoding)).unwrap_or(0)))
            .filter(|(_, weight)| *weight > 0 && *weight >= plain)
            // The first of equals: `max_by_key` would answer the last.
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(Self::Identity, |(encoding, _)| encoding)
    }

    /// Compresses a body that is in pieces.
    pub(super) fn compress_pieces(self, body: &Pieces) -> Option<Vec<u8>> {
        if self == Self::Identity {
            return None;
        }
        JOINED.with_borrow_mut(|joined| {
            joined.clear();
            body.append_to(joined);
            self.compress(joined)
        })
    }

    /// Compresses a body. It runs where it is called: handing 0.35 ms of work to another thread
    /// and waiting for it costs about as much as that on a busy machine, and moves the load
    /// nowhere. `None` when the encoding does not compress, or fails.
    pub(super) fn compress(self, body: &[u8]) -> Option<Vec<u8>> {
        let compressed = match self {
            Self::Identity => return None,
            Self::Zstd => zstd(body),
            Self::Brotli => brotli(body),
            Self::Gzip => gzip(body),
        };
        if compressed.is_none() {
            tracing::error!(encoding = ?self, "cannot compress a reply; sending it as it is");
        }
        compressed
    }
}

/// One entry of the list: a name and a weight in thousandths. An entry with a weight that is not
/// a number is skipped.
fn wish(entry: &str) -> Option<(&str, u16)> {
    let mut parts = entry.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(weight) = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
    else {
        return Some((name, 1000));
    };
    let weight: f32 = weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    Some((name, (weight * 1000.0).round() as u16))
}

thread_local! {
    // Their tables are hundreds of kilobytes, more than most bodies: made once for each thread.
    static ZSTD: RefCell<Option<zstd::bulk::Compressor<'static>>> =
        RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok());
    static GZIP: RefCell<Compress> = RefCell::new(Compress::new_gzip(Compression::new(GZIP_LEVEL), 15));
    /// Where compressors write: a body is not known to be small before it is compressed, and the
    /// reply shall not hold more memory than it needs while it is sent.
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Where pieces are put together for them.
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lets `write` fill an empty buffer of some capacity and answers a copy of what it wrote.
fn copy_of(capacity: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    OUTPUT.with_borrow_mut(|output| {
        output.clear();
        output.reserve(capacity);
        write(output).then(|| output.as_slice().to_vec())
    })
}

fn zstd(body: &[u8]) -> Option<Vec<u8>> {
    ZSTD.with_borrow_mut(|compressor| {
        let compressor = compressor.as_mut()?;
        copy_of(zstd::zstd_safe::compress_bound(body.len()), |output| {
            compressor.compress_to_buffer(body, output).is_ok()
        })
    })
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    GZIP.with_borrow_mut(|compressor| {
        compressor.reset();
        // Text that does not compress grows by 5 bytes a block of 16 KB at most; and the header.
        copy_of(body.len() + body.len() / 1000 + 64, |output| {
            matches!(compressor.compress_vec(body, output, FlushCompress::Finish), Ok(Status::StreamEnd))
        })
    })
}

fn brotli(mut body: &[u8]) -> Option<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: body.len(),
        ..Default::default()
    };
    copy_of(body.len() / 4, |output| brotli::BrotliCompress(&mut body, output, &params).is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn negotiate(lists: &[&'static str]) -> Encoding {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(list));
        }
        Encoding::negotiate(&headers)
    }

    #[test]
    fn the_caller_decides_and_the_cheaper_one_breaks_ties() {
        use Encoding::{Brotli, Gzip, Identity, Zstd};
        for (list, expected) in [
            ("gzip, deflate, br, zstd", Zstd),
            ("gzip, deflate, br", Gzip),
            ("br", Brotli),
            ("BR;q=1.0, gzip;q=0.9", Brotli),
            ("gzip;q=0.8, zstd;q=0.8, br;q=0.801", Brotli),
            ("x-gzip", Gzip),
            ("*", Gzip),
            ("*, br;q=0.5", Gzip),
            ("*;q=0.5, br", Brotli),
            ("*, gzip;q=0", Identity),
            ("*;q=0.5, zstd;q=0", Gzip),
            ("", Identity),
            ("identity", Identity),
            ("deflate", Identity),
            ("gzip;q=0", Identity),
            ("gzip;q=x", Identity),
            ("gzip;q=NaN", Identity),
            ("identity, gzip;q=0.5", Identity),
            ("identity;q=0.5, gzip;q=0.5", Gzip),
            ("gzip ; q=0.001", Gzip),
            ("*;q=0", Identity),
        ] {
            assert_eq!(negotiate(&[list]), expected, "{list:?}");
        }
        assert_eq!(negotiate(&[]), Identity);
        assert_eq!(negotiate(&["gzip;q=0.5", "br"]), Brotli);
    }

    fn decode(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match encoding {
            Encoding::Identity => plain.extend_from_slice(body),
            Encoding::Zstd => plain = zstd::stream::decode_all(body).unwrap(),
            Encoding::Gzip => {
                flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
            }
            Encoding::Brotli => brotli::BrotliDecompress(&mut &*body, &mut plain).unwrap(),
        }
        plain
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let text = "{\"goalId\":\"goal-1\",\"progress\":17}".repeat(8_000).into_bytes();
        // A multiplicative generator: bytes that do not compress.
        let noise: Vec<u8> =
            (0u64..100_000).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for encoding in COMPRESSED {
            // Twice, because compressors are used again.
            for body in [&text, &noise, &Vec::new(), &text] {
                let compressed = encoding.compress(body).unwrap();
                assert_eq!(decode(encoding, &compressed), *body, "{encoding:?}");
            }
            assert!(encoding.compress(&text).unwrap().len() < text.len() / 10, "{encoding:?}");
        }
        assert_eq!(Encoding::Identity.compress(&text), None);
    }
}
