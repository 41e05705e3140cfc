//! Accepting messages: they are checked against what the account that would carry them can do, and put into the queue, one
//! transaction for all of a request, together with the answer to its `Idempotency-Key`.

use providers::{Channel, OutboundContent, Template};
use serde_json::Value;

use super::desk::Desk;
use super::recipient::Recipient;
use super::running::Running;
use crate::clock::Timestamp;
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{Lane, MessageId, NewOutbound, OrganizationId, Purpose};
use crate::store::Session;
use crate::store::events::Outbox;
use crate::store::sending::idempotency::{self, Answered};
use crate::store::sending::{lanes, outbound};

/// How many messages one request may bring.
pub const MOST: usize = 1_000;

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

/// What became of each of its messages.
pub type Results = Vec<Result<MessageId, FlowError>>;

/// Accepts messages. `bulk` ones wait behind those that are accepted one by one. `answer` makes the answer, which is kept
/// with the key.
///
/// # Errors
/// A single message that is refused is an error, and so is a request that could not be carried out as a whole; of several
/// messages each has its own result.
pub async fn accept(
    gateway: &Gateway,
    actor: &Actor,
    drafts: &[Draft],
    bulk: bool,
    key: Option<&IdempotencyKey>,
    answer: impl FnOnce(&Results) -> (u16, Value),
) -> Result<Acceptance, FlowError> {
    let organization = actor.organization_id;
    let _running = match key {
        Some(key) => Some(Running::begin(gateway, organization, &key.key)?),
        None => None,
    };
    let mut session = gateway.store.write(organization).await?;
    if let Some(key) = key
        && let Some(before) = answered_before(&mut session, organization, key).await?
    {
        // Only committed has it let go of the key: the next request with it must not find it held.
        session.commit().await?;
        return Ok(before);
    }
    let outbox = Outbox::lock(&mut session, [organization]).await?;
    let mut desk = Desk::new(gateway, organization, session, outbox, bulk);
    let now = desk.now;
    let mut results: Results = Vec::with_capacity(drafts.len());
    let mut new = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match desk.admit(draft).await {
            Ok(message) => {
                results.push(Ok(message.id));
                new.push(message);
            }
            // It passes: the request is to be made again, whole.
            Err(error @ (FlowError::Store(_) | FlowError::Keyring(_) | FlowError::Locked(_))) => {
                return Err(error);
            }
            Err(error) if !bulk => return Err(error),
            Err(error) => results.push(Err(error)),
        }
    }
    let (mut session, mut outbox) = desk.close();
    outbound::insert(&mut session, &mut outbox, organization, &new, now).await?;
    let (status, body) = answer(&results);
    if let Some(IdempotencyKey { key, fingerprint }) = key {
        let answered = Answered {
            fingerprint: fingerprint.clone(),
            status: i64::from(status),
            answer: body.clone(),
        };
        idempotency::keep(&mut session, organization, key, &answered, now).await?;
    }
    outbox.flush(&mut session, now).await?;
    wake_lanes(&mut session, organization, &new).await?;
    session.commit().await?;
    gateway.wake_readers();
    gateway.due.notify_one();
    Ok(Acceptance::New(status, body))
}

async fn answered_before(
    session: &mut Session,
    organization: OrganizationId,
    key: &IdempotencyKey,
) -> Result<Option<Acceptance>, FlowError> {
    if !idempotency::hold(session, organization, &key.key).await? {
        return Err(super::running::in_progress());
    }
    let Some(found) = idempotency::find(session, organization, &key.key).await? else {
        return Ok(None);
    };
    if found.fingerprint != key.fingerprint {
        let detail = "this Idempotency-Key was used for another request";
        return Err(FlowError::refused("idempotency_key_reused", detail));
    }
    let status = u16::try_from(found.status).unwrap_or(202);
    Ok(Some(Acceptance::Replayed(status, found.answer)))
}

async fn wake_lanes(
    session: &mut Session,
    organization: OrganizationId,
    new: &[NewOutbound],
) -> Result<(), FlowError> {
    for channel in Channel::ALL {
        let due = new.iter().filter(|message| message.channel == channel).map(|m| m.due_at).min();
        if let Some(due) = due {
            lanes::wake(session, Lane { organization_id: organization, channel }, due).await?;
        }
    }
    Ok(())
}
