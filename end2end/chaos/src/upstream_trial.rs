//! `chaos upstream`: what the gateway promises while the API behind it fails.
//!
//! - `failing` (R19, R20): upstreams that hang, trickle, reset and close beside one that works. Each failing call ends within its
//!   time and costs nothing, the breaker opens, and calls of the other product stay as fast as they were.
//! - `overload` (R34): five times the connections that an upstream can serve. What is served stays near the peak, what is
//!   refused is refused at once, and the peak is back within five seconds.
//! - `names` (R37): the upstream's name vanishes and comes back, and one that leads to a private address is not followed.
//!
//! Each has a control run in which the protection is off; there the same check must fail.

mod failing;
mod faulty;
mod load;
mod names;
mod overload;

use crate::{Trouble, world::Launch};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

#[derive(Parser, Clone)]
pub struct Trial {
    /// What is tried; all of them where nothing is said.
    #[arg(value_enum)]
    part: Option<Part>,
    /// Control run: the protection is switched off, and the check must fail.
    #[arg(long)]
    control: bool,
    /// Prints how long things took and does not judge it: for a debug build, or a machine that is busy with other things.
    #[arg(long)]
    untimed: bool,
    /// Length of each measurement, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Failing,
    Overload,
    Names,
}

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(trial: &Trial) -> Result<bool, Trouble> {
    let mut as_expected = true;
    for part in [Part::Failing, Part::Overload, Part::Names] {
        if trial.part.is_some_and(|only| only != part) {
            continue;
        }
        println!("{part:?}{}", if trial.control { " (control run: the protection is off)" } else { "" });
        let found = match part {
            Part::Failing => failing::run(trial).await?,
            Part::Overload => overload::run(trial).await?,
            Part::Names => names::run(trial).await?,
        };
        as_expected &= found.conclude(&format!("{part:?}")) != trial.control;
    }
    Ok(as_expected)
}

impl Trial {
    fn launch(&self, environment: &[(&str, &str)], setup: String) -> Launch {
        Launch {
            binary: self.binary.clone(),
            site: self.site.clone(),
            environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            wrapper: Vec::new(),
            setup,
        }
    }
}

/// One product of a set-up: its name is its route too.
fn product(name: &str, port: u16, host: &str, settings: &str) -> String {
    format!(
        "  {name}:\n    name: {name}\n    document: api.yaml\n    route: /{name}\n    upstream_url: \"http://{host}:{port}\"\n    \
         visibility: public\n{settings}"
    )
}

/// A set-up that sells these products to one partner.
fn setup(products: &[(&str, String)]) -> String {
    let mut text = "products:\n".to_owned();
    products.iter().for_each(|(_, product)| text.push_str(product));
    text.push_str("plans:\n  all:\n    name: All\n    currency: USD\n    products:\n");
    products.iter().for_each(|(name, _)| text.push_str(&format!("      - product: {name}\n")));
    text.push_str(
        "    quota: { units: 100000000, beyond: block }\n    price: { model: per_unit, unit_price: \"0.01\" }\n\
         partners:\n  load:\n    name: Load\n    plan: all\n    apps:\n      load:\n        name: Load\n        keys:\n          \
         load: { name: Load, environment: live }\n",
    );
    text
}
