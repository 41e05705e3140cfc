//! The name of a file that is known by its address only.

use url::Url;

/// Characters of a name.
const MOST: usize = 240;

/// Characters of a name's ending that are kept where the name is too long.
const ENDING: usize = 12;

/// The last part of the address's path as people read it, with nothing in it that is no name on some machine. `None` where the
/// path ends in none.
pub(super) fn of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let last = url.path_segments()?.next_back()?;
    let decoded = decoded(last);
    let safe = |c: char| match c {
        c if c.is_control() || r#"/\:*?"<>|"#.contains(c) => Some('_'),
        // They turn what follows around, so that an ending looks like another one.
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => None,
        c => Some(c),
    };
    let name: String = decoded.chars().filter_map(safe).collect();
    let name = name.trim_matches(|c: char| c.is_whitespace() || c == '.');
    (!name.is_empty()).then(|| shortened(name))
}

/// A path's percent-encoded bytes as text; what is no UTF-8 becomes U+FFFD.
fn decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut whole = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let coded = (*byte == b'%').then(|| segment.get(at + 1..at + 3)).flatten();
        let is_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match coded.filter(is_hex).and_then(|text| u8::from_str_radix(text, 16).ok()) {
            Some(coded) => {
                whole.push(coded);
                at += 3;
            }
            None => {
                whole.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&whole).into_owned()
}

/// The name within its bound, with its ending.
fn shortened(name: &str) -> String {
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| format!(".{ending}"));
    let ending = ending.filter(|ending| ending.chars().count() <= ENDING).unwrap_or_default();
    let stem = MOST - ending.chars().count();
    name.chars().take(stem).chain(ending.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_file() {
        let names = [
            ("https://files.example.com/a/Pre%C3%A7os%202026.pdf?v=2#p", Some("Preços 2026.pdf")),
            ("https://files.example.com/a%2Fb%5Cc.pdf", Some("a_b_c.pdf")),
            ("https://files.example.com/x/..%00evil%E2%80%AEfdp.exe", Some("_evilfdp.exe")),
            ("https://files.example.com/100%25.pdf", Some("100%.pdf")),
            ("https://files.example.com/100%.pdf", Some("100%.pdf")),
            ("https://files.example.com/download", Some("download")),
            ("https://files.example.com/%FF.pdf", Some("\u{FFFD}.pdf")),
            ("https://files.example.com/folder/", None),
            ("https://files.example.com", None),
            ("https://files.example.com/%20..%20", None),
        ];
        for (link, name) in names {
            assert_eq!(of(link).as_deref(), name, "{link}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = of(&format!("https://files.example.com/{}.pdf", "x".repeat(400))).unwrap();
        assert_eq!(name.chars().count(), MOST);
        assert!(name.ends_with("x.pdf"));
    }
}
