//! Instants as text. A page of a timeline has a hundred and fifty of them, so they are written digit by digit.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveDateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;

/// An instant: RFC 3339 in UTC with microseconds, `2026-11-01T12:00:00.123456Z`. Any offset is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(pub(super) Timestamp);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse(&text).map(At).map_err(de::Error::custom)
    }
}

/// Reads an instant; the reason says what is missing in a text that is none.
pub(super) fn parse(text: &str) -> Result<Timestamp, &'static str> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let (time, rest) = text.rsplit_once(' ').unwrap_or((text, ""));
    let is_offset = rest.len() == 5 && rest.as_bytes().get(2) == Some(&b':');
    Err(match (is_offset && is_local(time), is_local(text)) {
        (true, _) => "has a space in place of the + of its offset: in a URL, + is written %2B",
        (_, true) => "has no offset: write 2026-11-28T10:00:00Z or 2026-11-28T10:00:00+02:00",
        _ if text.parse::<NaiveDate>().is_ok() => {
            "is a day without a time: write 2026-11-28T00:00:00Z or 2026-11-28T00:00:00+02:00"
        }
        _ => "must be an instant such as 2026-11-28T10:00:00Z or 2026-11-28T10:00:00+02:00",
    })
}

/// Whether a text is a day and a time, but for the offset.
fn is_local(text: &str) -> bool {
    let forms =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    forms.into_iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok())
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
    fn an_instant_that_is_none_is_told_what_it_lacks() {
        let whole =
            ["2026-11-28T10:00:00Z", "2026-11-28T12:00:00+02:00", " 2026-11-28T10:00:00.000Z"];
        for text in whole {
            assert_eq!(
                write(At(parse(text).unwrap()), &mut [0; 27]),
                "2026-11-28T10:00:00.000000Z"
            );
        }
        let wanting = [
            ("2026-11-28T10:00:00", "has no offset: write 2026-11-28T10:00:00Z or "),
            ("2026-11-28T10:00:00.5", "has no offset"),
            ("2026-11-28 10:00", "has no offset"),
            ("2026-11-28T10:00:00 02:00", "has a space in place of the + of its offset"),
            ("2026-11-28", "is a day without a time"),
            ("tomorrow", "must be an instant such as"),
            ("2026-13-28T10:00:00", "must be an instant such as"),
            ("", "must be an instant such as"),
        ];
        for (text, reason) in wanting {
            let told = parse(text).unwrap_err();
            assert!(told.starts_with(reason), "{text}: {told}");
        }
    }

    #[test]
    fn instants_are_written_as_rfc_3339() {
        for text in ["2026-11-01T12:00:00.123456Z", "1970-01-01T00:00:00.000000Z"] {
            let at: Timestamp = text.parse().unwrap();
            assert_eq!(write(At(at), &mut [0; 27]), text);
        }
    }
}
