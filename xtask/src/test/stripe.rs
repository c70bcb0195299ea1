//! Faults, an outage and hostile webhooks of a stand-in for Stripe, with the server killed while it tells of invoices: each unit is billed
//! once; and with a safeguard off the same checks must fail. Short runs; `cargo xtask chaos stripe` is the long one. It needs what
//! `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("Each unit is billed once by a Stripe that fails, while the server is killed", || {
        attack(&["stripe", "--case", "faults", "--partners", "8", "--days", "2", "--units", "2000", "--kills", "3"])
    });
    tally.one("Control run: where Stripe remembers nothing the same check fails", || {
        let short = ["--partners", "8", "--days", "2", "--units", "2000", "--kills", "1", "--control"];
        attack(&[["stripe", "--case", "faults"].as_slice(), &short].concat())
    });
    tally.one(
        "Each unit is billed once by a Stripe that was down for 26 hours, and webhooks change nothing by how they come",
        || {
            attack(&["stripe", "--case", "outages", "--partners", "4", "--hours", "26"])?;
            attack(&["stripe", "--case", "webhooks", "--partners", "10"])
        },
    );
    tally.one("Control runs: without a look before the second request, with a secret that is known, they fail", || {
        attack(&["stripe", "--case", "outages", "--partners", "4", "--hours", "26", "--control"])?;
        attack(&["stripe", "--case", "webhooks", "--partners", "10", "--control"])
    });
}
