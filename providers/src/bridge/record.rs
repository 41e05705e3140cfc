//! WhatsApp's own record of a message, as engines pass it on: the member that says what it is, what surrounds it, and the
//! envelopes around it. Whatever holds a `message` is an envelope, so one that is new is opened like the known ones.

use serde_json::Value;

use super::jids;
use super::values::member;

/// How many envelopes are opened.
const DEPTH: usize = 8;

/// Members beside a message that do not say what it is.
const SURROUNDINGS: [&str; 8] = [
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "contextInfo",
    "base64",
    "mediaUrl",
    "speechToText",
    "messageStubType",
];

/// Records that are no messages: keys, settings, announcements of what comes by itself, mentions in a status, and what is told
/// by events of its own.
const NOISE: [&str; 20] = [
    "protocolMessage",
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "messageStubType",
    "albumMessage",
    "keepInChatMessage",
    "pinInChatMessage",
    "encReactionMessage",
    "encEventResponseMessage",
    "placeholderMessage",
    "messageHistoryNotice",
    "messageHistoryBundle",
    "statusMentionMessage",
    "groupStatusMentionMessage",
    "statusNotificationMessage",
    "stickerSyncRmrMessage",
    "callLogMessage",
    "callLogMesssage",
    "deviceListMetadata",
    "limitSharingMessage",
];

/// A message that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Record<'w> {
    /// The member that says what it is; empty if there is none.
    pub(crate) kind: &'w str,
    /// What that member holds.
    pub(crate) held: &'w Value,
    /// The messages from the outermost to the one that holds it.
    around: Vec<&'w Value>,
    /// The envelopes that were opened, and what else they hold.
    envelopes: Vec<(&'w str, &'w Value)>,
}

/// A message whose new words are encrypted, and its author's bridge could not read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encrypted<'w> {
    /// The bare id of the message that was changed.
    pub(crate) target: &'w str,
    /// Whether whoever changed it had written it. An option may be added to anybody's poll.
    pub(crate) by_its_author: bool,
}

impl<'w> Record<'w> {
    /// Opens a message. `named` is the member that a bridge says it is.
    pub(crate) fn open(message: &'w Value, named: Option<&'w str>) -> Self {
        let mut around = vec![message];
        let mut envelopes = Vec::new();
        let mut innermost = message;
        let is_plain = |message: &'w Value, name: &&'w str| {
            let held = member(message, name);
            !held.is_null() && !member(held, "message").is_object()
        };
        while envelopes.len() < DEPTH
            && named.as_ref().is_none_or(|name| !is_plain(innermost, name))
        {
            let Some((name, envelope)) = envelope(innermost) else { break };
            envelopes.push((name, envelope));
            innermost = member(envelope, "message");
            around.push(innermost);
        }
        let kind = kind(innermost, named.filter(|name| is_plain(innermost, name)));
        let kind = kind.or(named.filter(|_| envelopes.is_empty())).unwrap_or_default();
        Self { kind, held: member(innermost, kind), around, envelopes }
    }

    /// The message that holds what it says.
    pub(crate) fn message(&self) -> &'w Value {
        self.around.last().copied().unwrap_or(&Value::Null)
    }

    /// A member that a bridge put beside the message or around it: a file's address, for instance.
    pub(crate) fn beside(&self, name: &str) -> &'w Value {
        let found = self.around.iter().map(|message| member(message, name));
        found.into_iter().find(|found| !found.is_null()).unwrap_or(&Value::Null)
    }

    /// Whether it is no message at all.
    pub(crate) fn is_noise(&self) -> bool {
        let opened = self.envelopes.iter().map(|(name, _)| *name);
        opened.chain([self.kind]).any(is_noise)
    }

    /// What it answers, whether it was passed on, what brought its author here: everything of that kind that stands in it, the
    /// innermost first.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &'w Value> {
        let innermost_first = self.around.iter().rev();
        let members = innermost_first.flat_map(|message| {
            let members = message.as_object().into_iter().flat_map(serde_json::Map::values);
            members.map(|held| member(held, "contextInfo")).chain([member(message, "contextInfo")])
        });
        let envelopes = self.envelopes.iter().map(|(_, held)| member(held, "contextInfo"));
        let all: Vec<&'w Value> = members.chain(envelopes).filter(|c| c.is_object()).collect();
        all.into_iter()
    }

    /// The key of the message that a comment is about.
    pub(crate) fn commented(&self) -> Option<&'w Value> {
        let keys = self.envelopes.iter().map(|(_, held)| member(held, "targetMessageKey"));
        keys.into_iter().find(|key| key.is_object())
    }

    /// The edit that it is, if its new words are encrypted.
    pub(crate) fn encrypted_edit(&self) -> Option<Encrypted<'w>> {
        let key = Some(member(self.held, "targetMessageKey"));
        let key = key.filter(|_| self.kind.eq_ignore_ascii_case("secretEncryptedMessage"))?;
        let target = member(key, "id").as_str().filter(|id| jids::is_bare_id(id))?;
        let adds = match member(self.held, "secretEncType") {
            Value::String(word) => word == "POLL_ADD_OPTION",
            number => number == 5,
        };
        Some(Encrypted { target, by_its_author: !adds || member(key, "fromMe") == true })
    }

    /// The message as it is after an edit that its words can be read of.
    pub(crate) fn edited(&self) -> Option<Record<'w>> {
        let told = Some(member(self.held, "editedMessage")).filter(|told| told.is_object());
        let told = told.filter(|_| self.kind.eq_ignore_ascii_case("protocolMessage"))?;
        Some(Record::open(told, None))
    }
}

/// What holds another message.
fn envelope(message: &Value) -> Option<(&str, &Value)> {
    if member(message, "message").is_object() {
        return Some(("message", message));
    }
    let members = message.as_object()?.iter();
    let mut members = members.map(|(name, held)| (name.as_str(), held));
    members.find(|(name, held)| !is_around(name) && member(held, "message").is_object())
}

/// The member that says what a message is: the one that is named, else one that says something, else any.
fn kind<'w>(message: &'w Value, named: Option<&'w str>) -> Option<&'w str> {
    let members = message.as_object()?;
    let all = || members.iter().filter(|(_, held)| !held.is_null()).map(|(name, _)| name.as_str());
    let telling = || all().filter(|name| !is_around(name));
    let named = named.filter(|name| !is_noise(name) && !is_around(name));
    let noise = || telling().next().or_else(|| all().find(|name| is_noise(name)));
    named.or_else(|| telling().find(|name| !is_noise(name))).or_else(noise)
}

fn is_around(name: &str) -> bool {
    SURROUNDINGS.contains(&name)
}

fn is_noise(name: &str) -> bool {
    NOISE.iter().any(|noise| noise.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_envelope_is_opened_known_or_new_and_not_without_end() {
        for envelope in ["ephemeralMessage", "viewOnceMessageV2", "somethingOf2031"] {
            let message = json!({ envelope: { "message": { "botInvokeMessage": { "message": {
                "messageContextInfo": {}, "conversation": "Oi" } } } } });
            let record = Record::open(&message, Some(envelope));
            assert_eq!((record.kind, record.held.as_str()), ("conversation", Some("Oi")));
        }
        let mut deep = json!({ "conversation": "Oi" });
        for _ in 0..40 {
            deep = json!({ "a": { "message": deep } });
        }
        assert_eq!(Record::open(&deep, None).kind, "a");
    }

    #[test]
    fn noise_is_known_in_every_envelope_and_never_hides_words() {
        let mention =
            json!({ "groupStatusMentionMessage": { "message": { "conversation": "x" } } });
        assert!(Record::open(&mention, None).is_noise());
        let keys = json!({ "senderKeyDistributionMessage": {}, "conversation": "Oi" });
        for named in [None, Some("senderKeyDistributionMessage"), Some("conversation")] {
            let record = Record::open(&keys, named);
            assert_eq!((record.kind, record.is_noise()), ("conversation", false));
        }
        assert!(Record::open(&json!({ "senderKeyDistributionMessage": {} }), None).is_noise());
    }
}
