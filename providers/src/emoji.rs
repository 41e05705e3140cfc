//! Whether a text is one emoji: what a reaction may be.
//! <https://www.unicode.org/reports/tr51/#EBNF_and_Regex>

use icu_properties::CodePointSetData;
use icu_properties::props::{Emoji, EmojiModifier, EmojiModifierBase, RegionalIndicator};

use crate::Unfit;

const JOINER: char = '\u{200D}';
const AS_PICTURE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
const LAST_TAG: char = '\u{E007F}';

/// Refuses what is not exactly one emoji; taking a reaction back is no emoji at all.
pub(crate) fn check(emoji: Option<&str>) -> Result<(), Unfit> {
    match emoji {
        Some(text) if !is_one(text) => {
            let reason = "must be exactly one emoji; null takes an earlier reaction back";
            Err(Unfit::new("content.emoji", reason))
        }
        _ => Ok(()),
    }
}

/// Whether the text is one emoji: alone, with a skin tone, a flag, a keycap, or several joined into one picture.
fn is_one(text: &str) -> bool {
    let mut rest: Vec<char> = text.chars().rev().collect();
    loop {
        if !element(&mut rest) {
            return false;
        }
        match rest.pop() {
            None => return true,
            Some(JOINER) => {}
            Some(_) => return false,
        }
    }
}

/// Takes one element of the sequence, whose characters stand in reverse.
fn element(rest: &mut Vec<char>) -> bool {
    let Some(first) = rest.pop() else { return false };
    if CodePointSetData::new::<RegionalIndicator>().contains(first) {
        let second = rest.pop();
        return second.is_some_and(|c| CodePointSetData::new::<RegionalIndicator>().contains(c));
    }
    if matches!(first, '0'..='9' | '#' | '*') {
        take(rest, |c| c == AS_PICTURE);
        return take(rest, |c| c == KEYCAP);
    }
    let is_tone = |c: char| CodePointSetData::new::<EmojiModifier>().contains(c);
    if !CodePointSetData::new::<Emoji>().contains(first) {
        return false;
    }
    if CodePointSetData::new::<EmojiModifierBase>().contains(first) && take(rest, is_tone) {
        return true;
    }
    take(rest, |c| c == AS_PICTURE);
    // Flags of regions are spelled in characters that are not shown.
    let mut is_spelled = false;
    while take(rest, |c| ('\u{E0020}'..LAST_TAG).contains(&c)) {
        is_spelled = true;
    }
    !is_spelled || take(rest, |c| c == LAST_TAG)
}

fn take(rest: &mut Vec<char>, is_wanted: impl Fn(char) -> bool) -> bool {
    rest.pop_if(|c| is_wanted(*c)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_picture_however_many_characters_spell_it() {
        let england = "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}";
        for one in ["👍", "👍🏽", "❤️", "❤", "🇧🇷", "👨‍👩‍👧‍👦", "🏳️‍🌈", "1️⃣", "#⃣", "🤷🏾‍♀️", "🫶", england]
        {
            assert!(is_one(one), "{one}");
        }
    }

    #[test]
    fn what_is_none_or_several_is_not_one() {
        let none = [
            "",
            " ",
            "ok",
            "a",
            "1",
            "#",
            "好",
            ":)",
            "👍👍",
            "👍 ",
            " 👍",
            "👍a",
            "❤️👍",
            "🇧",
            "🇧🇷🇵🇹",
        ];
        let broken = ["👍\u{200D}", "\u{200D}👍", "\u{FE0F}", "🏴\u{E0067}", "1\u{FE0F}"];
        for other in none.into_iter().chain(broken) {
            assert!(!is_one(other), "{other:?}");
        }
    }
}
