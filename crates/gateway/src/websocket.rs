//! WebSocket (RFC 6455) over HTTP/1.1: the opening request is a call like any other, and where it is admitted and the
//! upstream switches, the connection becomes a [`Tunnel`] until either side ends it.
//!
//! The client's connection is switched only after the upstream's 101, so that nothing but an upstream that agreed ever gets
//! bytes that are not HTTP. No other protocol is switched to. Which origins may connect is the upstream's business.
//!
//! It is one call, recorded at its end with the bytes of both directions. It costs what the operation costs as soon as the
//! upstream sent a byte through it.

mod frames;
mod recheck;
mod tunnel;

use crate::{accept::Connection, reserve::Permit, upstream::Switched};
use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{CONNECTION, UPGRADE},
    request,
};
pub(crate) use tunnel::Tunnel;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether the request opens a WebSocket.
pub(crate) fn is_asked_for(head: &request::Parts) -> bool {
    // First what is almost never there.
    let Some(upgrade) = head.headers.get(UPGRADE) else { return false };
    head.version == Version::HTTP_11 && head.method == Method::GET && is(upgrade) && names_upgrade(&head.headers)
}

fn is(upgrade: &HeaderValue) -> bool {
    upgrade.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let mut names = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Asks the upstream for it, and tells the client that it has it; everything of the connection was stripped before.
pub(crate) fn put_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether the upstream's 101 switches to the protocol that it was asked for.
pub(crate) fn is_granted(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().all(is) && headers.contains_key(UPGRADE)
}

/// Leaves the tunnel to the connection, which begins it when the 101 is on its way to the client.
pub(crate) fn switch(connection: &Connection, upstream: Box<Switched>, permit: Box<Permit>) {
    connection.begin_answer();
    connection.leave_tunnel(Box::new(Tunnel::new(upstream, permit)));
}
