//! WhatsApp Web through Evolution API, a bridge that an operator runs and that speaks HTTP.
//!
//! An account is one instance of one Evolution server: one linked device, one number. Meta does not approve of bridges and
//! bans numbers that behave like machines, so an account of this kind is paced like a person by default. Its webhooks
//! carry a secret and no signature (see `proof.rs`): use TLS, and let only the bridge's addresses in.
//! Follows <https://doc.evolution-api.com/v2> and recordings of Evolution 2.3.

mod api;
mod calls;
mod content;
mod edits;
mod errors;
mod keys;
mod media;
mod messages;
mod notices;
mod proof;
mod receipts;
mod send;
mod sessions;
mod settings;
mod statuses;
mod tracking;
mod webhook;
mod wire;

use crate::bridge;
use crate::{
    Account, Batch, Channel, Destination, Health, Homes, Inbound, KeyId, Media, Messages,
    Misconfigured, Pace, Proof, Provider, Receipts, Rejection, Secret, Sessions, Settings,
    Tracking, Webhooks,
};
use api::Api;
use bytes::Bytes;
use settings::Carried;

/// WhatsApp Web through Evolution API.
pub static PROVIDER: Provider = Provider {
    name: "evolution",
    title: "WhatsApp Web (Evolution)",
    channels: &[Channel::Whatsapp],
    methods: &[http::Method::POST],
    fields: settings::FIELDS,
    open,
    claims: webhook::claims,
    precheck: proof::precheck,
    key_is_secret: true,
    proof: Proof::Sender,
    homes: Homes::Settings,
    speaks: errors::speaks,
    class_of: errors::class_of,
    sign: proof::sign,
};

/// One instance of an Evolution server.
#[derive(Debug)]
struct EvolutionAccount {
    api: Api,
    /// What webhooks are proven by; the first is the current one.
    webhook_secrets: Vec<Secret>,
    carried: Carried,
    pace: Pace,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    Ok(Box::new(EvolutionAccount {
        api: settings::api(settings)?,
        webhook_secrets: settings::webhook_secrets(settings)?,
        carried: settings::carried(settings)?,
        pace: bridge::settings::pace(settings)?,
    }))
}

impl Account for EvolutionAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.api.instance().to_owned()]
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

impl Webhooks for EvolutionAccount {
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
