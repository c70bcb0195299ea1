//! Where things are: the checkout, the folder that cargo builds into, the programs in it.

use std::path::{Path, PathBuf};

use crate::process;

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

/// For what is thrown away: in memory where that has room, else where the system has temporary files. Making a database is a thousand
/// files, which a disk takes its time for.
pub fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let size = process::read(process::program("df", ["--output=size", "--block-size=1", "/dev/shm"], Path::new("/")));
    let size = size.ok().and_then(|said| said.lines().last()?.trim().parse::<u64>().ok());
    if size >= Some(4 << 30) { memory.to_owned() } else { std::env::temp_dir() }
}

pub fn end2end() -> PathBuf {
    root().join("end2end")
}

/// A program that cargo built.
pub fn program(name: &str, release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" }).join(name)
}
