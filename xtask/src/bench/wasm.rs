//! How much a browser loads.

use super::report;
use crate::{Outcome, progress, site};

pub fn measure() -> Outcome {
    let pkg = site::build()?.join("pkg");
    for file in site::files(&pkg)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::metadata(&file).map_err(|why| why.to_string())?.len();
        let target = if name.ends_with(".wasm.br") { "at most 200 KB" } else { "none" };
        report(&name, &progress::size(usize::try_from(bytes).unwrap_or(usize::MAX)), target);
    }
    Ok(())
}
