//! How long a start takes on data that is already there.

use super::report;
use crate::run::{self, world::World};
use crate::{Outcome, progress, site, workspace};

pub fn measure() -> Outcome {
    let var = workspace::target().join("bench");
    let site = site::build()?;
    run::build(true, false)?;
    let options = run::bench_options()?;
    World::start(&var, &site, options)?.stop()?;
    let mut world = World::start(&var, &site, options)?;
    report("Warm start, first program to ready", &progress::time(world.start), "at most 15 s");
    world.stop()
}
