//! What a message must be like to go through WhatsApp Web, whichever bridge takes it.

use std::borrow::Cow;

use crate::{
    FileSource, MediaKind, OutboundContent, OutboundFile, OutboundMessage, Unfit, emoji, media_type,
};

/// WhatsApp's bounds: characters of a message and of a caption; bytes of a file, which travels as base64 in JSON.
const TEXT_CHARS: usize = 65_536;
const CAPTION_CHARS: usize = 1_024;
const FILE_BYTES: i64 = 64 << 20;

/// Characters of a poll's question and of each option, and how many options it may have.
const QUESTION_CHARS: usize = 255;
const OPTION_CHARS: usize = 100;
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;

/// Whether the content keeps the limits that hold for every bridge. What a reaction is about, and what one bridge can send and another
/// cannot (stickers, parts of cards), are judged by the bridge.
pub(crate) fn check(content: &OutboundContent) -> Result<(), Unfit> {
    match content {
        OutboundContent::Text { body, .. } => check_text(body, TEXT_CHARS, "content.body"),
        OutboundContent::Media { files, caption } => check_media(files, caption.as_deref()),
        OutboundContent::Location { latitude, longitude, .. } => {
            check_degrees(*latitude, 90.0, "content.latitude")?;
            check_degrees(*longitude, 180.0, "content.longitude")
        }
        OutboundContent::Contacts { cards } => {
            let is_named = |name: &str| !name.trim().is_empty();
            if cards.is_empty() || !cards.iter().all(|card| is_named(&card.name)) {
                return Err(Unfit::new("content.cards", "must be one or more cards with names"));
            }
            Ok(())
        }
        OutboundContent::Reaction { emoji: given, .. } => emoji::check(given.as_deref()),
        OutboundContent::Buttons { .. } => Err(unable("content.buttons", "buttons")),
        OutboundContent::List { .. } => Err(unable("content.sections", "lists")),
        OutboundContent::CtaUrl { .. } => Err(unable("content.url", "buttons that open a page")),
        OutboundContent::LocationRequest { .. } => {
            Err(unable("content.kind", "requests for a place"))
        }
        OutboundContent::Flow(_) => Err(unable("content.cta", "forms")),
        OutboundContent::Products { .. } => Err(unable("content.catalog_id", "products")),
        OutboundContent::Poll { question, options, .. } => check_poll(question, options),
        OutboundContent::Template(_) => Err(unable("content.name", "templates")),
    }
}

/// A refusal of whom no bridge reaches.
pub(crate) fn unreachable(message: &OutboundMessage) -> Unfit {
    match &message.group {
        Some(_) => Unfit::new("reply_to", "was not written in a group of WhatsApp Web"),
        None => Unfit::new("to", "WhatsApp Web reaches telephone numbers and LIDs only"),
    }
}

/// A refusal of what only the Business Platform can send.
pub(crate) fn unable(field: &str, what: &str) -> Unfit {
    Unfit::new(field, format!("WhatsApp Web cannot send {what}; only Meta's Business Platform can"))
}

fn check_text(text: &str, most: usize, field: &str) -> Result<(), Unfit> {
    if text.trim().is_empty() {
        return Err(Unfit::new(field, "must not be empty"));
    }
    match text.chars().count() <= most {
        true => Ok(()),
        false => Err(Unfit::new(field, format!("must have at most {most} characters"))),
    }
}

fn check_poll(question: &str, options: &[String]) -> Result<(), Unfit> {
    check_text(question, QUESTION_CHARS, "content.question")?;
    if !OPTIONS.contains(&options.len()) {
        let (least, most) = (OPTIONS.start(), OPTIONS.end());
        let reason = format!("must be {least} to {most} options, {} were given", options.len());
        return Err(Unfit::new("content.options", reason));
    }
    for (index, option) in options.iter().enumerate() {
        let field = format!("content.options[{index}]");
        check_text(option, OPTION_CHARS, &field)?;
        // Votes name the option by its words.
        if options[..index].iter().any(|other| other.trim() == option.trim()) {
            return Err(Unfit::new(field, "another one says the same"));
        }
    }
    Ok(())
}

fn check_degrees(degrees: f64, limit: f64, field: &str) -> Result<(), Unfit> {
    match degrees.abs() <= limit {
        true => Ok(()),
        false => Err(Unfit::new(field, format!("must be from -{limit} to {limit}"))),
    }
}

fn check_media(files: &[OutboundFile], caption: Option<&str>) -> Result<(), Unfit> {
    let [file] = files else {
        return Err(Unfit::new("content.files", "must be exactly one file; send each by itself"));
    };
    media_type::check(files)?;
    if file.size.is_some_and(|size| size > FILE_BYTES) {
        let mib = FILE_BYTES >> 20;
        return Err(Unfit::new("content.files", format!("must have at most {mib} MiB")));
    }
    if let FileSource::Link(link) = &file.source
        && !["http://", "https://"].iter().any(|scheme| link.starts_with(scheme))
    {
        return Err(Unfit::new("content.files", "a link must begin with http:// or https://"));
    }
    match caption {
        Some(_) if file.media == MediaKind::Voice => {
            Err(Unfit::new("content.caption", "a voice message has no caption"))
        }
        Some(caption) => check_text(caption, CAPTION_CHARS, "content.caption"),
        None => Ok(()),
    }
}

/// The file's media type, or what such a file usually is, where it is not known.
pub(crate) fn mime_type(file: &OutboundFile) -> Cow<'_, str> {
    let usual = match file.media {
        MediaKind::Image => "image/jpeg",
        MediaKind::Video => "video/mp4",
        MediaKind::Voice => "audio/ogg; codecs=opus",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Document | MediaKind::Sticker => "application/octet-stream",
    };
    let known = file.media_type().filter(|known| *known != media_type::UNKNOWN);
    known.unwrap_or(Cow::Borrowed(usual))
}
