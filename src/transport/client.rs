//! The HTTP clients, one for each kind of target, and documents of the operator's own choosing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use providers::Homes;
use url::Url;
use uuid::Uuid;

use super::guard::{Guard, Reach, Resolver};
use crate::config::{Place, Target};

/// How long it may take to find an address, connect and agree on keys.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next request. Shorter than what servers and balancers keep it, so that a request is
/// rarely written to a connection that is being closed: nobody could say whether it arrived.
const KEEP: Duration = Duration::from_secs(20);

/// How large a document of the operator's own choosing may be (key sets are a few kilobytes).
const DOCUMENT_BYTES: usize = 1 << 20;

/// The way out, for each organization.
#[derive(Debug, Clone)]
pub struct Transport {
    /// For whoever `outgoing.allow` does not name.
    common: Clients,
    /// For the organizations it names. Their connections are theirs alone, since whoever has one needs no address.
    own: Arc<HashMap<Uuid, Clients>>,
}

/// On whose behalf a request leaves.
#[derive(Debug, Clone, Copy)]
pub struct Behalf {
    /// The organization's id; what is allowed for it may be reached.
    pub organization: Uuid,
    /// Where the credentials may go that the request carries.
    pub homes: Homes,
}

/// The clients of those who may reach the same, sharing their connections.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) guard: Guard,
    /// For the operator's own addresses, and for hosts that are allowed by name.
    anywhere: reqwest::Client,
    /// For public addresses, and networks that are allowed.
    outside: reqwest::Client,
    /// For networks that are allowed.
    inside: reqwest::Client,
}

/// Why an outgoing request failed. Holds no credential and no body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub(super) String);

impl Transport {
    /// New clients; `allow` names what may be reached though it is not public. The process's TLS provider is ring; it is
    /// installed here if nobody did before.
    pub fn new(allow: &[Target]) -> Result<Self, TransportError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let of = |one: Option<Uuid>| {
            let holds = |target: &&Target| target.organization.is_none_or(|only| one == Some(only));
            Clients::new(allow.iter().filter(holds).map(|target| &target.place))
        };
        let named = allow.iter().filter_map(|target| target.organization);
        let mut own = HashMap::new();
        for organization in named {
            own.insert(organization, of(Some(organization))?);
        }
        Ok(Self { common: of(None)?, own: Arc::new(own) })
    }

    /// What is used for an organization's requests.
    pub(super) fn clients(&self, organization: Uuid) -> &Clients {
        self.own.get(&organization).unwrap_or(&self.common)
    }

    /// Whether credentials may be sent to `url` on somebody's behalf; the reason if not. Every request that carries any is
    /// asked the same again before it leaves.
    pub fn trust(&self, behalf: Behalf, url: &Url) -> Result<(), String> {
        self.clients(behalf.organization).guard.trust(behalf.homes, url)
    }

    /// Whether `url` may be asked for on behalf of an organization, as far as its spelling says; the reason if not.
    pub fn admit(&self, organization: Uuid, url: &Url) -> Result<(), String> {
        self.clients(organization).guard.admit(url).map(drop)
    }

    /// Fetches a JSON document from an address that the operator has configured.
    pub async fn fetch_json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
    ) -> Result<T, TransportError> {
        let failed = |error: reqwest::Error| TransportError(explain(error));
        let request = self.common.anywhere.get(url).timeout(Duration::from_secs(10));
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(TransportError(format!("the answer was {}", response.status())));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            document.extend_from_slice(&chunk);
            if document.len() > DOCUMENT_BYTES {
                return Err(TransportError("the document is too large".to_owned()));
            }
        }
        serde_json::from_slice(&document).map_err(|error| TransportError(error.to_string()))
    }
}

impl Clients {
    fn new<'t>(allow: impl IntoIterator<Item = &'t Place>) -> Result<Self, TransportError> {
        let guard = Guard::new(allow);
        Ok(Self {
            anywhere: client(&guard, Reach::Anywhere)?,
            outside: client(&guard, Reach::Outside)?,
            inside: client(&guard, Reach::Inside)?,
            guard,
        })
    }

    pub(super) fn client(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Anywhere => &self.anywhere,
            Reach::Outside => &self.outside,
            Reach::Inside => &self.inside,
        }
    }
}

/// A client that looks up each name once for each connection and connects to what the guard let through. Nothing is
/// repeated or redirected behind our back, and the environment's proxy, which would look names up itself, is not asked.
fn client(guard: &Guard, reach: Reach) -> Result<reqwest::Client, TransportError> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(KEEP)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(Resolver::new(guard.clone(), reach))
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TransportError(explain(error)))
}

/// An error and its causes in one line, without the URL, whose query may hold a secret.
pub(super) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    // A certificate may name hosts that nobody asked for; whoever is shown this need not learn of them.
    if let Some(end) = text.find("; certificate ") {
        text.truncate(end);
    }
    text
}
