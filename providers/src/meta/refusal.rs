//! What the Graph API's answers mean when they do not bring what was asked for.
//!
//! The error's code decides. Meta's mark that it will pass, and then the HTTP status, are asked only where there is no code
//! that we know.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::errors;
use super::graph::Graph;
use super::wire::{Refusal, RefusalBody, Usage};
use crate::destination::foreign;
use crate::outside;
use crate::{Failure, FailureClass, LimitScope, ProviderResponse};

/// Characters of a failure's detail.
const DETAIL_CHARS: usize = 500;

/// The longest wait that we take from an answer.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

const USAGE_HEADER: &str = "x-business-use-case-usage";

impl Graph {
    /// What an answer means that did not bring what an order was to bring. A 2xx that says nothing we understand is
    /// indeterminate: the order may have been carried out.
    pub(super) fn refusal(&self, response: &ProviderResponse) -> Failure {
        let status = response.http.status();
        let mut by_status = match status.is_success() {
            true => Failure::new(FailureClass::Indeterminate, "the answer cannot be read"),
            false => Failure::of_status(status),
        };
        let error = response.json::<RefusalBody>().map(|body| body.error);
        let failure = match error {
            Some(error) if error.code.number().is_some() => self.of_error(&error, &by_status),
            _ => {
                if !response.http.body().is_empty() && !speaks(response) {
                    by_status.detail = foreign("Meta", response);
                }
                by_status
            }
        };
        let wait = wait(response, &failure);
        Failure { retry_after: wait.map(|wait| wait.min(LONGEST_WAIT)), ..failure }
    }

    /// The same for a question or an upload, whose repetition is harmless: nothing about it is indeterminate.
    pub(super) fn refusal_of_question(&self, response: &ProviderResponse) -> Failure {
        let failure = self.refusal(response);
        match failure.class {
            FailureClass::Indeterminate => Failure { class: FailureClass::Transient, ..failure },
            _ => failure,
        }
    }

    /// What Meta says to the person who asked, if it says anything, without our token.
    pub(super) fn said_to_people(&self, response: &ProviderResponse) -> Option<String> {
        let error = response.json::<RefusalBody>()?.error;
        let said = error.error_user_msg.get()?;
        Some(self.without_token(said).chars().take(DETAIL_CHARS).collect())
    }

    fn of_error(&self, error: &Refusal, by_status: &Failure) -> Failure {
        // Codes are numbers; whatever else stands there is not passed on.
        let code = error.code.number().map(|code| code.to_string());
        // What the table knows is the same in an answer and in a status, which has no such mark.
        let class = match code.as_deref().and_then(errors::known_class_of) {
            Some(class) => class,
            None if error.is_transient.get() == Some("true") => FailureClass::Transient,
            None => by_status.class,
        };
        let said = error.explanation().unwrap_or(&by_status.detail);
        let notes = [("subcode", &error.error_subcode), ("trace", &error.fbtrace_id)];
        let notes: Vec<String> = notes
            .into_iter()
            .filter_map(|(name, note)| Some(format!("{name} {}", note.get()?)))
            .collect();
        let detail = match notes.is_empty() {
            true => self.without_token(said),
            false => self.without_token(&format!("{said} ({})", notes.join(", "))),
        };
        Failure {
            class,
            code,
            detail: detail.chars().take(DETAIL_CHARS).collect(),
            retry_after: None,
        }
    }
}

/// Whether an answer has a form of the Graph API's: an error with its number, an object's id, or what became of a message.
pub(super) fn speaks(response: &ProviderResponse) -> bool {
    let body: Value = response.json().unwrap_or_default();
    let is_id = |id: &Value| id.as_str().is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit()));
    codes(response).0.is_some()
        || body["messaging_product"] == "whatsapp"
        || is_id(&body["id"])
        || body == json!({ "success": true })
}

/// The code of an answer's error, and its subcode.
pub(super) fn codes(response: &ProviderResponse) -> (Option<i64>, Option<i64>) {
    let error = response.json::<RefusalBody>().map(|body| body.error);
    let codes = error.map(|error| (error.code.number(), error.error_subcode.number()));
    codes.unwrap_or_default()
}

/// How long to wait: the longest time that anything in the answer asks for.
fn wait(response: &ProviderResponse, failure: &Failure) -> Option<Duration> {
    let asked = response.retry_after();
    let of_all = [LimitScope::Account, LimitScope::Reputation].map(FailureClass::RateLimited);
    if !of_all.contains(&failure.class) {
        return asked;
    }
    [asked, until_access(response)].into_iter().flatten().max()
}

/// `estimated_time_to_regain_access`, in minutes, of whatever is used up.
/// <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>
fn until_access(response: &ProviderResponse) -> Option<Duration> {
    let header = response.http.headers().get(USAGE_HEADER)?;
    let usage: BTreeMap<String, Vec<Usage>> = outside::read(header.as_bytes()).ok()?;
    let minutes = usage.values().flatten().filter_map(|usage| {
        let minutes = usage.estimated_time_to_regain_access.number()?;
        u64::try_from(minutes).ok().filter(|minutes| *minutes > 0)
    });
    minutes.max().map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
}
