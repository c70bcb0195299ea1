//! Packages of Debian, where we are root or sudo asks for no password.

use std::path::Path;
use std::process::Command;

use super::on_path;
use crate::{Outcome, process, progress};

/// Installs packages, or says what to type. `otherwise` completes the sentence.
pub fn install(what: &str, packages: &[&str], otherwise: &str) -> Outcome {
    let by_hand =
        format!("{what} is missing. Install it (on Debian: apt-get install {}), {otherwise}.", packages.join(" "));
    if !on_path("apt-get") {
        return Err(by_hand);
    }
    let sudo = !is_root();
    if sudo && !(on_path("sudo") && process::succeeds(as_root(true, &["true"]))) {
        return Err(by_hand);
    }
    progress::step(&format!("Installing {what}"), || {
        process::read(as_root(sudo, &["apt-get", "update", "-qq"]))?;
        let mut install = vec!["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
        install.extend_from_slice(packages);
        process::read(as_root(sudo, &install)).map(drop)
    })
    .map_err(|why| format!("{by_hand} apt-get said: {}", why.lines().last().unwrap_or_default()))
}

/// `env DEBIAN_FRONTEND=noninteractive …`, through sudo where we are not root.
fn as_root(sudo: bool, words: &[&str]) -> Command {
    let prefix: &[&str] = if sudo { &["sudo", "-n"] } else { &[] };
    let all = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive"], words].concat();
    process::program(all.first().copied().unwrap_or("env"), all.iter().skip(1), Path::new("/"))
}

fn is_root() -> bool {
    process::read(process::program("id", ["-u"], Path::new("/"))).is_ok_and(|id| id.trim() == "0")
}
