//! `cargo xtask build`: the program as one file, with the site inside.

use crate::{Outcome, process, progress, site, workspace};

pub fn run() -> Outcome {
    let site = site::build()?;
    progress::step("Building turnpike, optimised", || {
        let mut cargo = process::cargo(["build", "--release", "--package", "server", "--features", "embed-site"]);
        cargo.env("TURNPIKE_SITE_DIR", site);
        process::show(cargo)
    })?;
    println!("The program is {}", workspace::program("turnpike", true).display());
    Ok(())
}
