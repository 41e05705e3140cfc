//! What a message says. WAHA tells words, files, places and cards in one form; for everything else the engine's own record
//! (`_data`) at least names the kind.
//! <https://waha.devlike.pro/docs/how-to/receive-messages/>

use serde_json::Value;

use super::ids::Id;
use super::webhook::Unreadable;
use super::wire::{Location, WireMessage};
use crate::bridge::vcard;
use crate::outside;
use crate::{Attachment, Content, MediaKind};

/// Records that are no messages: keys, changes of settings, and what is told by events of its own.
const OF_NO_CONCERN: [&str; 8] = [
    "protocolMessage",
    "senderKeyDistributionMessage",
    "reactionMessage",
    "encReactionMessage",
    "pollUpdateMessage",
    "albumMessage",
    "e2e_notification",
    "gp2",
];

/// Members that surround a message and do not say what it is.
const SURROUNDINGS: [&str; 2] = ["messageContextInfo", "senderKeyDistributionMessage"];

/// The engine's own record of a message. Its form differs between engines and versions, so nothing is relied on.
#[derive(Default)]
pub(super) struct Raw(Value);

impl Raw {
    pub(super) fn of(wire: &WireMessage<'_>) -> Self {
        let data = wire.data.and_then(|data| outside::part(data).ok());
        Self(data.unwrap_or_default())
    }

    /// The text at a JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// What the message is, in the engine's word: the member that holds it (NOWEB, GOWS) or its type (WEBJS, WPP).
    pub(super) fn kind(&self) -> Option<&str> {
        let members = self.message().map(|members| members.keys().map(String::as_str));
        let members = || members.clone().into_iter().flatten();
        let telling = members().find(|name| !SURROUNDINGS.contains(name));
        telling.or_else(|| members().next()).or_else(|| self.0["type"].as_str())
    }

    fn message(&self) -> Option<&serde_json::Map<String, Value>> {
        self.0["message"].as_object().or_else(|| self.0["Message"].as_object())
    }

    /// Whether it is no message at all.
    pub(super) fn is_of_no_concern(&self) -> bool {
        self.kind().is_some_and(|kind| OF_NO_CONCERN.contains(&kind))
    }

    /// Whether it was passed on, and whether often.
    pub(super) fn forwarded(&self) -> (bool, bool) {
        let inside = self.message().into_iter().flat_map(|members| members.values());
        let contexts = inside.map(|member| &member["contextInfo"]).chain([&self.0]);
        let mut found = (false, false);
        for context in contexts {
            found.0 |= context["isForwarded"] == true;
            found.1 |= context["forwardingScore"].as_i64().is_some_and(|score| score > 4);
        }
        (found.0 || found.1, found.1)
    }

    /// Whether it is a voice message, a sticker, or neither.
    fn special(&self) -> Option<MediaKind> {
        let is_voice = self.0["type"] == "ptt"
            || self.message().is_some_and(|message| {
                message
                    .get("audioMessage")
                    .is_some_and(|audio| audio["ptt"] == true || audio["PTT"] == true)
            });
        let is_sticker =
            self.kind().is_some_and(|kind| ["sticker", "stickerMessage"].contains(&kind));
        match (is_voice, is_sticker) {
            (true, _) => Some(MediaKind::Voice),
            (_, true) => Some(MediaKind::Sticker),
            _ => None,
        }
    }
}

/// What the message says. `id` is the message's.
pub(super) fn read(wire: &WireMessage<'_>, raw: &Raw, id: Id<'_>) -> Result<Content, Unreadable> {
    if let Some(location) = &wire.location {
        return place(location);
    }
    let cards = wire.v_cards.iter().flatten().map(|card| vcard::read(card));
    let cards: Vec<_> = cards.collect();
    if !cards.is_empty() {
        return Ok(Content::Contacts { cards });
    }
    if wire.has_media == Some(true) || wire.media.is_some() {
        return Ok(media(wire, raw, id));
    }
    if let Some(body) = wire.body.get() {
        return Ok(Content::Text { body: body.to_owned() });
    }
    match raw.kind() {
        Some(kind) => {
            let what = Some(kind.to_owned());
            Ok(Content::Unsupported { what, code: None, detail: None })
        }
        None => Err(Unreadable("the message has no content that we know".to_owned())),
    }
}

fn place(wire: &Location) -> Result<Content, Unreadable> {
    let in_range = |degrees: Option<f64>, limit: f64| degrees.filter(|d| d.abs() <= limit);
    let outside = || Unreadable("`location` is no place on Earth".to_owned());
    Ok(Content::Location {
        latitude: in_range(wire.latitude, 90.0).ok_or_else(outside)?,
        longitude: in_range(wire.longitude, 180.0).ok_or_else(outside)?,
        name: wire.name.0.clone().or(wire.description.0.clone()),
        address: wire.address.0.clone(),
        url: wire.url.0.clone(),
    })
}

/// The file. WAHA keeps it for some minutes and may have failed to fetch it; the message's id asks for it again.
fn media(wire: &WireMessage<'_>, raw: &Raw, id: Id<'_>) -> Content {
    let file = wire.media.as_ref();
    let mime_type = file.and_then(|file| file.mimetype.0.clone());
    let announced = mime_type.as_deref().map_or(MediaKind::Document, MediaKind::of_mime_type);
    let filename = file.and_then(|file| file.filename.0.clone());
    // A picture that was sent as a file has a name; one that was sent as a picture has none.
    let kind = match (raw.special(), &filename) {
        (Some(special), _) => special,
        (None, Some(_)) => MediaKind::Document,
        (None, None) => announced,
    };
    let attachment = Attachment {
        kind,
        media_id: wire.id.0.clone().filter(|_| id.chat.is_some()),
        url: file.and_then(|file| file.url.0.clone()),
        mime_type,
        filename,
        size: None,
        sha256: None,
    };
    Content::Media { attachments: vec![attachment], caption: wire.body.0.clone() }
}
