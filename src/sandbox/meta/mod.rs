//! Emulates Meta's Graph API for WhatsApp, as `/meta/{version}/…`.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference>

mod content;
mod errors;
mod interactive;
mod media;
mod people;
mod send;
mod templates;
mod webhooks;

use std::sync::Arc;

use serde_json::{Value, json};

use super::accounts::{SandboxAccount, digits};
use super::emulator::{self, Emulator, Sight};
use super::exchange::{Answer, Handled, Request};
use super::faults::On;
use super::world::World;
use errors::fail;
pub(super) use people::People;
pub(super) use templates::Templates;

pub(super) static EMULATOR: Emulator = Emulator {
    name: "meta",
    sight,
    answer,
    refusal: errors::refusal,
    failing: &["failed"],
    letters: webhooks::letters,
    arrive: webhooks::arrive,
    sign: emulator::sign_as_provider,
};

fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').and_then(|number| number.split_once('.'));
    number.is_some_and(|(major, minor)| {
        [major, minor]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn sight(world: &World, request: &Request) -> Sight {
    let path = request.segments(1);
    let id = path.get(1).map_or("", String::as_str);
    let owner = world.files().get(id).map(|file| file.owner.1.clone());
    let mid = request.query().get("mid").map(ToOwned::to_owned);
    let account = world.find_account("meta", |account| {
        account.is_named(id)
            || owner.as_deref() == Some(account.name())
            || mid.as_ref().is_some_and(|mid| {
                world.files().get(mid).is_some_and(|file| file.owner.1 == account.name())
            })
    });
    let (mut on, mut to) = (On::Other, None);
    match path.get(2).map(String::as_str) {
        Some("messages") => {
            let body = request.json().unwrap_or_default();
            if body.get("status").is_none() {
                on = On::Send;
                let named = body["to"].as_str().or_else(|| body["recipient"].as_str());
                to = named.map(ToOwned::to_owned);
            }
        }
        Some("media") => on = On::Media,
        _ if owner.is_some() || mid.is_some() => on = On::Media,
        _ => {}
    }
    Sight { account, on, to }
}

/// The accounts whose token the request has. Never empty.
fn authenticate(world: &World, request: &Request) -> Result<Vec<Arc<SandboxAccount>>, Answer> {
    let Some(token) = request.bearer() else {
        return Err(fail(104, "An access token is required to request this resource."));
    };
    let mut accounts = world.accounts_of("meta");
    accounts.retain(|account| account.secret("access_token") == token);
    if accounts.is_empty() {
        return Err(fail(190, "Invalid OAuth access token - Cannot parse access token"));
    }
    Ok(accounts)
}

fn answer(world: &Arc<World>, request: &Request) -> Handled {
    let path = request.segments(1);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if path.first() == Some(&"lookaside") {
        return media::download(world, request);
    }
    let accounts = authenticate(world, request)?;
    let Some((_, path)) = path.split_first().filter(|(version, _)| is_version(version)) else {
        return Err(fail(2500, "Unknown path components"));
    };
    let of = |id: &str| accounts.iter().find(|account| account.is_named(id)).cloned();
    let phone = |id: &str| {
        let owner = accounts.iter().find(|account| is_phone(account, id)).cloned();
        owner.ok_or_else(|| errors::unknown_object(request, id))
    };
    let template = |id: &str| {
        let has = |account: &&Arc<SandboxAccount>| world.templates().has(account.name(), id);
        accounts.iter().find(has).cloned()
    };
    match (request.method.as_str(), path) {
        ("POST", [id, "messages"]) => send::answer(world, &phone(id)?, id, request),
        ("POST", [id, "media"]) => media::upload(world, &phone(id)?, request),
        (method, [waba, "message_templates"]) if of(waba).is_some_and(|it| it.name() == *waba) => {
            let account = of(waba).unwrap_or_else(|| Arc::clone(&accounts[0]));
            templates::answer(world, &account, method, request)
        }
        ("GET" | "POST", [id]) if template(id).is_some() => {
            let account = template(id).unwrap_or_else(|| Arc::clone(&accounts[0]));
            templates::one(world, &account, id, request)
        }
        ("GET", [waba, "phone_numbers"]) => {
            let account = of(waba).filter(|account| account.name() == *waba);
            let account = account.ok_or_else(|| errors::unknown_object(request, waba))?;
            let numbers: Vec<_> = account
                .routes
                .iter()
                .filter_map(|route| Some(number(route.handle.as_deref()?, &route.address)))
                .collect();
            Ok(Answer::json(200, &json!({ "data": numbers })))
        }
        ("GET", [id]) if of(id).is_some() => {
            Ok(object(&of(id).unwrap_or_else(|| accounts[0].clone()), id))
        }
        ("GET", [id]) => media::describe(world, &accounts, id, request),
        ("DELETE", [id]) => media::delete(world, &accounts, id, request),
        ("POST", [id, "register" | "subscribed_apps"]) if of(id).is_some() => {
            Ok(Answer::json(200, &json!({ "success": true })))
        }
        (_, [id, ..]) => Err(errors::unknown_object(request, id)),
        _ => Err(fail(2500, "Unknown path components")),
    }
}

fn is_phone(account: &SandboxAccount, id: &str) -> bool {
    account.routes.iter().any(|route| route.handle.as_deref() == Some(id))
}

fn number(handle: &str, address: &str) -> Value {
    json!({
        "id": handle,
        "display_phone_number": address,
        "verified_name": "Sandbox",
        "code_verification_status": "VERIFIED",
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "throughput": { "level": "STANDARD" },
    })
}

/// A WABA or one of its numbers.
fn object(account: &SandboxAccount, id: &str) -> Answer {
    let route = account.routes.iter().find(|route| route.handle.as_deref() == Some(id));
    let body = match route {
        Some(route) => number(id, &route.address),
        None => json!({
            "id": account.name(),
            "name": "Sandbox",
            "timezone_id": "1",
            "message_template_namespace": "5ba2c0d4_0b1e_4f7a_8c3d_2e9f6a7b8c9d",
        }),
    };
    Answer::json(200, &body)
}

/// How WhatsApp itself writes a number: Brazilian mobiles outside the states with area codes up to 28 have no ninth digit.
fn wa_id(number: &str) -> String {
    let digits = digits(number);
    let area = digits.get(2..4).and_then(|area| area.parse::<u8>().ok());
    let ninth = digits.len() == 13 && digits.starts_with("55") && digits.get(4..5) == Some("9");
    match area {
        Some(31..) if ninth => format!("{}{}", &digits[..4], &digits[5..]),
        _ => digits,
    }
}
