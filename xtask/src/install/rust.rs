//! Parts of the Rust toolchain. `rust-toolchain.toml` names them, but rustup adds nothing where its auto-install is off.

use std::path::{Path, PathBuf};

use crate::{Outcome, process, progress, workspace};

const WASM: &str = "wasm32-unknown-unknown";

/// The standard library for the browser.
pub fn wasm_target() -> Outcome {
    let folder =
        process::read(process::program("rustc", ["--print", "target-libdir", "--target", WASM], &workspace::root()))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    progress::step("Adding the wasm target", || rustup(&["target", "add", WASM])).map_err(|why| {
        format!(
            "The wasm target is missing and could not be added. Try: rustup target add {WASM}. rustup said: {}",
            last_line(&why)
        )
    })
}

/// What the tests read the code with.
pub fn rustfmt_and_clippy() -> Outcome {
    for component in ["fmt", "clippy"] {
        let driver = process::program("clippy-driver", ["--version"], &workspace::root());
        if !process::succeeds(process::cargo([component, "--version"]))
            || component == "clippy" && !process::succeeds(driver)
        {
            let name = if component == "fmt" { "rustfmt" } else { component };
            progress::step(&format!("Adding {name}"), || rustup(&["component", "add", name])).map_err(|why| {
                format!("{name} is missing. Try: rustup component add {name}. rustup said: {}", last_line(&why))
            })?;
        }
    }
    Ok(())
}

/// The program that sums up what an instrumented program has counted; the compiler reads only that of its own version.
pub fn llvm_profdata() -> Outcome<PathBuf> {
    let said = process::read(process::program("rustc", ["--print", "target-libdir"], &workspace::root()))?;
    let program = Path::new(said.trim()).join("../bin/llvm-profdata");
    if !program.exists() {
        progress::step("Adding LLVM's tools", || rustup(&["component", "add", "llvm-tools"])).map_err(|why| {
            let last = last_line(&why);
            format!("llvm-profdata is missing. Try: rustup component add llvm-tools. rustup said: {last}")
        })?;
    }
    Ok(program)
}

fn rustup(arguments: &[&str]) -> Outcome {
    process::read(process::program("rustup", arguments, &workspace::root())).map(drop)
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}
