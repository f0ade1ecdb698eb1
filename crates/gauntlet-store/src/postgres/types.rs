//! Times on the wire, and the types of parameters.

use std::error::Error;

use bytes::BytesMut;
use gauntlet_domain::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::session::Params;

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

/// A statement whose text does not say what its parameters are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {0} of a statement has no cast to a type that is known here")]
pub(super) struct Untyped(usize);

/// The parameters with their types, which stand in the text: each `$1` is cast where it is used.
pub(super) fn typed<'a>(
    sql: &str,
    params: &Params<'a>,
) -> Result<Vec<(&'a (dyn ToSql + Sync), Type)>, Untyped> {
    let mut types = vec![None; params.len()];
    for part in sql.split('$').skip(1) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        if let Some(place) = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
            && let Some(slot @ None) = types.get_mut(place)
        {
            *slot = rest.strip_prefix("::").and_then(type_of_cast);
        }
    }
    let with_type = |(place, (value, kind)): (usize, (&&'a (dyn ToSql + Sync), Option<Type>))| {
        kind.map(|kind| (*value, kind)).ok_or(Untyped(place + 1))
    };
    params.iter().zip(types).enumerate().map(with_type).collect()
}

fn type_of_cast(text: &str) -> Option<Type> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    Some(match (name, rest.starts_with("[]")) {
        ("text", false) => Type::TEXT,
        ("text", true) => Type::TEXT_ARRAY,
        ("bigint", false) => Type::INT8,
        ("bigint", true) => Type::INT8_ARRAY,
        ("integer", false) => Type::INT4,
        ("integer", true) => Type::INT4_ARRAY,
        ("boolean", false) => Type::BOOL,
        ("boolean", true) => Type::BOOL_ARRAY,
        ("bytea", false) => Type::BYTEA,
        ("bytea", true) => Type::BYTEA_ARRAY,
        ("timestamptz", false) => Type::TIMESTAMPTZ,
        ("timestamptz", true) => Type::TIMESTAMPTZ_ARRAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_say_what_parameters_are() {
        let sql = "SELECT $2::bigint, $1::text[], $2::bigint, u.goals::integer[], $3::timestamptz";
        let params: [&(dyn ToSql + Sync); 3] = [&"", &1_i64, &""];
        let types: Vec<Type> = typed(sql, &params).expect("cast").into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(types, [Type::TEXT_ARRAY, Type::INT8, Type::TIMESTAMPTZ]);
    }

    #[test]
    fn a_parameter_without_a_cast_is_a_fault() {
        let params: [&(dyn ToSql + Sync); 2] = [&1_i64, &2_i64];
        for sql in
            ["SELECT $1::bigint + $2", "SELECT $1::bigint", "SELECT $1::bigint, $2::money", "$ $1::text $2::"]
        {
            assert_eq!(typed(sql, &params).map(|_| ()), Err(Untyped(2)), "{sql}");
        }
    }
}
