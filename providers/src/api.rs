//! A provider's HTTP API as requests see it: where it is, what opens it, and what a refusal means.
//!
//! Nothing is sent here, and nothing of one provider's words is known.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use secrecy::ExposeSecret;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::destination::foreign;
use crate::{Failure, FailureClass, Misconfigured, ProviderResponse, Secret, Settings};

/// How much of a provider's explanation is kept, in characters.
const DETAIL: usize = 500;

/// No account is faster than this, in messages a second.
const FASTEST: f64 = 1_000_000.0;

/// Where an API is, and what opens it. `Debug` does not show the credentials.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// Scheme, host, perhaps a port and a path; no slash at the end.
    base: String,
    authorization: HeaderValue,
}

impl Api {
    /// `base` as [`base_url`] gives it.
    pub(crate) fn new(base: impl Into<String>, authorization: HeaderValue) -> Self {
        Self { base: base.into(), authorization }
    }

    /// Where it is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks for `path`, which begins with a slash.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Request<Bytes> {
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        let joint = if query.is_empty() { "" } else { "?" };
        self.request(Method::GET, &format!("{path}{joint}{query}"))
    }

    /// Deletes what stands at `path`.
    pub(crate) fn delete(&self, path: &str) -> Request<Bytes> {
        self.request(Method::DELETE, path)
    }

    /// Posts a form. A name may be given several times.
    pub(crate) fn post_form(&self, path: &str, fields: &[(&str, String)]) -> Request<Bytes> {
        let mut form = Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, value);
        }
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.post(path, kind, form.finish())
    }

    /// Posts JSON.
    pub(crate) fn post_json(&self, path: &str, body: &serde_json::Value) -> Request<Bytes> {
        self.post(path, HeaderValue::from_static("application/json"), body.to_string())
    }

    /// Asks for an absolute URL that the provider named. The credentials go along only if it is this API's.
    pub(crate) fn download(&self, url: &str, is_ours: bool) -> Option<Request<Bytes>> {
        let url = web_url(url)?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.as_str().parse().ok()?;
        if is_ours {
            request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        }
        Some(request)
    }

    /// Whether `url` is at the same scheme, host and port.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        Url::parse(&self.base).is_ok_and(|base| base.origin() == url.origin())
    }

    fn post(&self, path: &str, kind: HeaderValue, body: String) -> Request<Bytes> {
        let mut request = self.request(Method::POST, path).map(|_| Bytes::from(body));
        request.headers_mut().insert(CONTENT_TYPE, kind);
        request
    }

    fn request(&self, method: Method, path_and_query: &str) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        // Everything that varies is percent-encoded and bounded, so that only a base that was never checked fails here.
        let url = format!("{}{path_and_query}", self.base).parse::<Uri>();
        *request.uri_mut() = url.or_else(|_| self.base.parse()).unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, self.authorization.clone());
        request
    }
}

/// HTTP Basic. The header is marked sensitive.
pub(crate) fn basic(user: &str, password: &Secret) -> HeaderValue {
    let credentials = BASE64.encode(format!("{user}:{}", password.expose_secret().trim()));
    sensitive(&format!("Basic {credentials}"))
        .unwrap_or_else(|| unreachable!("base64 is a header value"))
}

/// A bearer token; `None` if a header cannot hold it. The header is marked sensitive.
pub(crate) fn bearer(token: &Secret) -> Option<HeaderValue> {
    let token = token.expose_secret().trim();
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    sensitive(&format!("Bearer {token}")).filter(|_| plain)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// An absolute `http` or `https` URL without credentials.
pub(crate) fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host() && plain;
    (fits && url.as_str().len() <= 8_192).then_some(url)
}

/// The setting `base_url`, without a slash at the end; `None` where the provider's own address is meant.
pub(crate) fn base_url(settings: &Settings) -> Result<Option<String>, Misconfigured> {
    let Some(text) = settings.text("base_url") else {
        return Ok(None);
    };
    let url = web_url(text).filter(|url| url.query().is_none() && url.fragment().is_none());
    let reason = "must be an http or https URL without credentials, query and fragment";
    let url = url.ok_or_else(|| Misconfigured::new("base_url", reason))?;
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

/// The setting `messages_per_second`.
pub(crate) fn messages_per_second(settings: &Settings) -> Result<Option<f64>, Misconfigured> {
    let Some(text) = settings.text("messages_per_second") else {
        return Ok(None);
    };
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= FASTEST);
    let reason = "must be a number above 0 and at most 1000000";
    number.map(Some).ok_or_else(|| Misconfigured::new("messages_per_second", reason))
}

/// What a refusal means: what the provider's table says of its code, whatever the HTTP status. The status is asked only
/// where there is no code that the table knows: 403 beside a message that is too long does not blame the account.
pub(crate) fn refusal(
    response: &ProviderResponse,
    code: Option<&str>,
    detail: Option<&str>,
    known: Option<FailureClass>,
) -> Failure {
    let mut failure = Failure::of_status(response.http.status());
    if let Some(known) = known {
        failure.class = known;
    }
    if let Some(detail) = detail {
        let detail: String = detail.chars().take(DETAIL).collect();
        // Writing to a text cannot fail.
        let _ = write!(failure.detail, ": {detail}");
    }
    failure.code = code.map(ToOwned::to_owned);
    failure.retry_after = response.retry_after();
    failure
}

/// What a refusal means that has none of the provider's forms: what its status says. Nothing of it is shown.
pub(crate) fn refusal_of_nobody(whose: &str, response: &ProviderResponse) -> Failure {
    let mut failure = refusal(response, None, None, None);
    if !response.http.body().is_empty() {
        failure.detail = foreign(whose, response);
    }
    failure
}

/// An answer that says that something was done, but not what.
pub(crate) fn unreadable_success(response: &ProviderResponse) -> Failure {
    let status = response.http.status();
    let detail = format!("the provider answered {status}, but nothing that can be read");
    Failure::new(FailureClass::Indeterminate, detail)
}

/// An answer to a question that cannot be read. Asking again is harmless.
pub(crate) fn unreadable_answer(response: &ProviderResponse) -> Failure {
    Failure { class: FailureClass::Transient, ..unreadable_success(response) }
}
