//! Where requests may go whose address a user or a payload named.
//!
//! An address is refused unless it is on the public internet or the operator allowed it. What is checked is what is
//! connected to: the resolver checks the very addresses it hands to the connection, and addresses that stand in the URL
//! are checked in the form the URL parser gives them, which is one for all ways of writing them.
//!
//! There is one guard for each organization that `outgoing.allow` names, and one for all others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use providers::Homes;

use crate::config::Place;

/// What may be reached.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    networks: Arc<[IpNet]>,
    hosts: Arc<[(String, Option<u16>)]>,
}

/// Which addresses a name may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the operator allowed the name.
    Anywhere,
    /// Public ones and allowed networks.
    Outside,
    /// Allowed networks.
    Inside,
}

impl Guard {
    pub(super) fn new<'t>(allow: impl IntoIterator<Item = &'t Place>) -> Self {
        let (mut networks, mut hosts) = (Vec::new(), Vec::new());
        for place in allow {
            match place {
                Place::Network(network) => networks.push(*network),
                Place::Host { name, port } => hosts.push((name.clone(), *port)),
            }
        }
        Self { networks: networks.into(), hosts: hosts.into() }
    }

    /// How far the request to `url` may reach; the reason if it may not be sent. The reason names the host at most.
    pub(super) fn admit(&self, url: &Url) -> Result<Reach, String> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("only http and https addresses can be requested".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address holds a user name or password".to_owned());
        }
        let host = url.host().ok_or("the address names no host")?;
        if self.allows_name(&host, url.port_or_known_default()) {
            return Ok(Reach::Anywhere);
        }
        let reach = if secure { Reach::Outside } else { Reach::Inside };
        let address = match host {
            Host::Domain(_) => return Ok(reach),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        match self.allows(address, reach) {
            true => Ok(reach),
            false => Err(refusal(&address.to_string(), reach)),
        }
    }

    /// Whether credentials may be sent to `url`: to where their provider is at home, and to what the operator named. A name
    /// that merely leads into an allowed network is not named: it leads elsewhere tomorrow.
    pub(super) fn trust(&self, homes: Homes, url: &Url) -> Result<(), String> {
        let is_named = || {
            let host = url.host();
            let listed = |address: IpAddr| self.allows(address, Reach::Inside);
            host.as_ref().is_some_and(|host| self.allows_name(host, url.port_or_known_default()))
                || match host {
                    Some(Host::Ipv4(address)) => listed(IpAddr::V4(address)),
                    Some(Host::Ipv6(address)) => listed(IpAddr::V6(address)),
                    Some(Host::Domain(_)) | None => false,
                }
        };
        if homes == Homes::Settings || homes.own(url) || is_named() {
            return Ok(());
        }
        let (host, domains) = (url.host_str().unwrap_or_default(), homes.domains().join(", "));
        Err(format!(
            "credentials are sent to {domains} over TLS only, and to hosts that outgoing.allow names, not to {host}"
        ))
    }

    fn allows_name(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        let name = match host {
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let fits = |only: &Option<u16>| only.is_none() || *only == port;
        self.hosts.iter().any(|(allowed, only)| *allowed == name && fits(only))
    }

    fn allows(&self, address: IpAddr, reach: Reach) -> bool {
        let meant = unpacked(address);
        let listed = self.networks.iter().any(|net| net.contains(&address) || net.contains(&meant));
        match reach {
            Reach::Anywhere => true,
            Reach::Outside => listed || is_public(meant),
            Reach::Inside => listed,
        }
    }
}

fn refusal(host: &str, reach: Reach) -> String {
    match reach {
        Reach::Inside => {
            format!("{host}: http without TLS is for targets in outgoing.allow only")
        }
        Reach::Outside | Reach::Anywhere => {
            format!("{host}: not a public address, and not in outgoing.allow")
        }
    }
}

/// A name that leads to where nobody may go.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(pub(super) String);

/// Looks a name up once and lets through what may be reached.
pub(super) struct Resolver {
    guard: Guard,
    reach: Reach,
}

impl Resolver {
    pub(super) fn new(guard: Guard, reach: Reach) -> Self {
        Self { guard, reach }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, reach) = (self.guard.clone(), self.reach);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().filter(|address| guard.allows(address.ip(), reach)).copied().collect();
            match allowed.is_empty() && !found.is_empty() {
                true => Err(Forbidden(refusal(name.as_str(), reach)).into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The IPv4 address that an IPv6 one stands for, where it stands for one: mapped, compatible, 6to4 and NAT64 forms.
fn unpacked(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let octets = v6.octets();
    let at = |start: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| octets[start + index]);
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    let segments = v6.segments();
    match segments {
        // The unspecified address and the loopback one are no compatible forms.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => at(12),
        [0x2002, ..] => at(2),
        _ => address,
    }
}

/// Networks inside IPv4 that are not the public internet: IANA's special-purpose registry, multicast, the reserved last
/// block, and the address under which one cloud serves its machines' metadata.
const SPECIAL_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Networks inside IPv6's public block that are not the public internet: protocol assignments with Teredo and benchmarks,
/// documentation, and 6to4 that was not unpacked.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an unpacked address is on the public internet. Of IPv6 that is one block; private, link-local, site-local and
/// multicast addresses all lie outside it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(network, length)| {
            Ipv4Net::new(*network, *length).is_ok_and(|network| network.contains(&address))
        }),
        IpAddr::V6(address) => {
            address.segments()[0] & 0xe000 == 0x2000
                && !SPECIAL_V6.iter().any(|(network, length)| {
                    Ipv6Net::new(*network, *length).is_ok_and(|network| network.contains(&address))
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(allow: &[&str], url: &str) -> Result<Reach, String> {
        let allow: Vec<Place> = allow.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(&allow).admit(&Url::parse(url).unwrap())
    }

    #[test]
    fn public_addresses_and_names_are_reached_over_tls() {
        for url in [
            "https://graph.facebook.com/v1",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]:8443/",
            "https://[::ffff:8.8.8.8]/",
            "https://[64:ff9b::808:808]/",
        ] {
            assert_eq!(admit(&[], url), Ok(Reach::Outside), "{url}");
        }
    }

    #[test]
    fn no_way_of_writing_a_special_address_gets_through() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "017700000001",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "0xa9fea9fe",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[100::1]",
            "[5f00::1]",
        ] {
            let admitted = admit(&[], &format!("https://{host}/"));
            assert!(admitted.is_err(), "{host}: {admitted:?}");
        }
    }

    #[test]
    fn other_schemes_and_user_names_are_refused() {
        for url in ["ftp://example.com/", "file:///etc/passwd", "https://user:pass@example.com/"] {
            let reason = admit(&[], url).unwrap_err();
            assert!(!reason.contains("pass@") && !reason.contains("etc"), "{reason}");
        }
        assert!(admit(&[], "https://user@example.com/").is_err());
    }

    #[test]
    fn http_without_tls_is_for_allowed_targets() {
        assert!(admit(&[], "http://8.8.8.8/").is_err());
        assert_eq!(admit(&[], "http://example.com/"), Ok(Reach::Inside), "the resolver decides");
        assert_eq!(admit(&["10.0.0.0/8"], "http://10.1.2.3/"), Ok(Reach::Inside));
        assert_eq!(admit(&["10.0.0.0/8"], "http://[::ffff:10.1.2.3]/"), Ok(Reach::Inside));
        assert_eq!(admit(&["waha"], "http://WAHA.:3000/"), Ok(Reach::Anywhere));
        assert_eq!(admit(&["::1"], "http://[::1]:3000/"), Ok(Reach::Anywhere));
    }

    #[test]
    fn a_host_that_is_allowed_on_one_port_is_reached_on_that_one() {
        let allow = ["127.0.0.1:3000", "waha:443"];
        assert_eq!(admit(&allow, "http://127.0.0.1:3000/"), Ok(Reach::Anywhere));
        assert!(admit(&allow, "http://127.0.0.1:3001/").is_err());
        assert_eq!(admit(&allow, "https://waha/"), Ok(Reach::Anywhere));
        assert_eq!(admit(&allow, "https://waha:444/"), Ok(Reach::Outside));
    }

    #[test]
    fn credentials_go_home_or_to_what_is_named() {
        const HOMES: Homes = Homes::Domains(&["facebook.com"]);
        let trust = |allow: &[&str], url: &str| {
            let allow: Vec<Place> = allow.iter().map(|text| text.parse().unwrap()).collect();
            Guard::new(&allow).trust(HOMES, &Url::parse(url).unwrap())
        };
        assert_eq!(trust(&[], "https://graph.facebook.com/v24.0"), Ok(()));
        for url in ["https://example.com/", "http://graph.facebook.com/", "https://127.0.0.1/"] {
            let reason = trust(&["10.0.0.0/8", "emulator:81"], url).unwrap_err();
            assert!(
                reason.contains("outgoing.allow") && reason.contains("facebook.com"),
                "{reason}"
            );
        }
        assert_eq!(trust(&["emulator:81"], "http://emulator:81/meta"), Ok(()));
        assert!(trust(&["emulator:81"], "http://emulator:82/meta").is_err());
        assert_eq!(trust(&["10.0.0.0/8"], "http://10.1.2.3:9/meta"), Ok(()));
        assert!(trust(&["0.0.0.0/0"], "https://example.com/meta").is_err(), "it is not named");
    }

    #[tokio::test]
    async fn a_name_leads_only_where_it_may() {
        let resolve = |allow: &[&str], reach| {
            let allow: Vec<Place> = allow.iter().map(|text| text.parse().unwrap()).collect();
            let resolver = Resolver::new(Guard::new(&allow), reach);
            resolver.resolve("localhost".parse().unwrap())
        };
        assert!(resolve(&[], Reach::Outside).await.is_err());
        assert!(resolve(&["10.0.0.0/8"], Reach::Inside).await.is_err());
        assert!(resolve(&[], Reach::Anywhere).await.is_ok());
        let mut found = resolve(&["127.0.0.0/8"], Reach::Outside).await.unwrap();
        assert!(found.all(|address| address.is_ipv4()), "::1 was not allowed");
    }
}
