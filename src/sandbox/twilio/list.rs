//! Lists: filters by number and by day, and pages.
//! <https://www.twilio.com/docs/usage/twilios-response#pagination>

use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::errors::fail;
use super::read::{self, Message};
use crate::clock::Timestamp;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Form, Handled, Request};
use crate::sandbox::world::World;

/// How many entries are on a page, unless asked otherwise and at most.
const PAGE: (usize, usize) = (50, 1_000);

/// The account's messages of both directions, newest first.
pub(super) fn answer(world: &World, account: &SandboxAccount, request: &Request) -> Handled {
    let query = request.query();
    let days = days(&query, "DateSent")?;
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    // What is still in the queue has no `DateSent`, and is in no list of a day.
    let on = |at: Option<Timestamp>| {
        days.is_empty() || at.is_some_and(|at| days.iter().all(|day| day.holds(at)))
    };
    let mut found: Vec<(Timestamp, String, Message)> = Vec::new();
    for message in world.journal().messages() {
        let key = message.with(|seen| {
            let fits = read::belongs(seen, account)
                && is("To", &seen.to)
                && is("From", &seen.from)
                && on(seen.sent_at);
            fits.then(|| (seen.at, seen.id.clone()))
        });
        if let Some((at, id)) = key {
            found.push((at, id, Message::Sent(Arc::clone(message))));
        }
    }
    for heard in world.heard().of("twilio", account.name()) {
        if is("To", &heard.to) && is("From", &heard.from) && on(Some(heard.at)) {
            found.push((heard.at, heard.id.clone(), Message::Heard(Arc::clone(heard))));
        }
    }
    found.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
    let names = ["To", "From", "DateSent", "DateSent<", "DateSent>"];
    let ids: Vec<&str> = found.iter().map(|(_, id, _)| id.as_str()).collect();
    page(request, "messages", &names, &ids, |index| found[index].2.view())
}

/// One page of a list whose entries have these ids. A page begins after the last entry of the one before, which its token
/// names, wherever that stands by now.
pub(super) fn page(
    request: &Request,
    key: &str,
    filters: &[&str],
    ids: &[&str],
    view: impl Fn(usize) -> Value,
) -> Handled {
    let query = request.query();
    let number = |name: &str| {
        let text = query.get(name);
        text.map(|text| text.parse::<usize>().map_err(|_| fail(20_001))).transpose()
    };
    let size = number("PageSize")?.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let page = number("Page")?.unwrap_or_default();
    let start = start(&query, ids, page, size)?;
    let end = start.saturating_add(size).min(ids.len());
    let shown: Vec<Value> = (start..end).map(view).collect();
    let uri = |page: usize, token: Option<String>| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(query.0.iter().filter(|(name, _)| filters.contains(&name.as_str())));
        form.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        if let Some(token) = token {
            form.append_pair("PageToken", &token);
        }
        format!("{}?{}", request.path.trim_start_matches("/twilio"), form.finish())
    };
    let edge = |letters: &str, index: usize| ids.get(index).map(|id| format!("{letters}{id}"));
    let token = query.get("PageToken").map(ToOwned::to_owned);
    let next = (end < ids.len()).then(|| uri(page + 1, edge("PA", end.saturating_sub(1))));
    let previous = page.checked_sub(1).map(|page| uri(page, edge("PB", start)));
    let mut body = Map::new();
    body.insert("page".to_owned(), json!(page));
    body.insert("page_size".to_owned(), json!(size));
    body.insert("start".to_owned(), json!(page.saturating_mul(size)));
    let last = page.saturating_mul(size) + shown.len().saturating_sub(1);
    body.insert("end".to_owned(), json!(last));
    body.insert("uri".to_owned(), json!(uri(page, token)));
    body.insert("first_page_uri".to_owned(), json!(uri(0, None)));
    body.insert("next_page_uri".to_owned(), json!(next));
    body.insert("previous_page_uri".to_owned(), json!(previous));
    body.insert(key.to_owned(), json!(shown));
    Ok(Answer::json(200, &Value::Object(body)))
}

/// Where a page begins: after the entry of a token `PA…`, as far before that of `PB…`, or where its number says.
fn start(query: &Form, ids: &[&str], page: usize, size: usize) -> Result<usize, Answer> {
    let Some(token) = query.get("PageToken") else {
        return Ok(page.saturating_mul(size).min(ids.len()));
    };
    let place = |id: &str| ids.iter().position(|one| *one == id).ok_or_else(|| fail(20_001));
    if let Some(id) = token.strip_prefix("PA") {
        return Ok(place(id)? + 1);
    }
    let id = token.strip_prefix("PB").ok_or_else(|| fail(20_001))?;
    Ok(place(id)?.saturating_sub(size))
}

/// A bound of a list by day.
pub(super) struct Day {
    sign: Sign,
    day: NaiveDate,
}

enum Sign {
    On,
    Until,
    From,
}

impl Day {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let day = at.date_naive();
        match self.sign {
            Sign::On => day == self.day,
            Sign::Until => day <= self.day,
            Sign::From => day >= self.day,
        }
    }
}

/// The bounds `name`, `name<` and `name>` (written `DateSent>=2026-11-21`): days in UTC, both ends included. Of an instant,
/// only its day counts.
pub(super) fn days(query: &Form, name: &str) -> Result<Vec<Day>, Answer> {
    let mut days = Vec::new();
    for (key, value) in &query.0 {
        let sign = match key.strip_prefix(name) {
            Some("") => Sign::On,
            Some("<") => Sign::Until,
            Some(">") => Sign::From,
            Some(_) => return Err(fail(20_001)),
            None => continue,
        };
        let instant = || value.parse::<Timestamp>().map(|at| at.date_naive());
        let day = value.parse::<NaiveDate>().or_else(|_| instant()).map_err(|_| fail(20_001))?;
        days.push(Day { sign, day });
    }
    Ok(days)
}
