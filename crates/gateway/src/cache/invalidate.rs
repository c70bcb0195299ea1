//! A call that may have changed something: what is kept of it is let go (RFC 9111, 4.4).

use super::{Asked, key::Address};
use crate::{accept::Core, path, reserve::Permit};
use http::{
    Method, Uri,
    header::{CONTENT_LOCATION, HOST, LOCATION},
    response,
};

/// Lets go the call's own address and those that its answer names, for everybody, unless the call failed.
pub(super) fn after(asked: &Asked, core: &Core, permit: &Permit, head: &response::Parts) {
    let safe = matches!(permit.draft().method, Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || head.status.is_client_error() || head.status.is_server_error() {
        return;
    }
    let now = core.shared.monotonic();
    asked.shelf.entries.invalidate(asked.address.clone(), now);
    for name in [LOCATION, CONTENT_LOCATION] {
        let named = head.headers.get(&name).and_then(|value| value.to_str().ok());
        for address in named.and_then(|text| addresses(text, asked, permit)).unwrap_or_default() {
            asked.shelf.entries.invalidate(address, now);
        }
    }
    if let Some(rules) = &permit.target().product().cache {
        rules.metrics.set_bytes(asked.shelf.entries.bytes());
    }
}

/// The addresses below the product's route that a reference of the upstream may mean; none if it leads elsewhere.
fn addresses(text: &str, asked: &Asked, permit: &Permit) -> Option<Vec<Address>> {
    let target = permit.target();
    let upstream = target.product().upstream.as_ref()?;
    let uri: Uri = text.parse().ok()?;
    let host = asked.headers.get(HOST).map(|host| host.as_bytes());
    let is = |known: &[u8]| uri.authority().is_none_or(|authority| authority.as_str().as_bytes() == known);
    // A reference without a slash is relative to the call's own address.
    let relative = uri.authority().is_none() && !text.starts_with('/');
    let below = |base: &str| uri.path().strip_prefix(base).filter(|rest| rest.starts_with('/')).map(ToOwned::to_owned);
    let paths = if relative {
        let folder = target.path_below.get(..=target.path_below.rfind('/')?)?;
        let path = text.split(['?', '#']).next().unwrap_or_default();
        [Some(format!("{folder}{path}")), None]
    } else {
        // As the upstream sees itself, and as its clients see it.
        let own = upstream.targets.iter().filter(|target| is(target.host.as_bytes()));
        let own = own.map(|target| below(&target.base_path)).find(Option::is_some).flatten();
        [own, below(&target.product().route).filter(|_| host.is_some_and(is))]
    };
    let query = text.split('#').next()?.split_once('?').map(|(_, query)| query);
    let address = |path: String| {
        let path = path::canonical(&path).ok()?;
        Some(Address { path: path.as_ref().into(), query: query.map(Into::into) })
    };
    Some(paths.into_iter().flatten().filter_map(address).collect())
}
