//! wasm-opt of the npm package `binaryen`; Debian's is too old for what rustc writes.

use std::fs;
use std::path::{Path, PathBuf};

use super::cannot;
use crate::{Outcome, install, process, progress, workspace};

/// What rustc uses beyond the first version of WebAssembly, and every browser of the last years has.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// wasm-opt, where Node.js is here to run it; fetched where it is not there yet. A site without it is larger, not worse.
pub fn find() -> Option<PathBuf> {
    if !install::has_node() {
        return None;
    }
    if let Err(why) = install::npm(&workspace::end2end()) {
        progress::note(&why);
    }
    let file = workspace::end2end().join("node_modules/binaryen/bin/wasm-opt");
    file.is_file().then_some(file)
}

/// Makes a wasm file smaller in place.
pub fn run(wasm_opt: &Path, wasm: &Path) -> Outcome {
    let before = size(wasm)?;
    let smaller = wasm.with_extension("opt");
    let mut command = process::program("node", [wasm_opt], &workspace::root());
    command.arg("-Oz").args(FEATURES).arg(wasm).arg("-o").arg(&smaller);
    process::read(command)?;
    fs::rename(&smaller, wasm).map_err(|why| cannot(wasm, &why))?;
    progress::note(&format!("wasm-opt: {} became {}", progress::size(before), progress::size(size(wasm)?)));
    Ok(())
}

fn size(file: &Path) -> Outcome<usize> {
    let bytes = fs::metadata(file).map_err(|why| cannot(file, &why))?.len();
    usize::try_from(bytes).map_err(|why| why.to_string())
}
