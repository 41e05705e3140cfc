//! `POST /2010-04-01/Accounts/{AccountSid}/Messages.json`.
//! <https://www.twilio.com/docs/messaging/features/message-scheduling>

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use super::errors::fail;
use super::{is_sid, read};
use crate::clock::Timestamp;
use crate::sandbox::accounts::{SandboxAccount, is_e164, is_sender_name, is_user_id, person};
use crate::sandbox::emulator::Status;
use crate::sandbox::exchange::{Answer, Form, Handled, Request};
use crate::sandbox::faults::{FaultKind, On};
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::{NewMessage, World};

const WAY: [Status; 3] = [Status::of("sent"), Status::of("delivered"), Status::of("read")];

const CLOSED: [Status; 1] = [Status { word: "failed", code: Some(63_016) }];
const BLOCKED: [Status; 1] = [Status { word: "undelivered", code: Some(63_024) }];
const OPTED_OUT: [Status; 1] = [Status { word: "failed", code: Some(21_610) }];

/// How many seconds ahead a message may be scheduled: 5 minutes to 35 days.
const AHEAD: std::ops::RangeInclusive<i64> = 300..=3_024_000;

pub(super) fn answer(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    request: &Request,
) -> Handled {
    let form = request.form();
    let to = form.get("To").ok_or_else(|| fail(21_604))?.to_owned();
    let from = sender(account, &form, &to)?;
    let whatsapp = is_whatsapp(&to);
    if !is_address(&to) {
        return Err(fail(21_211));
    }
    if to == from {
        return Err(fail(21_266));
    }
    content(world, account, &form, whatsapp)?;
    let status_url = form.get("StatusCallback");
    if status_url.is_some_and(|url| !is_url(url)) {
        return Err(fail(21_609));
    }
    let period = form.get("ValidityPeriod").map(str::parse::<u32>);
    if period.is_some_and(|period| !period.is_ok_and(|period| (1..=36_000).contains(&period))) {
        return Err(fail(21_624));
    }
    let send_at = schedule(&form, world.later())?;
    let statuses = permitted(world, account, &form, &from, &to)?;
    let media = form.all("MediaUrl");
    let letters = if media.is_empty() { "SM" } else { "MM" };
    let status = match send_at {
        Some(_) => "scheduled",
        None if service(&form).is_some() => "accepted",
        None => "queued",
    };
    let new = NewMessage {
        account: Arc::clone(account),
        id: format!("{letters}{}", world.new_id()),
        ours: status_url.and_then(our_id),
        from,
        to,
        kind: kind(&form).to_owned(),
        body: form.to_json(),
        status,
        status_url: status_url.map(ToOwned::to_owned),
        statuses,
        links: media.into_iter().map(ToOwned::to_owned).collect(),
        link_code: if whatsapp { 63_019 } else { 30_008 },
    };
    let message = match send_at {
        Some(at) => world.accept_later(new, at, due),
        None => world.accept(new),
    };
    // What is answered is the message as it was taken, whatever has become of it since.
    let mut seen = message.seen();
    status.clone_into(&mut seen.status);
    seen.told.clear();
    seen.sent_at = None;
    Ok(Answer::json(201, &read::view(&seen)).accepted())
}

/// When the message shall be sent, if not now.
fn schedule(form: &Form, now: Timestamp) -> Result<Option<Timestamp>, Answer> {
    let (kind, at) = (form.get("ScheduleType"), form.get("SendAt"));
    if kind.is_none() && at.is_none() {
        return Ok(None);
    }
    if service(form).is_none() {
        return Err(fail(35_118));
    }
    if kind != Some("fixed") {
        return Err(fail(35_126));
    }
    let at = at.ok_or_else(|| fail(35_111))?;
    let at: Timestamp = at.parse().map_err(|_| fail(35_114))?;
    let ahead = at - now;
    match TimeDelta::seconds(*AHEAD.start()) <= ahead && ahead <= TimeDelta::seconds(*AHEAD.end()) {
        true => Ok(Some(at)),
        false => Err(fail(35_114)),
    }
}

/// What has changed since a message was scheduled: its recipient said STOP, or their window has closed.
fn due(world: &World, message: &Accepted) -> Option<Vec<Status>> {
    let seen = message.seen();
    let (line, person, limits) =
        (seen.from.trim_start_matches("whatsapp:"), person(&seen.to), world.limits());
    if limits.has_opted_out(line, &person) {
        return Some(OPTED_OUT.to_vec());
    }
    let closed = is_whatsapp(&seen.to)
        && message.account.strictness().window
        && seen.kind != "content"
        && !limits.is_open(line, &person, world.later());
    closed.then(|| CLOSED.to_vec())
}

/// The messaging service that sends: `MessagingServiceSid`, or `From` where that names one.
fn service(form: &Form) -> Option<&str> {
    let from = form.get("From").filter(|from| is_sid(from, "MG"));
    form.get("MessagingServiceSid").or(from)
}

/// The message's id among the query parameters of the status callback's URL.
fn our_id(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let found =
        url.query_pairs().find(|(name, _)| name == "message").map(|(_, id)| id.into_owned());
    found.filter(|id| !id.is_empty())
}

fn kind(form: &Form) -> &'static str {
    if form.get("ContentSid").is_some() {
        "content"
    } else if form.get("MediaUrl").is_some() {
        "media"
    } else {
        "text"
    }
}

pub(super) fn is_whatsapp(address: &str) -> bool {
    address.starts_with("whatsapp:")
}

/// A number in E.164, or on WhatsApp a user id too.
fn is_address(address: &str) -> bool {
    match address.strip_prefix("whatsapp:") {
        None => is_e164(address),
        Some(number) if number.starts_with('+') => is_e164(number),
        Some(user) => is_user_id(user),
    }
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Our own address, which must be one of the account's and of the recipient's channel.
fn sender(account: &SandboxAccount, form: &Form, to: &str) -> Result<String, Answer> {
    let whatsapp = is_whatsapp(to);
    if let Some(service) = service(form) {
        let known = account.setting("messaging_service_sid") == Some(service);
        let channel = if whatsapp { "whatsapp" } else { "sms" };
        let wanted = form.get("From").filter(|from| *from != service);
        let wanted = wanted.map(|from| from.trim_start_matches("whatsapp:"));
        if wanted.is_some_and(|from| known && account.line(channel, from).is_none()) {
            return Err(fail(21_711));
        }
        let route = account.routes.iter().find(|route| {
            route.channel == channel && wanted.is_none_or(|from| route.address == from)
        });
        return match route.filter(|_| known && is_sid(service, "MG")) {
            Some(route) if whatsapp => Ok(format!("whatsapp:{}", route.address)),
            Some(route) => Ok(route.address.clone()),
            None => Err(fail(21_701)),
        };
    }
    let from = form.get("From").ok_or_else(|| fail(21_603))?;
    if is_whatsapp(from) != whatsapp {
        return Err(fail(21_910));
    }
    if !whatsapp && is_sender_name(from) {
        // North America takes no names.
        return if to.starts_with("+1") { Err(fail(21_612)) } else { Ok(from.to_owned()) };
    }
    let is_short_code = (3..=8).contains(&from.len()) && from.bytes().all(|b| b.is_ascii_digit());
    if !is_address(from) && !is_short_code {
        return Err(fail(if whatsapp { 63_007 } else { 21_212 }));
    }
    let (channel, unknown) = if whatsapp { ("whatsapp", 63_007) } else { ("sms", 21_606) };
    match account.line(channel, from.trim_start_matches("whatsapp:")) {
        Some(_) => Ok(from.to_owned()),
        None => Err(fail(unknown)),
    }
}

fn content(
    world: &World,
    account: &SandboxAccount,
    form: &Form,
    whatsapp: bool,
) -> Result<(), Answer> {
    let body = form.get("Body").unwrap_or_default();
    if body.chars().count() > 1_600 {
        return Err(fail(21_617));
    }
    let media = form.all("MediaUrl");
    if media.iter().any(|url| !is_url(url)) {
        return Err(fail(21_620));
    }
    if media.len() > if whatsapp { 1 } else { 10 } {
        return Err(fail(21_623));
    }
    if let Some(variables) = form.get("ContentVariables") {
        let parsed: Option<Value> = serde_json::from_str(variables).ok();
        let texts = parsed.as_ref().and_then(Value::as_object);
        if form.get("ContentSid").is_none()
            || !texts.is_some_and(|texts| texts.values().all(Value::is_string))
        {
            return Err(fail(21_656));
        }
    }
    if let Some(sid) = form.get("ContentSid") {
        let known = world.contents().is_usable(account.name(), sid);
        return if is_sid(sid, "HX") && known { Ok(()) } else { Err(fail(21_655)) };
    }
    let place =
        whatsapp && form.get("PersistentAction").is_some_and(|text| text.starts_with("geo:"));
    match body.trim().is_empty() && media.is_empty() && !place {
        true => Err(fail(21_619)),
        false => Ok(()),
    }
}

/// What may be sent at this moment, and how far it will come. On WhatsApp, a closed window is told later.
fn permitted(
    world: &World,
    account: &SandboxAccount,
    form: &Form,
    from: &str,
    to: &str,
) -> Result<Vec<Status>, Answer> {
    let strictness = account.strictness();
    let line = from.trim_start_matches("whatsapp:");
    let (person, now, mut limits) = (person(to), world.later(), world.limits());
    if limits.has_opted_out(line, &person) {
        return Err(fail(21_610));
    }
    limits.send(strictness, line, &person, now).map_err(|_| fail(20_429))?;
    let open = limits.is_open(line, &person, now);
    drop(limits);
    let blocked = world.strikes(&FaultKind::RecipientBlocked, On::Send, account, Some(to));
    if !is_whatsapp(to) {
        return if blocked { Err(fail(21_610)) } else { Ok(WAY[..2].to_vec()) };
    }
    if strictness.window && !open && form.get("ContentSid").is_none() {
        return Ok(CLOSED.to_vec());
    }
    Ok(if blocked { BLOCKED.to_vec() } else { WAY.to_vec() })
}
