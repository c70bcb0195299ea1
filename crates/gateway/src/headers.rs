//! Headers at the border: what belongs to one connection stays there, what only we may say is removed before we say it.

use crate::fields;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, COOKIE, HOST, SET_COOKIE, VIA},
};

mod outward;

pub(crate) use outward::Outward;

/// Turns the upstream's headers into the client's.
///
/// `limited` says that the gateway will say how limits stand.
pub(crate) fn to_client(headers: &mut HeaderMap, limited: bool) {
    strip(headers, |name| is_hop_by_hop(name) || fields::is_ours(name, limited));
    drop_portals_set_cookies(headers);
}

/// The portal's own cookies. A browser sends them to every port of a host, and lets every port set them.
const PORTALS_COOKIES: [&[u8]; 2] = [b"__Host-session", b"__Host-flash"];

/// Whether `name=value` is a cookie of the portal; browsers read the prefix in any case, and a nameless cookie as its value.
fn is_portals(pair: &[u8]) -> bool {
    let start = pair.iter().position(|byte| *byte != b'=' && !byte.is_ascii_whitespace()).unwrap_or(pair.len());
    let name = pair[start..].split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    PORTALS_COOKIES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether the portal's cookies are among these.
fn has_portals(cookies: &HeaderValue) -> bool {
    cookies.as_bytes().split(|byte| *byte == b';').any(is_portals)
}

/// The cookies without the portal's.
fn without_portals(cookies: &HeaderValue) -> Vec<u8> {
    let pairs = cookies.as_bytes().split(|byte| *byte == b';');
    pairs.filter(|pair| !is_portals(pair)).collect::<Vec<_>>().join(&b';').trim_ascii().to_vec()
}

fn drop_portals_cookies(headers: &mut HeaderMap) {
    if !headers.get_all(COOKIE).iter().any(has_portals) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for value in values {
        if !has_portals(&value) {
            headers.append(COOKIE, value);
        } else if let Ok(others) = HeaderValue::from_bytes(&without_portals(&value))
            && !others.is_empty()
        {
            headers.append(COOKIE, others);
        }
    }
}

fn drop_portals_set_cookies(headers: &mut HeaderMap) {
    if !headers.get_all(SET_COOKIE).iter().any(|value| sets_portals(value.as_bytes())) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for value in values.into_iter().filter(|value| !sets_portals(value.as_bytes())) {
        headers.append(SET_COOKIE, value);
    }
}

/// Whether a `Set-Cookie` sets a cookie of the portal.
pub(crate) fn sets_portals(cookie: &[u8]) -> bool {
    cookie.split(|byte| *byte == b';').next().is_some_and(is_portals)
}

fn strip(headers: &mut HeaderMap, removes: impl Fn(&str) -> bool) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        if *name == CONNECTION {
            let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            doomed.extend(names.filter_map(|name| HeaderName::from_bytes(name).ok()));
        }
        if removes(name.as_str()) {
            doomed.push(name.clone());
        }
    }
    for name in doomed {
        // A client cannot take away what frames or addresses its own request.
        if name != HOST {
            headers.remove(name);
        }
    }
}

/// RFC 9110, 7.6.1. An answer's `Trailer` stays: hyper sends only trailers it names.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Credentials, the length (which hyper sets from the body), and what only a gateway may tell an upstream, in any spelling that an upstream may confuse with it.
fn is_ours(name: &str) -> bool {
    let spelled;
    let name = if name.contains('_') {
        spelled = name.replace('_', "-");
        if is_hop_by_hop(&spelled) || matches!(spelled.as_str(), "trailer" | "x-request-id") {
            return true;
        }
        &spelled
    } else {
        name
    };
    match name {
        "authorization" | "x-api-key" | "forwarded" | "x-real-ip" | "true-client-ip" | "cf-connecting-ip" => true,
        "client-cert" | "client-cert-chain" | "expect" | "content-length" => true,
        _ => ["x-forwarded-", "x-turnpike-", "x-client-", "x-ssl-"].iter().any(|prefix| name.starts_with(prefix)),
    }
}

/// Whether an upstream that reads `_` and `-` as the same would take the one for the other.
fn is_twin(name: &str, own: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == own.len() && name.bytes().zip(own.bytes()).all(|(a, b)| dashed(a) == dashed(b))
}

/// What this installation is called in `Via`, and how it knows itself again.
#[derive(Debug)]
pub(crate) struct Via {
    received_1_0: HeaderValue,
    received_1_1: HeaderValue,
    received_2: HeaderValue,
    pseudonym: String,
}

impl Via {
    /// A pseudonym that all gateways with the same pepper share and that tells nothing about it.
    pub(crate) fn new(pepper: &[u8; 32]) -> Self {
        let hash = crate::authenticate::hash_key(pepper, "the Via header's pseudonym");
        let pseudonym = hash.iter().take(6).fold("turnpike-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
        let entry = |version| {
            HeaderValue::from_str(&format!("{version} {pseudonym}")).unwrap_or(HeaderValue::from_static("1.1 turnpike"))
        };
        Self { received_1_0: entry("1.0"), received_1_1: entry("1.1"), received_2: entry("2.0"), pseudonym }
    }

    pub(crate) fn received_by(&self, version: Version) -> &HeaderValue {
        match version {
            Version::HTTP_10 => &self.received_1_0,
            Version::HTTP_2 => &self.received_2,
            _ => &self.received_1_1,
        }
    }

    /// Whether the request has passed through this installation before.
    pub(crate) fn is_loop(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(VIA)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|hop| hop.split_ascii_whitespace().nth(1) == Some(&*self.pseudonym)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_connection_and_headers_that_only_we_set_are_stripped() {
        let mut headers = HeaderMap::new();
        for name in [
            "keep-alive",
            "te",
            "upgrade",
            "proxy-authorization",
            "x-named",
            "authorization",
            "x-api-key",
            "x_api_key",
            "x-forwarded-for",
            "x_forwarded_for",
            "transfer_encoding",
            "proxy_authorization",
            "x_request_id",
            "forwarded",
            "x-turnpike-partner",
            "x-ssl-client",
            "client-cert",
            "content-length",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Named, host"));
        headers.insert(HOST, HeaderValue::from_static("kept"));
        headers.insert("accept", HeaderValue::from_static("kept"));
        strip(&mut headers, |name| is_hop_by_hop(name) || is_ours(name));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
    }

    #[test]
    fn an_answer_says_nothing_in_the_gateways_place() {
        for (limited, left) in [(false, vec!["date", "ratelimit", "x-ratelimit-reset"]), (true, vec!["date"])] {
            let mut headers = HeaderMap::new();
            for name in ["date", "keep-alive", "ratelimit", "x-ratelimit-reset", "x-request-id", "x-turnpike-units"] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("theirs"));
            }
            to_client(&mut headers, limited);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, left, "limited: {limited}");
        }
    }
}
