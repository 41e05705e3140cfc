//! `/api/v1/messages`: messages, and how far each has come.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::communications::{CommunicationView, channel, direction};
use super::extract::{Access, Id, Query, cursor, limit};
use super::sending::queue::AttemptView;
use super::times::At;
use super::{App, Problem, limits};
use crate::model::{MessageId, Purpose, Scope};
use crate::store::messages::{self, MessageFilter};
use crate::store::sending::{journal, outbound};

/// A message with its history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageView {
    /// The message as it stands in the timeline.
    #[serde(flatten)]
    communication: CommunicationView<'static>,
    /// The provider's ids of it: one, or several if it was taken in parts.
    provider_message_ids: Vec<String>,
    /// Every status it went through, in the order in which they happened.
    statuses: Vec<StatusView>,
    /// Every change its author made to it.
    edits: Vec<EditView>,
    /// Where a message of ours stands in the queue: `due`, `claimed`, `unknown`, `sent`, `dead` or `canceled`.
    queue_state: Option<&'static str>,
    /// When it is due.
    due_at: Option<At>,
    /// `marketing`, if whoever sent it said so.
    purpose: Option<&'static str>,
    /// Everything that was tried to send it, without credentials.
    journal: Vec<AttemptView>,
}

/// A status a message went through.
#[derive(Debug, Serialize, ToSchema)]
struct StatusView {
    /// The status.
    status: String,
    /// Which recipient, where the message has several.
    recipient: Option<String>,
    /// Which attempt to send it, from 1, as the journal counts them; null where it was not sent from here, and where
    /// that is not known.
    attempt: Option<i64>,
    /// Why it failed, what it cost.
    detail: Option<Value>,
    /// When it happened.
    at: At,
    /// When we were told.
    received_at: At,
}

/// A change of a message by its author.
#[derive(Debug, Serialize, ToSchema)]
struct EditView {
    /// `edited`, `edited_unreadable` (the new words could not be read, the old ones stay) or `revoked`.
    what: String,
    /// What it said before.
    content_before: Option<String>,
    /// When it happened.
    at: At,
}

/// A page of messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageList {
    /// The messages.
    items: Vec<CommunicationView<'static>>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// `whatsapp`, `sms` or `email`.
    channel: Option<String>,
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// In this status.
    status: Option<String>,
    /// With this id at the provider.
    provider_message_id: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Messages, newest first.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(Filter), responses(
    (status = 200, body = MessageList),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<MessageList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let limit = limit(query.limit)?;
    let filter = MessageFilter {
        channel: query.channel.as_deref().map(channel).transpose()?,
        direction: query.direction.as_deref().map(direction).transpose()?,
        status: query.status,
        provider_message_id: query.provider_message_id,
        before: cursor(query.cursor.as_deref())?,
    };
    let is_wide = filter.is_narrow();
    let store = app.gateway.store.clone();
    let found = async move {
        let mut session = store.read(organization).await?;
        messages::list(&mut session, organization, &filter, limit).await
    };
    let (items, next_cursor) = match is_wide {
        true => limits::search(&app, organization, found).await?,
        false => found.await?,
    };
    let items = items.into_iter().map(CommunicationView::from).collect();
    Ok(Answer(MessageList { items, next_cursor }))
}

/// One message, with every status and change.
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "messages", params(("id" = Uuid, Path)), responses(
    (status = 200, body = MessageView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
) -> Result<Answer<MessageView>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = messages::get(&mut session, organization, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("message"))?;
    let queued = outbound::get(&mut session, organization, id).await?;
    let journal = match queued {
        Some(_) => journal::list(&mut session, organization, id).await?,
        None => Vec::new(),
    };
    let status = |status: messages::StatusEntry| StatusView {
        status: status.status,
        recipient: Some(status.recipient).filter(|recipient| !recipient.is_empty()),
        attempt: Some(status.attempt).filter(|attempt| *attempt > 0),
        detail: status.detail,
        at: status.at.into(),
        received_at: status.received_at.into(),
    };
    let edit = |edit: messages::EditEntry| EditView {
        what: edit.what,
        content_before: edit.content_before,
        at: edit.at.into(),
    };
    Ok(Answer(MessageView {
        communication: found.communication.into(),
        provider_message_ids: found.provider_message_ids,
        statuses: found.statuses.into_iter().map(status).collect(),
        edits: found.edits.into_iter().map(edit).collect(),
        queue_state: queued.as_ref().map(|queued| queued.state.word()),
        due_at: queued.as_ref().map(|queued| queued.due_at.into()),
        purpose: queued.and_then(|queued| queued.purpose).map(Purpose::word),
        journal: journal.into_iter().map(AttemptView::from).collect(),
    }))
}
