//! Telnyx: the Voice API (Call Control), TeXML, and messaging.
//!
//! An account is one Telnyx account seen through its Ed25519 public key, which signs everything Telnyx sends: JSON
//! events, TeXML callbacks and TeXML fetches alike.
//! Follows <https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks>.

mod answers;
mod client;
mod details;
mod errors;
mod health;
mod limits;
mod media;
mod messages;
mod notices;
mod routing;
mod sending;
mod severity;
mod signature;
mod statuses;
mod texml;
mod voice;
mod webhook;
mod whatsapp;
mod wire;

use crate::{
    Account, Batch, Channel, Destination, Field, Health, Inbound, KeyId, Media, Messages,
    Misconfigured, Proof, Provider, Rejection, Settings, Webhooks,
};
use client::Client;
use signature::PublicKey;

/// Telnyx.
pub static PROVIDER: Provider = Provider {
    name: "telnyx",
    title: "Telnyx",
    channels: &[Channel::Voip, Channel::Sms, Channel::Whatsapp],
    methods: &[http::Method::GET, http::Method::POST],
    fields: FIELDS,
    open,
    claims: webhook::claims,
    precheck: signature::precheck,
    key_is_secret: false,
    proof: Proof::Request,
    homes: client::HOMES,
    speaks: answers::speaks,
    class_of: errors::class_of,
    sign: signature::sign,
};

const FIELDS: &[Field] = &[
    Field {
        name: "public_key",
        // It is no secret, but it is the verification key: it is stored and rotated as the others' are.
        secret: true,
        required: true,
        rotates: true,
        rotates_with: None,
        about: "The account's public key, base64, from Keys & Credentials in Mission Control.",
    },
    Field {
        name: "connection_ids",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "The ids of the Voice API and TeXML applications whose calls come here.",
    },
    Field {
        name: "messaging_profile_ids",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "The ids of the messaging profiles whose messages come here; senders that are names send for the first.",
    },
    Field {
        name: "api_key",
        secret: true,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "An API key; without one, messages are received but not sent.",
    },
    Field {
        name: "texml_by_get",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "Whether TeXML applications may call by GET, true or false; false if it is not given. Telnyx does not sign what a GET says.",
    },
    Field {
        name: "base_url",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "Where Telnyx's API is, if not at https://api.telnyx.com.",
    },
    Field {
        name: "messages_per_second",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "How many messages a second each number may send; 1 if it is not given.",
    },
];

/// One Telnyx account: what verifies its webhooks, which of its applications and profiles are ours, and what its
/// requests need, if it may make any.
#[derive(Debug)]
struct TelnyxAccount {
    public_keys: Vec<PublicKey>,
    connection_ids: Vec<String>,
    messaging_profile_ids: Vec<String>,
    /// Whether requests are believed whose query nothing proves.
    by_get: bool,
    client: Option<Client>,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    let names = ["public_key", "previous_public_key"];
    let texts = settings.rotating(names[0])?;
    let public_keys = texts
        .iter()
        .zip(names)
        .map(|(text, name)| PublicKey::parse(text).map_err(|why| Misconfigured::new(name, why)))
        .collect::<Result<_, _>>()?;
    Ok(Box::new(TelnyxAccount {
        public_keys,
        connection_ids: settings.list("connection_ids"),
        messaging_profile_ids: settings.list("messaging_profile_ids"),
        by_get: match settings.text("texml_by_get") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Misconfigured::new("texml_by_get", "must be true or false")),
        },
        client: Client::open(settings)?,
    }))
}

impl Account for TelnyxAccount {
    fn identifiers(&self) -> Vec<String> {
        let ids = self.connection_ids.iter().chain(&self.messaging_profile_ids);
        ids.cloned().collect()
    }

    fn destination(&self) -> Option<Destination> {
        Destination::new(self.client.as_ref()?.api.base(), &["api_key"])
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }

    fn messages(&self) -> Option<&dyn Messages> {
        Some(self.client.as_ref()?)
    }

    // There is no `tracking`: Telnyx shows a message only to who knows its id, which is in the answer that never came.

    fn media(&self) -> Option<&dyn Media> {
        Some(self)
    }

    fn health(&self) -> Option<&dyn Health> {
        Some(self.client.as_ref()?)
    }
}

impl Webhooks for TelnyxAccount {
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection> {
        webhook::receive(&self.public_keys, self.by_get, inbound)
    }

    fn keys(&self) -> Vec<KeyId> {
        self.public_keys.iter().map(PublicKey::id).collect()
    }
}
