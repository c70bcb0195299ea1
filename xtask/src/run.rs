//! `cargo xtask run`: from a fresh clone to an API that is for sale in a browser, in one command.

mod greeting;
pub mod leftovers;
mod memory;
mod options;
mod partner;
mod ports;
mod turnpike;
pub mod world;

use options::Options;
use world::World;

use crate::{Outcome, install, process, progress, site, workspace};

pub use ports::Ports;
pub use turnpike::Turnpike;

/// Builds, starts, prints where everything is, and runs until Ctrl-C.
///
/// # Errors
/// What is missing, does not build or does not start.
pub fn run(arguments: &[String]) -> Outcome {
    let options = Options::read(arguments)?;
    options.ports.check(options.stand_in)?;
    install::postgres()?;
    if options.release {
        install::node()?;
    }
    let site = site::build()?;
    build(options.release, options.stand_in)?;
    let var = workspace::var();
    if options.fresh {
        leftovers::empty(&var)?;
    }
    let mut world = World::start(&var, &site, options)?;
    greeting::print(&world);
    let end = world.services.watch();
    println!();
    progress::step("Stopping", || world.stop())?;
    end
}

/// Builds the server and the programs of the example.
pub fn build(release: bool, stand_in: bool) -> Outcome {
    let mut arguments = vec!["build", "--package", "server", "--package", "payments-api"];
    if stand_in {
        arguments.extend(["--package", "stripe-stand-in"]);
    }
    if release {
        arguments.push("--release");
    }
    progress::step("Building the server and the example", || process::show(process::cargo(arguments)))
}

/// An installation for measuring, on ports of its own.
pub fn bench_options() -> Outcome<Options> {
    let ports = Ports::from("41700")?;
    ports.check(false)?;
    Ok(Options { fresh: false, stand_in: false, release: true, ports })
}
