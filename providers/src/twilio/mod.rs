//! Twilio: SMS, MMS and WhatsApp messages, and telephone calls.
//!
//! An account is one Twilio account or sub-account: its auth token signs every webhook, whichever product sends it.
//! Follows <https://www.twilio.com/docs/usage/webhooks>.

mod address;
mod callbacks;
mod calls;
mod content;
mod errors;
mod facts;
mod messages;
mod signature;
mod statuses;
mod urls;
mod webhook;

use crate::{
    Account, Batch, Channel, Field, Inbound, KeyId, Misconfigured, Provider, Rejection, Secret,
    Settings, Webhooks,
};

/// Twilio's messaging and voice products.
pub static PROVIDER: Provider = Provider {
    name: "twilio",
    title: "Twilio",
    channels: &[Channel::Whatsapp, Channel::Sms, Channel::Voip],
    fields: FIELDS,
    open,
    claims: webhook::claims,
    key_is_secret: true,
    class_of: errors::class_of,
    sign: signature::sign,
};

const FIELDS: &[Field] = &[
    Field {
        name: "account_sid",
        secret: false,
        required: true,
        rotates: false,
        about: "The account's SID, AC and 32 hexadecimal digits, from the Twilio console.",
    },
    Field {
        name: "auth_token",
        secret: true,
        required: true,
        rotates: true,
        about: "The account's auth token; it signs every webhook.",
    },
];

/// One account and its auth tokens.
#[derive(Debug)]
struct TwilioAccount {
    account_sid: String,
    auth_tokens: Vec<Secret>,
}

fn open(settings: &Settings) -> Result<Box<dyn Account>, Misconfigured> {
    let account_sid = settings.required_text("account_sid")?.to_owned();
    let digits = account_sid.strip_prefix("AC").unwrap_or_default();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let reason = "must be AC and 32 hexadecimal digits";
        return Err(Misconfigured::new("account_sid", reason));
    }
    Ok(Box::new(TwilioAccount { account_sid, auth_tokens: settings.rotating("auth_token")? }))
}

impl Account for TwilioAccount {
    fn identifiers(&self) -> Vec<String> {
        vec![self.account_sid.clone()]
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }
}

impl Webhooks for TwilioAccount {
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection> {
        webhook::receive(&self.auth_tokens, inbound)
    }

    fn keys(&self) -> Vec<KeyId> {
        self.auth_tokens.iter().map(KeyId::of_secret).collect()
    }
}
