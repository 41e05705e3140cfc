//! Meta's WhatsApp Business Platform (Cloud API).
//!
//! An account is one WhatsApp Business Account (WABA) seen through one Meta app: the app's secret signs its webhooks.
//! Follows <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks>.

mod calls;
mod content;
mod envelope;
mod errors;
mod history;
mod messages;
mod notices;
mod people;
mod severity;
mod statuses;
mod webhook;
mod wire;

use crate::{
    Account, Batch, Channel, Field, Inbound, KeyId, Misconfigured, Provider, Rejection, Secret,
    Settings, Webhooks,
};

/// Meta's WhatsApp Cloud API.
pub static PROVIDER: Provider = Provider {
    name: "meta",
    title: "Meta WhatsApp Cloud API",
    channels: &[Channel::Whatsapp],
    fields: FIELDS,
    open,
    claims: envelope::claims,
    key_is_secret: true,
    class_of: errors::class_of,
    sign: webhook::sign,
};

const FIELDS: &[Field] = &[
    Field {
        name: "waba_id",
        secret: false,
        required: true,
        rotates: false,
        about: "The WhatsApp Business Account's id, digits, from WhatsApp Manager.",
    },
    Field {
        name: "app_secret",
        secret: true,
        required: true,
        rotates: true,
        about: "The Meta app's secret; it signs every webhook.",
    },
    Field {
        name: "verify_token",
        secret: true,
        required: true,
        rotates: false,
        about: "A text of your choice that Meta repeats when the webhook URL is registered.",
    },
];

/// One WABA and its app's secrets.
#[derive(Debug)]
struct MetaAccount {
    waba_id: String,
    app_secrets: Vec<Secret>,
    verify_token: Secret,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    let waba_id = settings.required_text("waba_id")?.to_owned();
    if !waba_id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misconfigured::new("waba_id", "must be digits only"));
    }
    let verify_token =
        settings.secret("verify_token").ok_or(Misconfigured::new("verify_token", "is missing"))?;
    Ok(Box::new(MetaAccount {
        waba_id,
        app_secrets: settings.rotating("app_secret")?,
        verify_token: verify_token.clone(),
    }))
}

impl Account for MetaAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.waba_id.clone()]
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }
}

impl Webhooks for MetaAccount {
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection> {
        webhook::receive(&self.app_secrets, &self.verify_token, inbound)
    }

    fn keys(&self) -> Vec<KeyId> {
        self.app_secrets.iter().map(KeyId::of_secret).collect()
    }
}
