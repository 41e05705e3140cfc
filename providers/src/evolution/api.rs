//! Requests to an Evolution server, and what all of them have in common.
//! <https://doc.evolution-api.com/v2/api-reference/get-information>

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use crate::{Destination, Secret};

const KEY_HEADER: HeaderName = HeaderName::from_static("apikey");

/// An instance of an Evolution server, and the key to it.
#[derive(Debug)]
pub(super) struct Api {
    base: Url,
    instance: String,
    key: Secret,
}

impl Api {
    pub(super) fn new(base: Url, instance: String, key: Secret) -> Self {
        Self { base, instance, key }
    }

    /// The instance's name.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Where the key goes. The server is also given what it shall prove its webhooks with.
    pub(super) fn destination(&self) -> Option<Destination> {
        Destination::new(self.base.as_str(), &["api_key", "webhook_secret"])
    }

    /// A question or command about the instance: `/<area>/<verb>/<instance>`.
    pub(super) fn ask(
        &self,
        method: &Method,
        [area, verb]: [&str; 2],
        query: &[(&str, &str)],
    ) -> Request<Bytes> {
        let mut url = self.url(&[area, verb, &self.instance]);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.request(method, &url, None)
    }

    /// A request to the instance with a JSON body.
    pub(super) fn post(&self, [area, verb]: [&str; 2], body: &Value) -> Request<Bytes> {
        self.request(&Method::POST, &self.url(&[area, verb, &self.instance]), Some(body))
    }

    /// A question about the server's instances.
    pub(super) fn find(&self) -> Request<Bytes> {
        let mut url = self.url(&["instance", "fetchInstances"]);
        url.query_pairs_mut().append_pair("instanceName", &self.instance);
        self.request(&Method::GET, &url, None)
    }

    /// The request that creates the instance.
    pub(super) fn create(&self, body: &Value) -> Request<Bytes> {
        self.request(&Method::POST, &self.url(&["instance", "create"]), Some(body))
    }

    /// A request for a file in object storage. The link carries its own proof; our key stays here. `None` if the text is no
    /// address on the web.
    pub(super) fn file(text: &str) -> Option<Request<Bytes>> {
        let url = crate::api::web_url(text)?;
        Request::builder().uri(url.as_str()).body(Bytes::new()).ok()
    }

    /// The address of these segments below the base. Each of them is encoded, so none can leave its place.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only URLs that cannot be a base refuse segments, and those have no host.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, method: &Method, url: &Url, body: Option<&Value>) -> Request<Bytes> {
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = Request::new(bytes);
        *request.method_mut() = method.clone();
        // A URL that is too long for a URI becomes `/`, which no transport can reach.
        *request.uri_mut() = url.as_str().parse::<Uri>().unwrap_or_default();
        let mut key = HeaderValue::from_str(self.key.expose_secret())
            .unwrap_or_else(|_| unreachable!("the key was checked when the account was opened"));
        key.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let headers = request.headers_mut();
        headers.insert(KEY_HEADER, key);
        headers.insert(ACCEPT, json.clone());
        if body.is_some() {
            headers.insert(CONTENT_TYPE, json);
        }
        request
    }
}
