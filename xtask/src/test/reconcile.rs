//! Numbers of usage that are changed by SQL are found and named, and nothing else is; where the hourly sums are not compared the same
//! check must fail. Short runs; `cargo xtask chaos reconcile` is the long one. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("What is changed behind our back is found and named, and nothing else is", || {
        attack(&["reconcile", "--faults", "29", "--clean", "3", "--days", "2"])
    });
    tally.one("Control run: without a look at the hourly sums the same check fails", || {
        attack(&["reconcile", "--faults", "13", "--clean", "1", "--days", "1", "--control"])
    });
}
