//! The limits of files.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media#supported-media-types>

use url::Url;

use super::{at_most, optional, present};
use crate::{FileSource, LoadedFile, MediaKind, OutboundFile, Unfit, media_type};

const CAPTION_CHARS: usize = 1_024;

/// Meta's messages have one file each.
const FILES: usize = 1;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// What Meta takes of one kind.
struct Limit {
    /// The media types; `None` where any is taken.
    types: Option<&'static [&'static str]>,
    bytes: u64,
    /// The size as Meta writes it.
    size: &'static str,
    has_caption: bool,
}

pub(super) fn files(
    files: &[OutboundFile],
    caption: Option<&str>,
    loaded: &[LoadedFile],
) -> Result<(), Unfit> {
    let Some(first) = files.first() else {
        return Err(Unfit::new("content.files", "at least 1 file is needed"));
    };
    at_most("content.files", files.len(), FILES, "file in a message")?;
    let limit = limit(first.media);
    if caption.is_some() && !limit.has_caption {
        let reason = format!("{} files have none", first.media.word());
        return Err(Unfit::new("content.caption", reason));
    }
    optional("content.caption", caption, CAPTION_CHARS)?;
    one("content.files[0]", first, loaded.first())
}

/// A file that stands above the words: `field` names the member that tells of it.
pub(super) fn above(
    field: &str,
    file: &OutboundFile,
    loaded: Option<&LoadedFile>,
) -> Result<(), Unfit> {
    if !matches!(file.media, MediaKind::Image | MediaKind::Video | MediaKind::Document) {
        let reason = "must be image, video or document: nothing else can stand above the words";
        return Err(Unfit::new(format!("{field}.media"), reason));
    }
    one(field, file, loaded)
}

fn one(field: &str, file: &OutboundFile, loaded: Option<&LoadedFile>) -> Result<(), Unfit> {
    let limit = limit(file.media);
    source(&format!("{field}.source"), &file.source)?;
    mime_type(&format!("{field}.mime_type"), file, &limit)?;
    uploadable(field, file)?;
    let announced = file.size.and_then(|size| u64::try_from(size).ok());
    let bytes = loaded.and_then(|file| file.bytes.as_ref());
    let real = bytes.and_then(|bytes| u64::try_from(bytes.len()).ok());
    let size = announced.into_iter().chain(real).max();
    if let Some(size) = size.filter(|size| *size > limit.bytes) {
        let kind = file.media.word();
        let reason = format!("{kind} files have at most {}, this one has {size} bytes", limit.size);
        return Err(Unfit::new(format!("{field}.size"), reason));
    }
    Ok(())
}

fn limit(kind: MediaKind) -> Limit {
    let all = |types, bytes, size, has_caption| Limit { types, bytes, size, has_caption };
    const AUDIO: &[&str] = &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"];
    match kind {
        MediaKind::Image => all(Some(&["image/jpeg", "image/png"]), 5 * MIB, "5 MB", true),
        MediaKind::Audio => all(Some(AUDIO), 16 * MIB, "16 MB", false),
        MediaKind::Voice => all(Some(&["audio/ogg"]), 16 * MIB, "16 MB", false),
        MediaKind::Video => all(Some(&["video/mp4", "video/3gpp"]), 16 * MIB, "16 MB", true),
        MediaKind::Document => all(None, 100 * MIB, "100 MB", true),
        // Static stickers have 100 KB; which of the two it is cannot be seen from outside.
        MediaKind::Sticker => all(Some(&["image/webp"]), 500 * KIB, "500 KB", false),
    }
}

/// What Meta takes as an upload, beside the types of the other kinds.
const DOCUMENTS: &[&str] = &[
    "application/msword",
    "application/pdf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "text/plain",
];

/// A document of ours is uploaded before it is sent, and Meta takes few types of uploads (100: "must be a file with one of the
/// supported types").
fn uploadable(field: &str, file: &OutboundFile) -> Result<(), Unfit> {
    let is_ours = matches!(file.source, FileSource::Stored(_));
    let (Some(given), true, MediaKind::Document) = (&file.mime_type, is_ours, file.media) else {
        return Ok(());
    };
    let essence = media_type::essence(given);
    let kinds = [MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::Sticker];
    let mut other = kinds.into_iter().filter_map(|kind| limit(kind).types).flatten();
    if DOCUMENTS.contains(&essence.as_str()) || other.any(|known| *known == essence) {
        return Ok(());
    }
    let reason = format!(
        "Meta takes uploads of PDF, Office files, text/plain and what it shows, not {essence}: name the file by a public `url`"
    );
    Err(Unfit::new(format!("{field}.mime_type"), reason))
}

fn source(field: &str, source: &FileSource) -> Result<(), Unfit> {
    match source {
        FileSource::Stored(id) => present(field, id),
        FileSource::Link(link) => match Url::parse(link) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
            _ => Err(Unfit::new(field, "must be an http or https URL")),
        },
    }
}

/// A type that is not known is left for Meta to judge.
fn mime_type(field: &str, file: &OutboundFile, limit: &Limit) -> Result<(), Unfit> {
    let Some(given) = file.mime_type.as_deref() else {
        return Ok(());
    };
    if !media_type::is_media_type(given) {
        return Err(Unfit::new(field, "is not a media type"));
    }
    let essence = media_type::essence(given);
    match limit.types {
        Some(types) if !types.contains(&essence.as_str()) => {
            let reason = format!("{} files must be {}", file.media.word(), types.join(" or "));
            Err(Unfit::new(field, reason))
        }
        _ => Ok(()),
    }
}
