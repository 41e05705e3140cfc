//! Emulates Telnyx's messaging API, as `/telnyx/v2/…`.
//! <https://developers.telnyx.com/api-reference/messages/send-a-message>

mod cancel;
mod errors;
mod send;
mod sender;
mod view;
mod webhooks;
mod whatsapp;

use std::sync::Arc;

use serde_json::json;

use super::accounts::SandboxAccount;
use super::emulator::{self, Emulator, Sight};
use super::exchange::{Answer, Handled, Request};
use super::faults::On;
use super::world::World;
use errors::fail;

pub(super) static EMULATOR: Emulator = Emulator {
    name: "telnyx",
    sight,
    answer,
    refusal: errors::refusal,
    failing: &["sent", "delivery_failed"],
    letters: webhooks::letters,
    arrive: webhooks::arrive,
    sign: emulator::sign_as_provider,
};

fn sight(world: &World, request: &Request) -> Sight {
    let body = request.json().unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (from, profile) = (text("from"), text("messaging_profile_id"));
    let key = request.bearer().unwrap_or_default();
    let account = world
        .find_account("telnyx", |account| account.is_named(&from) || account.is_named(&profile))
        .or_else(|| world.find_account("telnyx", |account| account.secret("api_key") == key));
    let path = request.segments(1);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let sends = request.method == "POST"
        && (path == ["v2", "messages", "whatsapp"] || send::way(&path).is_some());
    let on = if sends { On::Send } else { On::Other };
    Sight { account, on, to: body["to"].as_str().map(ToOwned::to_owned) }
}

/// The accounts whose key the request has. Never empty.
fn authenticate(world: &World, request: &Request) -> Result<Vec<Arc<SandboxAccount>>, Answer> {
    // Whoever brings no key at all is told of no such place.
    let key = request.bearer().ok_or_else(nowhere)?;
    let mut accounts = world.accounts_of("telnyx");
    accounts.retain(|account| account.secret("api_key") == key);
    if accounts.is_empty() {
        return Err(fail("10009", None, "No key found matching the ID."));
    }
    Ok(accounts)
}

fn profiles(account: &SandboxAccount) -> Vec<&str> {
    let ids = account.setting("messaging_profile_ids").unwrap_or_default();
    ids.split([',', ' ']).filter(|id| !id.is_empty()).collect()
}

fn answer(world: &Arc<World>, request: &Request) -> Handled {
    let accounts = authenticate(world, request)?;
    let path = request.segments(1);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (request.method.as_str(), &path[..]) {
        ("POST", ["v2", "messages", "whatsapp"]) => whatsapp::answer(world, &accounts, request),
        ("POST", path) if let Some(way) = send::way(path) => {
            send::answer(world, &accounts, way, request)
        }
        ("GET", ["v2", "messages", id]) => view::one(world, &accounts, id),
        ("DELETE", ["v2", "messages", id]) => cancel::answer(world, &accounts, id),
        ("GET", ["v2", "balance"]) => Ok(Answer::json(
            200,
            &json!({ "data": {
                "record_type": "balance",
                "balance": "300.00",
                "credit_limit": "100.00",
                "available_credit": "400.00",
                "pending": "10.00",
                "currency": "USD",
            } }),
        )),
        ("GET", ["v2", "messaging_profiles"]) => {
            let found: Vec<_> = accounts
                .iter()
                .flat_map(|account| profiles(account).into_iter().map(|id| profile(account, id)))
                .collect();
            Ok(Answer::json(200, &json!({ "data": found, "meta": meta(found.len()) })))
        }
        ("GET", ["v2", "messaging_profiles", id]) => {
            let account = accounts.iter().find(|account| profiles(account).contains(id));
            let account = account.ok_or_else(|| fail("10005", None, "Resource not found"))?;
            Ok(Answer::json(200, &json!({ "data": profile(account, id) })))
        }
        ("GET", ["v2", "messaging_profiles", id, "phone_numbers"]) => {
            let account = accounts.iter().find(|account| profiles(account).contains(id));
            let account = account.ok_or_else(|| fail("10005", None, "Resource not found"))?;
            let numbers: Vec<_> = sender::pool(account)
                .map(|number| {
                    json!({
                        "record_type": "messaging_phone_number",
                        "id": number,
                        "phone_number": number,
                        "messaging_profile_id": id,
                        "type": "long-code",
                    })
                })
                .collect();
            Ok(Answer::json(200, &json!({ "data": numbers, "meta": meta(numbers.len()) })))
        }
        _ => Err(nowhere()),
    }
}

fn nowhere() -> Answer {
    fail("10005", None, "The requested resource or URL could not be found.")
}

/// The one page of a list.
fn meta(results: usize) -> serde_json::Value {
    json!({
        "page_number": 1,
        "page_size": results.max(20),
        "total_pages": 1,
        "total_results": results,
    })
}

fn profile(account: &SandboxAccount, id: &str) -> serde_json::Value {
    json!({
        "record_type": "messaging_profile",
        "id": id,
        "name": "Sandbox",
        "enabled": true,
        "webhook_url": account.webhook_url,
        "webhook_failover_url": "",
        "webhook_api_version": "2",
        "number_pool_settings": {
            "toll_free_weight": 1,
            "long_code_weight": 1,
            "skip_unhealthy": false,
            "sticky_sender": true,
            "geomatch": false,
        },
    })
}
