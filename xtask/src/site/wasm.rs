//! The compiled islands, made loadable: wasm-bindgen in the version of Cargo.lock, then wasm-opt, then a name by content.

use std::fs;
use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

use super::{cannot, optimise, tree};
use crate::{Outcome, progress};

const NAME: &str = "turnpike";

/// Writes the two files into `pkg` and gives the stem of their names.
pub fn generate(compiled: &Path, pkg: &Path, optimiser: Option<&Path>) -> Outcome<String> {
    let mut bindgen = Bindgen::new();
    bindgen
        .web(true)
        .map_err(|why| why.to_string())?
        .input_path(compiled)
        .out_name(NAME)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        // The page says where the wasm is, by its hashed name.
        .omit_default_module_path(true)
        .generate(pkg)
        .map_err(|why| format!("wasm-bindgen cannot read the browser half: {why:#}."))?;
    let js = pkg.join(format!("{NAME}.js"));
    let wasm = pkg.join(format!("{NAME}_bg.wasm"));
    match optimiser {
        Some(optimiser) => optimise::run(optimiser, &wasm)?,
        None => progress::note("Node.js is not here, so the wasm is not made smaller by wasm-opt."),
    }
    let content = [&js, &wasm].map(|file| fs::read(file).map_err(|why| cannot(file, &why)));
    let [glue, code] = content;
    let stem = format!("{NAME}-{}", tree::short_hash(&[glue?, code?].concat()));
    fs::rename(&js, pkg.join(format!("{stem}.js"))).map_err(|why| cannot(&js, &why))?;
    fs::rename(&wasm, pkg.join(format!("{stem}_bg.wasm"))).map_err(|why| cannot(&wasm, &why))?;
    Ok(stem)
}
