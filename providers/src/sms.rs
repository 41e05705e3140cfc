//! What holds for SMS whoever carries it: how its senders look, and how long its words may be.

use crate::{PhoneNumber, Unfit};

/// Who an SMS of ours comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SmsSender {
    /// A telephone number.
    Number(PhoneNumber),
    /// A short code: 3 to 8 digits.
    ShortCode(String),
    /// A name: 1 to 11 letters, digits and a few signs, at least one of them a letter. Nobody can answer it.
    Name(String),
}

impl SmsSender {
    /// Reads one of our lines.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if is_short_code(text) {
            return Some(SmsSender::ShortCode(text.to_owned()));
        }
        if let Ok(number) = PhoneNumber::international(text) {
            return Some(SmsSender::Number(number));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" &-_+".contains(&byte);
        let is_name = (1..=11).contains(&text.len())
            && text.bytes().all(is_allowed)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        is_name.then(|| SmsSender::Name(text.to_owned()))
    }

    /// As providers write it.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            SmsSender::Number(number) => number.as_str(),
            SmsSender::ShortCode(text) | SmsSender::Name(text) => text,
        }
    }
}

/// Whether the text is 3 to 8 digits, the first not zero.
pub(crate) fn is_short_code(text: &str) -> bool {
    (3..=8).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether words are there, and not more than `most` characters.
pub(crate) fn check_words(field: &str, words: &str, most: usize) -> Result<(), Unfit> {
    if words.trim().is_empty() {
        return Err(Unfit::new(field, "must not be blank"));
    }
    let length = words.chars().count();
    if length > most {
        return Err(Unfit::new(field, format!("has {length} characters, at most {most} fit")));
    }
    Ok(())
}
