//! `/api/v1/routes`: which account carries which of our lines.

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
use crate::flow::routes as flow;
use crate::model::{AccountId, Route, RouteId, Scope};
use crate::store::routes;

/// A line of ours, and the account that carries it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteView {
    /// Its id.
    id: Uuid,
    /// The account.
    account_id: Uuid,
    /// `whatsapp`, `sms`, `email` or `voip`.
    channel: &'static str,
    /// Our number or mailbox.
    address: String,
    /// The provider's own handle of it.
    handle: Option<String>,
    /// `standby` (receives), `active` (receives and sends), `draining` (receives what is still to come) or `retired`.
    state: &'static str,
    /// When it was created.
    created_at: At,
    /// When it was last changed.
    updated_at: At,
}

/// A new route.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AddedView {
    /// The route.
    #[serde(flatten)]
    route: RouteView,
    /// How many items had waited for it in the webhook inbox and are written now.
    claimed_items: usize,
}

/// All routes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RouteList {
    /// The routes, oldest first.
    items: Vec<RouteView>,
}

/// A route to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRouteBody {
    /// The account that carries it.
    account_id: Uuid,
    /// `whatsapp`, `sms`, `email` or `voip`.
    channel: String,
    /// Our number in E.164 form, or our mailbox.
    address: String,
    /// The provider's own handle of it; for Meta its `phone_number_id`.
    handle: Option<String>,
    /// What it does; if not given: `active` where the channel has no active route yet, else `standby`.
    state: Option<String>,
}

/// Another state.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteChangeBody {
    /// `standby`, `active`, `draining` or `retired`.
    state: String,
}

impl From<Route> for RouteView {
    fn from(route: Route) -> Self {
        Self {
            id: route.id.0,
            account_id: route.account_id.0,
            channel: route.channel.word(),
            address: route.address,
            handle: route.handle,
            state: route.state.word(),
            created_at: route.created_at.into(),
            updated_at: route.updated_at.into(),
        }
    }
}

/// The organization's routes.
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes", responses((status = 200, body = RouteList)))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
) -> Result<Answer<RouteList>, Problem> {
    let organization = access.needs(Scope::AccountsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = routes::list(&mut session, organization).await?;
    Ok(Answer(RouteList { items: found.into_iter().map(RouteView::from).collect() }))
}

/// Adds a route, and writes what has waited for it.
#[utoipa::path(post, path = "/api/v1/routes", tag = "routes", request_body = NewRouteBody, responses(
    (status = 201, body = AddedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<NewRouteBody>,
) -> Result<(StatusCode, Answer<AddedView>), Problem> {
    access.needs(Scope::AccountsWrite)?;
    let new = flow::NewRoute {
        account_id: AccountId(body.account_id),
        channel: body.channel,
        address: body.address,
        handle: body.handle,
        state: body.state,
    };
    let added = flow::create(&app.gateway, &access.actor(), new).await?;
    let view = AddedView { route: added.route.into(), claimed_items: added.claimed };
    Ok((StatusCode::CREATED, Answer(view)))
}

/// Changes what a route does. Only one route of a channel is active.
#[utoipa::path(patch, path = "/api/v1/routes/{id}", tag = "routes", params(("id" = Uuid, Path)),
    request_body = RouteChangeBody, responses(
    (status = 200, body = RouteView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn update(
    State(app): State<App>,
    access: Access,
    Id(id): Id<RouteId>,
    Json(body): Json<RouteChangeBody>,
) -> Result<Answer<RouteView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let route = flow::set_state(&app.gateway, &access.actor(), id, &body.state).await?;
    Ok(Answer(route.into()))
}

/// Takes a route away. What still arrives for it waits in the webhook inbox until a route claims it.
#[utoipa::path(delete, path = "/api/v1/routes/{id}", tag = "routes", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn delete(
    State(app): State<App>,
    access: Access,
    Id(id): Id<RouteId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::AccountsWrite)?;
    flow::delete(&app.gateway, &access.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
