//! What a message says, read from WhatsApp's own record of it. What is of an unknown kind still has its words.

use serde_json::Value;

use super::record::Record;
use super::values::{member, text};
use super::{parts, presses, vcard};
use crate::{Attachment, ContactCard, Content, MediaKind, Parts, unknown};

/// What a message says, and what else belongs to it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) content: Content,
    pub(crate) parts: Option<Parts>,
}

impl From<Content> for Said {
    fn from(content: Content) -> Self {
        Self { content, parts: None }
    }
}

/// Reads a record. `attach` makes the attachment of a file that it describes.
pub(crate) fn read(record: &Record<'_>, attach: impl Fn(MediaKind, &Value) -> Attachment) -> Said {
    let Record { kind, held, .. } = *record;
    if let Some(media) = media_kind(record) {
        let attachments = vec![attach(media, held)];
        return Content::Media { attachments, caption: text(member(held, "caption")) }.into();
    }
    if let Some(content) = plain(record).or_else(|| presses::read(kind, held)) {
        return content.into();
    }
    if kind == "pollUpdateMessage" {
        let (content, parts) = presses::vote(presses::chosen(record), kind);
        return Said { content, parts };
    }
    match parts::read(kind, held) {
        Some((Some(body), parts)) => Said { content: Content::Text { body }, parts: Some(parts) },
        Some((None, parts)) => Said { content: unsupported(kind), parts: Some(parts) },
        // What is named like its kind is no member that says something by its name.
        None => unknown::content(Some(kind), [("", held)], (None, None)).into(),
    }
}

/// Whether the record says more than words and files: what no bridge's own reading of it shows.
pub(crate) fn is_more_than_words(record: &Record<'_>) -> bool {
    presses::read(record.kind, record.held).is_some()
        || parts::read(record.kind, record.held).is_some()
}

/// A message of a kind that we do not know, without words.
pub(crate) fn unsupported(kind: &str) -> Content {
    let what = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
    Content::Unsupported { what, code: None, detail: None }
}

/// What somebody says who came by an advertisement: a message without a word opens the conversation.
pub(crate) fn or_welcome(content: Content, came_by_ad: bool) -> Content {
    const WORDLESS: [&str; 2] = ["conversation", "extendedTextMessage"];
    match &content {
        Content::Unsupported { what, .. }
            if came_by_ad && what.as_deref().is_none_or(|what| WORDLESS.contains(&what)) =>
        {
            Content::Welcome
        }
        _ => content,
    }
}

/// The kind of file that a record describes, whatever the file is called.
pub(crate) fn media_kind(record: &Record<'_>) -> Option<MediaKind> {
    Some(match record.kind {
        "imageMessage" => MediaKind::Image,
        "videoMessage" | "ptvMessage" => MediaKind::Video,
        "audioMessage" if member(record.held, "ptt") == true => MediaKind::Voice,
        "audioMessage" => MediaKind::Audio,
        "documentMessage" => MediaKind::Document,
        "stickerMessage" => MediaKind::Sticker,
        _ => return None,
    })
}

/// Words, places and cards.
fn plain(record: &Record<'_>) -> Option<Content> {
    let held = record.held;
    match record.kind {
        "conversation" | "extendedTextMessage" => {
            let message = record.message();
            let extended = member(member(message, "extendedTextMessage"), "text");
            let words = text(member(message, "conversation")).or_else(|| text(extended));
            words.map(|body| Content::Text { body })
        }
        "locationMessage" | "liveLocationMessage" => place(held),
        "contactMessage" => Some(Content::Contacts { cards: vec![card(held)] }),
        "contactsArrayMessage" => {
            let cards: Vec<_> = member(held, "contacts").as_array()?.iter().map(card).collect();
            (!cards.is_empty()).then_some(Content::Contacts { cards })
        }
        _ => None,
    }
}

/// A place on Earth.
fn place(held: &Value) -> Option<Content> {
    let degrees = |name: &str, limit: f64| {
        member(held, name).as_f64().filter(|degrees| degrees.abs() <= limit)
    };
    Some(Content::Location {
        latitude: degrees("degreesLatitude", 90.0)?,
        longitude: degrees("degreesLongitude", 180.0)?,
        name: text(member(held, "name")).or_else(|| text(member(held, "caption"))),
        address: text(member(held, "address")),
        url: text(member(held, "url")),
    })
}

fn card(held: &Value) -> ContactCard {
    let shown = text(member(held, "displayName"));
    vcard::named(member(held, "vcard").as_str().unwrap_or_default(), shown)
}
