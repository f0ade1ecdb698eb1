//! How messages become JSON.

use serde::{Serialize, Serializer};

/// A message within a message, which is always there: clients were promised that no field is
/// ever missing or null.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(crate) fn present<T, S>(message: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default,
    S: Serializer,
{
    match message {
        Some(message) => message.serialize(serializer),
        None => T::default().serialize(serializer),
    }
}
