//! Postgres goes away under a running gateway: only what was leased is spent, then the product's mode holds, and afterwards all
//! of it is in the books once; where a closed product is opened the same check must fail. Short runs; `cargo xtask chaos outage`
//! is the long one. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("While Postgres hangs only leased units are spent, and all is made good afterwards", || {
        attack(&["outage", "frozen", "--nodes", "1", "--seconds", "1", "--untimed"])
    });
    tally.one("Control run: with a closed product opened wide the same check fails", || {
        attack(&["outage", "stopped", "--nodes", "1", "--seconds", "1", "--untimed", "--control"])
    });
}
