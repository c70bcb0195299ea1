//! Random plans and usage, rated by our engine and by an oracle that shares no code with it (`end2end/rating-oracle`).

use std::collections::HashMap;

use crate::{Outcome, process, progress, workspace};

/// Cases of a whole run, and of each control.
const CASES: u64 = 1_000_000;
const CONTROL: u64 = 20_000;

/// What the command line asks for: `--cases N`, `--seed N` and `--control`.
pub fn run(arguments: &[String]) -> Outcome {
    let is_control = arguments.iter().any(|argument| argument == "--control");
    let rest: Vec<&String> = arguments.iter().filter(|argument| *argument != "--control").collect();
    let mut asked = HashMap::from([("--cases", if is_control { CONTROL } else { CASES }), ("--seed", 1)]);
    for pair in rest.chunks(2) {
        let place = pair.first().and_then(|flag| asked.get_mut(flag.as_str()));
        let number = pair.get(1).and_then(|number| number.parse().ok());
        match (place, number) {
            (Some(place), Some(number)) => *place = number,
            _ => return Err("cargo xtask check rating takes --cases N, --seed N and --control.".to_owned()),
        }
    }
    // Not in release: here an overflow is a crash.
    progress::step("Building the engine that is judged", || {
        process::show(process::cargo(["build", "--package", "domain", "--example", "rate"]))
    })?;
    judge(asked["--cases"], asked["--seed"], is_control)
}

/// Lets the oracle judge so many cases of the engine that was built; with `is_control` each of its rules is read wrongly in turn and has to be found.
pub fn judge(cases: u64, seed: u64, is_control: bool) -> Outcome {
    let engine = workspace::target().join("debug/examples/rate");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut oracle = process::program("python3", ["judge.py"], &workspace::end2end().join("rating-oracle"));
    oracle.env("PYTHONDONTWRITEBYTECODE", "1").arg(engine);
    oracle.args(["--cases", &cases.to_string(), "--seed", &seed.to_string(), "--jobs", &jobs.to_string()]);
    if is_control {
        oracle.arg("--control");
    }
    process::show(oracle)
}
