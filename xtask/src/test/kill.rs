//! `kill -9` of two gateways under load: nothing that a client saw answered may be lost or doubled, no unit served beyond a hard
//! quota, and without the spool the same check must fail. A short run; `cargo xtask chaos kill` is the long one.

use super::tally::Tally;
use crate::{Outcome, process, workspace};

pub fn check(tally: &mut Tally) {
    tally.one("Building the server and what kills it", || {
        process::show(process::cargo(["build", "--package", "server", "--package", "chaos"]))
    });
    tally.one("Two gateways killed six times under load: no call is lost or doubled, no quota overshot", || {
        attack(&["kill", "--rounds", "6", "--nodes", "2", "--longest-life", "900", "--untimed"])
    });
    tally.one("Control run: without the spool the same check fails", || {
        attack(&["kill", "--rounds", "1", "--longest-life", "500", "--untimed", "--without-spool"])
    });
}

/// Runs one experiment against the built server.
pub(super) fn attack(arguments: &[&str]) -> Outcome {
    let mut chaos =
        process::program(&workspace::program("chaos", false).to_string_lossy(), arguments, &workspace::root());
    chaos
        // The servers get it, too: a busy machine is late, and short runs judge no times.
        .env("TURNPIKE_GATEWAY_LATE_MS", "600000")
        .env("TURNPIKE_BIN", workspace::program("turnpike", false))
        .env("TURNPIKE_SITE_DIR", workspace::target().join("site"));
    process::show(chaos)
}
