//! The ports of one installation, all on loopback.

use std::net::TcpListener;

use crate::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub portal: u16,
    pub gateway: u16,
    /// Metrics and health.
    pub admin: u16,
    /// The example's upstream.
    pub payments: u16,
    /// The stand-in for Stripe.
    pub stripe: u16,
}

impl Ports {
    /// The ports of the documentation; `examples/turnpike.yaml` names the one of the payments API.
    pub const USUAL: Self = Self { portal: 3000, gateway: 8080, admin: 9090, payments: 4010, stripe: 12111 };

    /// Five ports in a row.
    pub fn from(base: &str) -> Outcome<Self> {
        match base.parse::<u16>() {
            Ok(base @ 1024..=65_530) => {
                Ok(Self { portal: base, gateway: base + 1, admin: base + 2, payments: base + 3, stripe: base + 4 })
            }
            _ => {
                Err("--port-base needs a number from 1024 to 65530, as in: cargo xtask run --port-base 4000."
                    .to_owned())
            }
        }
    }

    /// Fails where one is in use, before anything is built or started.
    pub fn check(&self, stand_in: bool) -> Outcome {
        let Self { portal, gateway, admin, payments, stripe } = *self;
        let mut wanted = vec![("portal", portal), ("gateway", gateway), ("admin", admin), ("payments API", payments)];
        if stand_in {
            wanted.push(("stand-in for Stripe", stripe));
        }
        let taken: Vec<String> = wanted
            .into_iter()
            .filter(|(_, port)| TcpListener::bind(("127.0.0.1", *port)).is_err())
            .map(|(what, port)| format!("{port} ({what})"))
            .collect();
        if taken.is_empty() {
            return Ok(());
        }
        Err(format!(
            "In use by another program: port {}. Stop it, or take other ports: cargo xtask run --port-base 4000.",
            taken.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_purpose() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = Ports { gateway: taken.local_addr().unwrap().port(), ..Ports::from("41870").unwrap() };
        let problem = ports.check(false).unwrap_err();
        assert!(problem.contains(&format!("{} (gateway)", ports.gateway)), "{problem}");
    }
}
