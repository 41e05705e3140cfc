//! What links a device, as bridges show it. It is shown to whoever asks, so nothing else may pass for it.

/// How long the text of a QR code may be, in characters. WhatsApp's have some 240.
const QR: usize = 1_024;

/// How long a code to type may be, in characters. WhatsApp's have eight, and perhaps a stroke between them.
const CODE: usize = 12;

/// Whether a text is that of a QR code: a version, and keys in base64 with commas between them.
pub(crate) fn is_qr(text: &str) -> bool {
    let has_version = text.split_once('@').is_some_and(|(version, _)| {
        (1..=2).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@,+/=-_.".contains(&byte);
    has_version && text.len() <= QR && text.bytes().all(is_plain)
}

/// Whether a text is a code to type.
pub(crate) fn is_code(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (4..=CODE).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_passes_for_a_code() {
        assert!(is_qr("2@Zm9v+/x=,YmFy,YmF6,cXV4"));
        assert!(is_code("ABCD-EFGH") && is_code("12345678"));
        for text in
            ["", "password", "a@b.c", "2@ a secret", "{\"a\":1}", "222@x", &"2@x".repeat(400)]
        {
            assert!(!is_qr(text), "{text}");
        }
        for text in ["", "abc", "a secret", "a-very-long-token", "x:y:z"] {
            assert!(!is_code(text), "{text}");
        }
    }
}
