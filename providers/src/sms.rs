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

/// The words that a provider of SMS understands by itself, in capitals.
#[derive(Debug)]
pub(crate) struct Keywords {
    /// Nobody writes to the person any more.
    pub(crate) stop: &'static [&'static str],
    /// They are written to again.
    pub(crate) start: &'static [&'static str],
}

/// What such a word asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Stop,
    Start,
}

impl Keywords {
    /// The keyword that is the whole text, whatever its case and the spaces around it.
    pub(crate) fn find(&self, text: &str) -> Option<Keyword> {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_uppercase();
        if self.stop.contains(&words.as_str()) {
            Some(Keyword::Stop)
        } else if self.start.contains(&words.as_str()) {
            Some(Keyword::Start)
        } else {
            None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_the_whole_text() {
        let keywords = Keywords { stop: &["STOP", "STOP ALL"], start: &["START"] };
        for text in ["STOP", " stop\n", "Stop  all"] {
            assert_eq!(keywords.find(text), Some(Keyword::Stop), "{text}");
        }
        assert_eq!(keywords.find("Start"), Some(Keyword::Start));
        for text in ["", "STOPALL", "please stop", "stop.", "start now"] {
            assert_eq!(keywords.find(text), None, "{text}");
        }
    }
}
