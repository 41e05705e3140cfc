//! Callers as telephone systems write them: numbers inside URIs, and the many words for somebody who withholds theirs.

use crate::PhoneNumber;

/// What a text says of somebody who can be called.
struct Parts<'t> {
    /// The scheme of a URI, if it is one.
    scheme: Option<&'t str>,
    /// The number or name.
    user: &'t str,
    host: Option<&'t str>,
}

impl<'t> Parts<'t> {
    /// Takes apart `"Ana" <sip:+5511…;ext=1@example.com;transport=tls>`, `tel:+55-11-…;ext=12`, `ana@example.com`, `+5511…`.
    fn of(text: &'t str) -> Self {
        let text = match text.split_once('<') {
            Some((_, rest)) if rest.contains(':') => rest.split('>').next().unwrap_or(rest),
            _ => text,
        };
        let schemes = ["sip", "sips", "tel", "whatsapp"];
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if schemes.iter().any(|s| scheme.eq_ignore_ascii_case(s)) => {
                (Some(scheme), rest)
            }
            _ => (None, text),
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (user, Some(host)),
            None => (rest, None),
        };
        let is_end = |c: char| matches!(c, ';' | '?') || (scheme.is_some() && c == ':');
        let user = user.split(is_end).next().unwrap_or_default().trim();
        let host = host.map(|host| host.split([';', '?', ':', '>']).next().unwrap_or_default());
        Self { scheme, user, host }
    }
}

/// The telephone number that a text is, or that stands in its URI. In SIP and `tel:` URIs only those with a plus sign are
/// international; others are extensions of somebody's own exchange.
pub(crate) fn number(text: &str) -> Option<PhoneNumber> {
    let Parts { scheme, user, .. } = Parts::of(text);
    let Some(scheme) = scheme else {
        return PhoneNumber::international(text).ok();
    };
    let escaped = user.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2b"));
    let digits = if escaped { &user[3..] } else { user.strip_prefix('+').unwrap_or(user) };
    let is_international = escaped || user.starts_with('+');
    if !is_international && !scheme.eq_ignore_ascii_case("whatsapp") {
        return None;
    }
    // RFC 3966, 3: visual separators carry no meaning.
    let digits = digits.replace(['-', '.', '(', ')', ' '], "");
    PhoneNumber::international(&digits).ok()
}

/// Words that stand for a number which is not shown, in small letters and without spaces and punctuation.
const WORDS: [&str; 26] = [
    "anonymous",
    "anonymouscaller",
    "blocked",
    "blockedcaller",
    "blockednumber",
    "callerunknown",
    "calleridblocked",
    "calleridunavailable",
    "calleridwithheld",
    "hidden",
    "hiddennumber",
    "nocallerid",
    "nonumber",
    "notavailable",
    "numberunavailable",
    "numberwithheld",
    "outofarea",
    "private",
    "privatecaller",
    "privatenumber",
    "restricted",
    "restrictednumber",
    "unavailable",
    "unknown",
    "unknowncaller",
    "unknownnumber",
];

/// Words again, and how some exchanges write them: on a keypad these spell ANONYMOUS (once more behind a country code),
/// UNAVAILABLE, RESTRICTED, BLOCKED, UNKNOWN (and a slip of it that is in use) and PRIVATE; 464 is what Twilio shows where
/// there is no caller id.
const NUMBERS: [&str; 9] = [
    "266696687",
    "1266696687",
    "86282452253",
    "7378742833",
    "2562533",
    "8656696",
    "8566696",
    "7748283",
    "464",
];

/// Whether a text stands for somebody who withholds the number.
pub(crate) fn is_withheld(text: &str) -> bool {
    let Parts { user, host, .. } = Parts::of(text);
    // RFC 3323, 4.1.1.3: the user `anonymous` at the host `anonymous.invalid`; many write a host of their own.
    if host.is_some_and(|host| host.eq_ignore_ascii_case("anonymous.invalid")) {
        return true;
    }
    let is_letter = |c: &char| {
        !c.is_whitespace() && !matches!(c, '-' | '_' | '.' | '"' | '\'' | '(' | ')' | '/')
    };
    let bare: String = user.chars().filter(is_letter).collect();
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    NUMBERS.contains(&digits) || WORDS.contains(&bare.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use crate::Address;

    #[test]
    fn withheld_callers_are_nobody_in_every_spelling() {
        let withheld = [
            "anonymous",
            "Anonymous",
            "ANONYMOUS",
            "sip:Anonymous@1.2.3.4",
            "sip:anonymous@anonymous.invalid",
            "SIPS:Anonymous@anonymous.invalid:5061;transport=tls",
            "anonymous@anonymous.invalid",
            "\"Anonymous\" <sip:c8oqz84zk7z@anonymous.invalid>;tag=1",
            "sip:unavailable@unknown.invalid",
            "No Caller ID",
            "no-caller-id",
            "Caller ID unavailable",
            "Private",
            "Private Number",
            "Unavailable",
            "UNKNOWN",
            "Out of Area",
            "+266696687",
            "266696687",
            "+1266696687",
            "sip:+266696687@example.com",
            "whatsapp:+266696687",
            "tel:+7378742833",
            "86282452253",
            "464",
            "+464",
        ];
        for text in withheld {
            assert_eq!(Address::caller(text), None, "{text}");
        }
        // Whoever writes is somebody, whatever they are called.
        for text in ["464", "Private", "UNKNOWN"] {
            assert_eq!(Address::of(text), Some(Address::Handle(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_number_inside_a_uri_is_that_number() {
        let written = [
            "+12015550123",
            "12015550123",
            "sip:+12015550123@203.0.113.7",
            "SIP:+12015550123@example.com:5060;user=phone",
            "sips:+12015550123@example.com",
            "sip:%2B12015550123@example.com",
            "sip:+12015550123;npdi;rn=+12015550000@example.com",
            "\"Ana\" <sip:+12015550123@example.com>;tag=4f",
            "tel:+12015550123",
            "tel:+1-201-555-0123;ext=12",
            "tel:+1(201)555.0123",
            "whatsapp:+12015550123",
            "whatsapp:12015550123",
        ];
        for text in written {
            let found = Address::caller(text);
            assert_eq!(found.as_ref().map(Address::value), Some("+12015550123"), "{text}");
            assert_eq!(found.map(|found| found.kind()), Some("phone"), "{text}");
        }
        let others = [
            "sip:2015550123@example.com",
            "sip:ana@example.com",
            "client:ana",
            "tel:5550123;phone-context=example.com",
            "ana@example.com",
            "Anonymous Coffee",
            "4640",
        ];
        for text in others {
            assert_eq!(Address::caller(text), Some(Address::Handle(text.to_owned())), "{text}");
        }
    }
}
