//! `cargo xtask chaos <what>`: hands over to the chaos program, with the built server to attack.

use crate::{Outcome, install, process, progress, site, workspace};

/// Builds what the experiments need and runs one of them.
pub fn run(arguments: &[String]) -> Outcome {
    install::postgres()?;
    if arguments.first().is_some_and(|what| what == "slow-clients") {
        // Without it the experiment says so and has one judge less.
        if let Err(problem) = install::slowhttptest() {
            println!("{problem}");
        }
    }
    let site = site::build()?;
    progress::step("Building the server and its attackers", || {
        process::show(process::cargo([
            "build",
            "--release",
            "--package",
            "server",
            "--package",
            "payments-api",
            "--package",
            "chaos",
        ]))
    })?;
    let mut chaos =
        process::program(&workspace::program("chaos", true).to_string_lossy(), arguments, &workspace::root());
    chaos
        .env("TURNPIKE_BIN", workspace::program("turnpike", true))
        .env("PAYMENTS_API_BIN", workspace::program("payments-api", true))
        .env("TURNPIKE_SITE_DIR", site);
    process::show(chaos)
}
