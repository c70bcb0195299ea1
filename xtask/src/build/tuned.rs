//! The program compiled as one unit, by what it did under load (profile-guided optimisation).
//!
//! 1. A program that counts which way it goes is built beside the usual one.
//! 2. It runs under load ([`super::training`]) and writes its counts as it stops.
//! 3. The program is compiled again by these counts. They are kept until the first is another one.
//!
//! <https://doc.rust-lang.org/rustc/profile-guided-optimization.html>

use super::training;
use crate::{Outcome, install, process, progress, workspace};
use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// As `Cargo.toml` has it.
const PROFILE: &str = "tuned";

pub fn build(site: &Path) -> Outcome<PathBuf> {
    let merge = install::llvm_profdata()?;
    install::postgres()?;
    training::ports()?;
    let host = host()?;
    let folder = workspace::target().join("tuning");
    let counts = folder.join("counts");
    let program = |target: &Path| target.join(&host).join(PROFILE).join("turnpike");
    progress::step("Building turnpike so that it counts", || {
        compile(site, &host, &folder, &format!("-Cprofile-generate={}", counts.display()))
    })?;
    let counting = program(&folder);
    // A path of its own for each, as cargo does not look into it.
    let profile = folder.join(format!("{}.profdata", built_at(&counting)?));
    if !profile.exists() {
        empty(&counts)?;
        training::run(&counting, site, &folder.join("training"))?;
        progress::step("Summing its counts up", || {
            // Under its own name only when it is whole.
            let half = folder.join("half.profdata");
            let mut command = process::program(&merge.to_string_lossy(), ["merge", "--output"], &folder);
            command.arg(&half).arg(&counts);
            process::read(command)?;
            fs::rename(&half, &profile).map_err(|why| format!("{} cannot be made: {why}.", profile.display()))
        })?;
        // Large, and of no more use.
        empty(&counts)?;
    }
    let target = workspace::target();
    progress::step("Building turnpike by its counts", || {
        compile(site, &host, &target, &format!("-Cprofile-use={}", profile.display()))
    })?;
    Ok(program(&target))
}

/// With a target named, so that what runs only while building counts nothing.
fn compile(site: &Path, host: &str, target: &Path, flag: &str) -> Outcome {
    let mut cargo = process::cargo(["build", "--profile", PROFILE, "--target", host, "--target-dir"]);
    cargo.arg(target).args(["--package", "server", "--features", "embed-site"]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flag).env("TURNPIKE_SITE_DIR", site).env_remove("RUSTC_WORKSPACE_WRAPPER");
    process::show(cargo)
}

/// As `x86_64-unknown-linux-gnu`.
fn host() -> Outcome<String> {
    let said = process::read(process::program("rustc", ["-vV"], &workspace::root()))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host.".to_owned())
}

/// In seconds since 1970.
fn built_at(program: &Path) -> Outcome<u64> {
    let at = fs::metadata(program).and_then(|found| found.modified());
    let at = at.map_err(|why| format!("{} cannot be read: {why}.", program.display()))?;
    Ok(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn empty(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(why) if folder.exists() => Err(format!("{} cannot be emptied: {why}.", folder.display())),
        _ => Ok(()),
    }
}
