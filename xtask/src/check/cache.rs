//! The public tests for HTTP caches, against a cached product.

use std::process::Command;

use crate::{Outcome, install, process, workspace};

/// What the test is called; without the npm package it cannot run, so a plain run of the tests leaves it out.
const TEST: &str = "calls::http_cache_tests::";

pub fn run() -> Outcome {
    judge(process::cargo(["test", "--package", "gateway"]))
}

/// Runs the test by a `cargo test` of more packages.
pub fn judge(mut cargo: Command) -> Outcome {
    install::npm(&workspace::end2end().join("http-cache-tests"))?;
    cargo.args(["--test", "calls", "--", "--ignored", "--nocapture", TEST]);
    process::show(cargo)
}
