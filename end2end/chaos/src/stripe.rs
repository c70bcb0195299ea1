//! `chaos stripe` (R11 to R14): partners in both collect modes, a Stripe that fails in every way that its documentation tells of, and a
//! server that is killed while it tells Stripe of invoices. Stripe is the stand-in of this repository, by our reading of that
//! documentation; it follows the installation's test clock, forgets idempotency keys after 24 hours and finalises drafts after one.
//!
//! The checker knows what it told the server of usage, and reads what the stand-in holds: a unit costs a cent, so that each partner's
//! invoices there must come to as many cents as it was told units. Nothing of ours is asked for a sum.
//!
//! `--case faults` (R11, R13): days of usage under faults and kills. `--case streamed`: the same with all partners by meter events that go by
//! version 2's stream, under sessions that end too soon besides. `--case outages` (R12): Stripe is down for 26 and 72 hours and
//! eight days, after it has answered nothing for a while. `--case webhooks` (R14): events thrice, shuffled, late, among forged ones.
//!
//! Control runs: keys and identifiers are forgotten at once; nothing is found where somebody looks before asking again; the forger
//! knows a secret and events are kept as often as they come. Each time the check must fail.

mod books;
mod faults;
mod outages;
mod shop;
mod webhooks;

use crate::{Trouble, world::seed_of_now};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    Faults,
    Streamed,
    Outages,
    Webhooks,
    All,
}

#[derive(Parser, Clone)]
pub struct Stripe {
    #[arg(long, value_enum, default_value = "all")]
    case: Case,
    /// Every other one is billed by meter events.
    #[arg(long, default_value_t = 200)]
    partners: usize,
    /// Days of usage under faults. From 28 on nine of ten partners are billed by the month, else all by the day.
    #[arg(long, default_value_t = 30)]
    days: i64,
    /// Units over all days and partners, about.
    #[arg(long, default_value_t = 1_000_000)]
    units: u64,
    /// How often the server is killed while it tells Stripe.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Of a hundred requests, so many meet each of the six faults.
    #[arg(long, default_value_t = 10)]
    share: u64,
    /// How long Stripe is down, one time after the other, in hours.
    #[arg(long, value_delimiter = ',', default_values_t = [26, 72, 192])]
    hours: Vec<i64>,
    /// The server makes subscriptions and prices at Stripe, and Stripe's invoices are followed. Else somebody has subscribed the customers
    /// by hand.
    #[arg(long)]
    made: bool,
    /// Seed of usage, faults and kills; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Control run: a safeguard is off, and the check must fail.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

/// How Stripe is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Billed {
    /// Every other partner by meter events, one by one.
    Both,
    /// All of them by streamed meter events.
    Streamed,
}

impl Stripe {
    /// Beside the other cases a shorter run is enough: what is particular to the stream happens in each run of the server.
    fn for_the_stream(&self) -> Self {
        if self.case != Case::All {
            return self.clone();
        }
        let days = self.days.min(5);
        let units = self.units / self.days.unsigned_abs().max(1) * days.unsigned_abs();
        Self { days, units, kills: self.kills.min(30), ..self.clone() }
    }
}

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(stripe: &Stripe) -> Result<bool, Trouble> {
    let seed = stripe.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}{}", if stripe.control { " (control run)" } else { "" });
    let mut as_expected = true;
    let is_asked = |case| stripe.case == case || stripe.case == Case::All;
    if is_asked(Case::Faults) {
        as_expected &= faults::run(stripe, seed, Billed::Both).await? != stripe.control;
    }
    if is_asked(Case::Streamed) {
        as_expected &= faults::run(&stripe.for_the_stream(), seed, Billed::Streamed).await? != stripe.control;
    }
    if is_asked(Case::Outages) {
        as_expected &= outages::run(stripe, seed).await? != stripe.control;
    }
    if is_asked(Case::Webhooks) {
        as_expected &= webhooks::run(stripe, seed).await? != stripe.control;
    }
    Ok(as_expected)
}
