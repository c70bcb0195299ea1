//! The short runs of `cargo xtask chaos`, each beside its control run: with the safeguard off the same check must fail. What judges
//! times is left to the long runs, so two at a time do each other no harm; most of them wait for clocks.

mod credits;
mod exhaustion;
mod floods;
mod kill;
mod metering;
mod month;
mod outage;
mod reconcile;
mod retries;
mod stripe;
mod upstream;

use super::{side_by_side::Step, tally::Count};
use crate::{process, workspace};

/// All of them.
pub fn all() -> Vec<Step> {
    [
        kill::experiments(),
        upstream::experiments(),
        credits::experiments(),
        retries::experiments(),
        exhaustion::experiments(),
        outage::experiments(),
        reconcile::experiments(),
        stripe::experiments(),
        month::experiments(),
        metering::experiments(),
        floods::experiments(),
    ]
    .concat()
    .into_iter()
    .map(Experiment::step)
    .collect()
}

/// What is promised, and what the chaos program is told to find out whether it holds.
#[derive(Clone)]
struct Experiment {
    promise: String,
    arguments: Vec<String>,
}

impl Experiment {
    fn new(promise: &str, arguments: &[&str]) -> Self {
        Self { promise: promise.to_owned(), arguments: arguments.iter().map(|&one| one.to_owned()).collect() }
    }

    /// The same with more said behind it.
    fn and(promise: &str, arguments: &[&str], more: &[&str]) -> Self {
        Self::new(promise, &[arguments, more].concat())
    }

    /// Run against the server that was built.
    fn step(self) -> Step {
        let Self { promise, arguments } = self;
        Step::new(promise, move || {
            let chaos = workspace::program("chaos", false);
            let mut chaos = process::program(&chaos.to_string_lossy(), arguments, &workspace::root());
            chaos
                .env("TMPDIR", workspace::scratch())
                // The servers get it, too: a busy machine is late, and short runs judge no times.
                .env("TURNPIKE_GATEWAY_LATE_MS", "600000")
                .env("TURNPIKE_BIN", workspace::program("turnpike", false))
                .env("TURNPIKE_SITE_DIR", workspace::target().join("site"));
            let (well, lines) = process::read_lines(chaos)?;
            Ok((
                if well { Count { passed: 1, ..Count::default() } } else { Count { failed: 1, ..Count::default() } },
                lines,
            ))
        })
    }
}
