//! Accepting a message: it is checked against what the account that would carry it can do, and put into the queue, in one
//! transaction together with the answer to its `Idempotency-Key`.

use std::slice;

use providers::{Channel, OutboundContent, Template};
use serde_json::Value;

use super::desk::Desk;
use super::recipient::Recipient;
use super::running::{self, Running};
use crate::clock::Timestamp;
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{Lane, MessageId, NewOutbound, OrganizationId, Purpose};
use crate::store::Session;
use crate::store::events::Outbox;
use crate::store::sending::idempotency::{self, Answered, Standing};
use crate::store::sending::{lanes, outbound};

/// A message that somebody wants sent.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What shall carry it.
    pub channel: Channel,
    /// To whom.
    pub recipient: Recipient,
    /// What it says. The target of a reaction is the message's id with us.
    pub content: OutboundContent,
    /// What is sent in its place if the customer-service window is closed.
    pub fallback: Option<Template>,
    /// What it is for, if that is said.
    pub purpose: Option<Purpose>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The sender's own id of it.
    pub client_reference: Option<String>,
    /// When it is due; now, if not said.
    pub send_at: Option<Timestamp>,
}

/// A key under which a request is carried out once.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Acceptance {
    /// It was carried out: this is to be answered.
    New(u16, Value),
    /// It was carried out before: this was answered.
    Replayed(u16, Value),
}

/// Accepts one message. `answer` makes the answer, which is kept with the key.
///
/// # Errors
/// It is refused, or could not be accepted now; nothing was written then.
pub async fn accept(
    gateway: &Gateway,
    actor: &Actor,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
    answer: impl FnOnce(MessageId) -> (u16, Value),
) -> Result<Acceptance, FlowError> {
    let organization = actor.organization_id;
    let _running = match key {
        Some(key) => Some(Running::begin(gateway, organization, &key.key)?),
        None => None,
    };
    let mut session = gateway.store.write(organization).await?;
    if let Some(key) = key {
        if !idempotency::hold(&mut session, organization, &key.key).await? {
            return Err(running::in_progress());
        }
        match standing(&mut session, organization, key).await? {
            Standing::Unused => {}
            Standing::Answered(before) => {
                // Only committed has it let go of the key: the next request with it must not find it held.
                session.commit().await?;
                return Ok(replayed(before));
            }
            // The same fingerprint, and yet a request of another kind: it cannot be.
            Standing::UnderWay(_) => return Err(running::in_progress()),
        }
    }
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let mut desk = Desk::new(gateway, organization, false);
    let mut wanted = Vec::with_capacity(1);
    for prepared in desk.prepare(&mut session, slice::from_ref(draft)).await? {
        wanted.push(prepared?);
    }
    let mut new = Vec::with_capacity(1);
    for admitted in desk.admit(&mut session, &mut outbox, wanted).await? {
        new.push(admitted?);
    }
    let now = desk.now;
    outbound::insert(&mut session, &mut outbox, organization, &new, now).await?;
    let id = new.first().map(|new| new.id).ok_or(FlowError::NotFound("message"))?;
    let (status, body) = answer(id);
    if let Some(key) = key {
        keep(&mut session, organization, key, (status, &body), now).await?;
    }
    write_events(&mut session, outbox, organization, &new, now).await?;
    session.commit().await?;
    announce(gateway);
    Ok(Acceptance::New(status, body))
}

/// What is known of a key. Its request must be this one.
pub(super) async fn standing(
    session: &mut Session,
    organization: OrganizationId,
    key: &IdempotencyKey,
) -> Result<Standing, FlowError> {
    let found = idempotency::find(session, organization, &key.key).await?;
    let fingerprint = match &found {
        Standing::Unused => return Ok(found),
        Standing::UnderWay(progress) => &progress.fingerprint,
        Standing::Answered(answered) => &answered.fingerprint,
    };
    if *fingerprint != key.fingerprint {
        let detail = "this Idempotency-Key was used for another request";
        return Err(FlowError::refused("idempotency_key_reused", detail));
    }
    Ok(found)
}

/// The answer that was given.
pub(super) fn replayed(before: Answered) -> Acceptance {
    Acceptance::Replayed(u16::try_from(before.status).unwrap_or(202), before.answer)
}

/// Writes the events, and the time at which the lanes of these messages have something to do: the last that is written, so that
/// whoever sends waits for it no longer than he must.
pub(super) async fn write_events(
    session: &mut Session,
    outbox: Outbox,
    organization: OrganizationId,
    new: &[NewOutbound],
    now: Timestamp,
) -> Result<(), FlowError> {
    outbox.flush(session, now).await?;
    for channel in Channel::ALL {
        let due = new.iter().filter(|message| message.channel == channel).map(|m| m.due_at).min();
        if let Some(due) = due {
            lanes::wake(session, Lane { organization_id: organization, channel }, due).await?;
        }
    }
    Ok(())
}

/// Keeps an answer with its key.
pub(super) async fn keep(
    session: &mut Session,
    organization: OrganizationId,
    key: &IdempotencyKey,
    (status, body): (u16, &Value),
    now: Timestamp,
) -> Result<(), FlowError> {
    let answered = Answered {
        fingerprint: key.fingerprint.clone(),
        status: i64::from(status),
        answer: body.clone(),
    };
    Ok(idempotency::keep(session, organization, &key.key, &answered, now).await?)
}

/// Messages were committed: those who wait for events, and those who send, look.
pub(super) fn announce(gateway: &Gateway) {
    gateway.wake_readers();
    gateway.due.notify_one();
}
