//! Content templates.
//! <https://www.twilio.com/docs/content/content-api-resources>
//!
//! Every account has an approved template `HX` + 31 zeros + `1` (a text with the variables 1 and 2) and a rejected one that
//! ends in `2`; further ones are made over the API and are approved as soon as that is asked for.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::errors::fail;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::world::World;

/// How many templates may be made for one account.
const MADE: usize = 6_000;

/// The templates that were made, by account: the resource, and the state of its approval.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Contents(HashMap<String, Vec<(Value, &'static str)>>);

fn standing(account: &str) -> Vec<(Value, &'static str)> {
    let content = |number: u8, name: &str, body: &str| {
        json!({
            "sid": format!("HX{number:032}"),
            "account_sid": account,
            "friendly_name": name,
            "language": "en",
            "variables": { "1": "Ana", "2": "Friday" },
            "types": { "twilio/text": { "body": body } },
            "date_created": "2026-01-01T00:00:00Z",
            "date_updated": "2026-01-01T00:00:00Z",
        })
    };
    vec![
        (content(1, "appointment_reminder", "Hello {{1}}, see you on {{2}}."), "approved"),
        (content(2, "summer_offer", "Half price for {{1}} on {{2}}."), "rejected"),
    ]
}

impl Contents {
    fn of(&self, account: &str) -> Vec<(Value, &'static str)> {
        let made = self.0.get(account).into_iter().flatten().cloned();
        standing(account).into_iter().chain(made).collect()
    }

    /// Whether messages may be made from it. (Inside the window, unapproved ones are sent too; rejected ones never.)
    pub(super) fn is_usable(&self, account: &str, sid: &str) -> bool {
        let all = self.of(account);
        all.iter().any(|(content, state)| content["sid"] == sid && *state != "rejected")
    }
}

pub(super) fn answer(
    world: &World,
    account: &SandboxAccount,
    path: &[&str],
    request: &Request,
) -> Handled {
    let name = account.name();
    let found = |sid: &str| {
        let all = world.contents().of(name);
        all.into_iter().find(|(content, _)| content["sid"] == sid).ok_or_else(|| fail(20_404))
    };
    match (request.method.as_str(), path) {
        ("GET", ["Content"]) => Ok(list(world, name, false)),
        ("GET", ["ContentAndApprovals"]) => Ok(list(world, name, true)),
        ("GET", ["Content", sid]) => Ok(Answer::json(200, &found(sid)?.0)),
        ("GET", ["Content", sid, "ApprovalRequests"]) => {
            let (content, state) = found(sid)?;
            let whatsapp =
                json!({ "type": "whatsapp", "name": content["friendly_name"], "status": state });
            Ok(Answer::json(200, &json!({ "sid": sid, "account_sid": name, "whatsapp": whatsapp })))
        }
        ("POST", ["Content", sid, "ApprovalRequests", "whatsapp"]) => {
            found(sid)?;
            for (content, state) in world.contents().0.entry(name.to_owned()).or_default() {
                if content["sid"] == *sid {
                    *state = "approved";
                }
            }
            Ok(Answer::json(201, &json!({ "status": "received", "content_type": "twilio/text" })))
        }
        ("POST", ["Content"]) => make(world, name, request),
        ("DELETE", ["Content", sid]) => {
            found(sid)?;
            let mut contents = world.contents();
            contents.0.entry(name.to_owned()).or_default().retain(|(one, _)| one["sid"] != *sid);
            Ok(Answer::empty(204))
        }
        _ => Err(fail(20_404)),
    }
}

fn list(world: &World, account: &str, approvals: bool) -> Answer {
    let all = world.contents().of(account);
    let shown: Vec<Value> = all
        .into_iter()
        .map(|(mut content, state)| {
            if approvals {
                content["approval_requests"] = json!({
                    "name": content["friendly_name"],
                    "category": "UTILITY",
                    "status": state,
                    "rejection_reason": "",
                });
            }
            content
        })
        .collect();
    let meta = json!({
        "key": "contents",
        "page": 0,
        "page_size": shown.len().max(50),
        "next_page_url": null,
        "previous_page_url": null,
    });
    Answer::json(200, &json!({ "meta": meta, "contents": shown }))
}

fn make(world: &World, account: &str, request: &Request) -> Handled {
    let mut body = request.json().ok_or_else(|| fail(20_001))?;
    if !body["language"].is_string() || !body["types"].is_object() {
        return Err(fail(20_001));
    }
    body["sid"] = json!(format!("HX{}", world.new_id()));
    body["account_sid"] = json!(account);
    let mut contents = world.contents();
    let made = contents.0.entry(account.to_owned()).or_default();
    if made.len() >= MADE {
        return Err(fail(20_001));
    }
    made.push((body.clone(), "unsubmitted"));
    Ok(Answer::json(201, &body))
}
