//! What all of Twilio's webhooks have in common: a flat list of parameters, as a form, a query or JSON.
//! <https://www.twilio.com/docs/usage/webhooks/getting-started-twilio-webhooks>

use bytes::Bytes;
use serde_json::Value;

use super::signature::{self, Body, Keys};
use super::{address, calls, messages, notices};
use crate::form::Form;
use crate::outside;
use crate::status_url::message_in;
use crate::{Address, Batch, EventKind, Inbound, Line, Party, Rejection, Reply, Timestamp};

/// The instructions Twilio asks for, empty: do nothing more. Anything in plain text would be sent to the person as
/// an answer, so that this is what every webhook is answered with, needed or not.
const NO_INSTRUCTIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// How many events of a stream are asked whose they are before they are verified.
const CLAIMS_LIMIT: usize = 16;

pub(super) fn receive(keys: &Keys, inbound: &Inbound) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    if !super::PROVIDER.methods.contains(request.method()) {
        return Err(Rejection::MethodNotUsed);
    }
    let signed_with = match inbound {
        Inbound::Webhook { .. } if signature::is_played_back(request) => {
            return Err(Rejection::SignatureMalformed);
        }
        Inbound::Webhook { .. } => Some(signature::verify(keys, request)?),
        Inbound::Kept { .. } => None,
    };
    let reply = Reply::xml(NO_INSTRUCTIONS);
    let form = match parameters(request) {
        Ok(form) => form,
        Err(error) => {
            let Ok(events) = outside::read::<Vec<Value>>(request.body()) else {
                return Ok(Batch::unreadable(reply, signed_with, at, error, request.body()));
            };
            return Ok(read_stream(Batch::empty(reply, signed_with, at), &events, at));
        }
    };
    let mut batch = Batch::empty(reply, signed_with, at);
    let outcome = Scope { batch: &mut batch, form: &form, at, request }.read();
    if let Err(Unreadable(reason)) = outcome {
        let raw = form.to_json().to_string();
        batch.keep(String::new(), line(&form), reason, &raw);
    }
    Ok(batch)
}

/// Reads the events of a stream, each by itself.
fn read_stream(mut batch: Batch, events: &[Value], at: Timestamp) -> Batch {
    for (index, event) in events.iter().enumerate() {
        match notices::streamed(event) {
            Some((key, told_at, line, kind)) => batch.push(key, told_at.unwrap_or(at), line, kind),
            None => {
                let reason = "the event of a stream has no `id` or no `type`";
                batch.keep(index.to_string(), Line::Unnamed, reason, &event.to_string());
            }
        }
    }
    batch
}

/// The account and the numbers of ours that an unverified request names.
pub(super) fn claims(request: &http::Request<Bytes>) -> Vec<Line> {
    let Ok(form) = parameters(request) else {
        let events: Vec<Value> = outside::read(request.body()).unwrap_or_default();
        let mut lines: Vec<Line> =
            events.iter().take(CLAIMS_LIMIT).map(notices::streamed_to).collect();
        lines.dedup();
        lines.retain(|line| *line != Line::Unnamed);
        return lines;
    };
    let ours = match line(&form) {
        Line::Either(likelier, other) => vec![Line::Address(likelier), Line::Address(other)],
        line @ Line::Address(_) => vec![line],
        _ => Vec::new(),
    };
    let account = form.owned("AccountSid").map(Line::Account);
    account.into_iter().chain(ours).collect()
}

/// The parameters, from where the signature covers them.
fn parameters(request: &http::Request<Bytes>) -> Result<Form<'_>, serde_json::Error> {
    match Body::of(request) {
        Body::None => Ok(Form::parse(query(request))),
        Body::Form => Ok(Form::parse(request.body())),
        Body::Hashed => outside::read(request.body()).map(Form::from_json),
    }
}

fn query(request: &http::Request<Bytes>) -> &[u8] {
    request.uri().query().unwrap_or_default().as_bytes()
}

fn line(form: &Form<'_>) -> Line {
    if calls::is_call(form) {
        calls::line(form)
    } else if messages::is_message(form) {
        messages::line(form)
    } else {
        address::account(form)
    }
}

/// One request: what it says, and where to put what was made of it.
pub(super) struct Scope<'a> {
    batch: &'a mut Batch,
    pub(super) form: &'a Form<'a>,
    /// When it reached us, for news that name no time.
    pub(super) at: Timestamp,
    request: &'a http::Request<Bytes>,
}

impl Scope<'_> {
    fn read(&mut self) -> Result<(), Unreadable> {
        if calls::is_call(self.form) {
            calls::read(self)
        } else if messages::is_message(self.form) {
            messages::read(self)
        } else {
            notices::read(self)
        }
    }

    pub(super) fn push(&mut self, key: String, at: Timestamp, line: Line, kind: EventKind) {
        self.batch.push(key, at, line, kind);
    }

    /// Says who is at the other end of what was added last.
    pub(super) fn name(&mut self, addresses: Vec<Address>, name: Option<String>) {
        self.batch.name(Party { addresses, name, username: None });
    }

    /// Our id of the message, which the URL carries that we gave when we sent it. Twilio signs the URL it calls, the
    /// query included.
    pub(super) fn ours(&self) -> Option<String> {
        message_in(self.request.uri().query()?)
    }

    /// What tells this request from others for news that have no id of their own: a digest of all that is signed of it.
    /// Twilio's idempotency token is not, so it tells nothing.
    pub(super) fn distinction(&self) -> String {
        signature::digest(self.request)
    }
}

/// Why a request cannot be read.
pub(super) struct Unreadable(pub(super) String);
