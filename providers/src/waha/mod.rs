//! WhatsApp Web through WAHA, a bridge that an operator runs and that speaks HTTP.
//!
//! An account is one session of one WAHA server: one linked device, one number. Meta does not approve of bridges and bans
//! numbers that behave like machines, so an account of this kind is paced like a person by default.
//! Follows <https://waha.devlike.pro/docs/how-to/events/> and the OpenAPI document of WAHA 2026.7.

mod api;
mod calls;
mod content;
mod edits;
mod envelopes;
mod errors;
mod ids;
mod media;
mod messages;
mod notices;
mod receipts;
mod send;
mod sessions;
mod settings;
mod statuses;
mod tracking;
mod webhook;
mod webjs;
mod wire;

use crate::bridge;
use crate::{
    Account, Batch, Channel, Destination, Health, Homes, Inbound, KeyId, Media, Messages,
    Misconfigured, Pace, Proof, Provider, Receipts, Rejection, Secret, Sessions, Settings,
    Tracking, Webhooks,
};
use api::Api;
use bytes::Bytes;

/// WhatsApp Web through WAHA.
pub static PROVIDER: Provider = Provider {
    name: "waha",
    title: "WhatsApp Web (WAHA)",
    channels: &[Channel::Whatsapp],
    methods: &[http::Method::POST],
    fields: settings::FIELDS,
    open,
    claims: webhook::claims,
    precheck: webhook::precheck,
    key_is_secret: true,
    proof: Proof::Request,
    homes: Homes::Settings,
    speaks: errors::speaks,
    class_of: errors::class_of,
    sign: webhook::sign,
};

/// One session of a WAHA server.
#[derive(Debug)]
struct WahaAccount {
    api: Api,
    /// What WAHA signs its webhooks with; the first is the current one.
    webhook_secrets: Vec<Secret>,
    pace: Pace,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    Ok(Box::new(WahaAccount {
        api: settings::api(settings)?,
        webhook_secrets: settings.rotating("webhook_secret")?,
        pace: bridge::settings::pace(settings)?,
    }))
}

impl Account for WahaAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.api.session().to_owned()]
    }

    fn destination(&self) -> Option<Destination> {
        self.api.destination()
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }

    fn messages(&self) -> Option<&dyn Messages> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn Media> {
        Some(self)
    }

    fn receipts(&self) -> Option<&dyn Receipts> {
        Some(self)
    }

    fn sessions(&self) -> Option<&dyn Sessions> {
        Some(self)
    }

    fn health(&self) -> Option<&dyn Health> {
        Some(self)
    }
}

impl Webhooks for WahaAccount {
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection> {
        webhook::receive(&self.webhook_secrets, inbound)
    }

    fn keys(&self) -> Vec<KeyId> {
        self.webhook_secrets.iter().map(KeyId::of_secret).collect()
    }

    fn without_credentials(&self, body: Bytes) -> Bytes {
        webhook::without_credentials(&body)
    }
}
