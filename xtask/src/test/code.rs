//! The code as it is written: formatted, and nothing for clippy to say.

use super::tally::Tally;
use crate::{Outcome, process};

pub fn check(tally: &mut Tally) {
    tally.one("Formatting", || cargo(&["fmt", "--all", "--check"]));
    // The browser half turns on other features of the same crates, so it is read on its own.
    tally.one("Clippy, everything but the browser half", || {
        cargo(&["clippy", "--workspace", "--exclude", "frontend", "--all-targets", "--", "-D", "warnings"])
    });
    tally.one("Clippy, the browser half", || {
        cargo(&["clippy", "--package", "frontend", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"])
    });
}

fn cargo(arguments: &[&str]) -> Outcome {
    process::show(process::cargo(arguments))
}
