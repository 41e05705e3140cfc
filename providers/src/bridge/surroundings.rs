//! What surrounds a message in WhatsApp's own record of it: what it answers, and whether it was passed on.

use serde_json::Value;

use super::jids::{self, Chat};
use super::record::Record;
use super::values::{long, member};
use crate::Address;

/// A message that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered<'v> {
    /// Its bare id.
    pub(crate) id: &'v str,
    /// Its author's JID, if it is told.
    pub(crate) author: Option<&'v str>,
    /// Whether it is ours, where the record says so itself.
    pub(crate) ours: Option<bool>,
}

/// The message that one answers, by the first of these contexts that names one.
pub(crate) fn answered<'v>(contexts: impl IntoIterator<Item = &'v Value>) -> Option<Answered<'v>> {
    contexts.into_iter().find_map(|context| {
        // Browsers' engines write the one, all others the other, and the JID as an object or a text.
        let id = ["stanzaId", "quotedStanzaID"].map(|name| member(context, name).as_str());
        let id = id.into_iter().flatten().find(|id| jids::is_bare_id(id))?;
        let author = ["participant", "quotedParticipant"].map(|name| {
            let author = member(context, name);
            author.as_str().or_else(|| member(author, "_serialized").as_str())
        });
        let author = author.into_iter().flatten().find(|jid| !jid.is_empty());
        Some(Answered { id, author, ours: None })
    })
}

/// The message that a record is about by itself: the poll of a vote, what a comment is written under.
pub(crate) fn about<'v>(record: &Record<'v>) -> Option<Answered<'v>> {
    let poll = member(record.held, "pollCreationMessageKey");
    let of_poll = || Some(poll).filter(|key| key.is_object() && record.kind == "pollUpdateMessage");
    let (key, is_seen_by_us) = match of_poll() {
        // Bridges write the key of a poll as our device sees it.
        Some(key) => (key, true),
        None => (record.commented()?, false),
    };
    let id = member(key, "id").as_str().filter(|id| jids::is_bare_id(id))?;
    let author = member(key, "participant").as_str().filter(|jid| !jid.is_empty());
    let ours = member(key, "fromMe").as_bool().filter(|_| is_seen_by_us);
    Some(Answered { id, author, ours })
}

/// Whether a message was passed on, and whether often.
pub(crate) fn forwarded<'v>(contexts: impl IntoIterator<Item = &'v Value>) -> (bool, bool) {
    let (mut once, mut often) = (false, false);
    for context in contexts {
        let times = long(member(context, "forwardingScore")).unwrap_or_default();
        once |= member(context, "isForwarded") == true || times > 0;
        often |= times > 4;
    }
    (once, often)
}

/// Whether the message that one answers is ours. Ids are mostly bare, so its author tells; `by_us` says who answers.
pub(crate) fn is_of_ours(
    author: Option<&Address>,
    by_us: bool,
    chat: &Chat,
    ours: &[Address],
    theirs: &[Address],
) -> bool {
    let Some(author) = author else {
        // People mostly answer what the other side wrote.
        return !by_us;
    };
    if ours.contains(author) || theirs.contains(author) {
        return ours.contains(author);
    }
    // One of two people, named in a way in which only the other one is known: then it is the one who is not.
    let is_known = |known: &Address| known.kind() == author.kind();
    matches!(chat, Chat::Person(_)) && !ours.iter().any(is_known) && theirs.iter().any(is_known)
}
