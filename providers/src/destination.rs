//! Where the credentials of an account may go, and what is said of an answer that is nobody's we know.
//!
//! Both protect from the same thing: whoever may write an account's settings says where requests go, and shall neither read its
//! credentials by that nor what some other server answers.

use url::Url;

use crate::ProviderResponse;

/// Where what opens an account of a provider may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Homes {
    /// To these domains and everything below them, over TLS and at the usual port: they are the provider's own.
    Domains(&'static [&'static str]),
    /// To where the account's settings say: everybody runs a server of their own.
    Settings,
}

/// Where an account's requests go, and what goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What its requests begin with: scheme, host, perhaps a port and a path.
    pub base: Url,
    /// The names of the credentials that are sent there.
    pub credentials: Vec<&'static str>,
}

impl Homes {
    /// Whether `url` is at one of the provider's own domains. Nothing is where the settings decide.
    pub fn own(self, url: &Url) -> bool {
        let Homes::Domains(domains) = self else { return false };
        let host = url.host_str().unwrap_or_default();
        let is_below = |domain: &&str| {
            host.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        url.scheme() == "https" && url.port().is_none() && domains.iter().any(is_below)
    }

    /// Its domains; none where the settings decide.
    pub fn domains(self) -> &'static [&'static str] {
        match self {
            Homes::Domains(domains) => domains,
            Homes::Settings => &[],
        }
    }
}

impl Destination {
    /// Where `base` is, as the settings were read.
    pub(crate) fn new(base: &str, credentials: &[&'static str]) -> Option<Self> {
        let mut base = Url::parse(base).ok()?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Some(Self { base, credentials: credentials.to_vec() })
    }
}

/// What is said of an answer that has none of the provider's forms: how long it is, and nothing of what it says.
pub(crate) fn foreign(whose: &str, response: &ProviderResponse) -> String {
    let (status, bytes) = (response.http.status().as_u16(), response.http.body().len());
    format!("an answer that is not {whose}'s: HTTP {status}, {bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_providers_own_hosts_over_tls_are_its_own() {
        let homes = Homes::Domains(&["twilio.com"]);
        let own = |url: &str| homes.own(&Url::parse(url).unwrap());
        for url in [
            "https://twilio.com",
            "https://api.dublin.ie1.twilio.com/x",
            "https://API.twilio.com:443/",
        ] {
            assert!(own(url), "{url}");
        }
        for url in [
            "http://api.twilio.com",
            "https://api.twilio.com:8443",
            "https://api.twilio.com.",
            "https://twilio.com.example",
            "https://nottwilio.com",
            "https://example.com/api.twilio.com",
            "https://api.twilio.com@example.com/",
        ] {
            assert!(!own(url), "{url}");
        }
        assert!(!Homes::Settings.own(&Url::parse("https://twilio.com").unwrap()));
    }
}
