//! Admitting one message, a new one or one that is edited: who would carry it, to whom, whether it can be sent, and as what.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use providers::{Channel, MessageRef, OutboundContent, OutboundMessage, Sender, Template};
use serde_json::{Value, json};

use super::accept::Draft;
use super::judge::{Fit, window_closed};
use super::recipient::{self, Found, Recipient};
use super::templates::Known;
use super::way::{self, Way};
use super::{files, groups, shown};
use crate::clock::Timestamp;
use crate::flow::{FlowError, optional_text};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{IdentityId, Lane, MessageId, NewOutbound, OrganizationId, Purpose};
use crate::store::events::Outbox;
use crate::store::sending::outbound::Queued;
use crate::store::{Session, StoreError};

/// How far ahead a message may be scheduled.
const AHEAD: TimeDelta = TimeDelta::days(90);

/// The line and the account that carry a channel's messages.
#[derive(Clone)]
pub(super) struct Carrier {
    pub(super) from: Sender,
    pub(super) account: Arc<DirectoryAccount>,
}

/// A message that can be sent as far as it and the account that carries it go, to somebody who was found. Whether it may be
/// sent to them now is judged apart.
pub(super) struct Wanted {
    pub(super) channel: Channel,
    pub(super) carrier: Carrier,
    pub(super) found: Found,
    /// What it says, with the provider's ids and all that is known of files.
    pub(super) content: OutboundContent,
    pub(super) fallback: Option<Template>,
    pub(super) purpose: Option<Purpose>,
    reply_to: Option<MessageRef>,
    /// The group it goes to, instead of to the recipient alone.
    pub(super) group: Option<String>,
    client_reference: Option<String>,
    pub(super) send_at: Option<Timestamp>,
}

/// One request at work: messages are prepared, then judged, then admitted. The first two need no lock, and what is judged
/// then is judged again when it is admitted.
pub(super) struct Desk<'a> {
    gateway: &'a Gateway,
    pub(super) organization: OrganizationId,
    /// The one time of everything that is admitted at once: of the messages' ids, and what is shown with them.
    pub(super) now: Timestamp,
    bulk: bool,
    ways: HashMap<Channel, Way>,
    /// What is known of the templates that the messages at hand name.
    pub(super) templates: Known,
}

impl<'a> Desk<'a> {
    /// Opens.
    pub(super) fn new(gateway: &'a Gateway, organization: OrganizationId, bulk: bool) -> Self {
        let now = gateway.clock.now();
        Self { gateway, organization, now, bulk, ways: HashMap::new(), templates: Known::new() }
    }

    /// Checks all of messages that need not be looked at again, and finds their recipients. Each has its own result.
    pub(super) async fn prepare(
        &mut self,
        session: &mut Session,
        drafts: &[Draft],
    ) -> Result<Vec<Result<Wanted, FlowError>>, FlowError> {
        self.now = self.gateway.clock.now();
        self.ways.clear();
        let asked: Vec<_> = drafts.iter().map(|draft| (draft.channel, &draft.recipient)).collect();
        let found = recipient::find_all(session, self.organization, &asked).await?;
        let naming =
            drafts.iter().map(|draft| (draft.channel, &draft.content, draft.fallback.as_ref()));
        self.look_up_templates(session, naming).await?;
        let mut prepared = Vec::with_capacity(drafts.len());
        for (draft, found) in drafts.iter().zip(found) {
            prepared.push(own(self.prepare_one(session, draft, found).await)?);
        }
        Ok(prepared)
    }

    /// Looks at the accounts that would carry messages: it fails if one of them cannot be opened now.
    pub(super) async fn look_at_accounts(
        &mut self,
        session: &mut Session,
        drafts: &[Draft],
    ) -> Result<(), FlowError> {
        for channel in Channel::ALL {
            if drafts.iter().any(|draft| draft.channel == channel) {
                // Whether there is a way at all is each message's own affair.
                let _ = own(self.carrier(session, channel).await)?;
            }
        }
        Ok(())
    }

    async fn prepare_one(
        &mut self,
        session: &mut Session,
        draft: &Draft,
        found: Result<Found, FlowError>,
    ) -> Result<Wanted, FlowError> {
        let client_reference =
            optional_text("client_reference", draft.client_reference.as_deref(), 200)?;
        if draft.send_at.is_some_and(|at| at > self.now + AHEAD) {
            return Err(FlowError::invalid("send_at", "lies more than 90 days ahead"));
        }
        let carrier = self.carrier(session, draft.channel).await?;
        let found = found?;
        let answered = match draft.reply_to {
            Some(id) => {
                Some(groups::carried(session, self.organization, "reply_to", id, &carrier).await?)
            }
            None => None,
        };
        let mut wanted = Wanted {
            channel: draft.channel,
            carrier,
            found,
            content: draft.content.clone(),
            fallback: draft.fallback.clone(),
            purpose: draft.purpose,
            reply_to: answered.as_ref().map(|answered| answered.reference.clone()),
            group: None,
            client_reference,
            send_at: draft.send_at,
        };
        // Who is named by an address is written to alone.
        if let Some(answered) = answered
            && !matches!(draft.recipient, Recipient::Address(_))
        {
            groups::join(session, self.organization, "reply_to", answered, &mut wanted).await?;
        }
        self.complete(session, wanted).await
    }

    /// Completes what it says, and checks it against what the account can send.
    async fn complete(
        &self,
        session: &mut Session,
        mut wanted: Wanted,
    ) -> Result<Wanted, FlowError> {
        self.resolve_target(session, &mut wanted).await?;
        let account = &wanted.carrier.account;
        files::complete(self.gateway, session, account, &mut wanted.content).await?;
        let id = MessageId(self.gateway.ids.at(self.now));
        check(id, &wanted, &wanted.content, wanted.reply_to.as_ref())?;
        if let Some(template) = wanted.fallback.take() {
            let mut template = OutboundContent::Template(template);
            let completed = files::complete(self.gateway, session, account, &mut template).await;
            completed
                .and_then(|()| check(id, &wanted, &template, None))
                .map_err(|error| under("fallback_template", error))?;
            if let OutboundContent::Template(template) = template {
                wanted.fallback = Some(template);
            }
        }
        self.fit_templates(&wanted)?;
        Ok(wanted)
    }

    /// Admits messages that were prepared, and makes their recipients known; each has its own result. Nothing is written of
    /// one that is refused. The head must be locked.
    pub(super) async fn admit(
        &mut self,
        session: &mut Session,
        outbox: &mut Outbox,
        mut wanted: Vec<Wanted>,
    ) -> Result<Vec<Result<NewOutbound, FlowError>>, FlowError> {
        self.now = self.gateway.clock.now();
        let mut found: Vec<&mut Found> =
            wanted.iter_mut().map(|wanted| &mut wanted.found).collect();
        recipient::look_again(session, self.organization, &mut found).await?;
        let fits = self.judge(session, &wanted.iter().collect::<Vec<_>>()).await?;
        let found: Vec<&Found> = wanted
            .iter()
            .zip(&fits)
            .filter_map(|(wanted, fit)| fit.is_ok().then_some(&wanted.found))
            .collect();
        let (gateway, organization) = (self.gateway, self.organization);
        let made = recipient::make_known(gateway, session, outbox, organization, &found, self.now);
        let mut identities = made.await?.into_iter();
        let admitted = wanted.into_iter().zip(fits).map(|(wanted, fit)| {
            let fit = fit?;
            let nobody = || StoreError::Damaged("a recipient has no identity".to_owned());
            let identity = identities.next().ok_or_else(nobody)?;
            self.message(wanted, fit, identity)
        });
        Ok(admitted.collect())
    }

    fn message(
        &self,
        wanted: Wanted,
        fit: Fit,
        identity: IdentityId,
    ) -> Result<NewOutbound, FlowError> {
        let due_at = self.due_at(&wanted);
        let Wanted {
            channel, carrier, mut content, mut fallback, purpose, reply_to, group, ..
        } = wanted;
        if fit.window_is_closed {
            content = OutboundContent::Template(fallback.take().ok_or_else(window_closed)?);
        }
        let sending = &self.gateway.config.sending;
        let provider = carrier.account.provider.name;
        let (reference, send_at) = (wanted.client_reference, wanted.send_at);
        Ok(NewOutbound {
            id: MessageId(self.gateway.ids.at(self.now)),
            channel,
            identity,
            account_id: carrier.account.id,
            provider,
            our_address: carrier.from.address,
            bulk: self.bulk,
            due_at,
            expires_at: due_at + TimeDelta::hours(sending.max_age_hours),
            most_resends: sending.resends,
            metadata: metadata(&content, reference, send_at, reply_to.as_ref(), group.as_deref()),
            content,
            fallback,
            purpose,
            reply_to: reply_to.map(|reference| (provider.to_owned(), reference)),
            group,
        })
    }

    /// What a message in the queue says from now on: `content` passes what a new message passes. Where the window is closed,
    /// its fallback goes in its place when it is sent.
    pub(super) async fn admit_edit(
        &mut self,
        session: &mut Session,
        queued: &Queued,
        content: &OutboundContent,
    ) -> Result<OutboundContent, FlowError> {
        let carrier = self.carrier(session, queued.lane.channel).await?;
        let naming = (queued.lane.channel, content, queued.fallback.as_ref());
        self.look_up_templates(session, std::iter::once(naming)).await?;
        let found = recipient::of_identity(session, queued.lane, queued.identity).await?;
        let provider = carrier.account.provider.name;
        let reply_to = queued.reply_to.as_ref().filter(|(carried_by, _)| carried_by == provider);
        let wanted = Wanted {
            channel: queued.lane.channel,
            carrier,
            found,
            content: content.clone(),
            fallback: queued.fallback.clone(),
            purpose: queued.purpose,
            reply_to: reply_to.map(|(_, reference)| reference.clone()),
            group: queued.group.clone(),
            client_reference: None,
            send_at: Some(queued.due_at),
        };
        let wanted = self.complete(session, wanted).await?;
        if wanted.group != queued.group {
            let reason =
                "was written elsewhere than where the message goes; send a message of its own";
            return Err(FlowError::invalid("content.message_id", reason));
        }
        for fit in self.judge(session, &[&wanted]).await? {
            fit?;
        }
        Ok(wanted.content)
    }

    /// The line and the account that carry a channel.
    pub(super) async fn carrier(
        &mut self,
        session: &mut Session,
        channel: Channel,
    ) -> Result<Carrier, FlowError> {
        let way = match self.ways.get(&channel) {
            Some(way) => way.clone(),
            None => {
                let lane = Lane { organization_id: self.organization, channel };
                let way = way::find(self.gateway, session, lane).await?;
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

    /// A reaction names the message by its id with us; the provider wants its own. It goes where that message is.
    async fn resolve_target(
        &self,
        session: &mut Session,
        wanted: &mut Wanted,
    ) -> Result<(), FlowError> {
        let OutboundContent::Reaction { target, .. } = &mut wanted.content else { return Ok(()) };
        let field = "content.message_id";
        let id =
            target.0.parse().map_err(|_| FlowError::invalid(field, "must be a message's id"))?;
        let answered =
            groups::carried(session, self.organization, field, id, &wanted.carrier).await?;
        *target = answered.reference.clone();
        groups::join(session, self.organization, field, answered, wanted).await
    }
}

/// A failure that passes is the request's own: it is to be made again. Whatever else is wrong is one message's.
pub(super) fn own<T>(result: Result<T, FlowError>) -> Result<Result<T, FlowError>, FlowError> {
    match result {
        Err(error @ (FlowError::Store(_) | FlowError::Keyring(_) | FlowError::Locked(_))) => {
            Err(error)
        }
        result => Ok(result),
    }
}

/// Whether the account can send it, saying this.
fn check(
    id: MessageId,
    wanted: &Wanted,
    content: &OutboundContent,
    reply_to: Option<&MessageRef>,
) -> Result<(), FlowError> {
    let Wanted { channel, carrier, found, .. } = wanted;
    let Some(messages) = carrier.account.account.messages() else {
        let detail = format!(
            "the {} account that carries {} cannot send: it lacks the credentials for it",
            carrier.account.provider.title,
            channel.word(),
        );
        return Err(FlowError::refused("account_cannot_send", detail));
    };
    let (id, from, to) = (id.to_string(), carrier.from.clone(), found.address.clone());
    let message = OutboundMessage::new(id, *channel, from, to, content.clone());
    let group = wanted.group.clone();
    let message = OutboundMessage { reply_to: reply_to.cloned(), group, ..message };
    messages.check(&message).map_err(|unfit| FlowError::invalid(unfit.field, unfit.reason))
}

fn no_way(channel: Channel) -> FlowError {
    let detail =
        format!("no active route carries {}: make one with POST /api/v1/routes", channel.word());
    FlowError::refused("no_active_route", detail)
}

pub(super) fn under(prefix: &str, error: FlowError) -> FlowError {
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
    group: Option<&str>,
) -> Option<Value> {
    let mut members = shown::parts(content);
    if let Some(reference) = client_reference {
        members.insert("client_reference".to_owned(), json!(reference));
    }
    if let Some(at) = send_at {
        members.insert("send_at".to_owned(), json!(at));
    }
    if let Some(reference) = reply_to {
        members.insert("reply_to".to_owned(), json!(reference));
    }
    if let Some(group) = group {
        members.insert("group_id".to_owned(), json!(group));
    }
    (!members.is_empty()).then_some(Value::Object(members))
}
