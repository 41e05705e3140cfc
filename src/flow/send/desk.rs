//! Admitting one message: who would carry it, to whom, whether it can be sent, and as what.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use providers::{Channel, MessageRef, OutboundContent, OutboundMessage, Sender};
use serde_json::{Map, Value, json};

use super::accept::Draft;
use super::files;
use super::recipient::{self, Found};
use crate::clock::Timestamp;
use crate::flow::{FlowError, optional_text};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{Lane, MessageId, NewOutbound, OrganizationId};
use crate::store::events::Outbox;
use crate::store::sending::{recipients, suppressions};
use crate::store::{Session, messages, routes};

/// How far ahead a message may be scheduled.
const AHEAD: TimeDelta = TimeDelta::days(90);

/// How a channel's messages would go now.
#[derive(Clone)]
struct Way {
    from: Sender,
    account: Arc<DirectoryAccount>,
}

/// One request at work.
pub(super) struct Desk<'a> {
    gateway: &'a Gateway,
    organization: OrganizationId,
    session: Session,
    outbox: Outbox,
    /// The one time of everything that is admitted: of the messages' ids, and what is shown with them.
    pub(super) now: Timestamp,
    bulk: bool,
    ways: HashMap<Channel, Option<Way>>,
}

impl<'a> Desk<'a> {
    /// Opens; the session's head is locked.
    pub(super) fn new(
        gateway: &'a Gateway,
        organization: OrganizationId,
        session: Session,
        outbox: Outbox,
        bulk: bool,
    ) -> Self {
        let now = gateway.clock.now();
        Self { gateway, organization, session, outbox, now, bulk, ways: HashMap::new() }
    }

    /// Hands the transaction back.
    pub(super) fn close(self) -> (Session, Outbox) {
        (self.session, self.outbox)
    }

    /// Checks a message and makes its recipient known. Nothing of it is written when it is refused.
    pub(super) async fn admit(&mut self, draft: &Draft) -> Result<NewOutbound, FlowError> {
        let client_reference =
            optional_text("client_reference", draft.client_reference.as_deref(), 200)?;
        let id = MessageId(self.gateway.ids.at(self.now));
        let due_at = self.due_at(draft.send_at)?;
        let way = self.way(draft.channel).await?;
        let found =
            recipient::find(&mut self.session, self.organization, draft.channel, &draft.recipient)
                .await?;
        self.check_suppression(draft.channel, &found).await?;
        let mut content = self.resolve_target(draft, &way).await?;
        files::complete(&mut self.session, self.organization, &mut content).await?;
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
        let (from, to) = (way.from.clone(), found.address.clone());
        let message =
            OutboundMessage::new(id.to_string(), draft.channel, from, to, content.clone());
        let message = OutboundMessage { reply_to: reply_to.cloned(), ..message };
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
