//! Admitting one message, a new one or one that is edited: who would carry it, to whom, whether it can be sent, and as what.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use providers::{Channel, MessageRef, OutboundContent, OutboundMessage, Sender, Template};
use serde_json::{Map, Value, json};

use super::accept::Draft;
use super::files;
use super::marketing::is_marketing;
use super::recipient::{self, Found};
use super::way::{self, Way};
use crate::clock::Timestamp;
use crate::flow::{FlowError, optional_text};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{Lane, MessageId, NewOutbound, OrganizationId, Purpose, SuppressionScope};
use crate::store::events::Outbox;
use crate::store::sending::outbound::Queued;
use crate::store::sending::recipients;
use crate::store::sending::suppressions::{self, Suppression};
use crate::store::{Session, messages};

/// How far ahead a message may be scheduled.
const AHEAD: TimeDelta = TimeDelta::days(90);

/// The line and the account that carry a channel's messages.
#[derive(Clone)]
struct Carrier {
    from: Sender,
    account: Arc<DirectoryAccount>,
}

/// What shall be sent to somebody who was found. The target of a reaction is the message's id with us.
struct Wanted<'w> {
    id: MessageId,
    channel: Channel,
    found: &'w Found,
    content: &'w OutboundContent,
    fallback: Option<&'w Template>,
    purpose: Option<Purpose>,
    reply_to: Option<&'w MessageRef>,
    due_at: Timestamp,
}

/// What was found fit to be sent.
struct Fit {
    /// What it says, with the provider's ids and all that is known of files.
    content: OutboundContent,
    /// Whether the fallback must go in its place.
    window_is_closed: bool,
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
    ways: HashMap<Channel, Way>,
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
        let carrier = self.carrier(draft.channel).await?;
        let found =
            recipient::find(&mut self.session, self.organization, draft.channel, &draft.recipient)
                .await?;
        let reply_to = match draft.reply_to {
            Some(id) => Some(self.carried("reply_to", id, &carrier).await?),
            None => None,
        };
        let wanted = Wanted {
            id,
            channel: draft.channel,
            found: &found,
            content: &draft.content,
            fallback: draft.fallback.as_ref(),
            purpose: draft.purpose,
            reply_to: reply_to.as_ref(),
            due_at,
        };
        let Fit { mut content, window_is_closed } = self.fit(&carrier, &wanted).await?;
        let mut fallback = draft.fallback.clone();
        if window_is_closed {
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
            account_id: carrier.account.id,
            provider: carrier.account.provider.name,
            our_address: carrier.from.address.clone(),
            bulk: self.bulk,
            due_at,
            expires_at: due_at + TimeDelta::hours(self.gateway.config.sending.max_age_hours),
            most_resends: self.gateway.config.sending.resends,
            content,
            fallback,
            purpose: draft.purpose,
            reply_to: reply_to
                .map(|reference| (carrier.account.provider.name.to_owned(), reference)),
            metadata,
        })
    }

    /// What a message in the queue says from now on: `content` passes what a new message passes. Where the window is closed,
    /// its fallback goes in its place when it is sent.
    pub(super) async fn admit_edit(
        &mut self,
        queued: &Queued,
        content: &OutboundContent,
    ) -> Result<OutboundContent, FlowError> {
        let carrier = self.carrier(queued.lane.channel).await?;
        let found =
            recipient::of_identity(&mut self.session, self.organization, queued.identity).await?;
        let provider = carrier.account.provider.name;
        let reply_to = queued.reply_to.as_ref().filter(|(carried_by, _)| carried_by == provider);
        let wanted = Wanted {
            id: queued.id,
            channel: queued.lane.channel,
            found: &found,
            content,
            fallback: queued.fallback.as_ref(),
            purpose: queued.purpose,
            reply_to: reply_to.map(|(_, reference)| reference),
            due_at: queued.due_at,
        };
        Ok(self.fit(&carrier, &wanted).await?.content)
    }

    /// Whether it can be sent: to whom, by that account, and now, if it is due.
    async fn fit(&mut self, carrier: &Carrier, wanted: &Wanted<'_>) -> Result<Fit, FlowError> {
        let no_marketing = self.suppressed(wanted.channel, wanted.found).await?;
        let mut content = self.resolve_target(wanted.content, carrier).await?;
        let account = &carrier.account;
        files::complete(self.gateway, &mut self.session, account, &mut content).await?;
        check(wanted, carrier, &content, wanted.reply_to)?;
        if let Some(template) = wanted.fallback {
            let template = OutboundContent::Template(template.clone());
            check(wanted, carrier, &template, None)
                .map_err(|error| under("fallback_template", error))?;
        }
        let window_is_closed = wanted.due_at <= self.now
            && !content.opens_window()
            && !self.window_is_open(wanted.channel, carrier, wanted.found).await?;
        let sent = match (window_is_closed, wanted.fallback) {
            (false, _) => content.clone(),
            (true, Some(template)) => OutboundContent::Template(template.clone()),
            (true, None) => return Err(window_closed()),
        };
        if let Some(no_marketing) = no_marketing {
            let (organization, account) = (self.organization, carrier.account.id);
            let session = &mut self.session;
            if is_marketing(session, organization, account, wanted.purpose, &sent).await? {
                return Err(suppressed_is(wanted.channel, &no_marketing));
            }
        }
        Ok(Fit { content, window_is_closed })
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
    async fn carrier(&mut self, channel: Channel) -> Result<Carrier, FlowError> {
        let way = match self.ways.get(&channel) {
            Some(way) => way.clone(),
            None => {
                let lane = Lane { organization_id: self.organization, channel };
                let way = way::find(self.gateway, &mut self.session, lane).await?;
                self.ways.insert(channel, way.clone());
                way
            }
        };
        match way {
            Way::Open(from, account) => Ok(Carrier { from, account }),
            Way::Locked(account) => Err(FlowError::Locked(account)),
            Way::Closed => Err(no_way(channel)),
        }
    }

    /// Refuses whoever is not to be written to at all; otherwise returns what keeps them from getting marketing.
    async fn suppressed(
        &mut self,
        channel: Channel,
        found: &Found,
    ) -> Result<Option<Suppression>, FlowError> {
        let (organization, address, now) = (self.organization, &found.address, self.now);
        let suppressions =
            suppressions::find(&mut self.session, organization, channel, address, now).await?;
        let (all, marketing): (Vec<Suppression>, Vec<Suppression>) = suppressions
            .into_iter()
            .partition(|suppression| suppression.scope != SuppressionScope::Marketing.word());
        match all.first() {
            Some(suppression) => Err(suppressed_is(channel, suppression)),
            None => Ok(marketing.into_iter().next()),
        }
    }

    /// A reaction names the message by its id with us; the provider wants its own.
    async fn resolve_target(
        &mut self,
        content: &OutboundContent,
        carrier: &Carrier,
    ) -> Result<OutboundContent, FlowError> {
        let OutboundContent::Reaction { target, emoji } = content else {
            return Ok(content.clone());
        };
        let field = "content.message_id";
        let id =
            target.0.parse().map_err(|_| FlowError::invalid(field, "must be a message's id"))?;
        let target = self.carried(field, id, carrier).await?;
        Ok(OutboundContent::Reaction { target, emoji: emoji.clone() })
    }

    /// The provider's id of a message that this account's provider carried.
    async fn carried(
        &mut self,
        field: &str,
        id: MessageId,
        carrier: &Carrier,
    ) -> Result<MessageRef, FlowError> {
        let found = messages::get(&mut self.session, self.organization, id).await?;
        let Some(found) = found else {
            return Err(FlowError::invalid(field, "there is no such message"));
        };
        if found.communication.provider != carrier.account.provider.name {
            let reason = "was carried by another provider, which alone can refer to it";
            return Err(FlowError::invalid(field, reason));
        }
        let reference = found.provider_message_ids.into_iter().next();
        reference.map(MessageRef).ok_or_else(|| {
            FlowError::invalid(field, "has not been sent yet, so it has no id at the provider")
        })
    }

    /// Whether anything but a template may be sent to them now.
    async fn window_is_open(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        found: &Found,
    ) -> Result<bool, FlowError> {
        let hours = carrier.account.account.messages().and_then(|m| m.window_hours(channel));
        let Some(hours) = hours else { return Ok(true) };
        let Some(identity) = found.identity else { return Ok(false) };
        let lane = Lane { organization_id: self.organization, channel };
        let since = self.now - TimeDelta::hours(i64::from(hours));
        let our_address = &carrier.from.address;
        let wrote =
            recipients::who_wrote(&mut self.session, lane, our_address, &[identity], since).await?;
        Ok(!wrote.is_empty())
    }
}

/// Says what is kept from the recipient, why, and how that ends.
fn suppressed_is(channel: Channel, suppression: &Suppression) -> FlowError {
    let what = match suppression.scope.as_str() {
        "marketing" => "is not to get marketing",
        _ => "is not to be written to",
    };
    let until = suppression.until.map(|until| format!(" until {}", until.to_rfc3339()));
    let (channel, scope, reason) = (channel.word(), &suppression.scope, &suppression.reason);
    let detail = format!(
        "the recipient {what} on {channel}{} (scope {scope}, reason {reason}); DELETE /api/v1/suppressions lifts it{}",
        until.unwrap_or_default(),
        match suppression.reason.as_str() {
            "opted_out" => ", and so do they by asking for it again",
            "undeliverable" if scope != "marketing" => ", and so does any message of theirs",
            _ => "",
        },
    );
    FlowError::refused("recipient_suppressed", detail)
}

/// Whether the account can send it, saying this.
fn check(
    wanted: &Wanted<'_>,
    carrier: &Carrier,
    content: &OutboundContent,
    reply_to: Option<&MessageRef>,
) -> Result<(), FlowError> {
    let Some(messages) = carrier.account.account.messages() else {
        let detail = format!(
            "the {} account that carries {} cannot send: it lacks the credentials for it",
            carrier.account.provider.title,
            wanted.channel.word(),
        );
        return Err(FlowError::refused("account_cannot_send", detail));
    };
    let (id, from) = (wanted.id.to_string(), carrier.from.clone());
    let to = wanted.found.address.clone();
    let message = OutboundMessage::new(id, wanted.channel, from, to, content.clone());
    let message = OutboundMessage { reply_to: reply_to.cloned(), ..message };
    messages.check(&message).map_err(|unfit| FlowError::invalid(unfit.field, unfit.reason))
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
