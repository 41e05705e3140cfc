//! From a request to its events: which reader is asked, and what a reader knows of where it stands.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::wire::Envelope;
use super::{calls, edits, messages, notices, proof, statuses};
use crate::bridge::blank::{self, Member};
use crate::bridge::jids;
use crate::lenient::Maybe;
use crate::outside::{self, Json};
use crate::{Address, Batch, EventKind, Inbound, KeyId, Line, Rejection, Reply, Secret, Timestamp};

/// The longest name of an instance that is looked for.
const INSTANCE_BYTES: usize = 100;

pub(super) fn receive(secrets: &[Secret], inbound: &Inbound) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    if !super::PROVIDER.methods.contains(request.method()) {
        return Err(Rejection::MethodNotUsed);
    }
    let proven_by = match inbound {
        Inbound::Webhook { .. } => Some(proof::verify(secrets, at, request.headers())?),
        Inbound::Kept { .. } => None,
    };
    Ok(read(request.body(), at, proven_by))
}

/// The instance that an unverified request names: as the handle of a line, and as the account itself.
pub(super) fn claims(request: &Request<Bytes>) -> Vec<Line> {
    #[derive(Deserialize)]
    struct Whose {
        #[serde(default)]
        instance: Maybe,
    }
    let whose: Option<Whose> = outside::read(request.body()).ok();
    match whose.and_then(|whose| whose.instance.0).filter(|name| name.len() <= INSTANCE_BYTES) {
        Some(name) => vec![Line::Handle(name.clone()), Line::Account(name)],
        None => Vec::new(),
    }
}

/// Reads a body that is known to be Evolution's.
fn read(body: &Bytes, at: Timestamp, proven_by: Option<KeyId>) -> Batch {
    let json = Json::of(body);
    let envelope: Envelope<'_> = match json.read() {
        Ok(envelope) => envelope,
        Err(error) => {
            return Batch::unreadable(Reply::OK, proven_by, at, error, &without_credentials(body));
        }
    };
    let mut batch = Batch::empty(Reply::OK, proven_by, at);
    let line = envelope.instance.0.clone().map_or(Line::Unnamed, Line::Handle);
    let event = event_name(envelope.event.get().unwrap_or_default());
    let reason = match (&line, event.as_str()) {
        (Line::Unnamed, _) => Some("the event names no `instance`"),
        (_, "") => Some("the webhook names no `event`"),
        _ => None,
    };
    if let Some(reason) = reason {
        batch.keep(String::new(), line, reason, &outside::text(&without_credentials(body)));
        return batch;
    }
    let data = envelope.data.unwrap_or(outside::nothing());
    let ours = envelope.sender.get().and_then(jids::person);
    let mut scope = Scope {
        event: &event,
        at,
        stamp: envelope.date_time.get().unwrap_or_default(),
        line: line.clone(),
        ours,
        batch: &mut batch,
    };
    // One webhook is one item; some versions put several into a list. Items of it fail alone.
    let list = data.get().starts_with('[').then(|| outside::part::<Vec<&RawValue>>(data));
    match list {
        Some(Ok(items)) => {
            for (index, item) in items.iter().enumerate() {
                scope.item(&format!("data/{index}"), item);
            }
        }
        Some(Err(error)) => {
            let raw = blank::anywhere(&Bytes::copy_from_slice(data.get().as_bytes()), &ELSEWHERE);
            batch.keep("data".to_owned(), line, error, &outside::text(&raw));
        }
        None => scope.item("data", data),
    }
    batch
}

/// What bridges put into every webhook, or into any: the instance's token, and a code to type.
const ALWAYS: [Member; 2] = [Member::any("apikey"), Member::any("pairingCode")];

/// The same where it is no message, or nobody can say what it is: also a QR code as text and picture, and a new token.
pub(super) const ELSEWHERE: [Member; 6] = [
    ALWAYS[0],
    ALWAYS[1],
    Member::any("token"),
    Member::text("code"),
    Member::text("base64"),
    Member::text("qr"),
];

/// The body with the credentials blanked that stand in it, which must not be kept or shown: the instance's token, new tokens,
/// and what links a device. All else stays as it came.
pub(super) fn without_credentials(body: &Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        event: Maybe,
    }
    match outside::locate::<Option<Whole>>(body) {
        Ok(whole) => {
            let event = whole.as_ref().and_then(|whole| whole.event.get()).map(event_name);
            let is_message =
                |event: String| event.starts_with("messages.") || event.starts_with("send.message");
            blank::in_json(body, if event.is_some_and(is_message) { &ALWAYS } else { &ELSEWHERE })
        }
        // A member may stand there twice, which is good JSON and ours to doubt, or this is none.
        Err(_) if outside::locate::<IgnoredAny>(body).is_ok() => blank::in_json(body, &ELSEWHERE),
        Err(_) => blank::anywhere(body, &ELSEWHERE),
    }
}

/// `messages.upsert` and `MESSAGES_UPSERT` are the same event.
fn event_name(text: &str) -> String {
    text.to_lowercase().replace(['_', '-'], ".")
}

fn read_item(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    match scope.event {
        "messages.upsert" | "messages.set" => messages::read(scope, data),
        "send.message" => messages::read_echo(scope, data),
        "messages.edited" => edits::read(scope, data),
        "messages.update" | "messages.delete" => statuses::read(scope, data),
        "call" => calls::read(scope, data),
        "connection.update" => notices::read_connection(scope, data),
        "status.instance" => notices::read_instance(scope, data),
        "logout.instance" | "remove.instance" | "instance.delete" => notices::read_end(scope, data),
        event if is_of_no_concern(event) => Ok(()),
        event => Err(Unreadable(format!("unknown event `{event}`"))),
    }
}

/// Events that say nothing to a CRM. They are kept in the inbox and not read. Whoever has a QR code (`qrcode.updated`) can
/// link a device of theirs, so it is no notice.
fn is_of_no_concern(event: &str) -> bool {
    const FAMILIES: [&str; 8] =
        ["contacts.", "chats.", "groups.", "group.", "labels.", "presence.", "typebot.", "qrcode."];
    const SINGLE: [&str; 5] = [
        "application.startup",
        "instance.create",
        "send.message.update",
        "new.jwt.token",
        "new.token",
    ];
    SINGLE.contains(&event) || FAMILIES.iter().any(|family| event.starts_with(family))
}

/// Where the reader stands: which event of which instance, and who we are.
pub(super) struct Scope<'b> {
    /// In lower case, with dots.
    pub(super) event: &'b str,
    /// When the webhook reached us; what happened may say more exactly when.
    pub(super) at: Timestamp,
    stamp: &'b str,
    line: Line,
    /// Our own number, if the webhook tells it. Our own LID never is.
    pub(super) ours: Option<Address>,
    batch: &'b mut Batch,
}

impl Scope<'_> {
    pub(super) fn push(&mut self, key: String, at: Option<Timestamp>, kind: EventKind) {
        self.batch.push(key, at.unwrap_or(self.at), self.line.clone(), kind);
    }

    /// Says who is at the other end of what was added last.
    pub(super) fn name(&mut self, named: impl IntoIterator<Item = Address>) {
        let person = jids::one_person(named, self.ours.as_slice());
        self.batch.name(person);
    }

    /// A name for news that have no id of their own: the same when the webhook is repeated.
    pub(super) fn digest(&self, data: &RawValue) -> String {
        let parts = [self.event, self.stamp, data.get()].join("\n");
        hex::encode(&Sha256::digest(parts)[..16])
    }

    fn item(&mut self, position: &str, data: &RawValue) {
        if let Err(Unreadable(reason)) = read_item(self, data) {
            let members: &[Member] =
                if self.event.starts_with("messages.") { &ALWAYS } else { &ELSEWHERE };
            let raw = blank::in_json(&Bytes::copy_from_slice(data.get().as_bytes()), members);
            self.batch.keep(position.to_owned(), self.line.clone(), reason, &outside::text(&raw));
        }
    }
}

/// Why an item cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable(error.to_string())
    }
}
