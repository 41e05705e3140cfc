//! Instants as text. A page of a timeline has a hundred and fifty of them, so they are written digit by digit.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;

/// An instant: RFC 3339 in UTC with microseconds, `2026-11-01T12:00:00.123456Z`. Any offset is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct At(pub(super) Timestamp);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(write(*self, &mut [0; 27]))
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for At {}

/// Its text.
pub(super) fn write(At(at): At, buffer: &mut [u8; 27]) -> &str {
    use chrono::{Datelike, Timelike};

    *buffer = *b"0000-00-00T00:00:00.000000Z";
    let (date, time) = (at.date_naive(), at.time());
    digits(&mut buffer[0..4], date.year().unsigned_abs());
    digits(&mut buffer[5..7], date.month());
    digits(&mut buffer[8..10], date.day());
    digits(&mut buffer[11..13], time.hour());
    digits(&mut buffer[14..16], time.minute());
    digits(&mut buffer[17..19], time.second());
    digits(&mut buffer[20..26], time.nanosecond() % 1_000_000_000 / 1_000);
    std::str::from_utf8(buffer).unwrap_or_default()
}

fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        for text in ["2026-11-01T12:00:00.123456Z", "1970-01-01T00:00:00.000000Z"] {
            let at: Timestamp = text.parse().unwrap();
            assert_eq!(write(At(at), &mut [0; 27]), text);
        }
    }
}
