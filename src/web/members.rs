//! `/api/v1/members`: people who sign in through the identity provider.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id};
use super::times::At;
use super::{App, Problem};
use crate::flow::access;
use crate::model::{Member, Role, Scope, UserId};
use crate::store::members;

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberView {
    /// The person.
    user_id: Uuid,
    /// Their e-mail address.
    email: String,
    /// What this organization calls them.
    name: Option<String>,
    /// `owner`, `admin` or `member`.
    role: &'static str,
    /// Since when.
    created_at: At,
}

/// All members.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberList {
    /// The members, by e-mail address.
    items: Vec<MemberView>,
}

/// A person, and what they shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberBody {
    /// Their e-mail address, as the identity provider knows it.
    email: String,
    /// What this organization calls them; if not given, what it did before.
    name: Option<String>,
    /// `owner`, `admin` or `member`.
    role: String,
}

/// A person who is a member now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SetView {
    /// The person.
    user_id: Uuid,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user_id.0,
            email: member.email,
            name: member.name,
            role: member.role.word(),
            created_at: member.created_at.into(),
        }
    }
}

/// The organization's members.
#[utoipa::path(get, path = "/api/v1/members", tag = "access", responses((status = 200, body = MemberList)))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
) -> Result<Answer<MemberList>, Problem> {
    let organization = access.needs(Scope::MembersRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = members::list(&mut session, organization).await?;
    Ok(Answer(MemberList { items: found.into_iter().map(MemberView::from).collect() }))
}

/// Makes a person a member, or changes what they are. Nobody gives or takes a role that may do more than they may.
#[utoipa::path(put, path = "/api/v1/members", tag = "access", request_body = MemberBody, responses(
    (status = 200, body = SetView),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn set(
    State(app): State<App>,
    access: Access,
    Json(body): Json<MemberBody>,
) -> Result<Answer<SetView>, Problem> {
    access.needs(Scope::MembersWrite)?;
    let role = Role::from_word(&body.role)
        .ok_or_else(|| Problem::invalid("role", "must be owner, admin or member"))?;
    let (gateway, actor, name) = (&app.gateway, access.actor(), body.name.as_deref());
    let user = access::set_member(gateway, &actor, &body.email, name, role).await?;
    Ok(Answer(SetView { user_id: user.0 }))
}

/// Ends a membership. The last owner stays. Nobody takes a role that may do more than they may.
#[utoipa::path(delete, path = "/api/v1/members/{id}", tag = "access", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(app): State<App>,
    access: Access,
    Id(id): Id<UserId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::MembersWrite)?;
    access::remove_member(&app.gateway, &access.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
