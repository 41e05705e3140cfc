//! SMS and MMS: `POST /v2/messages`, `/v2/messages/schedule`, `/v2/messages/number_pool` and `/v2/messages/long_code`.
//! <https://developers.telnyx.com/docs/messaging/messages/schedule-message>

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::errors::fail;
use super::sender;
use super::view::{self, parts};
use crate::clock::Timestamp;
use crate::sandbox::accounts::{SandboxAccount, is_e164, person};
use crate::sandbox::emulator::Status;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::faults::{FaultKind, On};
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::{NewMessage, World};

const WAY: [Status; 2] = [Status::of("sent"), Status::of("delivered")];
const STOPPED: [Status; 1] = [Status { word: "sending_failed", code: Some(40_300) }];

/// How far ahead a message may be scheduled.
const AHEAD: (TimeDelta, TimeDelta) = (TimeDelta::minutes(5), TimeDelta::days(5));

/// How many parts a text may have.
const PARTS: usize = 10;

/// Characters beside files: carriers take several thousand.
const MMS_TEXT: usize = 5_000;

/// What the endpoints for messages differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Whoever sends, now or later.
    Any,
    /// Later.
    Scheduled,
    /// From a number of the profile's pool.
    NumberPool,
    /// From the number that is named.
    LongCode,
}

/// The endpoint of a path.
pub(super) fn way(path: &[&str]) -> Option<Way> {
    match path {
        ["v2", "messages"] => Some(Way::Any),
        ["v2", "messages", "schedule"] => Some(Way::Scheduled),
        ["v2", "messages", "number_pool"] => Some(Way::NumberPool),
        ["v2", "messages", "long_code"] => Some(Way::LongCode),
        _ => None,
    }
}

/// The body, and the recipient: whatever `fits`.
pub(super) fn addressed(
    request: &Request,
    fits: fn(&str) -> bool,
) -> Result<(Value, String), Answer> {
    let body = request.json().filter(Value::is_object);
    let body = body.ok_or_else(|| fail("10015", None, "The request body is not a JSON object."))?;
    let to = match &body["to"] {
        Value::String(to) if fits(to) => to.clone(),
        Value::Null => return Err(fail("10004", Some("/to"), "The 'to' parameter is required.")),
        _ => return Err(fail("40310", Some("/to"), "The 'to' address should be in E.164 format.")),
    };
    Ok((body, to))
}

pub(super) fn answer(
    world: &Arc<World>,
    accounts: &[Arc<SandboxAccount>],
    way: Way,
    request: &Request,
) -> Handled {
    let (body, to) = addressed(request, |to| is_e164(to) || is_short_code(to))?;
    let (account, from) = match way {
        Way::NumberPool => sender::of_pool(accounts, &body, &to)?,
        Way::LongCode if body["from"].is_null() => {
            return Err(fail("10004", Some("/from"), "The 'from' parameter is required."));
        }
        _ => sender::of(accounts, &body, &to)?,
    };
    let links = content(&body)?;
    let status_url = urls(&account, &body)?;
    let send_at = send_at(way, &body, world.later())?;
    permitted(world, &account, &from, &to)?;
    let kind = if links.is_empty() { "SMS" } else { "MMS" };
    let status = if send_at.is_some() { "scheduled" } else { "queued" };
    let new = NewMessage {
        account: Arc::clone(&account),
        id: world.new_uuid(),
        ours: our_id(&body),
        from,
        to,
        kind: kind.to_owned(),
        body,
        status,
        status_url,
        statuses: WAY.to_vec(),
        links,
        link_code: 40_317,
    };
    let message = match send_at {
        Some(at) => world.accept_later(new, at, due),
        None => world.accept(new),
    };
    Ok(taken(&message, status))
}

/// The answer shows the message as it was taken, whatever has become of it since.
pub(super) fn taken(message: &Accepted, status: &str) -> Answer {
    let mut seen = message.seen();
    status.clone_into(&mut seen.status);
    seen.code = None;
    seen.sent_at = None;
    Answer::json(200, &json!({ "data": view::view(&message.account, &seen) })).accepted()
}

/// When the message shall be sent, if not now.
fn send_at(way: Way, body: &Value, now: Timestamp) -> Result<Option<Timestamp>, Answer> {
    let wrong = |detail: &str| Err(fail("10015", Some("/send_at"), detail));
    let at = match (&body["send_at"], way) {
        (_, Way::NumberPool | Way::LongCode) | (Value::Null, Way::Any) => return Ok(None),
        (Value::Null, Way::Scheduled) => {
            return Err(fail("10004", Some("/send_at"), "The 'send_at' parameter is required."));
        }
        (at, _) => at.as_str().and_then(|at| at.parse::<Timestamp>().ok()),
    };
    let Some(at) = at else { return wrong("The value is not an ISO 8601 date.") };
    match AHEAD.0 <= at - now && at - now <= AHEAD.1 {
        true => Ok(Some(at)),
        false => wrong("The date must be at least 5 minutes and at most 5 days in the future."),
    }
}

/// What has changed since a message was scheduled: its recipient said STOP.
fn due(world: &World, message: &Accepted) -> Option<Vec<Status>> {
    let (from, to) = message.with(|seen| (seen.from.clone(), person(&seen.to)));
    world.limits().has_opted_out(&from, &to).then(|| STOPPED.to_vec())
}

/// Our id, among the tags or in the query of the webhook URL.
pub(super) fn our_id(body: &Value) -> Option<String> {
    let is_uuid = |text: &&str| uuid::Uuid::try_parse(text).is_ok();
    let tags = body["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(tag) = tags.into_iter().find(is_uuid) {
        return Some(tag.to_owned());
    }
    let url = url::Url::parse(body["webhook_url"].as_str()?).ok()?;
    url.query_pairs().find(|(name, _)| name == "message").map(|(_, id)| id.into_owned())
}

/// The text and the files. Returns the latter.
fn content(body: &Value) -> Result<Vec<String>, Answer> {
    let wrong =
        |name: &str| fail("10015", Some(&format!("/{name}")), "The value has a wrong type.");
    for name in ["text", "subject", "webhook_url", "webhook_failover_url"] {
        if !matches!(body[name], Value::Null | Value::String(_)) {
            return Err(wrong(name));
        }
    }
    let text = body["text"].as_str().unwrap_or_default();
    let links: Vec<String> = match &body["media_urls"] {
        Value::Null => Vec::new(),
        Value::Array(urls) => urls
            .iter()
            .map(|url| url.as_str().map(ToOwned::to_owned).ok_or_else(|| wrong("media_urls")))
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong("media_urls")),
    };
    if links.len() > 10 || links.iter().any(|link| !is_url(link)) {
        return Err(fail("40317", Some("/media_urls"), "Media must be at most ten valid URLs."));
    }
    match body["type"].as_str() {
        Some("SMS") if !links.is_empty() => {
            return Err(fail("40304", Some("/type"), "An SMS cannot have media."));
        }
        Some("MMS") if links.is_empty() => {
            return Err(fail("40316", Some("/media_urls"), "An MMS needs media."));
        }
        None | Some("SMS" | "MMS") => {}
        Some(_) => return Err(wrong("type")),
    }
    if text.is_empty() && links.is_empty() {
        return Err(fail("40316", Some("/text"), "The message has neither text nor media."));
    }
    // An MMS has no parts.
    if !links.is_empty() && text.chars().count() > MMS_TEXT {
        return Err(fail("40302", Some("/text"), "The message is too large."));
    }
    if links.is_empty() && parts(text) > PARTS {
        return Err(fail("40302", Some("/text"), "The message has more than ten parts."));
    }
    Ok(links)
}

fn is_short_code(text: &str) -> bool {
    (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Where statuses go: what the request names, else the profile's, unless the request wants neither.
pub(super) fn urls(account: &SandboxAccount, body: &Value) -> Result<Option<String>, Answer> {
    match &body["webhook_url"] {
        Value::String(url) if !url.is_empty() => match is_url(url) {
            true => Ok(Some(url.clone())),
            false => Err(fail("10015", Some("/webhook_url"), "The webhook URL is not valid.")),
        },
        _ if body["use_profile_webhooks"] == false => Ok(None),
        _ => Ok(account.webhook_url.clone()),
    }
}

pub(super) fn permitted(
    world: &World,
    account: &SandboxAccount,
    from: &str,
    to: &str,
) -> Result<(), Answer> {
    let stopped = || fail("40300", Some("/to"), "The recipient has sent STOP to this number.");
    let (person, now, mut limits) = (person(to), world.later(), world.limits());
    if limits.has_opted_out(from, &person) {
        return Err(stopped());
    }
    let counted = limits.send(account.strictness(), from, &person, now);
    drop(limits);
    counted.map_err(|_| fail("10011", None, "You have exceeded the message rate."))?;
    match world.strikes(&FaultKind::RecipientBlocked, On::Send, account, Some(to)) {
        true => Err(stopped()),
        false => Ok(()),
    }
}
