//! `/api/v1/contacts`: people, every way to reach them, and merging them.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id, Query, cursor, limit};
use super::times::At;
use super::{App, Problem};
use crate::flow::contacts as flow;
use crate::model::{Contact, ContactId, MergeId, Scope};
use crate::store::{contacts, merges};

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactView {
    /// Its id.
    id: Uuid,
    /// Their name.
    name: Option<String>,
    /// The contact this one was merged into, while the merge lasts.
    merged_into: Option<Uuid>,
    /// Every way to reach them.
    identities: Vec<IdentityView>,
    /// When they were first seen.
    created_at: At,
    /// When anything about them last changed.
    updated_at: At,
}

/// One way to reach a person.
#[derive(Debug, Serialize, ToSchema)]
struct IdentityView {
    /// Its id.
    id: Uuid,
    /// `phone`, `email`, `wa_user` (Meta's user id), `wa_lid` or `handle`.
    kind: String,
    /// The address, as it was received.
    value: String,
    /// The name they go by there.
    name: Option<String>,
    /// Their user name there.
    username: Option<String>,
}

/// A page of contacts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactList {
    /// The contacts.
    items: Vec<ContactView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// A merge of two contacts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MergeView {
    /// Its id, by which it can be taken back.
    id: Uuid,
    /// The contact that stays.
    contact_id: Uuid,
    /// The contact that was merged into it.
    merged_contact_id: Uuid,
    /// The identities that moved.
    identity_ids: Vec<Uuid>,
    /// The leads that moved.
    lead_ids: Vec<Uuid>,
    /// When.
    merged_at: At,
    /// When it was taken back.
    undone_at: Option<At>,
}

/// One contact with the merges it was kept in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactDetail {
    /// The contact.
    #[serde(flatten)]
    contact: ContactView,
    /// The merges in which it was kept, newest first.
    merges: Vec<MergeView>,
}

/// Pages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewContactBody {
    /// Their name.
    name: Option<String>,
    /// Their telephone numbers, in international form or in that of the organization's country.
    #[serde(default)]
    phones: Vec<String>,
    /// Their e-mail addresses.
    #[serde(default)]
    emails: Vec<String>,
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameBody {
    /// The name.
    name: String,
}

/// Another contact to merge into this one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeBody {
    /// The contact that goes.
    merge_contact_id: Uuid,
    /// Why, for people.
    reason: Option<String>,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        let identity = |identity: crate::model::Identity| IdentityView {
            id: identity.id.0,
            kind: identity.kind,
            value: identity.value,
            name: identity.name,
            username: identity.username,
        };
        Self {
            id: contact.id.0,
            name: contact.name,
            merged_into: contact.merged_into.map(|id| id.0),
            identities: contact.identities.into_iter().map(identity).collect(),
            created_at: contact.created_at.into(),
            updated_at: contact.updated_at.into(),
        }
    }
}

impl From<merges::Merge> for MergeView {
    fn from(merge: merges::Merge) -> Self {
        Self {
            id: merge.id.0,
            contact_id: merge.kept.0,
            merged_contact_id: merge.merged.0,
            identity_ids: merge.identities,
            lead_ids: merge.leads,
            merged_at: merge.merged_at.into(),
            undone_at: merge.undone_at.map(At),
        }
    }
}

/// Contacts, newest first.
#[utoipa::path(get, path = "/api/v1/contacts", tag = "contacts", params(Page), responses(
    (status = 200, body = ContactList),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Page>,
) -> Result<Answer<ContactList>, Problem> {
    let organization = access.needs(Scope::LeadsRead)?;
    let (limit, before) = (limit(query.limit)?, cursor(query.cursor.as_deref())?);
    let mut session = app.gateway.store.read(organization).await?;
    let found = contacts::list(&mut session, organization, before, limit).await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next_cursor = found.last().filter(|_| full).map(|contact| contact.id.0);
    let items = found.into_iter().map(ContactView::from).collect();
    Ok(Answer(ContactList { items, next_cursor }))
}

/// Adds a contact. An address that somebody has already, in any spelling, is a conflict.
#[utoipa::path(post, path = "/api/v1/contacts", tag = "contacts", request_body = NewContactBody, responses(
    (status = 201, body = ContactView),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<NewContactBody>,
) -> Result<(StatusCode, Answer<ContactView>), Problem> {
    access.needs(Scope::LeadsWrite)?;
    let new = flow::NewContact { name: body.name, phones: body.phones, emails: body.emails };
    let contact = flow::create(&app.gateway, &access.actor(), new).await?;
    Ok((StatusCode::CREATED, Answer(contact.into())))
}

/// One contact.
#[utoipa::path(get, path = "/api/v1/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ContactDetail),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<ContactId>,
) -> Result<Answer<ContactDetail>, Problem> {
    let organization = access.needs(Scope::LeadsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let contact = contacts::get(&mut session, organization, id).await?;
    let contact = contact.ok_or_else(|| Problem::not_found("contact"))?;
    let merges = merges::of_contact(&mut session, organization, id).await?;
    let merges = merges.into_iter().map(MergeView::from).collect();
    Ok(Answer(ContactDetail { contact: contact.into(), merges }))
}

/// Gives a contact another name.
#[utoipa::path(patch, path = "/api/v1/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    request_body = RenameBody, responses(
    (status = 200, body = ContactView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn rename(
    State(app): State<App>,
    access: Access,
    Id(id): Id<ContactId>,
    Json(body): Json<RenameBody>,
) -> Result<Answer<ContactView>, Problem> {
    access.needs(Scope::LeadsWrite)?;
    let contact = flow::rename(&app.gateway, &access.actor(), id, &body.name).await?;
    Ok(Answer(contact.into()))
}

/// Merges another contact into this one: its identities and leads move here, at once, whatever their history. The merge can
/// be taken back.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/merge", tag = "contacts", params(("id" = Uuid, Path)),
    request_body = MergeBody, responses(
    (status = 201, body = MergeView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn merge(
    State(app): State<App>,
    access: Access,
    Id(id): Id<ContactId>,
    Json(body): Json<MergeBody>,
) -> Result<(StatusCode, Answer<MergeView>), Problem> {
    access.needs(Scope::LeadsWrite)?;
    let other = ContactId(body.merge_contact_id);
    let reason = body.reason.as_deref();
    let merge = flow::merge(&app.gateway, &access.actor(), id, other, reason).await?;
    Ok((StatusCode::CREATED, Answer(merge.into())))
}

/// Takes a merge back: what moved returns. If the contact it kept was merged further, that merge is to be taken back first (409).
#[utoipa::path(post, path = "/api/v1/contact-merges/{id}/undo", tag = "contacts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = MergeView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn unmerge(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MergeId>,
) -> Result<Answer<MergeView>, Problem> {
    access.needs(Scope::LeadsWrite)?;
    let merge = flow::unmerge(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(merge.into()))
}
