//! Verification of Meta's webhooks, and the envelope: entries, changes, fields.
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>

use bytes::Bytes;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

use super::wire::{Change, Entry, Metadata, Notification, Value};
use super::{calls, history, messages, notices, statuses};
use crate::lenient::{Maybe, unix_time};
use crate::signature::{hmac_sha256, same, single_header};
use crate::{Batch, Inbound, KeyId, Line, Rejection, Reply, Secret, Timestamp};

const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// How many lines an unverified request may name before the rest is ignored.
const CLAIMS_LIMIT: usize = 32;

/// Fields whose news say nothing to a CRM. They are kept in the inbox and not read.
const IGNORED_FIELDS: [&str; 4] = [
    "automatic_events",
    "tracking_events",
    "payment_configuration_update",
    "partner_solutions",
];

pub(super) fn receive(
    app_secrets: &[Secret],
    verify_token: &Secret,
    inbound: &Inbound,
) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    match *request.method() {
        Method::GET => challenge(verify_token, request),
        Method::POST => {
            let signed_with = match inbound {
                Inbound::Webhook { .. } => Some(verify(app_secrets, request)?),
                Inbound::Kept { .. } => None,
            };
            Ok(read(request.body(), at, signed_with))
        }
        _ => Err(Rejection::MethodNotUsed),
    }
}

/// Answers the check that Meta makes when the URL is registered.
fn challenge(verify_token: &Secret, request: &http::Request<Bytes>) -> Result<Batch, Rejection> {
    let query = request.uri().query().unwrap_or_default();
    let (mut mode, mut token, mut answer) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "hub.mode" => mode = Some(value),
            "hub.verify_token" => token = Some(value),
            "hub.challenge" => answer = Some(value),
            _ => {}
        }
    }
    let token = token.ok_or(Rejection::ChallengeMalformed)?;
    if !same(token.as_bytes(), verify_token.expose_secret().as_bytes()) {
        return Err(Rejection::TokenMismatch);
    }
    // What is echoed must be a number of a sane length, so that nobody can make us serve a page of theirs.
    let is_challenge = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let answer = answer
        .filter(|text| is_challenge(text))
        .ok_or(Rejection::ChallengeMalformed)?;
    if mode.as_deref() != Some("subscribe") {
        return Err(Rejection::ChallengeMalformed);
    }
    Ok(Batch::empty(Reply::text(answer.into_owned()), None))
}

/// HMAC-SHA256 of the raw body under the app secret, in lower-case hex after `sha256=`.
fn verify(app_secrets: &[Secret], request: &http::Request<Bytes>) -> Result<KeyId, Rejection> {
    if !request.headers().contains_key(SIGNATURE_HEADER) {
        return Err(Rejection::SignatureMissing);
    }
    let header = single_header(request.headers(), SIGNATURE_HEADER)
        .and_then(|value| value.strip_prefix("sha256="))
        .filter(|hex| hex.len() == 64 && !hex.bytes().any(|byte| byte.is_ascii_uppercase()))
        .ok_or(Rejection::SignatureMalformed)?;
    let given = hex::decode(header).map_err(|_| Rejection::SignatureMalformed)?;
    app_secrets
        .iter()
        .find(|secret| same(&hmac_sha256(secret, &[request.body()]), &given))
        .map(KeyId::of_secret)
        .ok_or(Rejection::SignatureMismatch)
}

/// Signs a request as Meta does, with the app secret.
pub(super) fn sign(
    app_secret: &Secret,
    _at: Timestamp,
    mut request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    let mac = hex::encode(hmac_sha256(app_secret, &[request.body()]));
    let value = http::HeaderValue::from_str(&format!("sha256={mac}"));
    request.headers_mut().insert(
        SIGNATURE_HEADER,
        value.unwrap_or_else(|_| unreachable!("hex is a header value")),
    );
    request
}

/// The numbers and WABAs that an unverified request names.
pub(super) fn claims(request: &http::Request<Bytes>) -> Vec<Line> {
    let (mut numbers, mut accounts) = (Vec::new(), Vec::new());
    let Ok(notification) = serde_json::from_slice::<Notification<'_>>(request.body()) else {
        return Vec::new();
    };
    let entries = notification
        .entry
        .iter()
        .filter_map(|raw| serde_json::from_str(raw.get()).ok());
    for entry in entries.take(CLAIMS_LIMIT).collect::<Vec<Entry<'_>>>() {
        accounts.extend(entry.id.0.map(Line::Account));
        for raw in entry.changes.iter().take(CLAIMS_LIMIT) {
            let change = serde_json::from_str::<Change<'_>>(raw.get());
            let value = change
                .ok()
                .and_then(|c| serde_json::from_str::<Value<'_>>(c.value.get()).ok());
            let metadata = value.and_then(|value| value.metadata).unwrap_or_default();
            numbers.extend(metadata.phone_number_id.0.map(Line::Handle));
        }
    }
    numbers.dedup();
    accounts.dedup();
    numbers.truncate(CLAIMS_LIMIT);
    numbers
        .into_iter()
        .chain(accounts)
        .take(CLAIMS_LIMIT)
        .collect()
}

/// Reads a body that is known to be Meta's.
fn read(body: &Bytes, at: Timestamp, signed_with: Option<KeyId>) -> Batch {
    let notification = match serde_json::from_slice::<Notification<'_>>(body) {
        Ok(notification) => notification,
        Err(error) => return Batch::unreadable(Reply::OK, signed_with, error, body),
    };
    let mut batch = Batch::empty(Reply::OK, signed_with);
    if notification.object != "whatsapp_business_account" {
        // The app is subscribed to something else as well (a page, Instagram): kept, and of no concern here.
        return batch;
    }
    for (index, raw) in notification.entry.iter().enumerate() {
        let position = format!("entry/{index}");
        match serde_json::from_str::<Entry<'_>>(raw.get()) {
            Ok(entry) => read_entry(&mut batch, &position, &entry, at),
            Err(error) => batch.keep(position, Line::Unnamed, error, raw.get()),
        }
    }
    batch
}

fn read_entry(batch: &mut Batch, position: &str, entry: &Entry<'_>, at: Timestamp) {
    let line = entry.id.0.clone().map_or(Line::Unnamed, Line::Account);
    let at = entry.time.get().and_then(unix_time).unwrap_or(at);
    for (index, raw) in entry.changes.iter().enumerate() {
        let position = format!("{position}/changes/{index}");
        let change = match serde_json::from_str::<Change<'_>>(raw.get()) {
            Ok(change) => change,
            Err(error) => {
                batch.keep(position, line.clone(), error, raw.get());
                continue;
            }
        };
        let mut scope = Scope {
            batch,
            position,
            line: line.clone(),
            at,
            number: Maybe(None),
        };
        scope.read_change(&change, raw);
    }
}

/// Where the reader stands: which change, which line, which time if the item names none.
pub(super) struct Scope<'b> {
    pub(super) batch: &'b mut Batch,
    pub(super) position: String,
    pub(super) line: Line,
    pub(super) at: Timestamp,
    /// Our number as people write it, if the change names one.
    pub(super) number: Maybe,
}

impl Scope<'_> {
    fn read_change(&mut self, change: &Change<'_>, raw: &RawValue) {
        match change.field.as_str() {
            "messages" | "message_echoes" | "smb_message_echoes" | "history" | "calls" => {
                match serde_json::from_str::<Value<'_>>(change.value.get()) {
                    Ok(value) => self.read_value(&change.field, value, change.value),
                    Err(error) => self.keep_whole(error, raw),
                }
            }
            field if notices::is_known(field) => notices::read(self, field, change.value),
            field if IGNORED_FIELDS.contains(&field) || field.starts_with("group_") => {}
            field => self.keep_whole(format_args!("unknown field `{field}`"), raw),
        }
    }

    fn read_value(&mut self, field: &str, value: Value<'_>, raw: &RawValue) {
        let Metadata {
            display_phone_number,
            phone_number_id,
        } = value.metadata.unwrap_or_default();
        if let Some(id) = phone_number_id.0 {
            self.line = Line::Handle(id);
        }
        self.number = display_phone_number;
        let people = messages::People::read(&value.contacts);
        self.each("messages", &value.messages, |scope, raw| {
            messages::read(scope, &people, &value.errors, raw)
        });
        self.each("message_echoes", &value.message_echoes, |scope, raw| {
            messages::read_echo(scope, &people, raw)
        });
        self.each("statuses", &value.statuses, |scope, raw| {
            statuses::read(scope, raw)
        });
        self.each("calls", &value.calls, |scope, raw| {
            calls::read(scope, &people, raw)
        });
        self.each("history", &value.history, history::read);
        let alone = value.messages.is_empty()
            && value.statuses.is_empty()
            && value.history.is_empty()
            && value.calls.is_empty();
        if alone && !value.errors.is_empty() {
            notices::read(self, field, raw);
        }
    }

    /// Reads every item of a list; an item that fails is kept whole, and its neighbours are read.
    pub(super) fn each(
        &mut self,
        name: &str,
        items: &[&RawValue],
        mut read: impl FnMut(&mut Self, &RawValue) -> Result<(), Unreadable>,
    ) {
        for (index, raw) in items.iter().enumerate() {
            if let Err(Unreadable(reason)) = read(self, raw) {
                let position = format!("{}/{name}/{index}", self.position);
                self.batch
                    .keep(position, self.line.clone(), reason, raw.get());
            }
        }
    }

    fn keep_whole(&mut self, reason: impl std::fmt::Display, raw: &RawValue) {
        self.batch
            .keep(self.position.clone(), self.line.clone(), reason, raw.get());
    }
}

/// Why an item cannot be read.
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable(error.to_string())
    }
}
