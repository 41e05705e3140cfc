//! Readers for members that providers write in more than one way.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde::de::{Deserializer, Error, Visitor};

use crate::Timestamp;

/// A text that may also come as a number or a boolean.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(value))
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_owned()))
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_string()))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_string()))
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_string()))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_string()))
        }
    }

    deserializer.deserialize_any(Text)
}

/// A member that may be missing, null or blank, and may come as a text, a number or a boolean.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Maybe(pub(crate) Option<String>);

impl Maybe {
    /// The text, borrowed.
    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text as a whole number.
    pub(crate) fn number(&self) -> Option<i64> {
        self.get()?.trim().parse().ok()
    }
}

impl<'de> serde::Deserialize<'de> for Maybe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <Option<Lenient<'de>> as serde::Deserialize>::deserialize(deserializer)?;
        let text = value.map(|Lenient(text)| text.into_owned());
        Ok(Self(text.filter(|text| !text.trim().is_empty())))
    }
}

/// A text read by [`text`].
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Lenient<'a>(#[serde(borrow, deserialize_with = "text")] pub(crate) Cow<'a, str>);

/// A decimal number that may also come as a text; `None` when it is missing or no finite number.
pub(crate) fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = <Maybe as serde::Deserialize>::deserialize(deserializer)?;
    let number = value.get().and_then(|text| text.trim().parse::<f64>().ok());
    Ok(number.filter(|number| number.is_finite()))
}

/// Unix seconds as text; values beyond 10¹¹ are milliseconds. `None` for anything else.
pub(crate) fn unix_time(text: &str) -> Option<Timestamp> {
    let number: i64 = text.trim().parse().ok()?;
    let time = if number.unsigned_abs() > 100_000_000_000 {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    };
    time.and_then(reasonable)
}

/// An RFC 3339 instant, with `T` or a blank before the time.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text.trim()).ok()?;
    reasonable(time.to_utc())
}

/// An RFC 2822 instant, as in `Thu, 30 Jul 2015 20:12:31 +0000`.
pub(crate) fn rfc2822(text: &str) -> Option<Timestamp> {
    reasonable(DateTime::parse_from_rfc2822(text.trim()).ok()?.to_utc())
}

/// Cuts an instant to microseconds, which is what the store keeps, and refuses years outside 1970 to 9999, which
/// no database and no id could hold.
fn reasonable(time: Timestamp) -> Option<Timestamp> {
    let cut = time - TimeDelta::nanoseconds(i64::from(time.timestamp_subsec_nanos() % 1_000));
    let in_range = (0..253_402_300_800).contains(&cut.timestamp());
    debug_assert!(!in_range || cut.to_rfc3339_opts(SecondsFormat::Nanos, true).len() == 30);
    in_range.then_some(cut)
}
