//! Where a request comes from: for the throttle of sign-ins and the list of sessions, never for rights.

use http::{HeaderMap, header, request::Parts};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The client's network as the throttle counts it: an IPv4 address, or the /64 of an IPv6 one, since one customer has as
/// many addresses of it as they like. `unknown` where the server does not say.
///
/// A peer on this machine or in a private network may be the proxy that ends TLS, so the last address that it added to
/// X-Forwarded-For counts. Whoever sits in that network can choose what it says; the counts by account stay.
pub fn client_address(parts: &Parts) -> String {
    let Some(peer) = parts.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() else {
        return "unknown".to_owned();
    };
    let peer = peer.0.ip().to_canonical();
    let client = if is_near(peer) { forwarded(&parts.headers).unwrap_or(peer) } else { peer };
    network(client)
}

fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// The last address of the last X-Forwarded-For line: the one that the nearest proxy wrote.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = line.rsplit(',').next()?.trim();
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The browser and system in a few words, as "Firefox on Linux", from what the browser says of itself.
pub fn client_program(parts: &Parts) -> String {
    let said = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    program(said)
}

fn program(said: &str) -> String {
    let first = |known: &[(&'static str, &'static str)]| {
        known.iter().find(|(mark, _)| said.contains(mark)).map(|(_, name)| *name)
    };
    // Each browser names its forebears as well, so the youngest stands first.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "An unknown program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_one_ipv6_network_count_together() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn a_proxy_is_believed_only_where_it_is_near_and_only_about_what_it_added() {
        let of = |peer: &str, forwarded: &str| {
            let request = http::Request::builder().header("x-forwarded-for", forwarded);
            let peer = SocketAddr::new(peer.parse().expect("an address"), 40_000);
            let request = request.extension(axum::extract::ConnectInfo(peer)).body(()).expect("a request");
            client_address(&request.into_parts().0)
        };
        assert_eq!(of("127.0.0.1", "198.51.100.1, 192.0.2.7"), "192.0.2.7");
        assert_eq!(of("10.0.0.2", "192.0.2.7:1234"), "192.0.2.7");
        assert_eq!(of("203.0.113.9", "192.0.2.7"), "203.0.113.9");
        assert_eq!(of("127.0.0.1", "nonsense"), "127.0.0.1");
    }

    #[test]
    fn browsers_are_named_by_what_they_are_and_not_by_what_they_resemble() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(program(edge), "Edge on Windows");
        assert_eq!(program("curl/8.0"), "curl");
        assert_eq!(program(""), "An unknown program");
    }
}
