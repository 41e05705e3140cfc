//! The API's description (OpenAPI 3.1), and a page that shows it without a network.

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Responses,
    Type,
};
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
        (name = "media", description = "Files: those that came, and those to be sent."),
        (name = "sending", description = "Sending messages, what waits to be sent, and what was given up."),
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
pub(super) fn router(mut description: utoipa::openapi::OpenApi) -> Router<App> {
    for (path, item) in &mut description.paths.paths {
        complete(path, item);
    }
    // Without this the page asks a validator on the internet what it thinks of our description.
    let config = Config::new(["/openapi.json"])
        .validator_url("none")
        .persist_authorization(true)
        .display_request_duration(true);
    SwaggerUi::new("/docs").url("/openapi.json", description).config(config).into()
}

/// Adds what is the same everywhere, and would be forgotten somewhere if every handler had to say it.
fn complete(path: &str, item: &mut PathItem) {
    if is_webhook(path) {
        item.get = item.post.as_ref().map(challenge);
    }
    let operations = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    for (method, operation) in operations {
        let Some(operation) = operation else { continue };
        let function = operation.operation_id.take().unwrap_or_default();
        operation.operation_id = Some(operation_id(path, &method, &function));
        if path.starts_with("/api/") {
            let common: &[&str] = match (is_webhook(path), operation.request_body.is_some()) {
                (true, _) => &["401", "403"],
                (false, true) => &["400", "401", "403", "413", "415", "422", "429"],
                (false, false) => &["401", "403", "422", "429"],
            };
            for status in common {
                let responses = &mut operation.responses.responses;
                responses.entry((*status).to_owned()).or_insert_with(|| problem().into());
            }
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response
                && response.description.is_empty()
            {
                meaning(status).clone_into(&mut response.description);
            }
        }
    }
}

fn is_webhook(path: &str) -> bool {
    path.starts_with("/hooks/") || path.ends_with("/webhook")
}

/// What a status means wherever it is answered.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done; what was asked for",
        "201" => "Created",
        "204" => "Done; there is nothing to say about it",
        "400" => "The request cannot be read",
        "401" => "No proof of who asks, or one that is not valid",
        "403" => "A scope is missing, or the key or token belongs to another organization",
        "404" => "There is no such thing in this organization",
        "409" => "It cannot be done as things stand",
        "410" => "It was there once, and is no longer kept",
        "413" => "The body is too large",
        "415" => "The body is not `application/json`",
        "422" => "A field is wrong; `errors` names it",
        "429" => {
            "Too many requests within a minute, where they are limited, or too many searches at once; `Retry-After` says when \
             to come again"
        }
        "502" => "The provider refused; `provider_code` is its code",
        "504" => "The provider did not answer",
        "503" => "It cannot be done now; try again",
        _ => "See the status",
    }
}

/// An id for whoever generates a client: `list_leads`, `get_lead`, `list_account_notices`, `merge_contact`. `function` is
/// the handler's name, of which many files have the same.
fn operation_id(path: &str, method: &HttpMethod, function: &str) -> String {
    let Some(resource) = path.strip_prefix("/api/v1/").filter(|_| !is_webhook(path)) else {
        let kind = if is_webhook(path) { "webhook" } else { "health" };
        let check = if *method == HttpMethod::Get && is_webhook(path) { "_challenge" } else { "" };
        return format!("{function}_{kind}{check}");
    };
    let parts: Vec<&str> = resource.trim_start_matches("crm/").split('/').collect();
    let mut words = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.starts_with('{')) {
        let word = part.replace('-', "_");
        let is_one = parts.get(index + 1).is_some_and(|next| next.starts_with('{'));
        let is_one = is_one || *method != HttpMethod::Get;
        words.push(if is_one { word.trim_end_matches('s').to_owned() } else { word });
    }
    match *method {
        HttpMethod::Get if resource.ends_with('}') => format!("get_{}", words.join("_")),
        HttpMethod::Get => format!("list_{}", words.join("_")),
        _ => format!("{function}_{}", words[0]),
    }
}

fn problem() -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = Content::new(Some(schema));
    ResponseBuilder::new().content("application/problem+json", content).build()
}

/// What Meta asks once, when a webhook's URL is registered, at the same path as the webhooks themselves.
fn challenge(webhook: &Operation) -> Operation {
    let parameter = |name: &str, about: &str| -> Parameter {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        parameter.required(Required::True).description(Some(about)).schema(Some(text)).build()
    };
    let ours = [
        parameter("hub.mode", "Always `subscribe`."),
        parameter("hub.verify_token", "The account's `verify_token`."),
        parameter("hub.challenge", "What to answer."),
    ];
    let mut operation = webhook.clone();
    operation.summary = Some("Answers Meta's subscription check.".to_owned());
    operation.description =
        Some("The answer is `hub.challenge`, if `hub.verify_token` is that of an account.".into());
    operation.request_body = None;
    operation.parameters.get_or_insert_default().extend(ours.into_iter().map(RefOr::T));
    let text = ObjectBuilder::new().schema_type(Type::String);
    let answer = ResponseBuilder::new()
        .description("The challenge")
        .content("text/plain", Content::new(Some(text)));
    let mut refused = problem();
    "The token is no account's, or the query is not Meta's".clone_into(&mut refused.description);
    operation.responses = Responses::new();
    operation.responses.responses.insert("200".to_owned(), answer.build().into());
    operation.responses.responses.insert("403".to_owned(), refused.into());
    operation.responses.responses.insert("404".to_owned(), problem().into());
    operation
}
