//! `/api/v1/leads`: the CRM's view of a contact.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id, Query, cursor, limit};
use super::times::At;
use super::{App, Problem, limits};
use crate::flow::leads as flow;
use crate::model::{ContactId, Lead, LeadChange, LeadId, NewLead, Scope};
use crate::store::contacts;
use crate::store::leads::{self, LeadFilter};

/// A lead.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeadView {
    /// Its id.
    id: Uuid,
    /// The person.
    contact_id: Uuid,
    /// Their name.
    name: String,
    /// Their e-mail address.
    email: Option<String>,
    /// Their telephone number.
    phone: Option<String>,
    /// The company they work for.
    company: Option<String>,
    /// Where they came from.
    source: Option<String>,
    /// How far they are.
    stage: String,
    /// When it was created.
    created_at: At,
    /// When it was last changed.
    updated_at: At,
}

/// A page of leads, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeadList {
    /// The leads.
    items: Vec<LeadView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Which leads to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// At this stage.
    stage: Option<String>,
    /// Of this contact.
    contact_id: Option<Uuid>,
    /// With this text in name, e-mail, telephone or company, whatever the case.
    search: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A lead to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLeadBody {
    /// Their name.
    name: String,
    /// Their e-mail address.
    email: Option<String>,
    /// Their telephone number, in international form or in that of the organization's country.
    phone: Option<String>,
    /// The company they work for.
    company: Option<String>,
    /// Where they came from.
    source: Option<String>,
    /// How far they are; `new` if not given.
    stage: Option<String>,
    /// An existing contact; if not given, the one that has the number or address, or a new one.
    contact_id: Option<Uuid>,
}

/// What to change. What is not given stays; null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeadChangeBody {
    /// Their name. It cannot be taken away.
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    /// Their e-mail address.
    #[serde(default, deserialize_with = "given")]
    email: Option<Option<String>>,
    /// Their telephone number.
    #[serde(default, deserialize_with = "given")]
    phone: Option<Option<String>>,
    /// The company they work for.
    #[serde(default, deserialize_with = "given")]
    company: Option<Option<String>>,
    /// Where they came from.
    #[serde(default, deserialize_with = "given")]
    source: Option<Option<String>>,
    /// How far they are. It cannot be taken away.
    #[serde(default, deserialize_with = "text")]
    stage: Option<String>,
}

/// Something that may be left out, and may not be null.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// Tells a member that is null from one that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl From<Lead> for LeadView {
    fn from(lead: Lead) -> Self {
        Self {
            id: lead.id.0,
            contact_id: lead.contact_id.0,
            name: lead.name,
            email: lead.email,
            phone: lead.phone,
            company: lead.company,
            source: lead.source,
            stage: lead.stage,
            created_at: lead.created_at.into(),
            updated_at: lead.updated_at.into(),
        }
    }
}

/// Leads, newest first.
#[utoipa::path(get, path = "/api/v1/leads", tag = "leads", params(Filter), responses(
    (status = 200, body = LeadList),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<LeadList>, Problem> {
    let organization = access.needs(Scope::LeadsRead)?;
    let limit = limit(query.limit)?;
    let mut filter = LeadFilter {
        before: cursor(query.cursor.as_deref())?,
        stage: query.stage,
        contact_id: query.contact_id.map(ContactId),
        search: query.search.filter(|text| !text.trim().is_empty()),
    };
    let is_wide =
        filter.contact_id.is_none() && (filter.search.is_some() || filter.stage.is_some());
    let store = app.gateway.store.clone();
    let found = async move {
        let mut session = store.read(organization).await?;
        if let Some(id) = filter.contact_id {
            // Its leads went with it when it was merged.
            let standing = contacts::standing(&mut session, organization, id).await?;
            filter.contact_id = standing.or(Some(id));
        }
        leads::list(&mut session, organization, &filter, limit).await
    };
    let found = match is_wide {
        true => limits::search(&app, organization, found).await?,
        false => found.await?,
    };
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next_cursor = found.last().filter(|_| full).map(|lead| lead.id.0);
    let items = found.into_iter().map(LeadView::from).collect();
    Ok(Answer(LeadList { items, next_cursor }))
}

/// Creates a lead. It joins the contact that has its number or e-mail address, in any spelling, and with it everything that
/// this person ever wrote.
#[utoipa::path(post, path = "/api/v1/leads", tag = "leads", request_body = NewLeadBody, responses(
    (status = 201, body = LeadView),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<NewLeadBody>,
) -> Result<(StatusCode, Answer<LeadView>), Problem> {
    access.needs(Scope::LeadsWrite)?;
    let new = NewLead {
        name: body.name,
        email: body.email,
        phone: body.phone,
        company: body.company,
        source: body.source,
        stage: body.stage,
        contact_id: body.contact_id.map(ContactId),
    };
    let lead = flow::create(&app.gateway, &access.actor(), new).await?;
    Ok((StatusCode::CREATED, Answer(lead.into())))
}

/// One lead.
#[utoipa::path(get, path = "/api/v1/leads/{id}", tag = "leads", params(("id" = Uuid, Path)), responses(
    (status = 200, body = LeadView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<LeadId>,
) -> Result<Answer<LeadView>, Problem> {
    let organization = access.needs(Scope::LeadsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let lead = leads::get(&mut session, organization, id).await?;
    lead.map(|lead| Answer(lead.into())).ok_or_else(|| Problem::not_found("lead"))
}

/// Changes a lead.
#[utoipa::path(patch, path = "/api/v1/leads/{id}", tag = "leads", params(("id" = Uuid, Path)),
    request_body = LeadChangeBody, responses(
    (status = 200, body = LeadView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn update(
    State(app): State<App>,
    access: Access,
    Id(id): Id<LeadId>,
    Json(body): Json<LeadChangeBody>,
) -> Result<Answer<LeadView>, Problem> {
    access.needs(Scope::LeadsWrite)?;
    let change = LeadChange {
        name: body.name,
        email: body.email,
        phone: body.phone,
        company: body.company,
        source: body.source,
        stage: body.stage,
    };
    let lead = flow::update(&app.gateway, &access.actor(), id, change).await?;
    Ok(Answer(lead.into()))
}
