//! Which network addresses a connection of ours may go to.
//!
//! Whoever can enter an upstream's name, or answer for it in the DNS, could otherwise make the gateway call what only its
//! own machine can reach. The address that is connected to is judged, never the name, so that no spelling of it (decimal,
//! octal, IPv4 within IPv6) and no later answer of the DNS gets around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far from the public internet an address may be. Each step includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reach {
    /// Only what the whole internet can reach.
    Public,
    /// Private, shared, loopback and link-local IPv6 networks too: where the upstreams of most installations are.
    #[default]
    Private,
    /// The addresses too at which clouds hand credentials to their machines: 169.254.0.0/16, fd00:ec2::254 and their like.
    Metadata,
}

impl Reach {
    /// What a product says, within what the installation says; metadata addresses are the installation's alone to open.
    pub(crate) fn narrowed_by(self, allow_private: Option<bool>) -> Self {
        match allow_private {
            Some(true) => self.max(Self::Private),
            Some(false) => Self::Public,
            None => self,
        }
    }

    /// Whether a connection may go there.
    pub fn includes(self, address: IpAddr) -> bool {
        needed_for(address).is_some_and(|needed| needed <= self)
    }
}

/// The least that has to be allowed to connect there; `None` for what nobody listens at (multicast, reserved).
fn needed_for(address: IpAddr) -> Option<Reach> {
    match address {
        IpAddr::V4(address) => needed_for_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => needed_for_v4(inner),
            None => needed_for_v6(address),
        },
    }
}

fn needed_for_v4(address: Ipv4Addr) -> Option<Reach> {
    Some(match address.octets() {
        [224..=255, ..] => return None,
        // Link-local with the clouds' metadata; Azure's, Alibaba's and Oracle's own addresses for the same.
        [169, 254, ..] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => Reach::Metadata,
        // "This host" is answered by loopback.
        [0 | 10 | 127, ..] => Reach::Private,
        [100, 64..=127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [198, 18..=19, ..] => Reach::Private,
        // Protocol assignments and documentation.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    })
}

fn needed_for_v6(address: Ipv6Addr) -> Option<Reach> {
    Some(match address.segments() {
        [0xff00..=0xffff, ..] => return None,
        // Amazon's and Google's metadata.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Reach::Metadata,
        // Protocol assignments (Teredo among them) and documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Public,
        // Loopback, unique local, link-local, site-local, and what is not assigned to anybody.
        _ => Reach::Private,
    })
}

/// The IPv4 address that a packet to this IPv6 address ends up at: mapped, compatible, translated, NAT64, 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // The unspecified address and loopback look like compatible ones and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => bytes(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => bytes(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => bytes(high, low),
        [0x2002, high, low, ..] => bytes(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(address: &str) -> Option<Reach> {
        needed_for(address.parse().expect("an address"))
    }

    #[test]
    fn the_internet_needs_no_permission() {
        for public in
            ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "192.0.1.1", "2606:4700::1111", "2001:4860::8"]
        {
            assert_eq!(needed(public), Some(Reach::Public), "{public}");
        }
    }

    #[test]
    fn private_networks_are_known_in_every_disguise() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "::",
            "::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:192.168.0.1",
            "64:ff9b::10.1.2.3",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "64:ff9b:1::1",
            "5f00::1",
        ] {
            assert_eq!(needed(private), Some(Reach::Private), "{private}");
        }
    }

    #[test]
    fn what_hands_out_the_machines_credentials_is_more_than_private() {
        for metadata in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
        ] {
            assert_eq!(needed(metadata), Some(Reach::Metadata), "{metadata}");
            assert!(!Reach::Private.includes(metadata.parse().expect("an address")), "{metadata}");
        }
    }

    #[test]
    fn nobody_listens_at_multicast_and_reserved_addresses() {
        for unusable in ["224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::ffff:224.0.0.1"] {
            assert_eq!(needed(unusable), None, "{unusable}");
            assert!(!Reach::Metadata.includes(unusable.parse().expect("an address")), "{unusable}");
        }
    }

    #[test]
    fn a_product_can_close_what_the_installation_opens_and_open_all_but_metadata() {
        assert_eq!(Reach::Metadata.narrowed_by(Some(false)), Reach::Public);
        assert_eq!(Reach::Public.narrowed_by(Some(true)), Reach::Private);
        assert_eq!(Reach::Metadata.narrowed_by(Some(true)), Reach::Metadata);
        assert_eq!(Reach::Private.narrowed_by(None), Reach::Private);
    }
}
