//! `/api/v1/crm/communications`: the timeline.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use providers::{Channel, Direction};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Query, cursor, instant, limit};
use super::times::At;
use super::{App, Problem, limits};
use crate::flow::record;
use crate::model::{
    Communication, CommunicationFilter, ContactId, Cursor, LeadId, NewCommunication, Scope,
};
use crate::store::timeline::{self, Page};

/// A message or a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CommunicationView<'a> {
    /// Its id.
    pub(super) id: Uuid,
    /// Whose it is.
    pub(super) organization_id: Uuid,
    /// The lead it belongs to.
    pub(super) lead_id: Option<Uuid>,
    /// The person at the other end; null when they withheld who they are.
    pub(super) contact_id: Option<Uuid>,
    /// `whatsapp`, `sms`, `email` or `voip`.
    pub(super) channel: &'static str,
    /// Which provider carried it.
    #[schema(value_type = String)]
    pub(super) provider: Cow<'a, str>,
    /// `inbound` or `outbound`.
    pub(super) direction: &'static str,
    /// What was written; of a call, what was said, if it was transcribed.
    #[schema(value_type = Option<String>)]
    pub(super) content: Option<Cow<'a, str>>,
    /// `text`, `image`, … or `call`.
    #[schema(value_type = String)]
    pub(super) kind: Cow<'a, str>,
    /// A delivery status, or a call's stage.
    #[schema(value_type = String)]
    pub(super) status: Cow<'a, str>,
    /// Everything else: `attachments`, `reply_to`, `our_address`; of a call `duration_seconds`, `outcome`, `recordings` …
    #[schema(value_type = Value)]
    pub(super) metadata: Metadata<'a>,
    /// When it was stored.
    pub(super) created_at: At,
    /// When it happened; of a call, when it began, which may become known later than the call itself. Lists are in this
    /// order, and `from` and `to` compare it.
    pub(super) occurred_at: At,
    /// When the gateway was last done with it.
    pub(super) processed_at: At,
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) our_address: Option<Cow<'a, str>>,
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}

/// A page, newest first; [`timeline`](super::timeline) writes it.
#[derive(Debug, ToSchema)]
pub(super) struct CommunicationList {
    /// The communications.
    #[schema(value_type = Vec<CommunicationView<'static>>)]
    pub(super) items: Page,
    /// How many match in all. Null when paging by cursor.
    pub(super) total: Option<i64>,
    /// The size of the page that was asked for.
    pub(super) limit: i64,
    /// How many were passed over. Null when paging by cursor.
    pub(super) offset: Option<i64>,
    /// The `cursor` of the next page; null on the last one.
    pub(super) next_cursor: Option<Uuid>,
    /// From when on was looked for `search`; null where nothing was searched for. Older ones are found by giving `from`.
    pub(super) searched_from: Option<At>,
}

/// Which communications to list. Everything that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Of this lead.
    lead_id: Option<Uuid>,
    /// Of this contact; of the one it was merged into, if it was.
    contact_id: Option<Uuid>,
    /// `whatsapp`, `sms`, `email` or `voip`.
    channel: Option<String>,
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// That happened (`occurred_at`) at this instant or later.
    from: Option<String>,
    /// That happened (`occurred_at`) before this instant.
    to: Option<String>,
    /// Whose content holds this text, whatever the case. Without `from` that happened in the last 90 days, or in the 90 days
    /// before `to`.
    search: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// How many of the newest to pass over. For deep reading use `cursor`.
    offset: Option<i64>,
    /// The `next_cursor` of the page before. Costs the same however deep; comes without `total`.
    cursor: Option<String>,
}

/// A communication that took place elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCommunicationBody {
    /// The lead it belongs to.
    lead_id: Option<Uuid>,
    /// The contact it belongs to, where there is no lead; with a lead, that lead's contact.
    contact_id: Option<Uuid>,
    /// `whatsapp`, `sms`, `email` or `voip`.
    channel: String,
    /// `inbound` or `outbound`.
    direction: String,
    /// What was written or said.
    content: Option<String>,
    /// What kind of thing it was; `text` if not given.
    kind: Option<String>,
    /// Anything else, as an object. Of a call: `duration_seconds` (0 to 864000) and `outcome` (`answered`, `busy`,
    /// `rejected` or `failed`; inbound also `missed`, outbound also `no_answer` or `canceled`).
    #[serde(default = "empty")]
    metadata: Value,
    /// When it happened; now, if not given. A time that is ahead of now counts as now, up to 24 hours; beyond that it is refused.
    occurred_at: Option<At>,
    /// Your own id of it: a second record of the same id changes nothing and answers the first.
    external_id: Option<String>,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

impl<'a> From<Communication<'a>> for CommunicationView<'a> {
    fn from(item: Communication<'a>) -> Self {
        Self {
            id: item.id,
            organization_id: item.organization_id.0,
            lead_id: item.lead_id.map(|id| id.0),
            contact_id: item.contact_id.map(|id| id.0),
            channel: item.channel.word(),
            provider: item.provider,
            direction: item.direction.word(),
            content: item.content,
            kind: item.kind,
            status: item.status,
            metadata: Metadata { our_address: item.metadata.our_address, more: item.metadata.more },
            created_at: item.created_at.into(),
            occurred_at: item.occurred_at.into(),
            processed_at: item.processed_at.into(),
        }
    }
}

pub(super) fn channel(word: &str) -> Result<Channel, Problem> {
    Channel::from_word(word)
        .ok_or_else(|| Problem::invalid("channel", "must be whatsapp, sms, email or voip"))
}

pub(super) fn direction(word: &str) -> Result<Direction, Problem> {
    Direction::from_word(word)
        .ok_or_else(|| Problem::invalid("direction", "must be inbound or outbound"))
}

/// Messages and calls in one order, newest first.
#[utoipa::path(get, path = "/api/v1/crm/communications", tag = "communications", params(Filter), responses(
    (status = 200, body = CommunicationList),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Response, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let limit = limit(query.limit)?;
    let start = match (cursor(query.cursor.as_deref())?, query.offset) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("offset", "cannot be given with `cursor`"));
        }
        (Some(id), None) => Cursor::Before(id),
        (None, offset) => match offset.unwrap_or(0) {
            offset @ 0..=1_000_000 => Cursor::Offset(offset),
            _ => return Err(Problem::invalid("offset", "must be 0 to 1000000")),
        },
    };
    let mut filter = CommunicationFilter {
        lead_id: query.lead_id.map(LeadId),
        contact_id: query.contact_id.map(ContactId),
        channel: query.channel.as_deref().map(channel).transpose()?,
        direction: query.direction.as_deref().map(direction).transpose()?,
        from: instant("from", query.from.as_deref())?,
        until: instant("to", query.to.as_deref())?,
        search: query.search.filter(|text| !text.trim().is_empty()),
    };
    if filter.search.is_some() && filter.from.is_none() {
        filter.from = Some(limits::recent(app.gateway.clock.now(), filter.until));
    }
    let searched_from = filter.from.filter(|_| filter.search.is_some()).map(At);
    let store = &app.gateway.store;
    let page = match filter.is_wide(start) {
        false => timeline::page(store, organization, &filter, start, limit).await?,
        true => {
            let (store, filter) = (store.clone(), filter.clone());
            let page =
                async move { timeline::page(&store, organization, &filter, start, limit).await };
            limits::search(&app, organization, page).await?
        }
    };
    if page.is_empty() {
        exists(&mut store.read(organization).await?, organization, &filter).await?;
    }
    let offset = match start {
        Cursor::Offset(offset) => Some(offset),
        Cursor::Before(_) => None,
    };
    let (total, next_cursor) = (page.total, page.next);
    let list = CommunicationList { items: page, total, limit, offset, next_cursor, searched_from };
    super::timeline::answer(&list)
}

/// An empty timeline may be that of a lead or contact that is not there.
async fn exists(
    session: &mut crate::store::Session,
    organization: crate::model::OrganizationId,
    filter: &CommunicationFilter,
) -> Result<(), Problem> {
    if let Some(id) = filter.lead_id {
        let lead = crate::store::leads::get(session, organization, id).await?;
        lead.ok_or_else(|| Problem::not_found("lead"))?;
    }
    if let Some(id) = filter.contact_id {
        let contact = crate::store::contacts::get(session, organization, id).await?;
        contact.ok_or_else(|| Problem::not_found("contact"))?;
    }
    Ok(())
}

/// Puts a communication on record that took place outside the gateway. Nothing is sent.
#[utoipa::path(post, path = "/api/v1/crm/communications", tag = "communications", request_body = NewCommunicationBody, responses(
    (status = 201, body = CommunicationView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<NewCommunicationBody>,
) -> Result<(StatusCode, Answer<CommunicationView<'static>>), Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let new = NewCommunication {
        lead_id: body.lead_id.map(LeadId),
        contact_id: body.contact_id.map(ContactId),
        channel: channel(&body.channel)?,
        direction: direction(&body.direction)?,
        content: body.content,
        kind: body.kind,
        metadata: body.metadata,
        occurred_at: body.occurred_at.map(|At(at)| at),
        external_id: body.external_id,
    };
    let recorded = record::communication(&app.gateway, &access.actor(), new).await?;
    Ok((StatusCode::CREATED, Answer(recorded.into())))
}
