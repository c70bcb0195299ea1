//! Where a call comes from: the connection's other end, or what the installation's own proxies say before it.
//!
//! Only the one header that those proxies write is read, and only from the right: each entry was written by the hop after
//! it, so that the first one that is not a proxy of ours is the client, whatever the client wrote further left.

use domain::network::Network;
use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies of the installation in front of the gateway, such as a load balancer.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Where they connect from; none are trusted where this is empty.
    pub networks: Vec<Network>,
    pub header: ProxyHeader,
}

/// The header in which they say where a request came from. Whatever a request carries in the other one is a client's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// What a trusted proxy says of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub client: HeaderValue,
    /// Whether the client spoke TLS with it, as the last X-Forwarded-Proto says.
    pub secure: bool,
}

impl TrustedProxies {
    /// The client's address. `peer` is the connection's other end in text.
    pub(crate) fn client(&self, peer: &HeaderValue, headers: &HeaderMap) -> Option<IpAddr> {
        let peer: IpAddr = peer.to_str().ok()?.parse().ok()?;
        Some(self.before(peer, headers).unwrap_or(peer))
    }

    /// What a proxy says of the client; `None` costs a compare where no proxies are.
    pub(crate) fn told(&self, peer: &HeaderValue, headers: &HeaderMap) -> Option<Told> {
        if self.networks.is_empty() {
            return None;
        }
        let client = self.before(peer.to_str().ok()?.parse().ok()?, headers)?;
        let scheme = headers.get_all(X_FORWARDED_PROTO).iter().next_back();
        let secure = scheme.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
        Some(Told { client: HeaderValue::from_str(&client.to_string()).ok()?, secure })
    }

    fn before(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return None;
        }
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ProxyHeader::Forwarded => (FORWARDED, element),
        };
        let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        let mut client = None;
        for value in values.into_iter().rev() {
            let Ok(text) = value.to_str() else { return client };
            for entry in text.rsplit(',') {
                // What cannot be read was not written by a proxy of ours; the one to the right of it still was.
                let Some(hop) = read(entry.trim()) else { return client };
                client = Some(hop);
                if !self.trusts(hop) {
                    return client;
                }
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// The `for` of one element of Forwarded.
fn element(text: &str) -> Option<IpAddr> {
    let mut nodes = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (node, more) = (nodes.next()?, nodes.next());
    let bare = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(node);
    if more.is_some() { None } else { address(bare) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ProxyHeader, peer: &str, sent: &[(&'static str, &str)]) -> String {
        let networks = vec!["10.0.0.0/8".parse().expect("a network"), "2001:db8::/32".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let peer = HeaderValue::from_str(peer).expect("a value");
        TrustedProxies { networks, header }.client(&peer, &headers).expect("an address").to_string()
    }

    #[test]
    fn strangers_are_who_they_are_whatever_they_write() {
        let forged = [("x-forwarded-for", "10.0.0.9"), ("forwarded", "for=10.0.0.9")];
        assert_eq!(client(ProxyHeader::XForwardedFor, "192.0.2.1", &forged), "192.0.2.1");
        assert_eq!(client(ProxyHeader::Forwarded, "192.0.2.1", &forged), "192.0.2.1");
        assert_eq!(TrustedProxies::default().told(&HeaderValue::from_static("10.0.0.1"), &HeaderMap::new()), None);
    }

    #[test]
    fn the_first_hop_from_the_right_that_is_not_ours_is_the_client() {
        use ProxyHeader::{Forwarded, XForwardedFor};
        for (header, name, value, expected) in [
            (XForwardedFor, "x-forwarded-for", "192.0.2.66", "192.0.2.66"),
            (XForwardedFor, "x-forwarded-for", "10.9.9.9, 1.2.3.4, 192.0.2.66, 10.1.1.1", "192.0.2.66"),
            (XForwardedFor, "x-forwarded-for", "198.51.100.1,192.0.2.66:55", "192.0.2.66"),
            (XForwardedFor, "x-forwarded-for", "[2001:db9::1]:55, 2001:db8::1", "2001:db9::1"),
            (XForwardedFor, "x-forwarded-for", "::ffff:192.0.2.66", "192.0.2.66"),
            // Unreadable entries end the search at the hop that was found last.
            (XForwardedFor, "x-forwarded-for", "192.0.2.66, unknown, 10.1.1.1", "10.1.1.1"),
            (XForwardedFor, "x-forwarded-for", "192.0.2.66,", "10.0.0.1"),
            // The other header is a client's word.
            (XForwardedFor, "forwarded", "for=192.0.2.66", "10.0.0.1"),
            (Forwarded, "x-forwarded-for", "192.0.2.66", "10.0.0.1"),
            (Forwarded, "forwarded", "for=10.9.9.9, for=\"192.0.2.66:9\";proto=https, For=10.1.1.1", "192.0.2.66"),
            (Forwarded, "forwarded", "for=\"[2001:db9::1]:9\"", "2001:db9::1"),
            (Forwarded, "forwarded", "for=192.0.2.66;for=10.0.0.3", "10.0.0.1"),
            (Forwarded, "forwarded", "for=_hidden", "10.0.0.1"),
        ] {
            assert_eq!(client(header, "10.0.0.1", &[(name, value)]), expected, "{name}: {value}");
        }
        let twice = [("x-forwarded-for", "10.2.2.2"), ("x-forwarded-for", "192.0.2.66, 10.1.1.1")];
        assert_eq!(client(XForwardedFor, "10.0.0.1", &twice), "192.0.2.66");
    }
}
