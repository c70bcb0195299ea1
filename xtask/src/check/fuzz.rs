//! Any input for what reads bytes that we did not choose: the usage log, its events, events that others tell over HTTP, and CSV as
//! another reader finds it.
//!
//! The same tests are part of `cargo xtask test`, with a few hundred inputs each. Here they run again and again, with other
//! inputs each time, until the time is over. An input that fails is kept beside its test (`proptest-regressions`) and tried first
//! from then on.

use crate::{Outcome, process, progress};
use std::time::{Duration, Instant};

/// Tests of one package.
struct Target {
    package: &'static str,
    /// Where they are, and their names begin so.
    place: &'static [&'static str],
    names: &'static str,
    tests: u64,
    /// Inputs of one round, of each test.
    cases: u64,
}

const TARGETS: [Target; 4] = [
    // Turned bits of a usage log among them, of which one round has more than 10,000 seeds.
    Target { package: "spool", place: &["--test", "fuzz"], names: "fuzz_", tests: 3, cases: 20_000 },
    Target { package: "domain", place: &["--test", "fuzz"], names: "fuzz_", tests: 4, cases: 20_000 },
    Target { package: "server", place: &["--lib"], names: "api::csv::tests::fuzz_", tests: 1, cases: 20_000 },
    // Over the router and into Postgres.
    Target { package: "server", place: &["--lib"], names: "api::tests::fuzz_events::fuzz_", tests: 1, cases: 500 },
];

/// Runs each of them for its part of that many seconds.
pub fn run(seconds: u64) -> Outcome {
    for Target { package, place, names, tests, cases } in TARGETS {
        // In release: there it is the number of inputs that counts.
        let test = || ["test", "--release", "--package", package].into_iter().chain(place.iter().copied());
        progress::step(&format!("Building what {package} is asked"), || {
            process::show(process::cargo(test().chain(["--no-run"])))
        })?;
        let (begin, mut rounds) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs(seconds) / TARGETS.len() as u32 || rounds == 0 {
            let mut cargo = process::cargo(test().chain(["--quiet", "--", names]));
            cargo.env("PROPTEST_CASES", cases.to_string());
            process::show(cargo)?;
            rounds += 1;
        }
        println!(
            "{package}, {names}…: {} inputs in {}, none of which broke a promise",
            rounds * tests * cases,
            progress::time(begin.elapsed())
        );
    }
    Ok(())
}
