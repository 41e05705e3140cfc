//! Messages and files, read.
//! <https://www.twilio.com/docs/messaging/api/message-resource>

use serde_json::{Value, json};

use super::errors::fail;
use crate::clock::Timestamp;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Form, Handled, Request};
use crate::sandbox::journal::SeenMessage;
use crate::sandbox::world::World;

/// How many messages are on a page, unless asked otherwise and at most.
const PAGE: (usize, usize) = (50, 1_000);

pub(super) fn one(world: &World, account: &SandboxAccount, sid: &str) -> Handled {
    let message = world.journal().message(sid).map(|message| message.seen());
    let message =
        message.filter(|seen| seen.account == account.name() && seen.provider == "twilio");
    Ok(Answer::json(200, &view(&message.ok_or_else(|| fail(20_404))?)))
}

pub(super) fn list(world: &World, account: &SandboxAccount, request: &Request) -> Handled {
    let query = request.query();
    let dates = dates(&query)?;
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("PageSize").unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let page = number("Page").unwrap_or_default();
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let fits = |seen: &SeenMessage| {
        seen.provider == "twilio"
            && seen.account == account.name()
            && is("To", &seen.to)
            && is("From", &seen.from)
            && dates.iter().all(|(least, most)| {
                least.is_none_or(|least| seen.at >= least) && most.is_none_or(|most| seen.at < most)
            })
    };
    let found: Vec<Value> = {
        let journal = world.journal();
        let all = journal.messages().rev();
        // Cheap comparisons come first: a list must not copy every message.
        all.filter(|message| message.with(|seen| fits(seen)))
            .skip(page * size)
            .take(size + 1)
            .map(|message| message.with(|seen| view(seen)))
            .collect()
    };
    let more = found.len() > size;
    let path = request.path.trim_start_matches("/twilio");
    let uri = |page: usize| format!("{path}?PageSize={size}&Page={page}");
    Ok(Answer::json(
        200,
        &json!({
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + found.len().min(size).saturating_sub(1),
            "uri": uri(page),
            "first_page_uri": uri(0),
            "next_page_uri": more.then(|| format!("{}&{}", uri(page + 1), filters(&query))),
            "previous_page_uri": page.checked_sub(1).map(uri),
            "messages": &found[..found.len().min(size)],
        }),
    ))
}

/// The filters again, for the next page.
fn filters(query: &Form) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let names = ["To", "From", "DateSent", "DateSent<", "DateSent>"];
    form.extend_pairs(query.0.iter().filter(|(name, _)| names.contains(&name.as_str())));
    form.finish()
}

type Range = (Option<Timestamp>, Option<Timestamp>);

/// `DateSent`, `DateSent<` and `DateSent>` (`DateSent>=2026-11-21`): days or instants, both ends included.
fn dates(query: &Form) -> Result<Vec<Range>, Answer> {
    let mut ranges = Vec::new();
    for (name, value) in &query.0 {
        let Some(sign) = name.strip_prefix("DateSent") else { continue };
        let (start, end) = moment(value).ok_or_else(|| fail(20_001))?;
        ranges.push(match sign {
            "" => (Some(start), Some(end)),
            ">" => (Some(start), None),
            "<" => (None, Some(end)),
            _ => return Err(fail(20_001)),
        });
    }
    Ok(ranges)
}

/// From when until before when a day or a second lasts.
fn moment(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        let start = day.and_hms_opt(0, 0, 0)?.and_utc();
        return Some((start, start + chrono::TimeDelta::days(1)));
    }
    let at: Timestamp = text.parse().ok()?;
    Some((at, at + chrono::TimeDelta::seconds(1)))
}

fn rfc2822(at: Timestamp) -> String {
    at.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A message as the API shows it.
pub(super) fn view(seen: &SeenMessage) -> Value {
    let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", seen.account, seen.id);
    let body = seen.body["Body"].as_str().unwrap_or_default();
    let media = match &seen.body["MediaUrl"] {
        Value::Array(urls) => urls.len(),
        Value::String(_) => 1,
        _ => 0,
    };
    let is_sent = !seen.told.is_empty();
    let is_priced = matches!(seen.status.as_str(), "delivered" | "read");
    json!({
        "sid": seen.id,
        "account_sid": seen.account,
        "api_version": "2010-04-01",
        "messaging_service_sid": seen.body["MessagingServiceSid"],
        "to": seen.to,
        "from": seen.from,
        "body": body,
        "status": seen.status,
        "num_segments": segments(body).to_string(),
        "num_media": media.to_string(),
        "direction": "outbound-api",
        "price": is_priced.then_some("-0.00750"),
        "price_unit": "USD",
        "error_code": seen.code,
        "error_message": null,
        "date_created": rfc2822(seen.at),
        "date_sent": is_sent.then(|| rfc2822(seen.at)),
        "date_updated": rfc2822(seen.at),
        "uri": format!("{uri}.json"),
        "subresource_uris": { "media": format!("{uri}/Media.json") },
    })
}

/// How many SMS a text takes.
pub(in crate::sandbox) fn segments(text: &str) -> usize {
    // GSM 03.38: its own letters, and those that take two places.
    const LETTERS: &str = "@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà \n\r";
    let is_double = |c: char| "^{}\\[~]|€\u{c}".contains(c);
    let is_plain =
        |c: char| LETTERS.contains(c) || (c.is_ascii_graphic() && c != '`') || is_double(c);
    let (single, part, length) = match text.chars().all(is_plain) {
        true => (160, 153, text.chars().map(|c| if is_double(c) { 2 } else { 1 }).sum()),
        false => (70, 67, text.encode_utf16().count()),
    };
    if length <= single { 1 } else { length.div_ceil(part) }
}

/// A file is elsewhere: on a host that must not see the credentials.
pub(super) fn media(world: &World, account: &SandboxAccount, id: &str) -> Handled {
    let known = world.files().get(id).is_some_and(|file| file.owner.1 == account.name());
    match known {
        true => {
            Ok(Answer::empty(307).with("location", format!("{}/files/twilio/{id}", world.cdn())))
        }
        false => Err(fail(20_404)),
    }
}

pub(super) fn delete_media(world: &World, account: &SandboxAccount, id: &str) -> Handled {
    let mut files = world.files();
    if files.get(id).is_none_or(|file| file.owner.1 != account.name()) {
        return Err(fail(20_404));
    }
    files.remove(id);
    Ok(Answer::empty(204))
}
