//! Networks as people write them: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network in CIDR form (RFC 4632, RFC 4291). An IPv4 address that is written or seen as mapped into IPv6 is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network: write 192.0.2.0/24, 2001:db8::/32 or one address")]
pub struct BadNetwork(pub String);

/// The most networks that a key may be bound to.
pub const MAX_NETWORKS: usize = 64;

impl Network {
    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let rest = u32::from(own) ^ u32::from(other);
                rest.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let rest = u128::from(own) ^ u128::from(other);
                rest.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    /// Bits beyond the prefix are cleared, so that equal networks are equal.
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.chars().take(80).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix = match prefix {
            None => None,
            Some(digits) if (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse::<u8>().map_err(|_| bad())?)
            }
            Some(_) => return Err(bad()),
        };
        let canonical = written.to_canonical();
        let prefix = match (written, canonical, prefix) {
            (IpAddr::V6(_), IpAddr::V4(_), Some(prefix)) => prefix.checked_sub(96).ok_or_else(bad)?,
            (_, IpAddr::V4(_), prefix) => prefix.unwrap_or(32),
            (_, IpAddr::V6(_), prefix) => prefix.unwrap_or(128),
        };
        let address = match canonical {
            IpAddr::V4(address) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
            _ => return Err(bad()),
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect("a network");
        network.contains(address.parse().expect("an address"))
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.99/25", "192.0.2.1", "192.0.2.128"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
        ] {
            assert!(holds(network, inside), "{network} {inside}");
            assert!(!holds(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "010.0.0.1",
            "::/129",
            "::1/-1",
            "::ffff:10.0.0.0/64",
            "example.com",
            "10.0.0.0/ 8",
            " 10.0.0.1",
            "10.0.0.0/0008",
            "fe80::1%eth0",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_network_prints_as_it_reads_back() {
        for (written, printed) in [("192.0.2.99/24", "192.0.2.0/24"), ("2001:DB8::1", "2001:db8::1/128")] {
            let network: Network = written.parse().expect("a network");
            assert_eq!(network.to_string(), printed);
            assert_eq!(printed.parse(), Ok(network));
        }
    }
}
