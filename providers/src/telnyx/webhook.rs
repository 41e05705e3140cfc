//! From a request to its events: JSON with or without its envelope, and TeXML forms.
//! <https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks>

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::routing::Routing;
use super::signature::{self, PublicKey};
use super::wire::{Envelope, Occurrence, WireEvent};
use super::{messages, notices, statuses, texml, voice};
use crate::form::Form;
use crate::lenient::rfc3339;
use crate::outside::{self, Json};
use crate::{
    Address, Batch, Direction, EventKind, Inbound, KeyId, Line, Rejection, Reply, Timestamp,
};

/// `by_get` is whether a GET is believed, whose query is not signed.
pub(super) fn receive(
    keys: &[PublicKey],
    by_get: bool,
    inbound: &Inbound,
) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    if !super::PROVIDER.methods.contains(request.method()) {
        return Err(Rejection::MethodNotUsed);
    }
    let signed_with = match inbound {
        // A GET has no body. With one, it bears the signature of a POST, and says in its query what nobody signed.
        Inbound::Webhook { .. }
            if request.method() == Method::GET && !request.body().is_empty() =>
        {
            return Err(Rejection::SignatureMismatch);
        }
        Inbound::Webhook { .. } => Some(signature::verify(keys, at, request)?),
        Inbound::Kept { .. } => None,
    };
    if signed_with.is_some() && request.method() == Method::GET && !by_get {
        return Err(Rejection::QueryNotSigned);
    }
    Ok(match form(request) {
        Some(fields) => texml::read(fields, at, signed_with),
        None => read(request.body(), at, signed_with),
    })
}

/// The numbers, connections and messaging profiles that an unverified request names.
pub(super) fn claims(request: &Request<Bytes>) -> Vec<Line> {
    if let Some(fields) = form(request) {
        return Routing::of_form(&Form::parse(fields)).claims();
    }
    let body = Json::of(request.body());
    let Ok((_, content)) = open(&body) else {
        return Vec::new();
    };
    let claims = Routing::of_json(content).claims();
    if !claims.is_empty() {
        return claims;
    }
    let data: Option<Value> = outside::part(content).ok();
    data.as_ref().and_then(notices::number).map(Line::Address).into_iter().collect()
}

/// The fields of a TeXML request: the query of a GET, the body of a POST. `None` for JSON, which shows in the body: its type is
/// not signed.
fn form(request: &Request<Bytes>) -> Option<&[u8]> {
    if request.method() == Method::GET {
        return Some(request.uri().query().unwrap_or_default().as_bytes());
    }
    if request.body().trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let kind = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded").then_some(&request.body()[..])
}

/// The event in a body, and the JSON of what it tells: its payload, or the event itself where it has none.
fn open<'j>(body: &'j Json<'_>) -> Result<(WireEvent<'j>, &'j RawValue), Unreadable> {
    let whole: &RawValue = body.read()?;
    let envelope: Envelope<'_> = outside::part(whole)?;
    let data = envelope.data.unwrap_or(whole);
    let event: WireEvent<'_> = outside::part(data)?;
    let content = event.payload.unwrap_or(data);
    Ok((event, content))
}

/// Reads a JSON body that is known to be Telnyx's. It holds one event.
fn read(body: &Bytes, at: Timestamp, signed_with: Option<KeyId>) -> Batch {
    let mut batch = Batch::empty(Reply::OK, signed_with, at);
    let mut line = Line::Unnamed;
    if let Err(Unreadable(reason)) = read_event(&mut batch, &mut line, body, at) {
        batch.keep(String::new(), line, reason, &outside::text(body));
    }
    batch
}

/// `line` is where the event belongs, told as soon as it is known, whether or not the rest can be read.
fn read_event(
    batch: &mut Batch,
    line: &mut Line,
    body: &Bytes,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let json = Json::of(body);
    let (event, content) = open(&json)?;
    let routing = Routing::of_json(content);
    *line = routing.line(routing.direction());
    let event_type = event_type(&event)?;
    let direction = routing.direction().or(match event_type {
        "message.received" => Some(Direction::Inbound),
        "message.sent" | "message.finalized" | "message.read" => Some(Direction::Outbound),
        _ => None,
    });
    *line = routing.line(direction);
    let mut scope = Scope {
        batch,
        id: event.id.0.clone().or(event.webhook_id.0.clone()).unwrap_or_else(|| digest(body)),
        event_type: event_type.to_owned(),
        at: time(&event, content).unwrap_or(at),
        direction,
        line: line.clone(),
    };
    let has_payload = event.payload.is_some();
    match event_type {
        "message.received" | "message.sent" | "message.finalized" | "message.read" => {
            match event_type {
                _ if !has_payload => Err(Unreadable("`payload` is missing".to_owned())),
                "message.received" => messages::read(&mut scope, content),
                _ => statuses::read(&mut scope, content),
            }
        }
        known if voice::is_known(known) && has_payload => voice::read(&mut scope, content),
        leg if voice::is_of_a_leg(leg) => Err(Unreadable("`payload` is missing".to_owned())),
        // Telnyx has many more products, and adds events without notice. None of them is a message or a call of ours.
        _ => notices::read(&mut scope, content),
    }
}

/// What kind of event it is. A few have only a `record_type`, and 10DLC campaign news not even that.
fn event_type<'e>(event: &'e WireEvent<'_>) -> Result<&'e str, Unreadable> {
    let record_type = event.record_type.get().filter(|kind| *kind != "event");
    let campaign = event.campaign_id.get().map(|_| notices::CAMPAIGN);
    let kind = event.event_type.get().or(record_type).or(campaign);
    kind.ok_or_else(|| Unreadable("the event has no `event_type`".to_owned()))
}

/// When it happened. `created_at` is when the webhook was made, which is later.
fn time(event: &WireEvent<'_>, content: &RawValue) -> Option<Timestamp> {
    let inside: Occurrence = outside::part(content).unwrap_or_default();
    let named = [&event.occurred_at, &inside.occurred_at, &event.time_clicked, &event.created_at];
    named.into_iter().find_map(|member| member.get().and_then(rfc3339))
}

/// Stands for the id of a request that has none: the same request gives the same digest.
pub(super) fn digest(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}

/// Where the reader stands: which event, which line, which way and when.
pub(super) struct Scope<'b> {
    batch: &'b mut Batch,
    id: String,
    pub(super) event_type: String,
    pub(super) at: Timestamp,
    pub(super) direction: Option<Direction>,
    line: Line,
}

impl Scope<'_> {
    /// Says which line the event concerns, where nothing else in it does.
    pub(super) fn concerns(&mut self, number: &Address) {
        if self.line == Line::Unnamed {
            self.line = Line::Address(number.clone());
        }
    }

    /// Adds what the event says. `part` tells apart several items of one event.
    pub(super) fn push(&mut self, part: Option<&str>, kind: EventKind) {
        let mut key = format!("{}:{}", self.id, self.event_type);
        if let Some(part) = part {
            key = format!("{key}:{part}");
        }
        self.batch.push(key, self.at, self.line.clone(), kind);
    }
}

/// Why an event cannot be read.
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable(error.to_string())
    }
}
