//! What a server does when something runs out or is too large. Short runs; `cargo xtask chaos exhaustion` and `sizes` are the
//! long ones, and the first has one more part, for memory. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    let files = ["exhaustion", "files", "--seconds", "2", "--untimed"];
    tally.one("Out of open files, what was admitted is served and recorded", || attack(&files));
    tally.one("Control run: with no file kept free the same check fails", || {
        attack(&[files.as_slice(), &["--control"]].concat())
    });
    tally.one("What is too large is refused with its status, in constant memory", || attack(&["sizes"]));
    tally.one("Control run: where bodies of a gigabyte are allowed the same check fails", || {
        attack(&["sizes", "--control"])
    });
}
