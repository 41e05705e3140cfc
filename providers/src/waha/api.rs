//! Requests to a WAHA server, and what all of them have in common.
//! <https://waha.devlike.pro/docs/how-to/security/>

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use crate::{Destination, Secret};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// Names under which a WAHA server that was never told its address knows itself.
const LOOPBACK: [&str; 4] = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"];

/// A session of a WAHA server, and the key to it.
#[derive(Debug)]
pub(super) struct Api {
    base: Url,
    session: String,
    key: Secret,
}

impl Api {
    pub(super) fn new(base: Url, session: String, key: Secret) -> Self {
        Self { base, session, key }
    }

    /// The session's name.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Where the key goes. The server is also given what it shall sign its webhooks with.
    pub(super) fn destination(&self) -> Option<Destination> {
        Destination::new(self.base.as_str(), &["api_key", "webhook_secret"])
    }

    /// A question.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Request<Bytes> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.request(&Method::GET, &url, None)
    }

    /// A request with a JSON body.
    pub(super) fn send(&self, method: &Method, path: &[&str], body: &Value) -> Request<Bytes> {
        self.request(method, &self.url(path), Some(body))
    }

    /// A request for a file. The key goes along only to the server itself; a link into object storage carries its own proof,
    /// and must not be shown our key. `None` if the text is no address on the web.
    pub(super) fn file(&self, text: &str) -> Option<Request<Bytes>> {
        let mut url = Url::parse(text).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        url.set_fragment(None);
        let is_self = |host| LOOPBACK.contains(&host) && url.path().starts_with("/api/");
        if url.host_str().is_some_and(is_self) && url.origin() != self.base.origin() {
            let segments: Vec<&str> = url.path().split('/').skip(1).collect();
            let mut rebased = self.base.clone();
            let path = format!("{}/{}", self.base.path().trim_end_matches('/'), segments.join("/"));
            rebased.set_path(&path);
            rebased.set_query(url.query());
            url = rebased;
        }
        if url.origin() == self.base.origin() {
            return Some(self.request(&Method::GET, &url, None));
        }
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
        if body.is_some() {
            headers.insert(CONTENT_TYPE, json.clone());
        }
        // A file is asked for as it is; everything else answers in JSON.
        if !url.path().contains("/api/files/") {
            headers.insert(ACCEPT, json);
        }
        request
    }
}
