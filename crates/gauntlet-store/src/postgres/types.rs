//! Times on the wire.

use std::error::Error;

use bytes::BytesMut;
use gauntlet_domain::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A [`Timestamp`] as `timestamptz`: microseconds since 2000-01-01.
#[derive(Debug, Clone, Copy)]
pub(super) struct PgTime(pub(super) Timestamp);

const EPOCH_MILLIS: i64 = 946_684_800_000;

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // Years 1 to 9999 fit with room to spare.
        ((self.0.millis() - EPOCH_MILLIS) * 1000).to_sql(&Type::INT8, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgTime {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_sql(&Type::INT8, raw)?;
        Ok(Self(Timestamp::from_millis(micros.div_euclid(1000).saturating_add(EPOCH_MILLIS))))
    }

    accepts!(TIMESTAMPTZ);
}
