//! The API's description (OpenAPI 3.1), and a page that shows it without a network.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;

/// What is said once about the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Switchboard",
        description = "A multi-tenant communications gateway: WhatsApp, voice, SMS and e-mail in one timeline per lead.\n\n\
            Every request names its organization in `X-Org-Id` and carries an API key or a token of the CRM's identity \
            provider as `Authorization: Bearer …`. Errors are problem documents (RFC 9457). Lists are read page by page: \
            `next_cursor` is the `cursor` of the next page. Members that are not described here are refused in requests and \
            may appear in answers at any time.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    security(("key" = [], "organization" = [])),
    modifiers(&Security),
    paths(super::hooks::shared, super::hooks::own, super::hooks::meta),
    tags(
        (name = "communications", description = "Messages and calls in one order."),
        (name = "messages", description = "Messages, and how far each has come."),
        (name = "calls", description = "Calls, and what became known of each."),
        (name = "contacts", description = "People, every way to reach them, and merging them."),
        (name = "leads", description = "The CRM's view of a contact."),
        (name = "accounts", description = "Accounts at providers."),
        (name = "routes", description = "Which account carries which of our lines."),
        (name = "webhook-inbox", description = "Webhooks as they came, and what of them waits."),
        (name = "events", description = "One stream of everything that changes."),
        (name = "access", description = "API keys, members, and who did what."),
        (name = "webhooks", description = "Where the providers call."),
        (name = "health", description = "Is everything well?"),
    )
)]
pub(super) struct Description;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key (`sbk_…`) or a token of the identity provider."))
            .build();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        let organization = ApiKeyValue::with_description("X-Org-Id", "The organization's id.");
        components.add_security_scheme(
            "organization",
            SecurityScheme::ApiKey(ApiKey::Header(organization)),
        );
        let voip = ApiKeyValue::with_description(
            "X-VoIP-API-Key",
            "An API key with the scope `voip:write`.",
        );
        components.add_security_scheme("voip", SecurityScheme::ApiKey(ApiKey::Header(voip)));
    }
}

/// `/docs` and `/openapi.json`. Everything the page needs is in the program.
pub(super) fn router(description: utoipa::openapi::OpenApi) -> Router<App> {
    let config =
        Config::new(["/openapi.json"]).persist_authorization(true).display_request_duration(true);
    SwaggerUi::new("/docs").url("/openapi.json", description).config(config).into()
}
