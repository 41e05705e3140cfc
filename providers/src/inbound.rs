//! What comes in: a request as the world saw it, and what was made of it.

use std::fmt::Display;

use bytes::Bytes;
use chrono::TimeDelta;

use crate::event::is_number;
use crate::{CallFact, Event, EventKey, EventKind, KeyId, Line, Party, Timestamp, outside};

/// How far a provider's clock may be ahead of ours. What is told to happen later than that after it reached us happened when
/// it reached us: or else it would stand above everything that is written until then, and hold a window open.
pub const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// Something that reached one of our lines.
#[derive(Debug, Clone)]
pub enum Inbound {
    /// A webhook, just received. It will be verified.
    Webhook {
        /// When it reached us.
        at: Timestamp,
        /// The request with the absolute public URL, as the provider called it, and the raw body.
        request: http::Request<Bytes>,
    },
    /// A webhook that was verified when it was received and has been kept by us since. It is read again without a
    /// check, since keys rotate and timestamps grow old. Only the replay of the inbox may build this.
    Kept {
        /// When it reached us, the first time.
        at: Timestamp,
        /// The request as it was kept.
        request: http::Request<Bytes>,
    },
}

/// What is seen of a request before any key is tried.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<'r> {
    /// Its method.
    pub method: &'r http::Method,
    /// The absolute public URL, as it was called.
    pub uri: &'r http::Uri,
    /// Its headers.
    pub headers: &'r http::HeaderMap,
    /// Its body, once it has been read.
    pub body: Option<&'r Bytes>,
}

/// Everything a genuine request said. Only this crate can build one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// What could be read, in the order it stood.
    pub events: Vec<Event>,
    /// What could not, each item whole.
    pub unparsed: Vec<Unparsed>,
    /// What to answer once everything is stored.
    pub reply: Reply,
    /// The key that the request was signed with. `None` for kept requests.
    pub signed_with: Option<KeyId>,
    /// When the request reached us: nothing that it tells happened later.
    received_at: Timestamp,
}

/// An item of a genuine request that we cannot read (yet).
#[derive(Debug, Clone, PartialEq)]
pub struct Unparsed {
    /// Where it stood, for example `entry/0/changes/1/messages/2`; empty for the whole body.
    pub position: String,
    /// Which of our lines it concerns, if that much could be read.
    pub line: Line,
    /// Why it could not be read.
    pub reason: String,
    /// The item as it came. What no text can hold is replaced; the inbox has the original.
    pub raw: String,
}

/// What to answer a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type, if there is a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// Why a request is not believed. Nothing of it is stored. Never holds a signature, a secret or a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// A header that carries the signature or its timestamp is missing or given twice.
    #[error("the signature header is missing")]
    SignatureMissing,
    /// It has not the form that the provider sends.
    #[error("the signature header is malformed")]
    SignatureMalformed,
    /// It does not match the request.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// The signed timestamp is too old or too far ahead.
    #[error("the signed timestamp is outside the tolerance")]
    TimestampOutsideTolerance,
    /// A verification request names another token.
    #[error("the verification token does not match")]
    TokenMismatch,
    /// A verification request asks for something else than a subscription, or lacks its challenge.
    #[error("the verification request is malformed")]
    ChallengeMalformed,
    /// What it says stands where nothing proves it, and the account does not ask for such requests.
    #[error(
        "the query of a GET is not signed: let the application call by POST, or set the account's `texml_by_get`"
    )]
    QueryNotSigned,
    /// This provider does not call with this method.
    #[error("the method is not one this provider uses")]
    MethodNotUsed,
}

impl<'r> Unverified<'r> {
    /// All of a request that has been read.
    pub fn whole(request: &'r http::Request<Bytes>) -> Self {
        let body = Some(request.body());
        Self { method: request.method(), uri: request.uri(), headers: request.headers(), body }
    }
}

impl Inbound {
    /// When it reached us and the request, whichever kind it is.
    pub(crate) fn parts(&self) -> (Timestamp, &http::Request<Bytes>) {
        match self {
            Inbound::Webhook { at, request } | Inbound::Kept { at, request } => (*at, request),
        }
    }
}

impl Batch {
    /// A batch without items, of a request that reached us at `received_at`.
    pub(crate) fn empty(reply: Reply, signed_with: Option<KeyId>, received_at: Timestamp) -> Self {
        Self { events: Vec::new(), unparsed: Vec::new(), reply, signed_with, received_at }
    }

    /// Adds what happened on `line` at `at`, under `key`. Times in the future count as the time of receipt, and what is no name
    /// is left out.
    pub(crate) fn push(&mut self, key: String, at: Timestamp, line: Line, mut kind: EventKind) {
        match &mut kind {
            EventKind::Message(message) => message.party.tidy(),
            EventKind::Call(progress) => {
                let sides = [&progress.from, &progress.to];
                let name = progress.name.take();
                progress.name = name.filter(|name| !is_number(name, sides.into_iter().flatten()));
                for fact in &mut progress.facts {
                    match fact {
                        CallFact::AnsweredAt { at } => *at = self.no_later(*at),
                        CallFact::Recorded { recording } => {
                            recording.started_at = recording.started_at.map(|at| self.no_later(at));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        let at = self.no_later(at);
        self.events.push(Event { key: EventKey(key), at, line, person: None, kind });
    }

    /// Says who is at the other end of what was added last, which is no message. It is kept where it tells more than one
    /// address; of a status, which has no other place for it, also for the name that it tells.
    pub(crate) fn name(&mut self, mut person: Party) {
        let Some(event) = self.events.last_mut() else { return };
        person.tidy();
        let is_status = matches!(event.kind, EventKind::Status(_));
        if matches!(event.kind, EventKind::Call(_)) {
            person.name = None;
        }
        let tells = match person.addresses.len() {
            0 => false,
            1 => is_status && person.name.is_some(),
            _ => true,
        };
        event.person = tells.then(|| Box::new(person));
    }

    /// A time, or when the request reached us if the time lies more than [`CLOCK_SKEW`] after it.
    fn no_later(&self, at: Timestamp) -> Timestamp {
        if at > self.received_at + CLOCK_SKEW { self.received_at } else { at }
    }

    /// Keeps an item that could not be read.
    pub(crate) fn keep(&mut self, position: String, line: Line, reason: impl Display, raw: &str) {
        let raw = outside::clean(raw).into_owned();
        self.unparsed.push(Unparsed { position, line, reason: reason.to_string(), raw });
    }

    /// A batch for a body that could not be read at all.
    pub(crate) fn unreadable(
        reply: Reply,
        signed_with: Option<KeyId>,
        received_at: Timestamp,
        reason: impl Display,
        body: &[u8],
    ) -> Self {
        let mut batch = Self::empty(reply, signed_with, received_at);
        batch.unparsed.push(Unparsed {
            position: String::new(),
            line: Line::Unnamed,
            reason: reason.to_string(),
            raw: outside::text(body).into_owned(),
        });
        batch
    }
}

impl Reply {
    /// 200 without a body.
    pub const OK: Reply = Reply { status: 200, content_type: None, body: Bytes::new() };

    /// 200 with a plain text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Reply { status: 200, content_type: Some("text/plain; charset=utf-8"), body: body.into() }
    }

    /// 200 with an XML document.
    pub fn xml(body: &'static str) -> Self {
        let body = Bytes::from_static(body.as_bytes());
        Reply { status: 200, content_type: Some("text/xml; charset=utf-8"), body }
    }
}

impl Rejection {
    /// One word for metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Rejection::SignatureMissing => "signature_missing",
            Rejection::SignatureMalformed => "signature_malformed",
            Rejection::SignatureMismatch => "signature_mismatch",
            Rejection::TimestampOutsideTolerance => "timestamp_outside_tolerance",
            Rejection::TokenMismatch => "token_mismatch",
            Rejection::ChallengeMalformed => "challenge_malformed",
            Rejection::QueryNotSigned => "query_not_signed",
            Rejection::MethodNotUsed => "method_not_used",
        }
    }

    /// The HTTP status to answer: 401 for what is not proven, 403 for a failed verification challenge, 405 for a
    /// method.
    pub fn status(self) -> u16 {
        match self {
            Rejection::TokenMismatch | Rejection::ChallengeMalformed => 403,
            Rejection::MethodNotUsed => 405,
            _ => 401,
        }
    }
}
