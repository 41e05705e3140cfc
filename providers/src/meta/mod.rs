//! Meta's WhatsApp Business Platform (Cloud API).
//!
//! An account is one WhatsApp Business Account (WABA) seen through one Meta app: the app's secret signs its webhooks, and
//! an access token lets us send. Without a token the account only receives.
//! Follows <https://developers.facebook.com/docs/whatsapp/cloud-api>.

pub(crate) mod body;
mod calls;
mod content;
mod envelope;
pub(crate) mod errors;
mod graph;
mod health;
mod history;
mod media;
mod messages;
mod notices;
mod people;
mod receipts;
mod refusal;
mod sending;
mod severity;
mod statuses;
mod templates;
mod webhook;
mod wire;

use self::graph::Graph;
use crate::{
    Account, Batch, Channel, Destination, Field, Health, Inbound, KeyId, Media, Messages,
    Misconfigured, Proof, Provider, Receipts, Rejection, Secret, Settings, Templates, Webhooks,
};

/// Meta's WhatsApp Cloud API.
pub static PROVIDER: Provider = Provider {
    name: "meta",
    title: "Meta WhatsApp Cloud API",
    channels: &[Channel::Whatsapp],
    methods: &[http::Method::GET, http::Method::POST],
    fields: FIELDS,
    open,
    claims: envelope::claims,
    precheck: webhook::precheck,
    key_is_secret: true,
    proof: Proof::Request,
    homes: graph::HOMES,
    speaks: refusal::speaks,
    class_of: errors::class_of,
    sign: webhook::sign,
};

const FIELDS: &[Field] = &[
    Field {
        name: "waba_id",
        secret: false,
        required: true,
        rotates: false,
        rotates_with: None,
        about: "The WhatsApp Business Account's id, digits, from WhatsApp Manager.",
    },
    Field {
        name: "app_secret",
        secret: true,
        required: true,
        rotates: true,
        rotates_with: None,
        about: "The Meta app's secret; it signs every webhook.",
    },
    Field {
        name: "verify_token",
        secret: true,
        required: true,
        rotates: false,
        rotates_with: None,
        about: "A text of your choice that Meta repeats when the webhook URL is registered.",
    },
    Field {
        name: "access_token",
        secret: true,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "A system user's access token for the WABA; without it the account only receives.",
    },
    optional("api_version", "The Graph API's version, `v24.0` if not given."),
    optional("base_url", "Where the Graph API is, `https://graph.facebook.com` if not given."),
    optional("messages_per_second", "Throughput of each number, 1 to 1000; 80 if not given."),
];

const fn optional(name: &'static str, about: &'static str) -> Field {
    Field { name, secret: false, required: false, rotates: false, rotates_with: None, about }
}

/// One WABA and its app's secrets.
#[derive(Debug)]
struct MetaAccount {
    waba_id: String,
    app_secrets: Vec<Secret>,
    verify_token: Secret,
    /// Everything that needs the access token.
    graph: Option<Graph>,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    let waba_id = settings.required_text("waba_id")?.to_owned();
    if !waba_id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misconfigured::new("waba_id", "must be digits only"));
    }
    let verify_token =
        settings.secret("verify_token").ok_or(Misconfigured::new("verify_token", "is missing"))?;
    Ok(Box::new(MetaAccount {
        app_secrets: settings.rotating("app_secret")?,
        verify_token: verify_token.clone(),
        graph: Graph::open(settings, &waba_id)?,
        waba_id,
    }))
}

impl Account for MetaAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.waba_id.clone()]
    }

    fn destination(&self) -> Option<Destination> {
        self.graph.as_ref()?.destination()
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }

    fn messages(&self) -> Option<&dyn Messages> {
        self.graph.as_ref().map(|graph| graph as _)
    }

    fn media(&self) -> Option<&dyn Media> {
        self.graph.as_ref().map(|graph| graph as _)
    }

    fn receipts(&self) -> Option<&dyn Receipts> {
        self.graph.as_ref().map(|graph| graph as _)
    }

    fn templates(&self) -> Option<&dyn Templates> {
        self.graph.as_ref().map(|graph| graph as _)
    }

    fn health(&self) -> Option<&dyn Health> {
        self.graph.as_ref().map(|graph| graph as _)
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
