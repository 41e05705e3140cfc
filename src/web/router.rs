//! Every route: the table of contents of the API.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    App, Problem, accounts, audit, calls, communications, contacts, docs, events, health, inbox,
    keys, leads, limits, lines, media, members, messages, raw, routes as line_routes, sending,
    voip,
};

/// Everything but webhooks, which [`super::Front`] takes a short way.
pub(super) fn build(app: App) -> Router {
    let (api, description) = api().split_for_parts();
    let limit = app.gateway.config.server.api_body_bytes;
    let api = match app.requests.is_on() {
        true => api.layer(from_fn(limits::tell)),
        false => api,
    };
    Router::new()
        .merge(api.layer(DefaultBodyLimit::max(limit)))
        .merge(docs::router(description))
        .route("/media/{token}", get(media::linked))
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .fallback(|| async { Problem::not_found("page").into_response() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().into_response() })
        .with_state(app)
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::Description::openapi())
        // Communications
        .routes(routes!(communications::list, communications::create))
        .routes(routes!(voip::report))
        .routes(routes!(messages::list, sending::messages::send))
        .routes(routes!(sending::messages::bulk))
        .routes(routes!(messages::get))
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
        .merge(outgoing())
        // Files
        .routes(routes!(media::upload))
        .routes(routes!(media::get))
        .routes(routes!(media::fetch))
        // People
        .routes(routes!(contacts::list, contacts::create))
        .routes(routes!(contacts::get, contacts::rename))
        .routes(routes!(contacts::merge))
        .routes(routes!(contacts::unmerge))
        .routes(routes!(leads::list, leads::create))
        .routes(routes!(leads::get, leads::update))
        // Lines
        .routes(routes!(accounts::providers))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::get, accounts::update, accounts::delete))
        .routes(routes!(accounts::rotate))
        .routes(routes!(accounts::notices))
        .routes(routes!(lines::probe::probe))
        .routes(routes!(lines::templates::sync_templates))
        .routes(routes!(lines::drafts::create_template))
        .routes(routes!(lines::drafts::change_template, lines::drafts::delete_template))
        .routes(routes!(lines::sessions::get))
        .routes(routes!(lines::sessions::start_session))
        .routes(routes!(lines::sessions::stop_session))
        .routes(routes!(lines::sessions::log_out_session))
        .routes(routes!(lines::sessions::pair_session))
        .routes(routes!(line_routes::list, line_routes::create))
        .routes(routes!(line_routes::update, line_routes::delete))
        // What came in, and what changed
        .routes(routes!(inbox::list))
        .routes(routes!(inbox::get, inbox::discard))
        .routes(routes!(inbox::replay))
        .routes(routes!(inbox::replay_range))
        .routes(routes!(raw::requests))
        .routes(routes!(raw::request))
        .routes(routes!(raw::replay_request))
        .routes(routes!(events::list))
        // Who may do what, and who did
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(members::list, members::set))
        .routes(routes!(members::remove))
        .routes(routes!(audit::list))
        // Health
        .routes(routes!(health::alive))
        .routes(routes!(health::crm))
        .routes(routes!(health::prometheus))
}

/// Sending, and what belongs to it.
fn outgoing() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sending::messages::cancel))
        .routes(routes!(sending::messages::retry))
        .routes(routes!(sending::messages::edit))
        .routes(routes!(sending::messages::resolve))
        .routes(routes!(sending::messages::discard))
        .routes(routes!(sending::queue::overview))
        .routes(routes!(sending::queue::resume))
        .routes(routes!(sending::queue::dead_letters, sending::queue::decide_all))
        .routes(routes!(
            sending::suppressions::list,
            sending::suppressions::create,
            sending::suppressions::delete
        ))
        .routes(routes!(lines::receipts::mark_read))
        .routes(routes!(lines::templates::list))
}
