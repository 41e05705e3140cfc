//! The control API, for tests and people: what was received, what shall go wrong, what people write.
//!
//! It has no password: the sandbox listens on loopback and holds nothing that is real.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::accounts::{self, PROVIDERS, SandboxAccount, SandboxRoute};
use super::emulator::{self, Inbound};
use super::exchange::{Answer, Handled, Request};
use super::faults::Fault;
use super::journal::SeenMessage;
use super::post::{Hold, Post};
use super::world::World;
use super::{schedule, waha};

/// How many entries a list has at most, and unless asked otherwise.
const PAGE: usize = 1_000;

/// The endpoints, as `switchboard sandbox` prints them.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("GET  /control/messages", "accepted messages, newest first; ?provider= ?ours= ?to= ?limit="),
    ("GET  /control/requests", "received requests, newest first; ?provider= ?limit="),
    ("GET  /control/counts", "accepted in all, and our ids that were accepted more than once"),
    ("GET  /control/webhooks", "webhooks delivered, refused, given up and still to come"),
    ("GET  /control/accounts", "the accounts, without their secrets"),
    (
        "POST /control/accounts",
        "{provider, settings, secrets, signing_secret, routes, webhook_url, limits}",
    ),
    (
        "POST /control/inbound",
        "{provider, account|to, from, text|media|location|button, location_name, location_address, name, reply_to, group}",
    ),
    ("GET  /control/faults", "the faults that wait"),
    (
        "POST /control/faults",
        "{provider, account, to, next|always, on: send|media|other|any, kind: delay_before|delay_after {ms} | status \
         {status, code, retry_after} | drop_before | drop_after | fail_status|fail_late {code} | duplicate_webhooks | \
         reorder_webhooks | lose_webhooks | expired_media | revoked_token | recipient_blocked}",
    ),
    ("POST /control/hold", "{provider, account}: status webhooks wait until they are released"),
    ("POST /control/release", "what is held goes out"),
    ("POST /control/clear", "no faults and nothing held any more"),
    (
        "POST /control/clock",
        "{advance_ms}: windows, rates and links grow older, and what is scheduled is sent",
    ),
    (
        "POST /control/session",
        "{session, status}: a WAHA session changes (WORKING after a scan, FAILED, …)",
    ),
    ("POST /control/settle", "answers when every webhook was delivered or given up"),
];

/// What stands at `/`.
pub(super) fn contents(world: &World) -> Value {
    let base = world.base();
    let bases: Vec<String> = PROVIDERS.iter().map(|name| format!("{base}/{name}")).collect();
    let endpoints: Vec<Value> =
        ENDPOINTS.iter().map(|(path, about)| json!({ "path": path, "about": about })).collect();
    json!({ "providers": bases, "control": endpoints })
}

/// Answers a request to the control API.
pub(super) async fn answer(world: &Arc<World>, request: &Request) -> Answer {
    let path = request.segments(1);
    let waited = match (request.method.as_str(), path.first().map(String::as_str)) {
        ("POST", Some("inbound")) => Some(inbound(world, request).await),
        ("POST", Some("settle")) => {
            world.post.settled().await;
            Some(Ok(Answer::json(200, &json!(world.post.posted()))))
        }
        ("POST", Some("session")) => Some(session(world, request).await),
        _ => None,
    };
    let handled = waited.unwrap_or_else(|| match (request.method.as_str(), &path[..]) {
        ("GET", [one]) => read(world, request, one),
        ("POST", [one]) => change(world, request, one),
        _ => Err(refused(404, "there is no such control")),
    });
    handled.unwrap_or_else(|answer| answer)
}

fn read(world: &World, request: &Request, what: &str) -> Handled {
    let query = request.query();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE);
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let body = match what {
        "messages" => {
            let journal = world.journal();
            let fits = |seen: &SeenMessage| {
                is("provider", &seen.provider)
                    && is("ours", seen.ours.as_deref().unwrap_or_default())
                    && is("to", &seen.to)
                    && is("id", &seen.id)
            };
            // Only what is shown is copied: somebody may ask for one of many thousands, over and over.
            let all = journal.messages().rev().filter(|message| message.with(|seen| fits(seen)));
            json!(all.take(limit).map(|message| message.seen()).collect::<Vec<_>>())
        }
        "requests" => {
            let journal = world.journal();
            let all = journal.requests().rev().filter(|seen| is("provider", &seen.provider));
            json!(all.take(limit).collect::<Vec<_>>())
        }
        "counts" => match query.get("ours") {
            Some(ours) => json!({ "ours": ours, "count": world.journal().count_of(ours) }),
            None => json!(world.journal().counts()),
        },
        "webhooks" => json!(world.post.posted()),
        "faults" => json!(world.faults().armed()),
        "accounts" => json!(
            PROVIDERS
                .iter()
                .flat_map(|provider| world.accounts_of(provider))
                .map(|account| shown(&account))
                .collect::<Vec<_>>()
        ),
        _ => return Err(refused(404, "there is no such control")),
    };
    Ok(Answer::json(200, &body))
}

fn shown(account: &SandboxAccount) -> Value {
    json!({
        "provider": account.provider,
        "name": account.name(),
        "settings": account.settings,
        "routes": account.routes,
        "webhook_url": account.webhook_url,
        "limits": account.strictness(),
    })
}

fn change(world: &Arc<World>, request: &Request, what: &str) -> Handled {
    match what {
        "accounts" => {
            let account: SandboxAccount = body(request)?;
            world.add_account(account).map_err(|reason| refused(422, &reason))?;
        }
        "faults" => {
            let fault: Fault = body(request)?;
            if emulator::of(&fault.provider).is_none() {
                return Err(refused(422, "there is no such provider"));
            }
            if !world.faults().arm(fault) {
                return Err(refused(422, "too many faults wait already"));
            }
        }
        "hold" => {
            let wanted: Value = body(request)?;
            let text = |name: &str| wanted[name].as_str().map(ToOwned::to_owned);
            let provider = text("provider").ok_or_else(|| refused(422, "provider is missing"))?;
            world.post.hold(Hold { provider, account: text("account") });
        }
        "release" => world.post.release(),
        "clear" => {
            world.faults().clear();
            world.post.release();
        }
        "clock" => {
            let wanted: Value = body(request)?;
            let ms = wanted["advance_ms"].as_i64();
            let by = ms.and_then(TimeDelta::try_milliseconds);
            world.advance(by.ok_or_else(|| refused(422, "advance_ms must be a number"))?);
            schedule::launch(world);
        }
        _ => return Err(refused(404, "there is no such control")),
    }
    Ok(Answer::empty(204))
}

async fn inbound(world: &Arc<World>, request: &Request) -> Handled {
    let (id, answers) =
        arrive(world, &body(request)?).await.map_err(|reason| refused(422, &reason))?;
    Ok(Answer::json(201, &json!({ "id": id, "answers": answers })))
}

/// Delivers a message of a person. Returns the provider's id of it, and how each webhook was answered first (`None`: not at
/// all).
pub(super) async fn arrive(
    world: &Arc<World>,
    inbound: &Inbound,
) -> Result<(String, Vec<Option<u16>>), String> {
    let emulator = emulator::of(&inbound.provider).ok_or("there is no such provider")?;
    let account = world
        .find_account(emulator.name, |account| {
            inbound.account.as_ref().is_none_or(|name| account.is_named(name))
                && inbound.to.as_ref().is_none_or(|line| account.route(line).is_some())
        })
        .ok_or("there is no such account")?;
    let carries = |channel: &str| match &inbound.channel {
        Some(wanted) => channel == wanted,
        None => matches!(channel, "whatsapp" | "sms"),
    };
    let wanted = inbound.to.as_deref();
    let named = |route: &&SandboxRoute| {
        carries(&route.channel)
            && wanted.is_none_or(|line| {
                route.address.trim_start_matches('+') == line.trim_start_matches('+')
                    || route.handle.as_deref() == Some(line)
            })
    };
    let route = account.routes.iter().find(named).cloned().ok_or("there is no such line")?;
    let person = accounts::person(&inbound.from);
    {
        let mut limits = world.limits();
        let heard = inbound.group.as_deref().unwrap_or(&person);
        limits.heard(&route.address, heard, world.later());
        if let Some(user) = inbound.user_id.as_ref().filter(|_| inbound.group.is_none()) {
            limits.heard(&route.address, user, world.later());
        }
        limits.read(&route.address, &person, inbound.text.as_deref().unwrap_or_default());
    }
    let arrival = (emulator.arrive)(world, &account, &route, inbound);
    let mut answers = Vec::new();
    for letter in arrival.letters {
        answers.push(Post::send(world, &account, letter).await);
    }
    Ok((arrival.id, answers))
}

async fn session(world: &Arc<World>, request: &Request) -> Handled {
    let wanted: Value = body(request)?;
    let (Some(name), Some(status)) = (wanted["session"].as_str(), wanted["status"].as_str()) else {
        return Err(refused(422, "session and status are missing"));
    };
    let letters = waha::set_status(world, name, status).map_err(|why| refused(422, &why))?;
    for (account, letter) in letters {
        Post::send(world, &account, letter).await;
    }
    Ok(Answer::empty(204))
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    serde_json::from_slice(&request.body).map_err(|error| refused(422, &error.to_string()))
}

fn refused(status: u16, reason: &str) -> Answer {
    Answer::json(status, &json!({ "error": reason }))
}
