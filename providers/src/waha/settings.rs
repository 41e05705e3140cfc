//! What an account is made of, and how it is read.

use super::api::Api;
use crate::bridge::settings::{self as common, plain};
use crate::{Field, Misconfigured, Settings};

pub(super) const FIELDS: &[Field] = &[
    plain("base_url", true, "Where the WAHA server answers, for example http://waha:3000."),
    plain(
        "session",
        true,
        "The name of the WAHA session; webhooks and routes name it as the handle.",
    ),
    Field {
        name: "api_key",
        secret: true,
        required: true,
        rotates: false,
        rotates_with: None,
        about: "The WAHA server's API key, or one that is made for this session.",
    },
    Field {
        name: "webhook_secret",
        secret: true,
        required: true,
        rotates: true,
        rotates_with: None,
        about: "The key by which WAHA signs its webhooks (HMAC-SHA512): a long random text of your choice.",
    },
    common::MESSAGES_PER_SECOND,
    common::PAUSE_LEAST,
    common::PAUSE_MOST,
    common::FIRST_CONTACTS_PER_DAY,
];

/// How the server is reached.
pub(super) fn api(settings: &Settings) -> Result<Api, Misconfigured> {
    let base = common::base(settings)?;
    Ok(Api::new(base, common::name(settings, "session")?, common::api_key(settings)?))
}
