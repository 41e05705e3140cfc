//! Linking a device, and asking how it is doing.
//!
//! Nothing here links a device by itself: an instance that was logged out waits for a person. An instance has no switch: it
//! is connected or logged out, and cannot be stopped without losing its link.
//! <https://doc.evolution-api.com/v2/api-reference/instance-controller/create-instance-basic>

use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::notices::is_fatal;
use super::settings::Carried;
use super::{EvolutionAccount, errors};
use crate::bridge::{jids, pairing};
use crate::destination::foreign;
use crate::lenient::Maybe;
use crate::{
    Cause, Failure, FailureClass, Health, PairingCode, ProviderRequest, ProviderResponse,
    SessionReport, SessionState, Sessions, Step,
};

/// What we want to hear of. QR codes are asked for, since whoever reads one can link a device of theirs.
const EVENTS: [&str; 9] = [
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "CONNECTION_UPDATE",
    "STATUS_INSTANCE",
    "LOGOUT_INSTANCE",
    "CALL",
];

/// Evolution's words for how a device's connection is doing.
const STATES: [&str; 4] = ["open", "close", "connecting", "refused"];

impl Sessions for EvolutionAccount {
    fn start(&self, webhook_url: &str, answers: &[ProviderResponse]) -> Result<Step<()>, Failure> {
        let next = |request| Ok(Step::Next(Box::new(ProviderRequest::repeatable(request))));
        let connect = || next(self.api.ask(&Method::GET, ["instance", "connect"], &[]));
        let [found, later @ ..] = answers else {
            return next(self.api.find());
        };
        let Some(_) = self.found(found)? else {
            return match later {
                [] => {
                    let body = json!({
                        "instanceName": self.api.instance(), "integration": "WHATSAPP-BAILEYS",
                        "qrcode": true, "webhook": self.webhook(webhook_url),
                    });
                    next(self.api.create(&body))
                }
                [created, ..] if created.is_success() => Ok(Step::Done(())),
                [created, ..] => Err(errors::of_asking(created)),
            };
        };
        match later {
            [] => next(self.api.ask(&Method::GET, ["webhook", "find"], &[])),
            [set, rest @ ..] => match (self.is_set(webhook_url, set)?, rest) {
                (false, []) => {
                    let body = json!({ "webhook": self.webhook(webhook_url) });
                    next(self.api.post(["webhook", "set"], &body))
                }
                (true, []) => connect(),
                (false, [newest]) if newest.is_success() => connect(),
                (_, [.., newest]) if newest.is_success() => Ok(Step::Done(())),
                (_, [.., newest]) => Err(errors::of_asking(newest)),
            },
        }
    }

    fn stop(&self) -> Option<ProviderRequest> {
        None
    }

    fn log_out(&self) -> ProviderRequest {
        ProviderRequest::repeatable(self.api.ask(&Method::DELETE, ["instance", "logout"], &[]))
    }

    fn ask(&self) -> ProviderRequest {
        ProviderRequest::repeatable(self.api.find())
    }

    fn report(&self, response: &ProviderResponse) -> Result<SessionReport, Failure> {
        let Some(found) = self.found(response)? else {
            let detail = Some("the server has no such instance".to_owned());
            return Ok(SessionReport { state: SessionState::Stopped, number: None, detail });
        };
        let number = found.owner().and_then(jids::person);
        let state = match (found.state(), &number) {
            ("open", _) => SessionState::Working,
            ("connecting", Some(_)) => SessionState::Starting,
            ("connecting", None) => SessionState::Pairing,
            ("close", _) if is_fatal(&found.disconnection_reason_code) => SessionState::LoggedOut,
            // It was never linked, and nobody is asking it to be.
            ("close", None) => SessionState::Stopped,
            _ => SessionState::Failed,
        };
        let number = number.map(|address| address.value().to_owned());
        Ok(SessionReport { state, number, detail: Some(found.detail()) })
    }

    fn pair(&self, number: Option<&str>) -> ProviderRequest {
        let digits = |number: &str| number.chars().filter(char::is_ascii_digit).collect::<String>();
        let digits = number.map(digits);
        let query = digits.iter().map(|digits| ("number", digits.as_str())).collect::<Vec<_>>();
        let request = self.api.ask(&Method::GET, ["instance", "connect"], &query);
        ProviderRequest::repeatable(request)
    }

    /// A number that WhatsApp does not take is answered with a QR code.
    fn paired(&self, response: &ProviderResponse) -> Result<PairingCode, Failure> {
        let shown: Shown = read(response)?;
        let code = shown.pairing_code.0.filter(|text| pairing::is_code(text));
        let qr = shown.code.0.filter(|text| pairing::is_qr(text));
        code.map(PairingCode::Code).or(qr.map(PairingCode::Qr)).ok_or_else(|| {
            match shown.instance {
                Some(_) => {
                    let detail = "the instance is linked already";
                    Failure::new(FailureClass::Permanent(Cause::Message), detail).with_code("open")
                }
                None => Failure::new(FailureClass::Transient, "Evolution showed no code"),
            }
        })
    }
}

/// A code to link a device with, or the instance as it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Shown {
    pairing_code: Maybe,
    code: Maybe,
    instance: Option<Value>,
}

/// An instance as the server lists it. Versions before 2.2 have other names for the same.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Instance {
    name: Maybe,
    instance_name: Maybe,
    connection_status: Maybe,
    status: Maybe,
    owner_jid: Maybe,
    owner: Maybe,
    disconnection_reason_code: Value,
}

impl Instance {
    fn name(&self) -> Option<&str> {
        self.name.get().or(self.instance_name.get())
    }

    fn state(&self) -> &str {
        let told = self.connection_status.get().or(self.status.get());
        told.filter(|word| STATES.contains(word)).unwrap_or("unknown")
    }

    fn owner(&self) -> Option<&str> {
        self.owner_jid.get().or(self.owner.get())
    }

    fn detail(&self) -> String {
        match &self.disconnection_reason_code {
            Value::Null => self.state().to_owned(),
            _ if self.state() == "open" => self.state().to_owned(),
            Value::Number(code) => format!("{} (reason {code})", self.state()),
            _ => self.state().to_owned(),
        }
    }
}

impl EvolutionAccount {
    /// Our instance in the server's list, if it is there.
    fn found(&self, response: &ProviderResponse) -> Result<Option<Instance>, Failure> {
        if response.http.status().as_u16() == 404 {
            return Ok(None);
        }
        let body: Value = read(response)?;
        let listed = match body {
            Value::Array(listed) => listed,
            other => vec![other],
        };
        let read = |mut value: Value| {
            let inner = value["instance"].take();
            serde_json::from_value::<Instance>(if inner.is_object() { inner } else { value }).ok()
        };
        let mut listed = listed.into_iter().filter_map(read);
        Ok(listed.find(|instance| instance.name() == Some(self.api.instance())))
    }

    fn webhook(&self, url: &str) -> Value {
        let secret = self.webhook_secrets.first().map(ExposeSecret::expose_secret);
        let headers = match self.carried {
            Carried::Header => json!({ "authorization": secret }),
            // Evolution makes a token of the key and keeps the key to itself.
            Carried::Token => json!({ "jwt_key": secret }),
        };
        json!({
            "enabled": true, "url": url, "headers": headers, "byEvents": false, "base64": false,
            "events": EVENTS,
        })
    }

    /// Whether the instance calls our webhook already. It can call only one, and somebody else's is not taken away.
    fn is_set(&self, url: &str, response: &ProviderResponse) -> Result<bool, Failure> {
        if response.http.status().as_u16() == 404 {
            return Ok(false);
        }
        let body: Value = read(response)?;
        let known = if body["webhook"].is_object() { &body["webhook"] } else { &body };
        let path = |text: &str| Url::parse(text).ok().map(|url| url.path().to_owned());
        let calls = known["url"].as_str().filter(|url| !url.is_empty());
        if let Some(calls) = calls.filter(|_| known["enabled"] == true)
            && path(calls) != path(url)
        {
            let detail = "the instance calls another webhook; remove it at the server first";
            return Err(Failure::new(FailureClass::Permanent(Cause::Account), detail));
        }
        let ours = self.webhook(url);
        let is_same = |name: &str| known[name] == ours[name];
        // The store has other names for these two than the request. Files inside webhooks would make them too large.
        let unwanted = ["webhookByEvents", "byEvents", "webhookBase64", "base64"];
        let is_plain = unwanted.into_iter().all(|name| known[name] != true);
        Ok(["enabled", "url", "headers", "events"].into_iter().all(is_same) && is_plain)
    }
}

impl Health for EvolutionAccount {
    fn probe(&self) -> ProviderRequest {
        let path = ["instance", "connectionState"];
        ProviderRequest::repeatable(self.api.ask(&Method::GET, path, &[]))
    }

    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let body: Value = read(response)?;
        let state = body["instance"]["state"].as_str().filter(|word| STATES.contains(word));
        let Some(state) = state else {
            let detail = foreign("Evolution", response);
            return Err(Failure::new(FailureClass::Permanent(Cause::Account), detail));
        };
        if state == "open" {
            return Ok(());
        }
        let detail = format!("the device's connection is {state}");
        Err(Failure::new(errors::class_of(state), detail).with_code(state))
    }
}

/// The body of an answer that must be 2xx.
fn read<T: DeserializeOwned>(response: &ProviderResponse) -> Result<T, Failure> {
    if !response.is_success() {
        return Err(errors::of_asking(response));
    }
    let unreadable = || Failure::new(FailureClass::Transient, "Evolution's answer cannot be read");
    response.json().ok_or_else(unreadable)
}
