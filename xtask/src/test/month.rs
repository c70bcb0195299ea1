//! Two partners' month, one in either mode of collecting, at every door: pages, REST, files, invoices and Stripe's stand-in say the same
//! numbers; and where one of them is changed by one, at five places in turn, the same look finds it. A short run; `cargo xtask chaos month`
//! is the long one. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("One number everywhere, and five that are changed by one are each found", || {
        attack(&["month", "--events", "20000", "--control"])
    });
}
