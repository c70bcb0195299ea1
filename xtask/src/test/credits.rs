//! Calls that race for 100 units while each gateway is killed once: exactly 100 are served, of credit, of what an app has of it for itself, and of a hard quota, on
//! one gateway and on three; and without the look at what is left the same check must fail. `cargo xtask chaos credits` runs it alone.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("Of 100 units of credit exactly 100 are served, whoever is killed", || {
        attack(&["credits", "--calls", "4000", "--connections", "200"])
    });
    tally.one("The same on three gateways", || {
        attack(&["credits", "--calls", "4000", "--connections", "200", "--nodes", "3"])
    });
    tally.one("The same with a balance that may go 40 below zero, on three gateways", || {
        attack(&["credits", "--calls", "4000", "--connections", "200", "--nodes", "3", "--limit", "overdraft"])
    });
    tally.one(
        "The same of 100 units that an app has for itself, on three gateways, and nothing of what is common",
        || attack(&["credits", "--calls", "4000", "--connections", "200", "--nodes", "3", "--limit", "allocation"]),
    );
    tally.one("The same of a hard quota on three gateways", || {
        attack(&["credits", "--calls", "4000", "--connections", "200", "--nodes", "3", "--limit", "quota"])
    });
    tally.one("Control run: without a look at what is left the same check fails", || {
        attack(&["credits", "--calls", "2000", "--connections", "100", "--without-check"])
    });
}
