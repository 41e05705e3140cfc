//! Sessions: devices that are linked, or wait to be.
//! <https://waha.devlike.pro/docs/how-to/sessions/>

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors::{fail, invalid, no_session};
use super::{text, webhooks};
use crate::sandbox::accounts::{SandboxAccount, digits};
use crate::sandbox::emulator::Letter;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::post::Post;
use crate::sandbox::world::World;

/// How many sessions and device ids there may be.
const SESSIONS: usize = 10_000;
const LIDS: usize = 100_000;

/// How many changes of status a session remembers.
const HISTORY: usize = 20;

const STATUSES: [&str; 7] = [
    "STOPPED",
    "STARTING",
    "SCAN_QR_CODE",
    "PASSKEY_REQUIRED",
    "PASSKEY_CONFIRMATION_REQUIRED",
    "WORKING",
    "FAILED",
];

/// The smallest PNG: one black dot.
const DOT: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) account: Arc<SandboxAccount>,
    pub(super) status: String,
    pub(super) config: Value,
    /// Whether a device is linked: it then works as soon as it has started.
    linked: bool,
    /// What it has been, and since when, in milliseconds.
    pub(super) statuses: Vec<(String, i64)>,
}

/// The sessions by name, the numbers behind device-independent ids, and the names that contacts were given.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Sessions {
    sessions: HashMap<String, Session>,
    lids: BTreeMap<String, String>,
    names: BTreeMap<(String, String), String>,
}

impl Sessions {
    /// The account's own session, linked and at work; other providers' accounts have none.
    pub(in crate::sandbox) fn adopt(&mut self, account: &Arc<SandboxAccount>) {
        if account.provider == "waha" {
            let session = Session {
                account: Arc::clone(account),
                status: "WORKING".to_owned(),
                config: Value::Null,
                linked: true,
                statuses: vec![("WORKING".to_owned(), 0)],
            };
            self.sessions.insert(account.name().to_owned(), session);
        }
    }

    pub(super) fn account(&self, name: &str) -> Option<Arc<SandboxAccount>> {
        self.sessions.get(name).map(|session| Arc::clone(&session.account))
    }

    /// The session, if `account` has the key of its server.
    pub(super) fn get(&self, name: &str, account: &SandboxAccount) -> Option<&Session> {
        let key = account.secret("api_key");
        self.sessions.get(name).filter(|session| session.account.secret("api_key") == key)
    }

    pub(super) fn of(&self, name: &str) -> Option<&Session> {
        self.sessions.get(name)
    }

    /// Remembers whose number is behind a device-independent id.
    pub(super) fn know(&mut self, lid: &str, number: &str) {
        if self.lids.len() < LIDS {
            self.lids.insert(lid.to_owned(), format!("{}@c.us", digits(number)));
        }
    }

    pub(super) fn number_of(&self, lid: &str) -> Option<String> {
        self.lids.get(lid.trim_end_matches("@lid")).cloned()
    }

    /// The device-independent ids that are known, with their numbers.
    pub(super) fn lids(&self) -> Vec<(String, String)> {
        self.lids.iter().map(|(lid, number)| (format!("{lid}@lid"), number.clone())).collect()
    }

    /// Gives a contact of an account a name.
    pub(super) fn name(&mut self, account: &str, contact: &str, name: &str) {
        if self.names.len() < LIDS {
            self.names.insert((account.to_owned(), contact.to_owned()), name.to_owned());
        }
    }

    pub(super) fn name_of(&self, account: &str, contact: &str) -> Option<String> {
        self.names.get(&(account.to_owned(), contact.to_owned())).cloned()
    }

    /// The contacts of an account that were given a name.
    pub(super) fn named(&self, account: &str) -> Vec<String> {
        let named = self.names.keys().filter(|(owner, _)| owner == account);
        named.map(|(_, contact)| contact.clone()).collect()
    }
}

/// Who is linked, once somebody is.
pub(super) fn me(session: &Session) -> Value {
    let number = session.account.routes.first().map(|route| digits(&route.address));
    match number.filter(|_| session.linked) {
        Some(number) => json!({ "id": format!("{number}@c.us"), "pushName": "Sandbox" }),
        None => Value::Null,
    }
}

fn view(name: &str, session: &Session) -> Value {
    json!({
        "name": name,
        "status": session.status,
        "config": session.config,
        "me": me(session),
        "presence": null,
        "timestamps": { "activity": null },
        "assignedWorker": "sandbox",
    })
}

/// A session changes; returns the webhooks that say so.
pub(in crate::sandbox) fn set_status(
    world: &World,
    name: &str,
    status: &str,
) -> Result<Vec<(Arc<SandboxAccount>, Letter)>, String> {
    if !STATUSES.contains(&status) {
        return Err(format!("there is no status `{status}`"));
    }
    let at = world.now().timestamp_millis();
    let session = {
        let mut sessions = world.sessions();
        let session = sessions.sessions.get_mut(name).ok_or("there is no such session")?;
        status.clone_into(&mut session.status);
        session.linked |= status == "WORKING";
        session.statuses.push((status.to_owned(), at));
        let surplus = session.statuses.len().saturating_sub(HISTORY);
        session.statuses.drain(..surplus);
        session.clone()
    };
    let history: Vec<Value> = session
        .statuses
        .iter()
        .map(|(status, at)| json!({ "status": status, "timestamp": at }))
        .collect();
    let payload = json!({ "name": name, "status": status, "statuses": history });
    let letters = webhooks::event(world, name, &session, "session.status", &payload);
    Ok(letters.into_iter().map(|letter| (Arc::clone(&session.account), letter)).collect())
}

/// The statuses follow one another, each after a while.
fn change(world: &Arc<World>, name: &str, statuses: Vec<&'static str>) {
    let (held, name) = (Arc::clone(world), name.to_owned());
    let mut letters = Vec::new();
    let mut rest = statuses.into_iter();
    if let Some(first) = rest.next() {
        letters = set_status(world, &name, first).unwrap_or_default();
    }
    Post::spawn(world, async move {
        for (account, letter) in letters {
            Post::send(&held, &account, letter).await;
        }
        for status in rest {
            held.post.pause().await;
            for (account, letter) in set_status(&held, &name, status).unwrap_or_default() {
                Post::send(&held, &account, letter).await;
            }
        }
    });
}

/// How a session that starts goes on.
fn starting(session: &Session) -> Vec<&'static str> {
    match (session.status.as_str(), session.linked) {
        ("WORKING" | "STARTING" | "SCAN_QR_CODE", _) => Vec::new(),
        (_, true) => vec!["STARTING", "WORKING"],
        (_, false) => vec!["STARTING", "SCAN_QR_CODE"],
    }
}

/// Everything below `/api/sessions`.
pub(super) fn answer(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    path: &[&str],
    request: &Request,
) -> Handled {
    let find =
        |name: &str| world.sessions().get(name, account).cloned().ok_or_else(|| no_session(name));
    let shown = |status: u16, name: &str| Ok(Answer::json(status, &view(name, &find(name)?)));
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let sessions = world.sessions();
            let key = account.secret("api_key");
            let mut all: Vec<Value> = sessions
                .sessions
                .iter()
                .filter(|(_, session)| session.account.secret("api_key") == key)
                .map(|(name, session)| view(name, session))
                .collect();
            all.sort_by_key(|session| session["name"].to_string());
            Ok(Answer::json(200, &json!(all)))
        }
        ("POST", []) => create(world, account, request),
        ("GET", [name]) => shown(200, name),
        ("GET", [name, "me"]) => Ok(Answer::json(200, &me(&find(name)?))),
        ("PUT", [name]) => {
            let session = find(name)?;
            let body = request.json().ok_or_else(|| invalid("the body must be JSON"))?;
            if let Some(known) = world.sessions().sessions.get_mut(*name) {
                known.config = body["config"].clone();
            }
            // An updated session starts anew, unless it was stopped.
            if session.status != "STOPPED" {
                let stopped = Session { status: "STOPPED".to_owned(), ..session };
                change(world, name, starting(&stopped));
            }
            shown(200, name)
        }
        ("DELETE", [name]) => {
            find(name)?;
            world.sessions().sessions.remove(*name);
            Ok(Answer::empty(200))
        }
        ("POST", [name, action @ ("start" | "restart" | "stop" | "logout")]) => {
            let session = find(name)?;
            match *action {
                "start" => change(world, name, starting(&session)),
                "restart" => {
                    let stopped = Session { status: "STOPPED".to_owned(), ..session };
                    change(world, name, starting(&stopped));
                }
                "stop" => change(world, name, vec!["STOPPED"]),
                _ => {
                    if let Some(known) = world.sessions().sessions.get_mut(*name) {
                        known.linked = false;
                    }
                    change(world, name, vec!["STOPPED"]);
                }
            }
            shown(201, name)
        }
        _ => Err(super::unknown(request)),
    }
}

fn create(world: &Arc<World>, account: &Arc<SandboxAccount>, request: &Request) -> Handled {
    let body = request.json().ok_or_else(|| invalid("the body must be JSON"))?;
    let name = body["name"].as_str().map_or_else(|| "default".to_owned(), ToOwned::to_owned);
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.is_empty() || name.len() > 54 || !name.chars().all(fits) {
        return Err(invalid("name must be 1 to 54 letters, digits, - or _"));
    }
    {
        let mut sessions = world.sessions();
        if sessions.sessions.contains_key(&name) {
            let message = format!("Session '{name}' already exists. Use PUT to update it.");
            return Err(fail(422, &message));
        }
        if sessions.sessions.len() >= SESSIONS {
            return Err(fail(422, "There are too many sessions."));
        }
        let session = Session {
            account: Arc::clone(account),
            status: "STOPPED".to_owned(),
            config: body["config"].clone(),
            linked: false,
            statuses: Vec::new(),
        };
        sessions.sessions.insert(name.clone(), session);
    }
    if body["start"] != false {
        change(world, &name, vec!["STARTING", "SCAN_QR_CODE"]);
    }
    let session = world.sessions().of(&name).cloned();
    Ok(Answer::json(201, &session.map_or(Value::Null, |session| view(&name, &session))))
}

/// Only a session that waits to be linked has a code.
fn waiting(world: &World, account: &SandboxAccount, name: &str) -> Result<(), Answer> {
    let sessions = world.sessions();
    let session = sessions.get(name, account).ok_or_else(|| no_session(name))?;
    match session.status.as_str() {
        "SCAN_QR_CODE" => Ok(()),
        status => {
            let body = json!({
                "error": "Can get QR code only in SCAN_QR_CODE status",
                "session": name,
                "status": status,
                "expected": ["SCAN_QR_CODE"],
            });
            Err(Answer::json(422, &body))
        }
    }
}

pub(super) fn qr(
    world: &World,
    account: &SandboxAccount,
    name: &str,
    request: &Request,
) -> Handled {
    waiting(world, account, name)?;
    if request.query().get("format") == Some("raw") {
        let value = format!("2@{}", world.new_id());
        return Ok(Answer::json(200, &json!({ "value": value })));
    }
    if request.header("accept").is_some_and(|accept| accept.contains("application/json")) {
        return Ok(Answer::json(200, &json!({ "mimetype": "image/png", "data": DOT })));
    }
    Ok(Answer::of(200, "image/png", STANDARD.decode(DOT).unwrap_or_default()))
}

pub(super) fn request_code(
    world: &World,
    account: &SandboxAccount,
    name: &str,
    request: &Request,
) -> Handled {
    waiting(world, account, name)?;
    let body = request.json().unwrap_or_default();
    let number = text(&body, "phoneNumber")?;
    if !(7..=15).contains(&digits(number).len()) {
        return Err(invalid("phoneNumber must be a telephone number"));
    }
    Ok(Answer::json(201, &json!({ "code": "ABCD-EFGH" })))
}
