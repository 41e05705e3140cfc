//! Whether a text is one emoji, by the blocks in which Unicode keeps pictures: as coarse as a stand-in needs.

/// Blocks and single characters that are pictures.
const PICTURES: &[(u32, u32)] = &[
    (0xA9, 0xA9),
    (0xAE, 0xAE),
    (0x203C, 0x203C),
    (0x2049, 0x2049),
    (0x2122, 0x2122),
    (0x2139, 0x2139),
    (0x2190, 0x21FF),
    (0x2300, 0x23FF),
    (0x24C2, 0x24C2),
    (0x25A0, 0x27BF),
    (0x2934, 0x2935),
    (0x2B00, 0x2BFF),
    (0x3030, 0x303D),
    (0x3297, 0x3299),
    (0x1F000, 0x1F1E5),
    (0x1F200, 0x1FAFF),
];

/// Whether it is one picture: a flag, a keycap, or a picture with all that changes it or is joined to it.
pub(super) fn is_one(text: &str) -> bool {
    let bare = text.replace('\u{FE0F}', "");
    if let Some(key) = bare.strip_suffix('\u{20E3}') {
        return key.len() == 1 && key.contains(|c: char| c.is_ascii_digit() || "#*".contains(c));
    }
    let (mut pictures, mut flags, mut is_joined) = (0, 0, false);
    for c in bare.chars() {
        match u32::from(c) {
            0x200D if pictures > 0 && !is_joined => is_joined = true,
            0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F if pictures > 0 => {}
            0x1F1E6..=0x1F1FF => flags += 1,
            code if PICTURES.iter().any(|(from, to)| (*from..=*to).contains(&code)) => {
                pictures += i32::from(!is_joined);
                is_joined = false;
            }
            _ => return false,
        }
    }
    !is_joined && matches!((pictures, flags), (1, 0) | (0, 2))
}
