//! What media types are called: one name for each, whatever else people and programs call it.

use std::borrow::Cow;

use crate::{MediaKind, OutboundFile, Unfit};

/// The type of which nothing is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// Other names of types, and the registered one. Where the type alone leaves open what is inside, the parameters say so.
/// <https://www.iana.org/assignments/media-types/media-types.xhtml>
const OTHER_NAMES: &[(&str, &str)] = &[
    ("application/ogg", "audio/ogg"),
    ("application/x-ogg", "audio/ogg"),
    ("application/x-pdf", "application/pdf"),
    ("application/x-zip", "application/zip"),
    ("application/x-zip-compressed", "application/zip"),
    ("audio/m4a", "audio/mp4"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/mpeg3", "audio/mpeg"),
    ("audio/opus", "audio/ogg; codecs=opus"),
    ("audio/vnd.wave", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("audio/x-aac", "audio/aac"),
    ("audio/x-amr", "audio/amr"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-mp3", "audio/mpeg"),
    ("audio/x-mp4", "audio/mp4"),
    ("audio/x-mpeg", "audio/mpeg"),
    ("audio/x-ogg", "audio/ogg"),
    ("audio/x-opus+ogg", "audio/ogg; codecs=opus"),
    ("audio/x-wav", "audio/wav"),
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/x-citrix-jpeg", "image/jpeg"),
    ("image/x-png", "image/png"),
    ("text/x-vcard", "text/vcard"),
    ("video/3gp", "video/3gpp"),
];

/// Whether a text is `type/subtype`, perhaps with parameters, with nothing in it that a header could not hold; at most 200
/// characters.
pub fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    text.len() <= 200
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// The type by its registered name, with the parameters that were given: `audio/x-m4a` is `audio/mp4`. Everything else stays as it
/// is.
pub fn registered(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let (given, parameters) = match text.split_once(';') {
        Some((given, parameters)) => (given.trim(), Some(parameters)),
        None => (text, None),
    };
    let found = OTHER_NAMES.iter().find(|(other, _)| given.eq_ignore_ascii_case(other));
    match (found, parameters) {
        (None, _) => Cow::Borrowed(text),
        (Some((_, name)), None) => Cow::Borrowed(name),
        (Some((_, name)), Some(parameters)) => {
            let essence = name.split(';').next().unwrap_or_default();
            Cow::Owned(format!("{essence};{parameters}"))
        }
    }
}

/// The registered name without parameters, in lower case.
pub(crate) fn essence(text: &str) -> String {
    let registered = registered(text);
    registered.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Refuses files whose type is none, or is not that of what they are sent as: a voice message is no picture. A type that is not
/// known says nothing against it.
pub(crate) fn check(files: &[OutboundFile]) -> Result<(), Unfit> {
    for (index, file) in files.iter().enumerate() {
        let Some(given) = file.mime_type.as_deref() else { continue };
        let field = || format!("content.files[{index}].mime_type");
        if !is_media_type(given) {
            return Err(Unfit::new(field(), "is not a media type"));
        }
        let (kind, essence) = (file.media.word(), essence(given));
        if let Some(family) = family(file.media)
            && essence != UNKNOWN
            && essence.split_once('/').map(|(family, _)| family) != Some(family)
        {
            let reason = format!(
                "a file sent as {kind} must be {family}/…, this one is {essence}; send it as document"
            );
            return Err(Unfit::new(field(), reason));
        }
    }
    Ok(())
}

/// The first half of the types that a kind of file has; `None` where it may be anything.
fn family(kind: MediaKind) -> Option<&'static str> {
    match kind {
        MediaKind::Image | MediaKind::Sticker => Some("image"),
        MediaKind::Audio | MediaKind::Voice => Some("audio"),
        MediaKind::Video => Some("video"),
        MediaKind::Document => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_name() {
        let names = [
            ("audio/opus", "audio/ogg; codecs=opus"),
            (" Audio/X-M4A ", "audio/mp4"),
            ("application/ogg; codecs=opus", "audio/ogg; codecs=opus"),
            ("audio/opus; rate=48000", "audio/ogg; rate=48000"),
            ("image/jpg", "image/jpeg"),
            ("Text/Plain; charset=utf-8", "Text/Plain; charset=utf-8"),
        ];
        for (given, name) in names {
            assert_eq!(registered(given), name);
            assert_eq!(registered(name), name, "a name stays");
        }
        assert_eq!(essence("Image/PNG;q=1"), "image/png");
    }

    #[test]
    fn registered_names_are_no_other_names() {
        for (other, name) in OTHER_NAMES {
            assert_eq!(registered(name), *name);
            assert!(is_media_type(other) && is_media_type(name));
        }
    }
}
