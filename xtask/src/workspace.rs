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

/// For what is thrown away: in memory where that has room and programs may be in it, else where the system has temporary files. Making a
/// database is a thousand files, which a disk takes its time for.
pub fn scratch() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    let free = process::read(process::program("df", ["--output=avail", "--block-size=1", MEMORY], Path::new("/")));
    let free = free.ok().and_then(|said| said.lines().last()?.trim().parse::<u64>().ok());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let options = mounts.lines().filter_map(|line| line.split_once(&format!(" {MEMORY} "))).next_back();
    let runs_programs = options.is_some_and(|(_, options)| !options.contains("noexec"));
    if free >= Some(4 << 30) && runs_programs { MEMORY.into() } else { std::env::temp_dir() }
}

pub fn end2end() -> PathBuf {
    root().join("end2end")
}

/// A program that cargo built.
pub fn program(name: &str, release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" }).join(name)
}
