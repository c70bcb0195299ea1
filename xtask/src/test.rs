//! `cargo xtask test`: everything that must hold, in the order in which it is cheap to find out.

mod browser;
mod code;
mod everything;
mod experiments;
mod licences;
mod rating;
mod referees;
mod rust;
mod side_by_side;
mod tally;
mod walls;

use std::process::ExitCode;
use std::time::Instant;

use tally::Tally;

use crate::{Outcome, install, progress, site};

/// Runs every step, whatever the ones before gave; the last line is `N passed, N failed`.
pub fn run(arguments: &[String]) -> ExitCode {
    let fast = match arguments {
        [] => false,
        [flag] if flag == "--fast" => true,
        _ => {
            eprintln!("cargo xtask test takes --fast and nothing else.");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let mut tally = Tally::default();
    prepare(&mut tally);
    code::check(&mut tally);
    walls::check(&mut tally);
    licences::check(&mut tally);
    everything::build(&mut tally);
    rust::check(&mut tally);
    referees::check(&mut tally);
    rating::check(&mut tally);
    side_by_side::run(&mut tally, experiments::all());
    if !fast {
        browser::check(&mut tally);
    }
    println!("==> All of it took {}", progress::time(start.elapsed()));
    tally.end()
}

/// What several steps need. Where it is missing those steps fail and say so again; the others still run.
fn prepare(tally: &mut Tally) {
    type Get = fn() -> Outcome;
    let needs: [(&str, Get); 4] = [
        ("rustfmt and clippy", install::rustfmt_and_clippy),
        ("the wasm target", install::wasm_target),
        ("PostgreSQL", install::postgres),
        ("the browser half", || site::build().map(drop)),
    ];
    for (what, get) in needs {
        if let Err(problem) = get() {
            tally.fail(what, &problem);
        }
    }
}
