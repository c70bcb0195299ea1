//! `chaos exhaustion` (R36): a server that may open only a few files, or have only so much memory, under a flood of
//! connections to its gateway and to its portal.
//!
//! - `files`: what the flood wants beyond the limit is turned away; what was admitted is served, recorded and shipped to
//!   Postgres all the while, operators still get in, and no time is burnt on connections that cannot be accepted.
//! - `memory`: thousands of clients send heads and bodies of which the rest never comes, within a cap on the memory of the
//!   process. Whatever they send, the server stays below it.
//!
//! The control run of `files` lowers the limit behind the server's back, so that it has kept nothing free; that of `memory`
//! allows connections without end. The same checks must fail there.

mod files;
mod flood;
mod memory;

use crate::{Trouble, world::Launch};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

#[derive(Parser, Clone)]
pub struct Exhaustion {
    /// What runs out; both where nothing is said.
    #[arg(value_enum)]
    part: Option<Part>,
    /// Control run: the safeguard is off, and the check must fail.
    #[arg(long)]
    control: bool,
    /// Prints how long things took and does not judge it: for a debug build, or a machine that is busy with other things.
    #[arg(long)]
    untimed: bool,
    /// Length of the flood, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Files,
    Memory,
}

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(exhaustion: &Exhaustion) -> Result<bool, Trouble> {
    let mut as_expected = true;
    for part in [Part::Files, Part::Memory] {
        if exhaustion.part.is_some_and(|only| only != part) {
            continue;
        }
        println!("{part:?}{}", if exhaustion.control { " (control run: the safeguard is off)" } else { "" });
        let found = match part {
            Part::Files => files::run(exhaustion).await?,
            Part::Memory => memory::run(exhaustion).await?,
        };
        as_expected &= found.conclude(&format!("{part:?}")) != exhaustion.control;
    }
    Ok(as_expected)
}

impl Exhaustion {
    /// A server of one thread that runs under `wrapper`.
    fn launch(&self, wrapper: &[&str], environment: &[(&str, &str)], upstream: u16) -> Launch {
        let mut environment = environment.to_vec();
        environment.push(("TURNPIKE_GATEWAY_CORES", "1"));
        Launch {
            binary: self.binary.clone(),
            site: self.site.clone(),
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            wrapper: wrapper.iter().map(|word| (*word).to_owned()).collect(),
            setup: include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{upstream}")),
        }
    }
}
