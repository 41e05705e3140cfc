//! Accepting messages: they are checked against what the account that would carry them can do, and put into the queue, one
//! transaction for all of a request, together with the answer to its `Idempotency-Key`.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use providers::{Channel, MessageRef, OutboundContent, OutboundMessage, Sender, Template};
use serde_json::{Map, Value, json};

use super::recipient::{self, Found, Recipient};
use super::running::Running;
use crate::clock::Timestamp;
use crate::flow::{Actor, FlowError, optional_text};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{Lane, MessageId, NewOutbound, OrganizationId};
use crate::store::events::Outbox;
use crate::store::sending::idempotency::{self, Answered};
use crate::store::sending::{lanes, outbound, recipients, suppressions};
use crate::store::{Session, messages, routes};

/// How far ahead a message may be scheduled.
const AHEAD: TimeDelta = TimeDelta::days(90);

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
        return Ok(before);
    }
    let outbox = Outbox::lock(&mut session, [organization]).await?;
    let now = gateway.clock.now();
    let mut desk = Desk { gateway, organization, session, outbox, now, bulk, ways: HashMap::new() };
    let mut results: Results = Vec::with_capacity(drafts.len());
    let mut new = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match desk.admit(draft).await {
            Ok(message) => {
                results.push(Ok(message.id));
                new.push(message);
            }
            Err(error @ (FlowError::Store(_) | FlowError::Keyring(_))) => return Err(error),
            Err(error) if !bulk => return Err(error),
            Err(error) => results.push(Err(error)),
        }
    }
    let Desk { mut session, mut outbox, .. } = desk;
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

/// How a channel's messages would go now.
#[derive(Clone)]
struct Way {
    from: Sender,
    account: Arc<DirectoryAccount>,
}

/// One request at work.
struct Desk<'a> {
    gateway: &'a Gateway,
    organization: OrganizationId,
    session: Session,
    outbox: Outbox,
    now: Timestamp,
    bulk: bool,
    ways: HashMap<Channel, Option<Way>>,
}

impl Desk<'_> {
    async fn admit(&mut self, draft: &Draft) -> Result<NewOutbound, FlowError> {
        let client_reference =
            optional_text("client_reference", draft.client_reference.as_deref(), 200)?;
        let id = MessageId(self.gateway.ids.next());
        let due_at = self.due_at(draft.send_at)?;
        let way = self.way(draft.channel).await?;
        let found =
            recipient::find(&mut self.session, self.organization, draft.channel, &draft.recipient)
                .await?;
        self.check_suppression(draft.channel, &found).await?;
        let mut content = self.resolve_target(draft, &way).await?;
        let reply_to = match draft.reply_to {
            Some(id) => Some(self.carried("reply_to", id, &way).await?),
            None => None,
        };
        Self::check(id, draft, &way, &found, &content, reply_to.as_ref())?;
        if let Some(template) = &draft.fallback {
            let template = OutboundContent::Template(template.clone());
            Self::check(id, draft, &way, &found, &template, None)
                .map_err(|error| under("fallback_template", error))?;
        }
        let mut fallback = draft.fallback.clone();
        if due_at <= self.now
            && !content.opens_window()
            && !self.window_is_open(draft.channel, &way, &found).await?
        {
            content = OutboundContent::Template(fallback.take().ok_or_else(window_closed)?);
        }
        super::files::check(self.gateway, &mut self.session, self.organization, &content).await?;
        let identity = recipient::make_known(
            self.gateway,
            &mut self.session,
            &mut self.outbox,
            self.organization,
            &found,
            self.now,
        )
        .await?;
        let metadata = metadata(&content, client_reference, draft.send_at, reply_to.as_ref());
        Ok(NewOutbound {
            id,
            channel: draft.channel,
            identity,
            account_id: way.account.id,
            provider: way.account.provider.name,
            our_address: way.from.address.clone(),
            bulk: self.bulk,
            due_at,
            expires_at: due_at + TimeDelta::hours(self.gateway.config.sending.max_age_hours),
            content,
            fallback,
            reply_to: reply_to.map(|reference| (way.account.provider.name.to_owned(), reference)),
            metadata,
        })
    }

    fn due_at(&self, send_at: Option<Timestamp>) -> Result<Timestamp, FlowError> {
        match send_at {
            Some(at) if at > self.now + AHEAD => {
                Err(FlowError::invalid("send_at", "lies more than 90 days ahead"))
            }
            Some(at) => Ok(Timestamp::from_timestamp_micros(at.timestamp_micros())
                .unwrap_or(self.now)
                .max(self.now)),
            None => Ok(self.now),
        }
    }

    /// The line and the account that carry a channel.
    async fn way(&mut self, channel: Channel) -> Result<Way, FlowError> {
        if let Some(way) = self.ways.get(&channel) {
            return way.clone().ok_or_else(|| no_way(channel));
        }
        let route = routes::active(&mut self.session, self.organization, channel).await?;
        let mut snapshot = self.gateway.directory.snapshot();
        if route.as_ref().is_some_and(|route| snapshot.account(route.account_id).is_none()) {
            // Another process has just connected the account.
            self.gateway.refresh_directory().await?;
            snapshot = self.gateway.directory.snapshot();
        }
        let way = route.and_then(|route| {
            let account = Arc::clone(snapshot.account(route.account_id)?);
            Some(Way { from: Sender { address: route.address, handle: route.handle }, account })
        });
        self.ways.insert(channel, way.clone());
        way.ok_or_else(|| no_way(channel))
    }

    async fn check_suppression(
        &mut self,
        channel: Channel,
        found: &Found,
    ) -> Result<(), FlowError> {
        let suppression = suppressions::find(
            &mut self.session,
            self.organization,
            channel,
            &found.address,
            self.now,
        )
        .await?;
        let Some(suppression) = suppression else { return Ok(()) };
        let until = suppression.until.map(|until| format!(" until {}", until.to_rfc3339()));
        let detail = format!(
            "the recipient is not to be written to on {}{} ({}); DELETE /api/v1/suppressions lifts it",
            channel.word(),
            until.unwrap_or_default(),
            suppression.reason,
        );
        Err(FlowError::refused("recipient_suppressed", detail))
    }

    /// A reaction names the message by its id with us; the provider wants its own.
    async fn resolve_target(
        &mut self,
        draft: &Draft,
        way: &Way,
    ) -> Result<OutboundContent, FlowError> {
        let OutboundContent::Reaction { target, emoji } = &draft.content else {
            return Ok(draft.content.clone());
        };
        let field = "content.message_id";
        let id =
            target.0.parse().map_err(|_| FlowError::invalid(field, "must be a message's id"))?;
        let target = self.carried(field, id, way).await?;
        Ok(OutboundContent::Reaction { target, emoji: emoji.clone() })
    }

    /// The provider's id of a message that this account's provider carried.
    async fn carried(
        &mut self,
        field: &str,
        id: MessageId,
        way: &Way,
    ) -> Result<MessageRef, FlowError> {
        let found = messages::get(&mut self.session, self.organization, id).await?;
        let Some(found) = found else {
            return Err(FlowError::invalid(field, "there is no such message"));
        };
        if found.communication.provider != way.account.provider.name {
            let reason = "was carried by another provider, which alone can refer to it";
            return Err(FlowError::invalid(field, reason));
        }
        let reference = found.provider_message_ids.into_iter().next();
        reference.map(MessageRef).ok_or_else(|| {
            FlowError::invalid(field, "has not been sent yet, so it has no id at the provider")
        })
    }

    /// Whether the account can send it.
    fn check(
        id: MessageId,
        draft: &Draft,
        way: &Way,
        found: &Found,
        content: &OutboundContent,
        reply_to: Option<&MessageRef>,
    ) -> Result<(), FlowError> {
        let Some(messages) = way.account.account.messages() else {
            let detail = format!(
                "the {} account that carries {} cannot send: it lacks the credentials for it",
                way.account.provider.title,
                draft.channel.word(),
            );
            return Err(FlowError::refused("account_cannot_send", detail));
        };
        let message = OutboundMessage {
            id: id.to_string(),
            channel: draft.channel,
            from: way.from.clone(),
            to: found.address.clone(),
            content: content.clone(),
            files: Vec::new(),
            reply_to: reply_to.cloned(),
            status_url: None,
        };
        messages.check(&message).map_err(|unfit| FlowError::invalid(unfit.field, unfit.reason))
    }

    /// Whether anything but a template may be sent to them now.
    async fn window_is_open(
        &mut self,
        channel: Channel,
        way: &Way,
        found: &Found,
    ) -> Result<bool, FlowError> {
        let hours = way.account.account.messages().and_then(|m| m.window_hours(channel));
        let Some(hours) = hours else { return Ok(true) };
        let Some(identity) = found.identity else { return Ok(false) };
        let lane = Lane { organization_id: self.organization, channel };
        let since = self.now - TimeDelta::hours(i64::from(hours));
        let wrote =
            recipients::who_wrote(&mut self.session, lane, &way.from.address, &[identity], since)
                .await?;
        Ok(!wrote.is_empty())
    }
}

fn no_way(channel: Channel) -> FlowError {
    let detail =
        format!("no active route carries {}: make one with POST /api/v1/routes", channel.word());
    FlowError::refused("no_active_route", detail)
}

fn window_closed() -> FlowError {
    let detail = "the customer-service window is closed: the recipient has not written in the last 24 hours. Send a \
                  template, or name one as fallback_template";
    FlowError::refused("window_closed", detail)
}

fn under(prefix: &str, error: FlowError) -> FlowError {
    match error {
        FlowError::Invalid { field, reason } => {
            FlowError::invalid(format!("{prefix}.{}", field.trim_start_matches("content.")), reason)
        }
        other => other,
    }
}

/// What the timeline shows of a message beside its words.
fn metadata(
    content: &OutboundContent,
    client_reference: Option<String>,
    send_at: Option<Timestamp>,
    reply_to: Option<&MessageRef>,
) -> Option<Value> {
    let mut members = Map::new();
    if let Ok(Value::Object(mut all)) = serde_json::to_value(content) {
        all.remove("kind");
        if matches!(content, OutboundContent::Text { .. }) {
            all.clear();
        }
        members.extend(all);
    }
    if let Some(reference) = client_reference {
        members.insert("client_reference".to_owned(), json!(reference));
    }
    if let Some(at) = send_at {
        members.insert("send_at".to_owned(), json!(at));
    }
    if let Some(reference) = reply_to {
        members.insert("reply_to".to_owned(), json!(reference));
    }
    (!members.is_empty()).then_some(Value::Object(members))
}
