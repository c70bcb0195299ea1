//! The site folder: what the browser loads besides the pages themselves.
//!
//! ```text
//! target/site/pkg/manifest.json                which names the current build has
//! target/site/pkg/turnpike-1a2b3c4d.js         the glue of wasm-bindgen
//! target/site/pkg/turnpike-1a2b3c4d_bg.wasm    the islands
//! target/site/pkg/turnpike-5e6f7a8b.css        every style sheet, one after the other
//! target/site/favicon.svg …                    public/ as it is
//! ```
//!
//! Names in `pkg` hold a hash of their content, so they may be cached for ever. Beside each file that gains by it lie a
//! `.br` and a `.gz`.

mod compress;
mod manifest;
mod optimise;
mod style;
mod tree;
mod wasm;

use std::fs;
use std::path::{Path, PathBuf};

use manifest::Manifest;
pub use tree::files;

use crate::{Outcome, install, process, progress, workspace};

/// Builds the browser half where anything changed, and gives the site folder.
///
/// # Errors
/// What is missing or does not compile, in one line.
pub fn build() -> Outcome<PathBuf> {
    install::wasm_target()?;
    progress::step("Building the browser half", || {
        process::show(process::cargo([
            "build",
            "--package",
            "frontend",
            "--target",
            "wasm32-unknown-unknown",
            "--profile",
            "wasm-release",
        ]))
    })?;
    let site = workspace::target().join("site");
    let compiled = workspace::target().join("wasm32-unknown-unknown/wasm-release/frontend.wasm");
    let optimiser = optimise::find();
    let made_from = made_from(&compiled, optimiser.is_some())?;
    if Manifest::read(&site.join("pkg")).is_some_and(|manifest| manifest.made_from == made_from) {
        return Ok(site);
    }
    progress::step("Packing the site", || pack(&site, &compiled, optimiser.as_deref(), made_from))?;
    Ok(site)
}

/// Makes the folder aside and swaps it in: a server that reads it never sees a half.
fn pack(site: &Path, compiled: &Path, optimiser: Option<&Path>, made_from: String) -> Outcome {
    let fresh = site.with_extension("new");
    let old = site.with_extension("old");
    for left_over in [&fresh, &old] {
        if left_over.exists() {
            fs::remove_dir_all(left_over).map_err(|why| cannot(left_over, &why))?;
        }
    }
    let pkg = fresh.join("pkg");
    fs::create_dir_all(&pkg).map_err(|why| cannot(&pkg, &why))?;
    let stem = wasm::generate(compiled, &pkg, optimiser)?;
    let css = style::concatenate(&workspace::root().join("style"), &pkg)?;
    let public = tree::copy(&workspace::root().join("public"), &fresh)?;
    compress::folder(&fresh)?;
    Manifest { stem, css, public, made_from }.write(&pkg)?;
    if site.exists() {
        fs::rename(site, &old).map_err(|why| cannot(site, &why))?;
    }
    fs::rename(&fresh, site).map_err(|why| cannot(site, &why))?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(|why| cannot(&old, &why))?;
    }
    Ok(())
}

/// One hash over everything that the site is made from, and the way it is made.
fn made_from(compiled: &Path, optimised: bool) -> Outcome<String> {
    let wasm = fs::read(compiled).map_err(|why| cannot(compiled, &why))?;
    let mut inputs = vec![tree::hash(&wasm), format!("optimised {optimised}, layout 2")];
    for folder in ["style", "public"] {
        inputs.push(tree::hash_of_folder(&workspace::root().join(folder))?);
    }
    Ok(tree::hash(inputs.join("\n").as_bytes()))
}

fn cannot(path: &Path, why: &std::io::Error) -> String {
    format!("{} cannot be used: {why}.", path.display())
}
