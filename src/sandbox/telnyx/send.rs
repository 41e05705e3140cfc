//! `POST /v2/messages` and `GET /v2/messages/{id}`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::errors::{fail, title};
use super::profiles;
use crate::sandbox::accounts::{SandboxAccount, is_e164, is_sender_name, person};
use crate::sandbox::emulator::Status;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::faults::{FaultKind, On};
use crate::sandbox::journal::SeenMessage;
use crate::sandbox::world::{NewMessage, World};

const WAY: [Status; 2] = [Status::of("sent"), Status::of("delivered")];

/// How many parts a text may have.
const PARTS: usize = 10;

/// Characters beside files: carriers take several thousand.
const MMS_TEXT: usize = 5_000;

pub(super) fn answer(
    world: &Arc<World>,
    accounts: &[Arc<SandboxAccount>],
    request: &Request,
) -> Handled {
    let body = request.json().filter(Value::is_object);
    let body = body.ok_or_else(|| fail("10015", None, "The request body is not a JSON object."))?;
    let to = match &body["to"] {
        Value::String(to) if is_e164(to) || is_short_code(to) => to.clone(),
        Value::Null => return Err(fail("10004", Some("/to"), "The 'to' parameter is required.")),
        _ => return Err(fail("40310", Some("/to"), "The 'to' address should be in E.164 format.")),
    };
    let (account, from) = sender(accounts, &body)?;
    let links = content(&body)?;
    let status_url = urls(&account, &body)?;
    permitted(world, &account, &from, &to)?;
    let kind = if links.is_empty() { "SMS" } else { "MMS" };
    let message = world.accept(NewMessage {
        account: Arc::clone(&account),
        id: world.new_uuid(),
        ours: our_id(&body),
        from,
        to,
        kind: kind.to_owned(),
        body,
        status: "queued",
        status_url,
        statuses: WAY.to_vec(),
        links,
        link_code: 40_317,
    });
    let mut seen = message.seen();
    "queued".clone_into(&mut seen.status);
    seen.told.clear();
    Ok(Answer::json(200, &json!({ "data": view(&account, &seen) })).accepted())
}

pub(super) fn one(world: &World, accounts: &[Arc<SandboxAccount>], id: &str) -> Handled {
    let message = world.journal().message(id);
    let message = message.filter(|message| {
        accounts.iter().any(|account| account.name() == message.account.name())
            && message.account.provider == "telnyx"
    });
    let message = message.ok_or_else(|| fail("10005", None, "Resource not found"))?;
    Ok(Answer::json(200, &json!({ "data": view(&message.account, &message.seen()) })))
}

/// Our id, among the tags or in the query of the webhook URL.
fn our_id(body: &Value) -> Option<String> {
    let is_uuid = |text: &&str| uuid::Uuid::try_parse(text).is_ok();
    let tags = body["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(tag) = tags.into_iter().find(is_uuid) {
        return Some(tag.to_owned());
    }
    let url = url::Url::parse(body["webhook_url"].as_str()?).ok()?;
    url.query_pairs().find(|(name, _)| name == "message").map(|(_, id)| id.into_owned())
}

/// The account and number that sends: `from`, or any number of the profile.
fn sender(
    accounts: &[Arc<SandboxAccount>],
    body: &Value,
) -> Result<(Arc<SandboxAccount>, String), Answer> {
    let profile = body["messaging_profile_id"].as_str();
    let in_profile = |account: &&Arc<SandboxAccount>| {
        profile.is_none_or(|profile| profiles(account).contains(&profile))
    };
    if let Some(from) = body["from"].as_str() {
        // A name is no number of anybody's: the profile says who sends.
        let named = is_sender_name(from) && profile.is_some();
        let owns = |account: &&Arc<SandboxAccount>| named || account.line("sms", from).is_some();
        let owner = accounts.iter().filter(in_profile).find(owns).ok_or_else(|| {
            let detail = "The 'from' address is not a number of the messaging profile.";
            fail("40305", Some("/from"), detail)
        })?;
        return Ok((Arc::clone(owner), from.to_owned()));
    }
    if profile.is_none() {
        let detail = "Either 'from' or 'messaging_profile_id' is required.";
        return Err(fail("10004", Some("/from"), detail));
    }
    accounts
        .iter()
        .filter(in_profile)
        .find_map(|account| {
            let route = account.routes.iter().find(|route| route.channel == "sms")?;
            Some((Arc::clone(account), route.address.clone()))
        })
        .ok_or_else(|| {
            let detail = "The messaging profile does not exist or has no number.";
            fail("10015", Some("/messaging_profile_id"), detail)
        })
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

fn parts(text: &str) -> usize {
    crate::sandbox::twilio::segments(text)
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Where statuses go: what the request names, else the profile's, unless the request wants neither.
fn urls(account: &SandboxAccount, body: &Value) -> Result<Option<String>, Answer> {
    match &body["webhook_url"] {
        Value::String(url) if !url.is_empty() => match is_url(url) {
            true => Ok(Some(url.clone())),
            false => Err(fail("10015", Some("/webhook_url"), "The webhook URL is not valid.")),
        },
        _ if body["use_profile_webhooks"] == false => Ok(None),
        _ => Ok(account.webhook_url.clone()),
    }
}

fn permitted(world: &World, account: &SandboxAccount, from: &str, to: &str) -> Result<(), Answer> {
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

/// A message as answers and webhooks show it.
pub(super) fn view(account: &SandboxAccount, seen: &SeenMessage) -> Value {
    let text = seen.body["text"].as_str().unwrap_or_default();
    let media: Vec<Value> = seen.body["media_urls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|url| json!({ "url": url, "content_type": null, "sha256": null, "size": null }))
        .collect();
    let is_final = !matches!(seen.status.as_str(), "queued" | "sending" | "sent");
    let at = seen.at.to_rfc3339();
    let errors: Vec<Value> = seen
        .code
        .iter()
        .map(|code| {
            let code = code.to_string();
            json!({ "code": code, "title": title(&code).0, "detail": title(&code).0 })
        })
        .collect();
    json!({
        "record_type": "message",
        "direction": "outbound",
        "id": seen.id,
        "type": seen.kind,
        "messaging_profile_id": profiles(account).first(),
        "organization_id": "b6f0a2c4-91d3-4e7b-a5c8-2d4f6e8a0b1c",
        "from": { "phone_number": seen.from, "carrier": "Telnyx", "line_type": "VoIP" },
        "to": [{
            "phone_number": seen.to,
            "status": seen.status,
            "carrier": "Sandbox",
            "line_type": "Wireless",
        }],
        "cc": [],
        "subject": seen.body["subject"].as_str().unwrap_or_default(),
        "text": text,
        "media": media,
        "encoding": if text.is_ascii() { "GSM-7" } else { "UCS-2" },
        "parts": parts(text),
        "tags": seen.body["tags"].as_array().cloned().unwrap_or_default(),
        "cost": is_final.then(|| json!({ "amount": "0.0051", "currency": "USD" })),
        "received_at": at,
        "sent_at": (seen.status != "queued").then_some(&at),
        "completed_at": is_final.then_some(&at),
        "valid_until": null,
        "errors": errors,
        "webhook_url": seen.body["webhook_url"].as_str().unwrap_or_default(),
        "webhook_failover_url": seen.body["webhook_failover_url"].as_str().unwrap_or_default(),
    })
}
