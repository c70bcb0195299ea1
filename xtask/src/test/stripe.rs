//! Faults of a stand-in for Stripe, with the server killed while it tells of invoices: each unit is billed once; and where Stripe
//! remembers no key the same check must fail. Short runs; `cargo xtask chaos stripe` is the long one, with outages and hostile webhooks.
//! It needs what `kill` built.

use super::{kill::attack, tally::Tally};
use std::thread;

const SHORT: [&str; 11] =
    ["stripe", "--case", "faults", "--partners", "6", "--days", "1", "--units", "2000", "--kills", "2"];

/// All partners by streamed meter events. Where Stripe opens no stream they go one by one: so seldom that it does not happen on both days.
const STREAMED: [&str; 13] = [
    "stripe",
    "--case",
    "streamed",
    "--partners",
    "6",
    "--days",
    "2",
    "--units",
    "4000",
    "--kills",
    "2",
    "--share",
    "5",
];

pub fn check(tally: &mut Tally) {
    tally.one("Each unit is billed once by a Stripe that fails, while the server is killed", || attack(&SHORT));
    tally.one("Control run: where Stripe remembers nothing the same check fails", || {
        attack(&[SHORT.as_slice(), &["--share", "15", "--control"]].concat())
    });
    tally.one(
        "Each unit that is streamed to a Stripe that fails is billed once, and beside it its control run fails",
        || {
            // Both wait for clocks most of the time.
            thread::scope(|scope| {
                let control = scope.spawn(|| attack(&[STREAMED.as_slice(), &["--control"]].concat()));
                let holds = attack(&STREAMED);
                holds.and(control.join().unwrap_or_else(|_| Err("The control run could not be started.".to_owned())))
            })
        },
    );
}
