//! Any input for what reads bytes that we did not choose: the usage log, its events, and CSV as another reader finds it.
//!
//! The same tests are part of `cargo xtask test`, with a few hundred inputs each. Here they run again and again, with other
//! inputs each time, until the time is over. An input that fails is kept beside its test (`proptest-regressions`) and tried first
//! from then on.

use crate::{Outcome, process, progress};
use std::time::{Duration, Instant};

/// Inputs of one round.
const CASES: u64 = 20_000;
/// Where there are such tests, how many of them, and how their package is asked for them.
const TARGETS: [(&str, u64, &[&str]); 3] =
    [("spool", 2, &["--test", "fuzz"]), ("domain", 2, &["--test", "fuzz"]), ("server", 1, &["--lib", "fuzz_"])];

/// Runs each package's for its part of that many seconds.
pub fn run(seconds: u64) -> Outcome {
    for (package, tests, only) in TARGETS {
        // In release: there it is the number of inputs that counts.
        let build = ["test", "--release", "--package", package, only[0]].into_iter();
        let build = build.chain((only[0] != "--lib").then(|| only[1])).chain(["--no-run"]);
        progress::step(&format!("Building what {package} is asked"), || process::show(process::cargo(build)))?;
        let (begin, mut rounds) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs(seconds) / TARGETS.len() as u32 || rounds == 0 {
            let mut cargo = process::cargo(
                ["test", "--release", "--quiet", "--package", package].into_iter().chain(only.iter().copied()),
            );
            cargo.env("PROPTEST_CASES", CASES.to_string());
            process::show(cargo)?;
            rounds += 1;
        }
        println!(
            "{package}: {} inputs in {}, none of which broke a promise",
            rounds * tests * CASES,
            progress::time(begin.elapsed())
        );
    }
    Ok(())
}
