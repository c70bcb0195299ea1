//! The public tests for HTTP caches, against a cached product.

use crate::{Outcome, install, process, workspace};

/// What the test is called; without the npm package it cannot run, so a plain run of the tests leaves it out.
const TEST: &str = "calls::http_cache_tests::";

pub fn check() -> Outcome {
    install::npm(&workspace::end2end().join("http-cache-tests"))?;
    let test = ["test", "--package", "gateway", "--test", "calls", "--", "--ignored", "--nocapture", TEST];
    process::show(process::cargo(test))
}
