//! What a message says. WAHA tells words, files, places and cards in one form; whatever is more than that is read from the
//! engine's own record (`_data`).
//! <https://waha.devlike.pro/docs/how-to/receive-messages/>

use serde_json::Value;

use super::ids::Id;
use super::webjs;
use super::wire::{Location, WireMessage};
use crate::bridge::record::Record;
use crate::bridge::says::{self, Said};
use crate::bridge::values::{member, text};
use crate::bridge::{parts, vcard};
use crate::outside;
use crate::{Attachment, ContactCard, Content, MediaKind, Parts};

/// Records that are told by events of their own.
const TOLD_ELSEWHERE: [&str; 2] = ["reactionMessage", "pollUpdateMessage"];

/// The engine's own record of a message. Its form differs between engines and versions, so nothing is relied on.
#[derive(Default)]
pub(super) struct Raw {
    data: Value,
    /// The message that a browser's engine recorded, in the form of the others.
    translated: Option<Value>,
}

impl Raw {
    pub(super) fn of(wire: &WireMessage<'_>) -> Self {
        let data = wire.data.and_then(|data| outside::part(data).ok());
        Self::new(data.unwrap_or_default())
    }

    pub(super) fn new(data: Value) -> Self {
        let of_others = ["message", "Message"].into_iter().any(|name| data[name].is_object());
        let translated = if of_others { None } else { webjs::translated(&data) };
        Self { data, translated }
    }

    /// The text at a JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.data.pointer(pointer)?.as_str()
    }

    /// A member of the record itself.
    pub(super) fn member(&self, name: &str) -> &Value {
        &self.data[name]
    }

    /// The message as WhatsApp recorded it, opened.
    pub(super) fn record(&self) -> Record<'_> {
        let found = ["message", "Message"].map(|name| &self.data[name]);
        let found = found.into_iter().find(|message| message.is_object());
        Record::open(found.or(self.translated.as_ref()).unwrap_or(&Value::Null), None)
    }

    /// What the message is, in the engine's word: the member that holds it (NOWEB, GOWS) or its type (WEBJS, WPP).
    fn kind<'r>(&'r self, record: &Record<'r>) -> &'r str {
        match record.kind {
            "" => self.data["type"].as_str().unwrap_or_default(),
            kind => kind,
        }
    }

    /// Whether it is no message at all.
    pub(super) fn is_of_no_concern(&self, record: &Record<'_>) -> bool {
        let kind = self.kind(record);
        let happened = record.kind.is_empty() && !self.data["messageStubType"].is_null();
        record.is_noise()
            || happened
            || TOLD_ELSEWHERE.contains(&kind)
            || (record.kind.is_empty() && webjs::is_noise(kind))
    }

    /// Everything that tells what surrounds the message. Browsers' engines write it beside what the message says.
    pub(super) fn contexts<'r>(&'r self, record: &Record<'r>) -> impl Iterator<Item = &'r Value> {
        record.contexts().chain([&self.data])
    }
}

/// What the message says. `id` is the message's.
pub(super) fn read(wire: &WireMessage<'_>, raw: &Raw, record: &Record<'_>, id: Id<'_>) -> Said {
    let attach = |kind: MediaKind, held: &Value| attachment(wire, kind, held, id);
    let read = |record: &Record<'_>| says::read(record, attach);
    if says::is_more_than_words(record) {
        let mut said = read(record);
        if let (Content::Unsupported { .. }, Some(body)) = (&said.content, wire.body.get()) {
            said.content = Content::Text { body: body.to_owned() };
        }
        // A template or an interactive message may have a file at its head.
        if let (Content::Text { body }, Some(_)) = (&said.content, &wire.media) {
            let attachments = vec![attachment(wire, announced(wire), &Value::Null, id)];
            said.content = Content::Media { attachments, caption: Some(body.clone()) };
        }
        return said;
    }
    if let Some(place) = wire.location.as_ref().and_then(place) {
        return place.into();
    }
    let cards = wire.v_cards.iter().flatten().map(|card| vcard::read(card));
    let cards: Vec<_> = cards.collect();
    if !cards.is_empty() {
        return under_shown_names(cards, read(record).content).into();
    }
    let media = says::media_kind(record);
    if media.is_some() || wire.has_media == Some(true) || wire.media.is_some() {
        let kind = media.unwrap_or_else(|| announced(wire));
        let attachments = vec![attachment(wire, kind, record.held, id)];
        let told = || match read(record).content {
            Content::Media { caption, .. } => caption,
            _ => None,
        };
        let caption = wire.body.0.clone().or_else(told);
        return Content::Media { attachments, caption }.into();
    }
    let place = wire.location.as_ref();
    let of_place = || place.and_then(|place| place.name.get().or(place.address.get()));
    match (wire.body.get().or_else(of_place), record.edited()) {
        (Some(body), edited) => {
            let content = Content::Text { body: body.to_owned() };
            Said { content, parts: other(edited.as_ref().unwrap_or(record)) }
        }
        (None, Some(edited)) => read(&edited),
        (None, None) => match read(record) {
            Said { content: Content::Unsupported { code, detail, .. }, parts } => {
                let kind = match raw.kind(record) {
                    "" if wire.location.is_some() => "location",
                    kind => kind,
                };
                let what = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
                Said { content: Content::Unsupported { what, code, detail }, parts }
            }
            said => said,
        },
    }
}

/// What a message is whose words are all that we can read of it.
fn other(record: &Record<'_>) -> Option<Parts> {
    let is_known = matches!(record.kind, "" | "conversation" | "extendedTextMessage")
        || record.is_noise()
        || says::media_kind(record).is_some();
    (!is_known).then(|| parts::parts("other", [("what", record.kind.into())]))
}

/// Cards under the names that the record shows them with, where they have none of their own.
fn under_shown_names(mut cards: Vec<ContactCard>, recorded: Content) -> Content {
    if let Content::Contacts { cards: shown } = recorded
        && shown.len() == cards.len()
    {
        for (card, shown) in cards.iter_mut().zip(shown) {
            if card.name.is_empty() {
                card.name = shown.name;
            }
        }
    }
    Content::Contacts { cards }
}

/// A place on Earth.
fn place(wire: &Location) -> Option<Content> {
    let in_range = |degrees: Option<f64>, limit: f64| degrees.filter(|d| d.abs() <= limit);
    Some(Content::Location {
        latitude: in_range(wire.latitude, 90.0)?,
        longitude: in_range(wire.longitude, 180.0)?,
        name: wire.name.0.clone().or(wire.description.0.clone()),
        address: wire.address.0.clone(),
        url: wire.url.0.clone(),
    })
}

/// The kind of file that its media type announces.
fn announced(wire: &WireMessage<'_>) -> MediaKind {
    let mime_type = wire.media.as_ref().and_then(|file| file.mimetype.get());
    mime_type.map_or(MediaKind::Document, MediaKind::of_mime_type)
}

/// The file. WAHA keeps it for some minutes and may have failed to fetch it; the message's id asks for it again. What WAHA does
/// not say of it, the record (`held`) may.
fn attachment(wire: &WireMessage<'_>, kind: MediaKind, held: &Value, id: Id<'_>) -> Attachment {
    let file = wire.media.as_ref();
    let recorded = |name: &str| text(member(held, name));
    Attachment {
        kind,
        media_id: wire.id.0.clone().filter(|_| id.chat.is_some()),
        url: file.and_then(|file| file.url.0.clone()),
        mime_type: file.and_then(|file| file.mimetype.0.clone()).or_else(|| recorded("mimetype")),
        filename: file.and_then(|file| file.filename.0.clone()).or_else(|| recorded("fileName")),
        size: None,
        sha256: None,
    }
}
