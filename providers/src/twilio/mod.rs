//! Twilio: SMS, MMS and WhatsApp messages, and telephone calls.
//!
//! An account is one Twilio account or sub-account: its auth token, or a shared key made for it, signs every webhook, whichever
//! product sends it.
//! Follows <https://www.twilio.com/docs/usage/webhooks>.

mod address;
mod answers;
mod callbacks;
mod calls;
mod client;
mod content;
mod errors;
mod facts;
mod health;
mod limits;
mod media;
mod messages;
mod notices;
mod receipts;
mod sending;
mod signature;
mod statuses;
mod templates;
mod tracking;
mod urls;
mod webhook;

use crate::{
    Account, Batch, Channel, Destination, Field, Health, Inbound, KeyId, Media, Messages,
    Misconfigured, Proof, Provider, Receipts, Rejection, Secret, Settings, Templates, Tracking,
    Webhooks,
};
use client::Client;
use secrecy::ExposeSecret;
use signature::{Keys, SharedKey};

/// Twilio's messaging and voice products.
pub static PROVIDER: Provider = Provider {
    name: "twilio",
    title: "Twilio",
    channels: &[Channel::Whatsapp, Channel::Sms, Channel::Voip],
    methods: &[http::Method::GET, http::Method::POST],
    fields: FIELDS,
    open,
    claims: webhook::claims,
    precheck: signature::precheck,
    key_is_secret: true,
    proof: Proof::Request,
    homes: client::HOMES,
    speaks: answers::speaks,
    class_of: errors::class_of,
    sign: signature::sign,
};

const FIELDS: &[Field] = &[
    Field {
        name: "account_sid",
        secret: false,
        required: true,
        rotates: false,
        rotates_with: None,
        about: "The account's SID, AC and 32 hexadecimal digits, from the Twilio console.",
    },
    Field {
        name: "auth_token",
        secret: true,
        required: true,
        rotates: true,
        rotates_with: None,
        about: "The account's auth token; it signs every webhook that names no SharedKey.",
    },
    Field {
        name: "shared_key_id",
        secret: true,
        required: false,
        rotates: true,
        rotates_with: Some("shared_key_secret"),
        about: "The id of the SharedKey that signs webhooks, webhooks_sharedkey_ and more, as their settings header names it.",
    },
    Field {
        name: "shared_key_secret",
        secret: true,
        required: false,
        rotates: true,
        rotates_with: Some("shared_key_id"),
        about: "The SharedKey's secret.",
    },
    Field {
        name: "api_key_sid",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "The SID of an API key, SK and 32 hexadecimal digits; without one, the auth token sends.",
    },
    Field {
        name: "api_key_secret",
        secret: true,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "The API key's secret.",
    },
    Field {
        name: "messaging_service_sid",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "The SID of a messaging service, MG and 32 hexadecimal digits, that all messages go through.",
    },
    Field {
        name: "base_url",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "Where Twilio's API is, if not at https://api.twilio.com: a region, or an emulator.",
    },
    Field {
        name: "messages_per_second",
        secret: false,
        required: false,
        rotates: false,
        rotates_with: None,
        about: "How many messages a second each number may send; 1 for SMS and 10 for WhatsApp if it is not given.",
    },
];

/// One account: what signs its webhooks, and what its requests need.
#[derive(Debug)]
struct TwilioAccount {
    keys: Keys,
    client: Client,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    let account_sid = settings.required_text("account_sid")?;
    if !is_sid("AC", account_sid) {
        let reason = "must be AC and 32 hexadecimal digits";
        return Err(Misconfigured::new("account_sid", reason));
    }
    let auth_tokens = settings.rotating("auth_token")?;
    let client = Client::open(settings, account_sid, &auth_tokens[0])?;
    let keys = Keys { auth_tokens, shared: shared_keys(settings)? };
    Ok(Box::new(TwilioAccount { keys, client }))
}

/// The shared key and, while a rotation lasts, the one before. Another secret may be given to the same id.
fn shared_keys(settings: &Settings) -> Result<Vec<SharedKey>, Misconfigured> {
    let missing =
        |field| Misconfigured::new(field, "is missing: a SharedKey has an id and a secret");
    let (id, secret) = (settings.secret("shared_key_id"), settings.secret("shared_key_secret"));
    let (id, secret) = match (id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(Vec::new()),
        (Some(_), None) => return Err(missing("shared_key_secret")),
        (None, Some(_)) => return Err(missing("shared_key_id")),
    };
    let key = |id: &Secret, secret: &Secret| SharedKey {
        id: id.expose_secret().trim().to_owned(),
        secret: secret.clone(),
    };
    let current = key(id, secret);
    // A header must be able to name it.
    if current.id.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b',' || byte == b'=') {
        let reason = "must be letters, digits and underscores, such as webhooks_sharedkey_…";
        return Err(Misconfigured::new("shared_key_id", reason));
    }
    let previous_id = settings.secret("previous_shared_key_id");
    let previous = previous_id.zip(settings.secret("previous_shared_key_secret"));
    let previous = previous.map(|(id, secret)| key(id, secret));
    Ok(std::iter::once(current).chain(previous).collect())
}

/// Whether the text is an id of Twilio's: two letters that tell what of, and 32 hexadecimal digits.
fn is_sid(kind: &str, text: &str) -> bool {
    let digits = text.strip_prefix(kind).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Account for TwilioAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.client.account_sid.clone()]
    }

    fn destination(&self) -> Option<Destination> {
        self.client.destination()
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

    fn templates(&self) -> Option<&dyn Templates> {
        Some(self)
    }

    fn health(&self) -> Option<&dyn Health> {
        Some(self)
    }
}

impl Webhooks for TwilioAccount {
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection> {
        webhook::receive(&self.keys, inbound)
    }

    fn keys(&self) -> Vec<KeyId> {
        self.keys.ids()
    }
}
