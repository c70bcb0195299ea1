//! The npm packages of a folder, exactly as its lock file says.

use std::fs;
use std::path::Path;

use super::node;
use crate::{Outcome, process, progress};

/// Says, inside node_modules, which lock file it was installed from.
const STAMP: &str = "node_modules/.installed-from";

/// Installs what `package-lock.json` says, unless that is what is there.
pub fn npm(folder: &Path) -> Outcome {
    let lock = folder.join("package-lock.json");
    let wanted = fs::read(&lock).map_err(|why| format!("{} cannot be read: {why}.", lock.display()))?;
    if fs::read(folder.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    node()?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    progress::step(&format!("Fetching npm packages of {name}"), || {
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        process::read(process::program("npm", arguments, folder))?;
        fs::write(folder.join(STAMP), wanted).map_err(|why| why.to_string())
    })
    .map_err(|why| {
        format!("npm could not fetch the packages of {name}; it needs the npm registry. It said: {}", first_line(&why))
    })
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
}
