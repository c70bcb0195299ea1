//! The code as it is written: formatted, and nothing for clippy to say of the browser half. Of the rest it says what it has to
//! where that is built (`everything`).

use super::tally::Tally;
use crate::{Outcome, process};

pub fn check(tally: &mut Tally) {
    tally.one("Formatting", || cargo(&["fmt", "--all", "--check"]));
    // It turns on other features of the same crates, so it is read on its own.
    tally.one("Clippy, the browser half", || {
        cargo(&["clippy", "--package", "frontend", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"])
    });
}

fn cargo(arguments: &[&str]) -> Outcome {
    process::show(process::cargo(arguments))
}
