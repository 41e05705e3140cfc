//! Targets that outgoing requests may reach though they are not public. Knows names and networks; what is done with them
//! is the transport's business.

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::Error;
use uuid::Uuid;

/// An entry of `outgoing.allow`: a place, and for whom it may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The place.
    pub place: Place,
    /// The organization whose requests may reach it; those of all may if `None`.
    pub organization: Option<Uuid>,
}

/// Where requests may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Every address in a network.
    Network(IpNet),
    /// A host by the name or address that requests give it, wherever it leads; with a port only on that one.
    Host {
        /// In lower case, without a final dot; IPv6 addresses without brackets.
        name: String,
        /// Every port if `None`.
        port: Option<u16>,
    },
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, organization) = match text.trim().rsplit_once('@') {
            None => (text, None),
            Some((place, organization)) => {
                let id = organization.trim().parse().map_err(|_| {
                    format!("`{text}`: after the @ must stand the id of an organization, as `switchboard org list` shows it")
                })?;
                (place, Some(id))
            }
        };
        Ok(Self { place: place.parse()?, organization })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Network(network) => write!(f, "{network}"),
            Place::Host { name, port: None } => f.write_str(name),
            Place::Host { name, port: Some(port) } if name.contains(':') => {
                write!(f, "[{name}]:{port}")
            }
            Place::Host { name, port: Some(port) } => write!(f, "{name}:{port}"),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let wrong =
            || format!("`{text}` is neither a host, nor host:port, nor a network (10.0.0.0/8)");
        let bare = text.parse::<std::net::Ipv6Addr>().is_ok();
        let host = if bare { format!("[{text}]") } else { text.to_owned() };
        // The port is read here, since a URL forgets its scheme's own.
        let has_port = !bare && text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = match text.rsplit_once(':').filter(|_| has_port) {
            Some((_, port)) => Some(port.parse().map_err(|_| wrong())?),
            None => None,
        };
        // Read as the host of a URL is, so that both have the same form.
        let url = url::Url::parse(&format!("http://{host}/")).map_err(|_| wrong())?;
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.contains('*');
        let name = url.host_str().filter(|_| plain).ok_or_else(wrong)?;
        let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        Ok(Self::Host { name: name.to_owned(), port })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: Option<u16>) -> Place {
        Place::Host { name: name.to_owned(), port }
    }

    #[test]
    fn hosts_ports_and_networks_are_told_apart() {
        let read = |text: &str| {
            let target = text.parse::<Target>().unwrap();
            assert_eq!(target.organization, None);
            target.place
        };
        assert_eq!(read("10.0.0.0/8"), Place::Network("10.0.0.0/8".parse().unwrap()));
        assert_eq!(read("fd00::/8"), Place::Network("fd00::/8".parse().unwrap()));
        assert_eq!(read("WAHA.internal."), host("waha.internal", None));
        assert_eq!(read("waha:3000"), host("waha", Some(3000)));
        assert_eq!(read("waha:80"), host("waha", Some(80)));
        assert_eq!(read("127.0.0.1:8081"), host("127.0.0.1", Some(8081)));
        assert_eq!(read("::1"), host("::1", None));
        assert_eq!(read("[::1]:8081"), host("::1", Some(8081)));
    }

    #[test]
    fn an_entry_may_be_for_one_organization() {
        let id = "019a3f1c-7e5b-7c3a-9a55-0d5e6f708192";
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("waha:3000", "waha:3000"),
            ("waha", "waha"),
            ("[::1]:8081", "[::1]:8081"),
        ] {
            let target: Target = format!("{text}@{id}").parse().unwrap();
            assert_eq!(target.organization, Some(id.parse().unwrap()));
            assert_eq!(target.place.to_string(), shown);
            assert_eq!(target.place, shown.parse().unwrap());
        }
        for text in ["waha@", "waha@Aurora", "@019a3f1c-7e5b-7c3a-9a55-0d5e6f708192"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "http://waha", "waha/path", "user@waha", "waha:port", "10.0.0.0/64", "*"] {
            let read = text.parse::<Target>();
            assert!(read.is_err(), "{text}: {read:?}");
        }
    }
}
