//! All that the tests, referees, experiments and journeys run, built once, and read by clippy in the same go.
//!
//! Cargo is asked for the same selection each time: with another one, packages that are shared have other features, and are built
//! once more. Clippy's driver is the compiler of our own packages, so nothing is read twice; it optimises nothing, as a debug build hardly
//! does. Programs have what tests turn on of our packages (`store/test-db`), too.

use std::process::Command;

use super::tally::Tally;
use crate::process;

/// `frontend` turns on the browser half of what it shares.
const SELECTION: [&str; 3] = ["--workspace", "--exclude", "frontend"];

/// Builds it. A warning fails this step; what stands on the build goes on.
pub fn build(tally: &mut Tally) {
    tally.one("Building everything, without a warning of rustc or clippy", || {
        let (well, lines) = process::show_and_read(cargo(&["build", "--all-targets"]))?;
        if !well {
            return Err("It does not compile; what was said is above.".to_owned());
        }
        // As cargo sums them up for each part of our own, also where that was built before.
        let has_any = |line: &String| line.starts_with("warning: `") && line.contains(" generated ");
        match lines.iter().any(has_any) {
            true => Err("There are warnings; they are above.".to_owned()),
            false => Ok(()),
        }
    });
}

/// Cargo on all of it.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = process::cargo(arguments.iter().chain(&SELECTION));
    cargo.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    cargo
}
