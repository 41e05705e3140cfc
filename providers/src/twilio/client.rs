//! What an account needs to speak to Twilio's REST APIs: their addresses, and which credentials open them.
//! <https://www.twilio.com/docs/usage/requests-to-twilio>

use url::Url;

use super::is_sid;
use crate::api::{self, Api};
use crate::{Destination, Homes, Misconfigured, ProviderRequest, Secret, Settings};

const DEFAULT_BASE: &str = "https://api.twilio.com";

/// Twilio's own hosts: regions, edges and products have names of their own below it.
pub(super) const HOMES: Homes = Homes::Domains(&["twilio.com"]);

/// The settings and credentials of an account that only requests of ours need.
#[derive(Debug)]
pub(super) struct Client {
    /// `/2010-04-01`: messages, accounts, files.
    pub(super) api: Api,
    /// Templates.
    pub(super) content: Api,
    /// Typing indicators.
    pub(super) messaging: Api,
    pub(super) account_sid: String,
    pub(super) messaging_service_sid: Option<String>,
    pub(super) messages_per_second: Option<f64>,
    /// Whether an API key opens the APIs. It opens less than the auth token: not the account itself.
    pub(super) has_api_key: bool,
    is_twilio: bool,
}

impl Client {
    pub(super) fn open(
        settings: &Settings,
        account_sid: &str,
        auth_token: &Secret,
    ) -> Result<Self, Misconfigured> {
        let key = api_key(settings)?;
        let authorization = match key {
            Some((sid, secret)) => api::basic(sid, secret),
            None => api::basic(account_sid, auth_token),
        };
        let messaging_service_sid = settings.text("messaging_service_sid").map(ToOwned::to_owned);
        if messaging_service_sid.as_deref().is_some_and(|sid| !is_sid("MG", sid)) {
            let reason = "must be MG and 32 hexadecimal digits";
            return Err(Misconfigured::new("messaging_service_sid", reason));
        }
        let base = api::base_url(settings)?;
        // A region of Twilio's has an address of its own for this API only; an emulator is all of Twilio at once.
        let is_twilio = base.as_deref().is_none_or(is_twilios);
        let host = |name: &str| match &base {
            Some(base) if !is_twilio => base.clone(),
            _ => format!("https://{name}.twilio.com"),
        };
        let at = |base: String| Api::new(base, authorization.clone());
        Ok(Self {
            content: at(host("content")),
            messaging: at(host("messaging")),
            api: at(base.unwrap_or_else(|| DEFAULT_BASE.to_owned())),
            account_sid: account_sid.to_owned(),
            messaging_service_sid,
            messages_per_second: api::messages_per_second(settings)?,
            has_api_key: key.is_some(),
            is_twilio,
        })
    }

    /// Where the requests go. Where the base is Twilio's, so are the addresses of its other products.
    pub(super) fn destination(&self) -> Option<Destination> {
        let opens = if self.has_api_key { "api_key_secret" } else { "auth_token" };
        Destination::new(self.api.base(), &[opens])
    }

    /// The path of a resource of the account.
    pub(super) fn path(&self, resource: &str) -> String {
        format!("/2010-04-01/Accounts/{}{resource}.json", self.account_sid)
    }

    /// Asks for a file by the URL that a webhook named. Credentials go to Twilio, or to the emulator that stands for it,
    /// and to nobody else.
    pub(super) fn download(&self, url: &str) -> Option<ProviderRequest> {
        let parsed = api::web_url(url)?;
        let is_known = self.is_twilio && is_twilios(url);
        let request = self.api.download(url, is_known || self.api.is_origin_of(&parsed))?;
        Some(ProviderRequest::repeatable(request))
    }
}

/// An API key and its secret: both or neither.
fn api_key(settings: &Settings) -> Result<Option<(&str, &Secret)>, Misconfigured> {
    match (settings.text("api_key_sid"), settings.secret("api_key_secret")) {
        (None, None) => Ok(None),
        (Some(sid), Some(secret)) if is_sid("SK", sid) => Ok(Some((sid, secret))),
        (Some(_), Some(_)) => {
            let reason = "must be SK and 32 hexadecimal digits";
            Err(Misconfigured::new("api_key_sid", reason))
        }
        (Some(_), None) => {
            Err(Misconfigured::new("api_key_secret", "is missing, but there is an api_key_sid"))
        }
        (None, Some(_)) => {
            Err(Misconfigured::new("api_key_sid", "is missing, but there is an api_key_secret"))
        }
    }
}

/// Whether a URL is at a host of Twilio's, and encrypted.
fn is_twilios(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| HOMES.own(&url))
}
