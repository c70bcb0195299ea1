//! How exact limits are: runs the gateway's own measurement, which prints a table and keeps it as JSON.

use crate::{Outcome, process, workspace};

pub fn measure() -> Outcome {
    let file = workspace::target().join("bench-limits.json");
    let arguments = ["bench", "--quiet", "-p", "gateway", "--bench", "limits", "--", "--json"];
    let arguments = arguments.into_iter().map(Into::into).chain([file.clone().into_os_string()]);
    process::show(process::cargo::<std::ffi::OsString>(arguments))?;
    println!("As JSON: {}", file.display());
    Ok(())
}
