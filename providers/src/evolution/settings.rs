//! What an account is made of, and how it is read.

use secrecy::ExposeSecret;

use super::api::Api;
use crate::bridge::settings::{self as common, plain};
use crate::{Field, Misconfigured, Secret, Settings};

/// How short a secret may be, in bytes. It is all that proves a webhook, and anybody may guess at it.
const SECRET_BYTES: usize = 16;

pub(super) const FIELDS: &[Field] = &[
    plain(
        "base_url",
        true,
        "Where the Evolution server answers, for example http://evolution:8080.",
    ),
    plain(
        "instance",
        true,
        "The name of the Evolution instance; webhooks and routes name it as the handle.",
    ),
    Field {
        name: "api_key",
        secret: true,
        required: true,
        rotates: false,
        rotates_with: None,
        about: "The instance's token, or the server's global API key, which is needed to create the instance.",
    },
    Field {
        name: "webhook_secret",
        secret: true,
        required: true,
        rotates: true,
        rotates_with: None,
        about: "What webhooks must carry in their `authorization` header, or sign its token with: a long random text of your choice, 16 characters at least. Nothing else proves them, so use TLS and let only the server's addresses in.",
    },
    plain(
        "webhook_proof",
        false,
        "How webhooks carry the secret: `header` (the default) as it stands, `jwt` as a token that ends after ten minutes.",
    ),
    common::MESSAGES_PER_SECOND,
    common::PAUSE_LEAST,
    common::PAUSE_MOST,
    common::FIRST_CONTACTS_PER_DAY,
];

/// How the bridge is told to prove its webhooks. Both ways are accepted; each proves the same secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    Header,
    Token,
}

/// How the server is reached.
pub(super) fn api(settings: &Settings) -> Result<Api, Misconfigured> {
    let base = common::base(settings)?;
    Ok(Api::new(base, common::name(settings, "instance")?, common::api_key(settings)?))
}

/// What proves webhooks; the first is the current one.
pub(super) fn webhook_secrets(settings: &Settings) -> Result<Vec<Secret>, Misconfigured> {
    let secrets = settings.rotating("webhook_secret")?;
    for secret in &secrets {
        let text = secret.expose_secret();
        // A header's value arrives without the blanks around it.
        let is_header = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
        if !is_header || text.len() < SECRET_BYTES {
            let reason = format!("must be at least {SECRET_BYTES} visible ASCII characters");
            return Err(Misconfigured::new("webhook_secret", reason));
        }
    }
    Ok(secrets)
}

/// The setting `webhook_proof`.
pub(super) fn carried(settings: &Settings) -> Result<Carried, Misconfigured> {
    match settings.text("webhook_proof") {
        None | Some("header") => Ok(Carried::Header),
        Some("jwt") => Ok(Carried::Token),
        Some(_) => Err(Misconfigured::new("webhook_proof", "must be `header` or `jwt`")),
    }
}
