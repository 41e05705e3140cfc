//! How Meta's Graph API is spoken to: where it is, and the access token that every request carries.
//!
//! This file knows nothing of what is asked. Ids are checked before they stand in a URL, and the token only goes to
//! Meta's own hosts, or to where the account's settings say that the API is.
//! <https://developers.facebook.com/docs/graph-api/overview>

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use secrecy::ExposeSecret;
use url::Url;

use crate::{
    Cause, Destination, Failure, FailureClass, Homes, Misconfigured, ProviderRequest, Secret,
    Sender, Settings,
};

const DEFAULT_BASE_URL: &str = "https://graph.facebook.com";
const DEFAULT_VERSION: &str = "v24.0";

/// Throughput of a number that Meta has not raised, in messages a second.
const DEFAULT_MESSAGES_PER_SECOND: u32 = 80;

/// Bytes of a `base_url`.
const BASE_URL_LIMIT: usize = 1_024;

/// Bytes of an id that we put in a URL. Meta's have at most 20 digits.
const ID_LIMIT: usize = 256;

/// Meta's own: the API is at `graph.facebook.com`; `lookaside.fbsbx.com` is where it names files at present.
pub(super) const HOMES: Homes =
    Homes::Domains(&["facebook.com", "fbsbx.com", "fbcdn.net", "whatsapp.net"]);

/// The Graph API as one account sees it.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) waba_id: String,
    pub(super) messages_per_second: u32,
    base: Url,
    /// The base URL with the version, without a slash at its end.
    root: String,
    token: Secret,
    authorization: HeaderValue,
}

impl Graph {
    /// Reads the settings of sending. `None` without an access token; the other settings are checked all the same.
    pub(super) fn open(settings: &Settings, waba_id: &str) -> Result<Option<Self>, Misconfigured> {
        let base = base_url(settings)?;
        let root = format!("{}/{}", base.as_str().trim_end_matches('/'), version(settings)?);
        if root.parse::<http::Uri>().is_err() {
            return Err(Misconfigured::new("base_url", "cannot be used as a URL"));
        }
        let messages_per_second = messages_per_second(settings)?;
        let Some(secret) = settings.secret("access_token") else {
            return Ok(None);
        };
        let token = secret.expose_secret().trim();
        let refusal = || Misconfigured::new("access_token", "must be visible ASCII characters");
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refusal());
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| refusal())?;
        authorization.set_sensitive(true);
        Ok(Some(Self {
            waba_id: waba_id.to_owned(),
            messages_per_second,
            base,
            root,
            token: Secret::from(token),
            authorization,
        }))
    }

    /// A question. `path` is made of ids that [`is_id`] accepts and of encoded values.
    pub(super) fn get(&self, path: &str) -> ProviderRequest {
        ProviderRequest::repeatable(self.request(Method::GET, path, Bytes::new()))
    }

    /// An order to delete what stands at `path`.
    pub(super) fn delete_at(&self, path: &str) -> http::Request<Bytes> {
        self.request(Method::DELETE, path, Bytes::new())
    }

    /// An order in JSON.
    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> http::Request<Bytes> {
        let body = Bytes::from(body.to_string());
        self.post_as(path, HeaderValue::from_static("application/json"), body)
    }

    /// An order of another content type.
    pub(super) fn post_as(
        &self,
        path: &str,
        content_type: HeaderValue,
        body: Bytes,
    ) -> http::Request<Bytes> {
        let mut request = self.request(Method::POST, path, body);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        request
    }

    /// The request for a file. The token stays at home where the file is at neither Meta nor the API's own host: an
    /// address in a webhook is as trustworthy as everybody who knows the app's secret.
    pub(super) fn download(&self, address: &str) -> Result<ProviderRequest, Failure> {
        let unusable = || {
            let detail = "the file's address is no https URL";
            Failure::new(FailureClass::Permanent(Cause::Message), detail)
        };
        let url = Url::parse(address).map_err(|_| unusable())?;
        let is_ours = url.origin() == self.base.origin();
        let has_login = !url.username().is_empty() || url.password().is_some();
        if has_login || !(is_ours || url.scheme() == "https") {
            return Err(unusable());
        }
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| unusable())?;
        if is_ours || HOMES.own(&url) {
            request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        }
        Ok(ProviderRequest::repeatable(request))
    }

    /// Where the token goes.
    pub(super) fn destination(&self) -> Option<Destination> {
        Destination::new(self.base.as_str(), &["access_token"])
    }

    /// The text without our token: Meta repeats a malformed one in its explanation.
    pub(super) fn without_token(&self, text: &str) -> String {
        text.replace(self.token.expose_secret(), "[REDACTED]")
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> http::Request<Bytes> {
        let uri = format!("{}/{path}", self.root).parse();
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() =
            uri.unwrap_or_else(|_| unreachable!("checked ids and encoded values make a URL"));
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        request
    }
}

/// The `phone_number_id` of the line that sends.
pub(super) fn number_of(sender: &Sender) -> Result<&str, Failure> {
    let handle = sender.handle.as_deref().unwrap_or_default();
    if is_id(handle) {
        return Ok(handle);
    }
    let detail = "the route's handle is not a phone_number_id";
    Err(Failure::new(FailureClass::Permanent(Cause::Account), detail))
}

/// Whether a text has the form of an id and may stand in a URL.
pub(super) fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=ID_LIMIT).contains(&text.len()) && text.bytes().all(is_plain)
}

fn base_url(settings: &Settings) -> Result<Url, Misconfigured> {
    let refusal = |reason: &str| Misconfigured::new("base_url", reason);
    let text = settings.text("base_url").unwrap_or(DEFAULT_BASE_URL);
    if text.len() > BASE_URL_LIMIT {
        return Err(refusal("must be at most 1,024 bytes long"));
    }
    let url = Url::parse(text).map_err(|_| refusal("must be a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(refusal("must be an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refusal("must not hold a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refusal("must have neither a query nor a fragment"));
    }
    Ok(url)
}

fn version(settings: &Settings) -> Result<&str, Misconfigured> {
    let version = settings.text("api_version").unwrap_or(DEFAULT_VERSION);
    let major = version.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
    let is_major = |major: &str| {
        (1..=4).contains(&major.len()) && major.bytes().all(|byte| byte.is_ascii_digit())
    };
    if major.is_some_and(is_major) {
        return Ok(version);
    }
    Err(Misconfigured::new("api_version", "must have the form v24.0"))
}

fn messages_per_second(settings: &Settings) -> Result<u32, Misconfigured> {
    let Some(text) = settings.text("messages_per_second") else {
        return Ok(DEFAULT_MESSAGES_PER_SECOND);
    };
    let number = text.parse().ok().filter(|number| (1..=1_000).contains(number));
    number.ok_or_else(|| {
        Misconfigured::new("messages_per_second", "must be a whole number from 1 to 1000")
    })
}
