//! How soon a page of the portal begins to arrive, with the example's data.

use std::time::Duration;

use super::report;
use crate::run::{self, world::World};
use crate::{Outcome, http, site, workspace};

const ROUNDS: usize = 200;
/// Pages that need no session.
const PAGES: [&str; 3] = ["/", "/sign-in", "/sign-up"];

pub fn measure() -> Outcome {
    let site = site::build()?;
    run::build(true, false)?;
    let mut world = World::start(&workspace::target().join("bench"), &site, run::bench_options()?)?;
    for page in PAGES {
        let mut taken = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let answer = http::get(world.ports.portal, page, &[]).ok_or("The portal does not answer.")?;
            if answer.status >= 400 {
                return Err(format!("{page} answers {}.", answer.status));
            }
            taken.push(answer.first_byte);
        }
        taken.sort();
        report(&format!("First byte of {page}, median"), &milliseconds(&taken, 50), "at most 50 ms");
        report(&format!("First byte of {page}, 99 of 100"), &milliseconds(&taken, 99), "none");
    }
    world.stop()
}

fn milliseconds(sorted: &[Duration], percent: usize) -> String {
    let taken = sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default();
    format!("{}.{:02} ms", taken.as_millis(), taken.subsec_micros() % 1000 / 10)
}
