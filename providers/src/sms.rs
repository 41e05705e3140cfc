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

/// The characters of one SMS and of a part of several, in the alphabet of telephones (septets) and in the one for all others
/// (UTF-16 units).
/// <https://www.etsi.org/deliver/etsi_ts/123000_123099/123038/>
const SEPTETS: (usize, usize) = (160, 153);
const UNITS: (usize, usize) = (70, 67);

/// The alphabet of telephones beside ASCII's letters and digits, and the characters that take two places in it.
const PLAIN: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
const DOUBLE: &str = "\u{c}^{}\\[~]|€";

/// How many SMS a text takes. One character beyond the alphabet of telephones makes all of them take more room.
pub(crate) fn parts(text: &str) -> usize {
    let places = |c: char| match c {
        c if c.is_ascii_alphanumeric() || PLAIN.contains(c) => Some(1),
        c if DOUBLE.contains(c) => Some(2),
        _ => None,
    };
    let septets: Option<usize> = text.chars().map(places).sum();
    let (length, (single, part)) = match septets {
        Some(septets) => (septets, SEPTETS),
        None => (text.encode_utf16().count(), UNITS),
    };
    if length <= single { 1 } else { length.div_ceil(part) }
}

/// Whether words are there, and fit into `most` SMS.
pub(crate) fn check_parts(field: &str, words: &str, most: usize) -> Result<(), Unfit> {
    if words.trim().is_empty() {
        return Err(Unfit::new(field, "must not be blank"));
    }
    let parts = parts(words);
    if parts > most {
        let (plain, other) = (SEPTETS.1 * most, UNITS.1 * most);
        let reason = format!(
            "takes {parts} SMS, at most {most} are sent: {plain} characters, or {other} where some are not in the \
             alphabet of telephones (GSM 03.38)"
        );
        return Err(Unfit::new(field, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_as_many_sms_as_its_alphabet_allows() {
        let many = |text: &str, times: usize| parts(&text.repeat(times));
        assert_eq!(
            [many("a", 160), many("a", 161), many("a", 1_530), many("a", 1_531)],
            [1, 2, 10, 11]
        );
        assert_eq!([many("é", 160), many("€", 80), many("€", 81)], [1, 1, 2]);
        assert_eq!([many("ã", 70), many("ã", 71), many("ã", 670), many("ã", 671)], [1, 2, 10, 11]);
        assert_eq!([many("😊", 35), many("😊", 36)], [1, 2], "emoji take two units");
        assert_eq!(parts("`"), 1);
        assert_eq!(
            parts(&format!("`{}", "a".repeat(70))),
            2,
            "a grave accent is not in the alphabet"
        );
    }

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
