//! Where things are: the checkout, the folder that cargo builds into, the programs in it.

use std::path::{Path, PathBuf};

/// The checkout.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where cargo builds: CARGO_TARGET_DIR, else `target` in the checkout.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What a running installation keeps: data, logs, the keys of the example. Ignored by git.
pub fn var() -> PathBuf {
    root().join("var")
}

pub fn end2end() -> PathBuf {
    root().join("end2end")
}

/// A program that cargo built.
pub fn program(name: &str, release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" }).join(name)
}
