//! How long the first build takes, from nothing but the fetched crates.

use std::time::Instant;

use super::report;
use crate::{Outcome, process, progress, workspace};

pub fn measure() -> Outcome {
    let folder = workspace::target().join("bench-cold");
    let start = Instant::now();
    let wasm = ["build", "--package", "frontend", "--target", "wasm32-unknown-unknown", "--profile", "wasm-release"];
    let native = ["build", "--package", "xtask", "--package", "server", "--package", "payments-api"];
    for arguments in [&wasm[..], &native[..]] {
        let mut cargo = process::cargo(arguments);
        cargo.env("CARGO_TARGET_DIR", &folder);
        process::show(cargo)?;
    }
    report("Cold build of the main job", &progress::time(start.elapsed()), "cold run at most 25 min");
    std::fs::remove_dir_all(&folder).map_err(|why| format!("{} cannot be removed: {why}.", folder.display()))
}
