//! Where bytes that came from outside become text: once for all, so that nobody behind this has to think of what no
//! database keeps.
//!
//! Two things are good JSON and no text that can be kept: U+0000, which PostgreSQL refuses, and half of a surrogate pair
//! (`"\ud83d"`: an emoji that was cut in two), which no UTF-8 can hold. Either is replaced by U+FFFD, and so are bytes that are
//! no UTF-8. Nothing is left out and nothing grows shorter, so that two ids which differ in such a place by more than it
//! still differ. What is clean, as nearly everything is, is looked through once and not copied.
//!
//! Signatures are checked over the bytes as they came, and requests are kept as they came: this is only about what is read
//! in them. `tests/tidy` sees to it that nothing else in this crate makes text of bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// What stands for a character that cannot be kept.
const REPLACEMENT: &str = "\u{fffd}";

/// The same as an escape in JSON; as long as the escapes it stands for.
const ESCAPED_REPLACEMENT: &str = "\\ufffd";

/// A text as both engines can keep it.
pub fn clean(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace('\0', REPLACEMENT)),
    }
}

/// Bytes as a text that can be kept. It never fails.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match decode(bytes) {
        Cow::Borrowed(text) => clean(text),
        Cow::Owned(text) => Cow::Owned(clean(&text).into_owned()),
    }
}

/// JSON from outside in which every text can be kept.
#[derive(Debug, Clone)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// What a provider sent.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(repaired(decode(bytes), |unit| unit == 0))
    }

    /// What somebody sent who is told at once of a NUL: only halves of pairs are replaced.
    pub fn of_caller(text: &'a str) -> Self {
        Self(repaired(Cow::Borrowed(text), |_| false))
    }

    /// What it says; texts of `T` may be borrowed from it.
    pub fn read<'j, T: Deserialize<'j>>(&'j self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Reads JSON from outside as something that borrows nothing.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    Json::of(bytes).read()
}

/// Reads a part of JSON that was clean as a whole. JSON inside a *text* of it is no such part: it has escapes of its own,
/// and is for [`read`].
pub(crate) fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

/// Reads where something stands in bytes as they came. What it says is not clean, and must not be kept.
pub(crate) fn locate<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// An object without members, for parts that are missing.
pub(crate) fn nothing() -> &'static RawValue {
    serde_json::from_str("{}").unwrap_or(RawValue::NULL)
}

fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Replaces escapes of halves of pairs, and of the code units that `also` names.
fn repaired(json: Cow<'_, str>, also: impl Fn(u16) -> bool) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut done = 0;
    while let Some(at) = unkeepable(&json, done, &also) {
        clean.reserve(json.len() - clean.len());
        clean.push_str(&json[done..at]);
        clean.push_str(ESCAPED_REPLACEMENT);
        done = at + ESCAPED_REPLACEMENT.len();
    }
    if done == 0 {
        return json;
    }
    clean.push_str(&json[done..]);
    Cow::Owned(clean)
}

/// Where the next escape stands that must be replaced, from `at` on, which is not within an escape. Strokes stand in texts
/// only, and what follows one belongs to it: `\\u0000` is a stroke and five letters.
fn unkeepable(json: &str, mut at: usize, also: impl Fn(u16) -> bool) -> Option<usize> {
    loop {
        at += json.get(at..)?.find('\\')?;
        match unit(json, at) {
            None => at += 2,
            Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => {
                at += 12;
            }
            Some(0xd800..=0xdfff) => return Some(at),
            Some(unit) if also(unit) => return Some(at),
            Some(_) => at += 6,
        }
    }
}

/// The UTF-16 code unit whose escape stands at `at`.
fn unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn value(json: &str) -> Value {
        read(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_clean_is_borrowed() {
        for json in [r#"{"a":"ol\u00e1 \ud83d\ude00 \\u0000 \\\\ud83d \n"}"#, "[]", "", "\\", "{"] {
            assert!(matches!(Json::of(json.as_bytes()).0, Cow::Borrowed(_)), "{json}");
        }
        assert!(matches!(text("olá".as_bytes()), Cow::Borrowed("olá")));
    }

    #[test]
    fn a_nul_and_half_a_pair_are_replaced_wherever_they_stand() {
        for (json, expected) in [
            (r#""a\u0000b""#, "a\u{fffd}b"),
            (r#""oi \ud83d""#, "oi \u{fffd}"),
            (r#""\uD83D x""#, "\u{fffd} x"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\u0000\u0041""#, "\u{fffd}\u{fffd}A"),
            (r#""\\\u0000""#, "\\\u{fffd}"),
            (r#""\\u0000""#, "\\u0000"),
        ] {
            assert_eq!(value(json), Value::from(expected), "{json}");
        }
        assert_eq!(value(r#"{"a\u0000":[{"\udfff":1}]}"#)["a\u{fffd}"][0]["\u{fffd}"], 1);
        assert_eq!(text(b"a\0b\xff"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_replaced() {
        let value: Value = read(b"{\"a\":\"oi \xf0\x9f\x98\"}").unwrap();
        assert_eq!(value["a"], "oi \u{fffd}");
    }

    #[test]
    fn a_caller_is_told_of_a_nul() {
        let json = Json::of_caller(r#"{"a":"\u0000 \ud83d"}"#);
        assert_eq!(json.read::<Value>().unwrap()["a"], "\0 \u{fffd}");
    }
}
