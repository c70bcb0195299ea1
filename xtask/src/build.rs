//! `cargo xtask build`: the program as one file, with the site inside.

mod training;
mod tuned;

use crate::{Outcome, process, progress, site, workspace};
use std::path::{Path, PathBuf};

pub fn run(arguments: &[String]) -> Outcome {
    let is_tuned = match arguments {
        [] => false,
        [only] if only == "--tuned" => true,
        _ => return Err("cargo xtask build takes nothing, or --tuned.".to_owned()),
    };
    let site = site::build()?;
    let program = if is_tuned { tuned::build(&site)? } else { optimised(&site)? };
    println!("The program is {}", program.display());
    Ok(())
}

fn optimised(site: &Path) -> Outcome<PathBuf> {
    progress::step("Building turnpike, optimised", || {
        let mut cargo = process::cargo(["build", "--release", "--package", "server", "--features", "embed-site"]);
        cargo.env("TURNPIKE_SITE_DIR", site);
        process::show(cargo)
    })?;
    Ok(workspace::program("turnpike", true))
}
