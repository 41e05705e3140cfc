//! From a request to its event: verification, and which reader is asked.
//!
//! WAHA signs the raw body with HMAC-SHA512. The time beside it is not part of what is signed, so it proves nothing and is
//! not judged: a webhook that is played back finds its event known already.
//! <https://waha.devlike.pro/docs/how-to/events/#hmac-authentication>

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::wire::{Envelope, Me, time};
use super::{calls, edits, ids, messages, notices, statuses};
use crate::bridge::blank::{self, Member};
use crate::bridge::jids;
use crate::lenient::Maybe;
use crate::outside::{self, Json};
use crate::signature::{hmac_sha512, same, single_header};
use crate::{
    Address, Batch, EventKind, Inbound, KeyId, Line, Rejection, Reply, Secret, Timestamp,
    Unverified,
};

const SIGNATURE_HEADER: &str = "x-webhook-hmac";
const ALGORITHM_HEADER: &str = "x-webhook-hmac-algorithm";
const TIMESTAMP_HEADER: &str = "x-webhook-timestamp";
const ALGORITHM: &str = "sha512";

/// What links a device or is a device's own secret, where it is no message: a QR code, a code to type, and what engines tell of
/// their keys.
pub(super) const CREDENTIALS: [Member; 6] = [
    Member::text("qr"),
    Member::any("pairingCode"),
    Member::any("private"),
    Member::any("privKey"),
    Member::any("advSecretKey"),
    Member::any("apikey"),
];

/// The longest name of a session that is looked for.
const SESSION_BYTES: usize = 100;

pub(super) fn receive(secrets: &[Secret], inbound: &Inbound) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    if !super::PROVIDER.methods.contains(request.method()) {
        return Err(Rejection::MethodNotUsed);
    }
    let signed_with = match inbound {
        Inbound::Webhook { .. } => Some(verify(secrets, request)?),
        Inbound::Kept { .. } => None,
    };
    Ok(read(request.body(), at, signed_with))
}

/// The session that an unverified request names: as the handle of a line, and as the account itself.
pub(super) fn claims(request: &Request<Bytes>) -> Vec<Line> {
    #[derive(Deserialize)]
    struct Whose {
        #[serde(default)]
        session: Maybe,
    }
    let whose: Option<Whose> = outside::read(request.body()).ok();
    match whose.and_then(|whose| whose.session.0).filter(|name| name.len() <= SESSION_BYTES) {
        Some(name) => vec![Line::Handle(name.clone()), Line::Account(name)],
        None => Vec::new(),
    }
}

pub(super) fn precheck(request: &Unverified<'_>, _at: Timestamp) -> Result<(), Rejection> {
    signature(request.headers).map(drop)
}

/// What the header says: 128 digits of lower-case hex, by the one algorithm that there is.
fn signature(headers: &HeaderMap) -> Result<[u8; 64], Rejection> {
    let header = single_header(headers, SIGNATURE_HEADER).ok_or(Rejection::SignatureMissing)?;
    let is_other = |value: &HeaderValue| value.as_bytes() != ALGORITHM.as_bytes();
    let is_lower = !header.bytes().any(|byte| byte.is_ascii_uppercase());
    if !is_lower || headers.get_all(ALGORITHM_HEADER).iter().any(is_other) {
        return Err(Rejection::SignatureMalformed);
    }
    let mut given = [0; 64];
    hex::decode_to_slice(header, &mut given).map_err(|_| Rejection::SignatureMalformed)?;
    Ok(given)
}

fn verify(secrets: &[Secret], request: &Request<Bytes>) -> Result<KeyId, Rejection> {
    let given = signature(request.headers())?;
    secrets
        .iter()
        .find(|secret| same(&hmac_sha512(secret, request.body()), &given))
        .map(KeyId::of_secret)
        .ok_or(Rejection::SignatureMismatch)
}

/// The body with the credentials blanked that stand in it, which must not be kept or shown. All else stays as it came.
pub(super) fn without_credentials(body: &Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        event: Maybe,
    }
    match outside::locate::<Option<Whole>>(body) {
        Ok(Some(whole)) if whole.event.get().is_some_and(|event| event.starts_with("message")) => {
            body.clone()
        }
        Err(_) if outside::locate::<IgnoredAny>(body).is_err() => {
            blank::anywhere(body, &CREDENTIALS)
        }
        Ok(_) | Err(_) => blank::in_json(body, &CREDENTIALS),
    }
}

/// Signs a request as WAHA does. An empty secret signs nothing, as a WAHA without one does.
pub(super) fn sign(secret: &Secret, at: Timestamp, mut request: Request<Bytes>) -> Request<Bytes> {
    if secret.expose_secret().is_empty() {
        return request;
    }
    let mac = hex::encode(hmac_sha512(secret, request.body()));
    let time = at.timestamp_millis().to_string();
    let values = [
        (SIGNATURE_HEADER, mac),
        (ALGORITHM_HEADER, ALGORITHM.to_owned()),
        (TIMESTAMP_HEADER, time),
    ];
    for (name, value) in values {
        let value = HeaderValue::try_from(value);
        let value = value.unwrap_or_else(|_| unreachable!("hex and digits are header values"));
        request.headers_mut().insert(name, value);
    }
    request
}

/// Reads a body that is known to be WAHA's.
fn read(body: &Bytes, at: Timestamp, signed_with: Option<KeyId>) -> Batch {
    let json = Json::of(body);
    let envelope: Envelope<'_> = match json.read() {
        Ok(envelope) => envelope,
        Err(error) => {
            let raw = without_credentials(body);
            return Batch::unreadable(Reply::OK, signed_with, at, error, &raw);
        }
    };
    let mut batch = Batch::empty(Reply::OK, signed_with, at);
    let line = envelope.session.0.clone().map_or(Line::Unnamed, Line::Handle);
    let me = envelope.me.and_then(|me| outside::part::<Me>(me).ok());
    let mut scope = Scope {
        id: envelope.id.0.clone().unwrap_or_else(|| hex::encode(&Sha256::digest(body)[..16])),
        event: envelope.event.get().unwrap_or_default(),
        at: time(&envelope.timestamp).unwrap_or(at),
        line: line.clone(),
        me: me.unwrap_or_default(),
        batch: &mut batch,
    };
    if let Err(Unreadable(reason)) = read_event(&mut scope, &envelope) {
        batch.keep(String::new(), line, reason, &outside::text(&without_credentials(body)));
    }
    batch
}

fn read_event(scope: &mut Scope<'_>, envelope: &Envelope<'_>) -> Result<(), Unreadable> {
    if envelope.session.get().is_none() {
        return Err(Unreadable("the event names no `session`".to_owned()));
    }
    let payload = envelope.payload.unwrap_or(outside::nothing());
    match scope.event {
        "" => Err(Unreadable("the webhook names no `event`".to_owned())),
        // Both may be subscribed; they have the same keys, so one message is stored once.
        "message" | "message.any" => messages::read(scope, payload),
        "message.reaction" => messages::read_reaction(scope, payload),
        "message.edited" => edits::read(scope, payload),
        "message.revoked" => edits::read_revocation(scope, payload),
        "poll.vote" | "poll.vote.failed" => messages::read_vote(scope, payload),
        "message.ack" | "message.ack.group" => statuses::read(scope, payload),
        "call.received" | "call.accepted" | "call.rejected" => calls::read(scope, payload),
        "session.status" => notices::read_status(scope, payload),
        "state.change" => notices::read_state(scope, payload),
        event if is_of_no_concern(event) => Ok(()),
        event => Err(Unreadable(format!("unknown event `{event}`"))),
    }
}

/// Events that say nothing to a CRM. They are kept in the inbox and not read. A message that waits for its keys
/// (`message.waiting`) comes again as a `message`, once it can be decrypted.
fn is_of_no_concern(event: &str) -> bool {
    const FAMILIES: [&str; 4] = ["group.", "label.", "event.response", "presence."];
    ["message.waiting", "chat.archive", "engine.event"].contains(&event)
        || FAMILIES.iter().any(|family| event.starts_with(family))
}

/// Where the reader stands: which event of which session, and who we are.
pub(super) struct Scope<'b> {
    /// The event's id, or a digest of the request, where it has none.
    pub(super) id: String,
    pub(super) event: &'b str,
    /// When the webhook was made; what happened may say more exactly when.
    pub(super) at: Timestamp,
    line: Line,
    me: Me,
    batch: &'b mut Batch,
}

impl Scope<'_> {
    pub(super) fn push(&mut self, key: String, at: Option<Timestamp>, kind: EventKind) {
        self.batch.push(key, at.unwrap_or(self.at), self.line.clone(), kind);
    }

    /// Says who is at the other end of what was added last.
    pub(super) fn name(&mut self, named: impl IntoIterator<Item = Address>) {
        let person = jids::one_person(named, &self.ours());
        self.batch.name(person);
    }

    /// Our own addresses, as far as the webhook tells them.
    pub(super) fn ours(&self) -> Vec<Address> {
        let jids = [&self.me.id, &self.me.lid];
        jids.into_iter().filter_map(|jid| jid.get().and_then(ids::person)).collect()
    }

    /// Whether a device is linked.
    pub(super) fn is_linked(&self) -> bool {
        self.me.id.get().is_some()
    }
}

/// Why an event cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable(error.to_string())
    }
}
