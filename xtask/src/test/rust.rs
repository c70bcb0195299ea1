//! Every Rust test: pure ones, those against a real Postgres, the gateway over TCP, the whole router. The store starts the
//! one Postgres that they share.

use super::everything;
use super::referees::{made_documents, made_events, made_messages};
use super::tally::{Count, Tally};
use crate::{process, workspace};

pub fn check(tally: &mut Tally) {
    // Where there was none, there is nothing to forget.
    let _ = std::fs::remove_dir_all(made_documents());
    let _ = std::fs::remove_dir_all(made_events());
    let _ = std::fs::remove_dir_all(made_messages());
    if process::succeeds(process::cargo(["nextest", "--version"])) {
        tally.many("Rust tests", || run(&["nextest", "run", "--no-fail-fast"]));
        tally.many("Examples in the documentation", || run(&["test", "--no-fail-fast", "--doc"]));
    } else {
        tally.many("Rust tests", || run(&["test", "--no-fail-fast"]));
    }
}

fn run(arguments: &[&str]) -> Result<Count, String> {
    let mut cargo = everything::cargo(arguments);
    // As `.config/nextest.toml` has it, for where there is no nextest.
    cargo.env("RUST_TEST_THREADS", "4");
    cargo.env("TMPDIR", workspace::scratch());
    cargo.env("TURNPIKE_OPENAPI_OUT", made_documents());
    cargo.env("TURNPIKE_EVENTS_OUT", made_events());
    cargo.env("TURNPIKE_HOOKS_OUT", made_messages());
    let (well, lines) = process::show_and_read(cargo)?;
    Ok(Count::of(well, &lines))
}
