//! Linking a device, and asking how it is doing.
//!
//! Nothing here links a device by itself: a session that was logged out waits for a person.
//! <https://waha.devlike.pro/docs/how-to/sessions/>

use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::notices::is_fatal;
use super::wire::{Me, SessionStatus};
use super::{WahaAccount, errors, ids};
use crate::bridge::pairing;
use crate::destination::foreign;
use crate::lenient::Maybe;
use crate::{
    Cause, Failure, FailureClass, Health, PairingCode, ProviderRequest, ProviderResponse,
    SessionReport, SessionState, Sessions, Step,
};

/// What we want to hear of. `message` is part of `message.any`.
const EVENTS: [&str; 12] = [
    "session.status",
    "state.change",
    "message.any",
    "message.ack",
    "message.reaction",
    "message.edited",
    "message.revoked",
    "poll.vote",
    "poll.vote.failed",
    "call.received",
    "call.accepted",
    "call.rejected",
];

impl Sessions for WahaAccount {
    fn start(&self, webhook_url: &str, answers: &[ProviderResponse]) -> Result<Step<()>, Failure> {
        let session = self.api.session();
        let next = |request| Ok(Step::Next(Box::new(ProviderRequest::repeatable(request))));
        match answers {
            [] => next(self.api.get(&["api", "sessions", session], &[])),
            [found] if found.http.status().as_u16() == 404 => {
                let config = json!({ "webhooks": [self.webhook(webhook_url)] });
                let body = json!({ "name": session, "start": true, "config": config });
                next(self.api.send(&Method::POST, &["api", "sessions"], &body))
            }
            [found] if !found.is_success() => Err(errors::of_asking(found)),
            [found] => match self.mended(webhook_url, found) {
                // A change restarts the session, so it is made only where there is something to change.
                Some(config) => {
                    let body = json!({ "config": config });
                    next(self.api.send(&Method::PUT, &["api", "sessions", session], &body))
                }
                None => next(self.starting()),
            },
            [found, .., newest] if !newest.is_success() => match newest.http.status().as_u16() {
                // Somebody else created it in between.
                422 if found.http.status().as_u16() == 404 && answers.len() == 2 => {
                    next(self.starting())
                }
                _ => Err(errors::of_asking(newest)),
            },
            // It was created and started, or it was started.
            [found, _] if found.http.status().as_u16() == 404 => Ok(Step::Done(())),
            [found, _] if self.mended(webhook_url, found).is_some() => next(self.starting()),
            _ => Ok(Step::Done(())),
        }
    }

    fn stop(&self) -> Option<ProviderRequest> {
        Some(self.command("stop"))
    }

    fn log_out(&self) -> ProviderRequest {
        self.command("logout")
    }

    fn ask(&self) -> ProviderRequest {
        ProviderRequest::repeatable(self.api.get(&["api", "sessions", self.api.session()], &[]))
    }

    fn report(&self, response: &ProviderResponse) -> Result<SessionReport, Failure> {
        if response.http.status().as_u16() == 404 {
            let detail = Some("WAHA has no such session".to_owned());
            return Ok(SessionReport { state: SessionState::Stopped, number: None, detail });
        }
        let body: Value = asked(response)?;
        let status: SessionStatus = read(response)?;
        let me: Option<Me> = serde_json::from_value(body["me"].clone()).ok();
        let jid = me.and_then(|me| me.id.0);
        let number = jid.as_deref().and_then(ids::person);
        let state = match status.status.get().unwrap_or_default() {
            "STOPPED" => SessionState::Stopped,
            "STARTING" => SessionState::Starting,
            "WORKING" => SessionState::Working,
            // It knows whose device it is, and must be linked again: it was logged out.
            "SCAN_QR_CODE" if number.is_some() => SessionState::LoggedOut,
            "SCAN_QR_CODE" | "PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED" => {
                SessionState::Pairing
            }
            _ if is_fatal(&body["data"]) || is_fatal(&body["error"]) => SessionState::LoggedOut,
            _ => SessionState::Failed,
        };
        let number = number.map(|address| address.value().to_owned());
        let word = body["status"].as_str();
        let detail = errors::known_state(&body["status"]).map(ToOwned::to_owned);
        let detail = detail.or_else(|| word.map(|_| foreign("WAHA", response)));
        Ok(SessionReport { state, number, detail })
    }

    fn pair(&self, number: Option<&str>) -> ProviderRequest {
        let session = self.api.session();
        ProviderRequest::repeatable(match number {
            None => self.api.get(&["api", session, "auth", "qr"], &[("format", "raw")]),
            Some(number) => {
                let digits: String = number.chars().filter(char::is_ascii_digit).collect();
                let body = json!({ "phoneNumber": digits });
                self.api.send(&Method::POST, &["api", session, "auth", "request-code"], &body)
            }
        })
    }

    fn paired(&self, response: &ProviderResponse) -> Result<PairingCode, Failure> {
        let shown: Shown = read(response)?;
        let qr = shown.value.0.filter(|text| pairing::is_qr(text)).map(PairingCode::Qr);
        let code = shown.code.0.filter(|text| pairing::is_code(text)).map(PairingCode::Code);
        let code = qr.or(code);
        code.ok_or_else(|| Failure::new(FailureClass::Transient, "WAHA showed no code"))
    }
}

/// A code to link a device with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    value: Maybe,
    code: Maybe,
}

impl WahaAccount {
    fn webhook(&self, url: &str) -> Value {
        let key = self.webhook_secrets.first().map(ExposeSecret::expose_secret);
        json!({
            "url": url,
            "events": EVENTS,
            "hmac": { "key": key },
            // Fifteen attempts with doubling pauses reach over an outage of a day.
            "retries": { "policy": "exponential", "delaySeconds": 2, "attempts": 15 },
        })
    }

    /// The session's configuration with our webhook in it, or `None` where it is there already. What an operator set beside it
    /// (a proxy, other webhooks) stays.
    fn mended(&self, url: &str, found: &ProviderResponse) -> Option<Value> {
        let body: Value = found.json().unwrap_or_default();
        let mut config = body["config"].clone();
        if !config.is_object() {
            config = json!({});
        }
        let ours = self.webhook(url);
        let mut webhooks = config["webhooks"].as_array().cloned().unwrap_or_default();
        let is_ours = |webhook: &&mut Value| webhook["url"] == url;
        match webhooks.iter_mut().find(is_ours) {
            Some(known) => {
                let members = ["events", "hmac"];
                if members.iter().all(|name| known[*name] == ours[*name]) {
                    return None;
                }
                *known = ours;
            }
            None => webhooks.push(ours),
        }
        config["webhooks"] = webhooks.into();
        Some(config)
    }

    fn starting(&self) -> http::Request<bytes::Bytes> {
        let path = ["api", "sessions", self.api.session(), "start"];
        self.api.send(&Method::POST, &path, &json!({}))
    }

    fn command(&self, verb: &str) -> ProviderRequest {
        let path = ["api", "sessions", self.api.session(), verb];
        ProviderRequest::repeatable(self.api.send(&Method::POST, &path, &json!({})))
    }
}

impl Health for WahaAccount {
    fn probe(&self) -> ProviderRequest {
        self.ask()
    }

    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let body: Value = read(response)?;
        let Some(word) = errors::known_state(&body["status"]) else {
            let detail = foreign("WAHA", response);
            return Err(Failure::new(FailureClass::Permanent(Cause::Account), detail));
        };
        if word == "WORKING" {
            return Ok(());
        }
        Err(Failure::new(errors::class_of(word), format!("the session is {word}")).with_code(word))
    }
}

fn asked(response: &ProviderResponse) -> Result<Value, Failure> {
    read(response)
}

/// The body of an answer that must be 2xx.
fn read<T: DeserializeOwned>(response: &ProviderResponse) -> Result<T, Failure> {
    if !response.is_success() {
        return Err(errors::of_asking(response));
    }
    let unreadable = || Failure::new(FailureClass::Transient, "WAHA's answer cannot be read");
    response.json().ok_or_else(unreadable)
}
