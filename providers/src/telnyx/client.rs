//! What an account needs to speak to Telnyx's API: its address, and the key that opens it.
//! <https://developers.telnyx.com/development/api-fundamentals/authentication>

use crate::api::{self, Api};
use crate::{Homes, Misconfigured, Settings};

const DEFAULT_BASE: &str = "https://api.telnyx.com";

/// Telnyx's own hosts.
pub(super) const HOMES: Homes = Homes::Domains(&["telnyx.com"]);

/// The settings and credentials that only requests of ours need.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) api: Api,
    /// The profile for which names send, the first of those that the account lists.
    pub(super) messaging_profile_id: Option<String>,
    pub(super) messages_per_second: Option<f64>,
}

impl Client {
    /// `None` without an API key: such an account only receives.
    pub(super) fn open(settings: &Settings) -> Result<Option<Self>, Misconfigured> {
        let base = api::base_url(settings)?.unwrap_or_else(|| DEFAULT_BASE.to_owned());
        let messages_per_second = api::messages_per_second(settings)?;
        let Some(key) = settings.secret("api_key") else {
            return Ok(None);
        };
        let reason = "must be letters, digits and signs without blanks";
        let authorization =
            api::bearer(key).ok_or_else(|| Misconfigured::new("api_key", reason))?;
        Ok(Some(Self {
            api: Api::new(base, authorization),
            messaging_profile_id: settings.list("messaging_profile_ids").into_iter().next(),
            messages_per_second,
        }))
    }
}
