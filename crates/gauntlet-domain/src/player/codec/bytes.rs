//! Numbers as bytes: seven bits a byte, the lowest first, the high bit set on all but the last.

use super::{CodecError, Result};
use crate::Timestamp;

/// Whole numbers below this are written as such.
const MAX_WHOLE: u64 = 1 << 53;

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Statistics are mostly whole numbers of a few digits: those take two or three bytes, all others
/// (marked by a 1) nine.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "only taken when it is the same number")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "only taken when nothing is lost")]
    let same = (whole as f64).to_bits() == value.to_bits();
    if same && whole.unsigned_abs() < MAX_WHOLE {
        put(out, zigzag(whole) << 1);
    } else {
        out.push(1);
        out.extend(value.to_le_bytes());
    }
}

pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Reads bytes from front to back and never beyond their end.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn corrupt(&self, what: &'static str) -> CodecError {
        CodecError::Corrupt { what, at: self.at }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(self.corrupt("cut off"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let error = self.corrupt("cut off");
        self.take(N)?.try_into().map_err(|_| error)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.corrupt("number too long"))
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        self.varint().map(unzigzag)
    }

    pub(super) fn narrow(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| self.corrupt("number over 32 bits"))
    }

    pub(super) fn narrow_signed(&mut self) -> Result<i32> {
        i32::try_from(self.signed()?).map_err(|_| self.corrupt("number over 32 bits"))
    }

    pub(super) fn float(&mut self) -> Result<f64> {
        match self.varint()? {
            1 => {
                let value = f64::from_le_bytes(self.array()?);
                // Nothing equals it, itself included, so that an event would change its goal each
                // time it comes.
                if value.is_nan() { Err(self.corrupt("not a number")) } else { Ok(value) }
            }
            #[expect(clippy::cast_precision_loss, reason = "written only when nothing is lost")]
            whole if whole & 1 == 0 => Ok(unzigzag(whole >> 1) as f64),
            _ => Err(self.corrupt("unknown sort of number")),
        }
    }

    /// A count or length; each thing counted takes at least a byte.
    pub(super) fn count(&mut self) -> Result<usize> {
        let value = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if value > self.bytes.len() - self.at {
            return Err(self.corrupt("count beyond the end"));
        }
        Ok(value)
    }

    pub(super) fn time_from(&mut self, base: i64) -> Result<Timestamp> {
        Ok(Timestamp::from_seconds(base.wrapping_add(self.signed()?)))
    }

    pub(super) fn time_if(&mut self, present: bool, base: i64) -> Result<Option<Timestamp>> {
        if present { self.time_from(base).map(Some) } else { Ok(None) }
    }
}
