//! Where Turnpike listens, and how the outside reaches it.

use super::Reader;
use std::net::{Ipv4Addr, SocketAddr};

/// Addresses and public URLs.
#[derive(Debug, Clone)]
pub struct Listen {
    pub portal: SocketAddr,
    pub gateway: SocketAddr,
    /// Host and port at which a portal without a gateway of its own reaches one, for calls that are tried from a page.
    pub gateway_address: String,
    /// Metrics and health; asks for no credential.
    pub admin: SocketAddr,
    /// What the installation is called.
    pub provider_name: String,
    /// Its postal address and tax number on invoices, lines parted by line breaks or semicolons; may be empty.
    pub provider_address: String,
    /// Without a slash at the end.
    pub portal_url: String,
    /// Without a slash at the end.
    pub gateway_url: String,
}

impl Listen {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let portal = reader.address("TURNPIKE_PORTAL_LISTEN", loopback(3000));
        let gateway = reader.address("TURNPIKE_GATEWAY_LISTEN", loopback(8080));
        let admin = reader.address("TURNPIKE_ADMIN_LISTEN", loopback(9090));
        let names = ["TURNPIKE_PORTAL_LISTEN", "TURNPIKE_GATEWAY_LISTEN", "TURNPIKE_ADMIN_LISTEN"];
        for (first, second, name) in
            [(portal, gateway, names[1]), (portal, admin, names[2]), (gateway, admin, names[2])]
        {
            if first.port() != 0 && first.port() == second.port() {
                reader.problem(name, format!("port {} is already taken by another listener of ours", first.port()));
            }
        }
        let local = |address: SocketAddr| format!("http://localhost:{}", address.port());
        let portal_url = reader.url("TURNPIKE_PORTAL_URL").unwrap_or_else(|| local(portal));
        let gateway_url = reader.url("TURNPIKE_GATEWAY_URL").unwrap_or_else(|| local(gateway));
        let gateway_address = reader.text("TURNPIKE_GATEWAY_ADDRESS").unwrap_or_else(|| gateway.to_string());
        if !gateway_address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            reader
                .problem("TURNPIKE_GATEWAY_ADDRESS", format!("{gateway_address:?} is not host:port, as gateway:8080"));
        }
        let provider_name = reader.text("TURNPIKE_PROVIDER_NAME").unwrap_or_else(|| "Turnpike".to_owned());
        let provider_address = reader.text("TURNPIKE_PROVIDER_ADDRESS").unwrap_or_default();
        Self { portal, gateway, gateway_address, admin, provider_name, provider_address, portal_url, gateway_url }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
