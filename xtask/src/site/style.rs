//! The style sheets, sorted by name, as one file: the cascade layers are declared in the first.

use std::fs;
use std::path::Path;

use super::{cannot, tree};
use crate::Outcome;

/// Writes the sheet into `pkg` and gives its name.
pub fn concatenate(style: &Path, pkg: &Path) -> Outcome<String> {
    let mut sheet = String::new();
    for file in tree::files(style)?.iter().filter(|file| file.extension().is_some_and(|end| end == "css")) {
        sheet.push_str(&fs::read_to_string(file).map_err(|why| cannot(file, &why))?);
        sheet.push('\n');
    }
    let name = format!("turnpike-{}.css", tree::short_hash(sheet.as_bytes()));
    let file = pkg.join(&name);
    fs::write(&file, sheet).map_err(|why| cannot(&file, &why))?;
    Ok(name)
}
