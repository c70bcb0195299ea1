//! What narrows a key: networks that it may be used from, and scopes.

use domain::{directory, network::Network};
use std::net::IpAddr;

/// The bounds of a key that has any.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// `None` is everywhere, an empty list nowhere.
    addresses: Option<Vec<Network>>,
    /// Empty is everything.
    scopes: Vec<String>,
}

impl Bounds {
    /// The key's, with what is wrong with them; a network that cannot be read lets nobody in.
    pub(super) fn read(key: &directory::Key) -> (Option<Box<Self>>, Option<String>) {
        if key.allowed_addresses.is_empty() && key.scopes.is_empty() {
            return (None, None);
        }
        let mut problem = None;
        let addresses = (!key.allowed_addresses.is_empty()).then(|| {
            let read = key.allowed_addresses.iter().map(|text| text.parse());
            read.filter_map(|network| network.map_err(|bad| problem = Some(format!("{bad}"))).ok()).collect()
        });
        (Some(Box::new(Self { addresses, scopes: key.scopes.clone() })), problem)
    }

    /// Whether the client may use the key; it is asked for only where that matters, and nobody is let in unknown.
    pub(crate) fn allow_address(&self, client: impl FnOnce() -> Option<IpAddr>) -> bool {
        self.addresses.as_ref().is_none_or(|networks| {
            client().is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        })
    }

    pub(crate) fn allow_scope(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|own| own == scope)
    }
}
