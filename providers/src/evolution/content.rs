//! What a message says. `messageType` names the member that holds it; other members (keys, contexts, a file's bytes) may
//! stand before it.

use serde_json::Value;

use super::wire::WireMessage;
use crate::bridge::jids;
use crate::bridge::record::Record;
use crate::bridge::says::{self, Said};
use crate::bridge::values::{bytes, find, long, member, text};
use crate::{Attachment, Content, MediaKind, MessageRef};

/// The message that a webhook brings.
pub(super) fn record(wire: &WireMessage) -> Record<'_> {
    Record::open(&wire.message, wire.message_type.get())
}

/// What the message says. `reference` is its own name.
pub(super) fn read(record: &Record<'_>, reference: &MessageRef) -> Said {
    if record.kind == "reactionMessage" {
        return reaction(record).unwrap_or_else(|| says::unsupported(record.kind)).into();
    }
    says::read(record, |kind, held| attachment(record, kind, held, reference))
}

fn reaction(record: &Record<'_>) -> Option<Content> {
    let key = member(record.held, "key");
    let id = member(key, "id").as_str().filter(|id| jids::is_bare_id(id))?;
    let ours = member(key, "fromMe") == true;
    let emoji = text(member(record.held, "text"));
    Some(Content::Reaction { target: jids::reference(ours, id), emoji })
}

/// The file. `url` inside the message is encrypted and of no use alone; the server itself decrypts the file when it is asked by
/// the message's id, unless it has put it into object storage (`mediaUrl`).
fn attachment(
    record: &Record<'_>,
    kind: MediaKind,
    held: &Value,
    reference: &MessageRef,
) -> Attachment {
    let told = |names: &[&str]| find(held, names).and_then(text);
    Attachment {
        kind,
        media_id: reference.0.split_once('_').map(|(_, bare)| bare.to_owned()),
        url: text(record.beside("mediaUrl")),
        mime_type: told(&["mimetype"]),
        filename: told(&["fileName"]).or_else(|| told(&["title"])),
        size: long(member(held, "fileLength")).filter(|size| *size >= 0),
        sha256: bytes(member(held, "fileSha256")),
    }
}
