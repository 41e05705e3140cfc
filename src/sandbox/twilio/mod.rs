//! Emulates Twilio's messaging APIs, as `/twilio/2010-04-01/…`, `/twilio/v1/Content` and `/twilio/v3/Indicators`.
//! <https://www.twilio.com/docs/messaging/api>

mod change;
mod contents;
mod errors;
mod list;
mod media;
mod read;
mod send;
mod webhooks;

use std::sync::Arc;

use serde_json::json;

use super::accounts::SandboxAccount;
use super::emulator::{self, Emulator, Sight};
use super::exchange::{Answer, Handled, Request};
use super::faults::On;
use super::world::World;
pub(super) use contents::Contents;
use errors::fail;
pub(super) use read::segments;

pub(super) static EMULATOR: Emulator = Emulator {
    name: "twilio",
    sight,
    answer,
    refusal: errors::refusal,
    failing: &["sent", "undelivered"],
    letters: webhooks::letters,
    arrive: webhooks::arrive,
    sign: emulator::sign_as_provider,
};

fn sight(world: &World, request: &Request) -> Sight {
    let path = request.segments(1);
    let user = request.basic().map(|(user, _)| user).unwrap_or_default();
    let sid = path.get(2).map_or("", |sid| sid.trim_end_matches(".json"));
    let account = world.find_account("twilio", |account| {
        account.name() == sid || (path.len() < 3 && account.name() == user)
    });
    let (mut on, mut to) = (On::Other, None);
    if path.iter().any(|segment| segment == "Media") {
        on = On::Media;
    } else if request.method == "POST"
        && path.len() == 4
        && path.last().is_some_and(|last| last == "Messages.json")
    {
        on = On::Send;
        to = request.form().get("To").map(ToOwned::to_owned);
    }
    Sight { account, on, to }
}

/// The account of the credentials: its SID and auth token, or an API key and its secret.
fn authenticate(world: &World, request: &Request) -> Result<Arc<SandboxAccount>, Answer> {
    let (user, password) = request.basic().ok_or_else(|| fail(20_003))?;
    let account = world.find_account("twilio", |account| {
        if account.name() == user {
            return account.secret("auth_token") == password;
        }
        let named = |value: &String| *value == user;
        user.starts_with("SK")
            && (account.settings.values().any(named) || account.secrets.values().any(named))
            && account.secrets.values().any(|secret| *secret == password)
    });
    account.ok_or_else(|| fail(20_003))
}

fn answer(world: &Arc<World>, request: &Request) -> Handled {
    let account = authenticate(world, request)?;
    let path = request.segments(1);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (request.method.as_str(), &path[..]) {
        (_, ["2010-04-01", "Accounts", sid, ..])
            if sid.trim_end_matches(".json") != account.name() =>
        {
            Err(fail(20_003))
        }
        ("GET", ["2010-04-01", "Accounts", _]) => Ok(Answer::json(
            200,
            &json!({
                "sid": account.name(),
                "friendly_name": "Sandbox",
                "status": "active",
                "type": "Full",
                "uri": format!("/2010-04-01/Accounts/{}.json", account.name()),
            }),
        )),
        ("POST", ["2010-04-01", "Accounts", _, "Messages.json"]) => {
            send::answer(world, &account, request)
        }
        ("GET", ["2010-04-01", "Accounts", _, "Messages.json"]) => {
            list::answer(world, &account, request)
        }
        ("GET", ["2010-04-01", "Accounts", _, "Messages", sid]) => {
            Ok(Answer::json(200, &read::find(world, &account, sid)?.view()))
        }
        ("POST", ["2010-04-01", "Accounts", _, "Messages", sid]) => {
            change::update(world, &account, sid, &request.form())
        }
        ("DELETE", ["2010-04-01", "Accounts", _, "Messages", sid]) => {
            change::delete(world, &account, sid)
        }
        (_, ["2010-04-01", "Accounts", _, "Messages", sid, media @ ..]) => {
            media::answer(world, &account, sid, media, request)
        }
        (_, ["v1", "Content" | "ContentAndApprovals", ..]) => {
            contents::answer(world, &account, &path[1..], request)
        }
        ("POST", ["v2" | "v3", "Indicators", "Typing.json"]) => typing(path[0], request),
        _ => Err(fail(20_404)),
    }
}

/// <https://www.twilio.com/docs/whatsapp/api/typing-indicators-resource>
fn typing(version: &str, request: &Request) -> Handled {
    let (channel, id) = if version == "v3" {
        let body = request.json().ok_or_else(|| fail(20_001))?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("channel"), text("messageId"))
    } else {
        let form = request.form();
        let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
        (text("channel"), text("messageId"))
    };
    let wanted = if version == "v3" { "WHATSAPP" } else { "whatsapp" };
    if channel != wanted || !(is_sid(&id, "SM") || is_sid(&id, "MM")) {
        return Err(fail(20_001));
    }
    Ok(Answer::json(200, &json!({ "success": true })))
}

/// Two letters and 32 hexadecimal digits.
fn is_sid(text: &str, letters: &str) -> bool {
    let digits = text.strip_prefix(letters).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
