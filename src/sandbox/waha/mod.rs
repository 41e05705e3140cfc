//! Emulates WAHA, a bridge to WhatsApp Web, as `/waha/api/…`.
//! <https://waha.devlike.pro/docs/how-to/sessions/>
//!
//! The session that an account of the sandbox names is there from the beginning, linked and `WORKING`. Numbers that end in
//! `0000` are not on WhatsApp.

mod chats;
mod contacts;
mod errors;
mod read;
mod send;
mod sessions;
mod webhooks;

use std::sync::Arc;

use serde_json::{Value, json};

use super::accounts::SandboxAccount;
use super::emulator::{Emulator, Sight};
use super::exchange::{Answer, Handled, Request};
use super::faults::On;
use super::world::World;
use errors::fail;
pub(super) use sessions::{Sessions, set_status};

pub(super) static EMULATOR: Emulator = Emulator {
    name: "waha",
    sight,
    answer,
    refusal: errors::refusal,
    failing: &["ERROR"],
    letters: webhooks::letters,
    arrive: webhooks::arrive,
    sign: webhooks::sign,
};

/// What sends a message, by the last segment of its path.
const SENDS: [&str; 9] = [
    "sendText",
    "sendImage",
    "sendFile",
    "sendVoice",
    "sendVideo",
    "sendLocation",
    "sendContactVcard",
    "sendPoll",
    "reaction",
];

fn sight(world: &World, request: &Request) -> Sight {
    let path = request.segments(2);
    let first = path.first().map_or("", String::as_str);
    let body = request.json().unwrap_or_default();
    let session = match first {
        "sessions" | "files" => path.get(1).cloned(),
        _ => body["session"].as_str().map(ToOwned::to_owned).or_else(|| path.first().cloned()),
    };
    let account = session.and_then(|session| world.sessions().account(&session));
    let on = match first {
        first if SENDS.contains(&first) => On::Send,
        "files" => On::Media,
        _ => On::Other,
    };
    Sight { account, on, to: body["chatId"].as_str().map(ToOwned::to_owned) }
}

/// The key of the request, if some account has it.
fn authenticate(world: &World, request: &Request) -> Result<Arc<SandboxAccount>, Answer> {
    let query = request.query();
    let key = request.header("x-api-key").or_else(|| query.get("x-api-key"));
    let key = key.ok_or_else(|| fail(401, "Unauthorized"))?;
    let account = world.find_account("waha", |account| account.secret("api_key") == key);
    account.ok_or_else(|| fail(401, "Unauthorized"))
}

fn answer(world: &Arc<World>, request: &Request) -> Handled {
    let path = request.segments(1);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if (request.method.as_str(), &path[..]) == ("GET", &["ping"]) {
        return Ok(Answer::json(200, &json!({ "message": "pong" })));
    }
    let account = authenticate(world, request)?;
    let Some((&"api", path)) = path.split_first() else { return Err(unknown(request)) };
    match (request.method.as_str(), path) {
        (_, ["sessions", ..]) => sessions::answer(world, &account, &path[1..], request),
        ("POST", [action]) if SENDS.contains(action) && *action != "reaction" => {
            send::message(world, &account, action, request)
        }
        ("PUT", ["reaction"]) => send::reaction(world, &account, request),
        ("POST", [action @ ("sendSeen" | "startTyping" | "stopTyping")]) => {
            send::receipt(world, &account, action, request)
        }
        ("GET", ["server", "version" | "environment"]) => Ok(Answer::json(200, &environment())),
        ("GET", ["contacts", "check-exists"]) => read::exists(world, &account, request),
        ("GET", ["contacts", what @ ..]) => contacts::answer(world, &account, what, request),
        ("GET" | "PUT", [session, "contacts", id]) => {
            contacts::one(world, &account, session, id, request)
        }
        ("GET", ["files", session, file]) => read::file(world, &account, session, file),
        ("GET", [session, "auth", "qr"]) => sessions::qr(world, &account, session, request),
        ("POST", [session, "auth", "request-code"]) => {
            sessions::request_code(world, &account, session, request)
        }
        ("GET", [session, "new-message-id"]) => {
            working(world, &account, session)?;
            let id = world.new_id().to_uppercase();
            Ok(Answer::json(
                200,
                &json!({ "id": format!("3EB0{}", id.get(..18).unwrap_or_default()) }),
            ))
        }
        ("GET", [session, "chats"]) => chats::list(world, &account, session, request),
        ("GET" | "POST", [session, "chats", "overview"]) => {
            chats::overview(world, &account, session, request)
        }
        ("POST", [session, "chats", chat, "messages", "read"]) => {
            chats::read(world, &account, session, chat)
        }
        ("GET", [session, "chats", chat, "messages"]) => {
            read::messages(world, &account, session, chat, request)
        }
        ("GET", [session, "chats", chat, "messages", id]) => {
            read::message(world, &account, session, chat, id)
        }
        ("GET", [session, "lids", what @ ..]) => {
            contacts::lids(world, &account, session, what, request)
        }
        _ => Err(unknown(request)),
    }
}

/// What the server is.
pub(super) fn environment() -> Value {
    json!({
        "version": "2026.7.1",
        "engine": "NOWEB",
        "tier": "CORE",
        "browser": null,
        "platform": "linux/x64",
        "worker": { "id": null },
    })
}

fn unknown(request: &Request) -> Answer {
    let path = request.path.trim_start_matches("/waha");
    fail(404, &format!("Cannot {} {path}", request.method))
}

/// The session's account, if the session sends and receives.
fn working(
    world: &World,
    account: &SandboxAccount,
    session: &str,
) -> Result<Arc<SandboxAccount>, Answer> {
    let sessions = world.sessions();
    let known = sessions.get(session, account).ok_or_else(|| errors::no_session(session))?;
    match known.status.as_str() {
        "WORKING" => Ok(Arc::clone(&known.account)),
        status => Err(errors::not_working(session, status)),
    }
}

/// A member of the body that must be a text and not empty.
fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, Answer> {
    let text = body[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| errors::invalid(&format!("{name} must be a non-empty string")))
}
