//! `chaos month` (R16): two partners' month of a million events each, one in either mode of collecting: the same numbers at every door.
//!
//! The month is in Auckland, from 20 March on, by the test clock, and holds the hour that comes twice. Most usage is told over `POST
//! /api/events`, at both ends of the month and of that hour too; some thousands are calls through the gateway, on prepaid credit until it
//! is short. There are an upgrade in the middle, a batch that came twice and is voided, a call that is voided and gives its credit back,
//! late events and a correction after the close, an invoice that is paid and refunded in part, and the month that follows, whose invoice
//! has what came late.
//!
//! The experiment keeps a ledger of what it told and called, and rates it by arithmetic of its own. Then it looks at the portal's pages as
//! the partner's member, at the REST API, the files and exports, the invoices, and what the stand-in for Stripe holds: every number that
//! any of them shows must be the ledger's, units and cents, part by part, day by day, and hour by hour where the clocks go back.
//!
//! Control run: one number at a time is changed by SQL or at the stand-in, by one, and each time the same look must find it.

mod amends;
mod calendar;
mod calling;
mod control;
mod html;
mod installation;
mod invoice_doors;
mod ledger;
mod partner;
mod rows;
mod story;
mod stripe_books;
mod table;
mod telling;
mod usage_doors;

use crate::{Trouble, findings::Findings, world::seed_of_now};
use clap::Parser;
use installation::Installation;
use partner::Partner;
use std::{path::PathBuf, time::Instant};
use table::Table;

#[derive(Parser, Clone)]
pub struct Month {
    /// Of each of the two partners, about.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(5_000..=50_000_000))]
    events: u64,
    /// The server makes the subscriptions at Stripe, and Stripe's invoices are followed. Else somebody subscribes the customer by hand.
    #[arg(long)]
    made: bool,
    /// Seed of all usage; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Afterwards numbers are changed, one at a time, and the same look must find each.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

/// Whether everything was as it should be: all doors agree, and where it is asked for, every change was found.
pub async fn run(month: &Month) -> Result<bool, Trouble> {
    let seed = month.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}");
    let begin = Instant::now();
    let mut found = Findings::new(false);
    let (mut own, mut partners) = Installation::open(month, seed).await?;
    story::tell_all(month, &mut own, &mut partners, &mut found).await?;
    println!("told, called and billed after {:?}", begin.elapsed());

    let table = look(&own, &mut partners).await?;
    table.print();
    for (door, numbers, differing) in table.doors() {
        found.check(differing == 0, format!("{door}: {numbers} numbers, {differing} of them not the ledger's"));
    }
    let differing = table.differing();
    differing.iter().take(20).for_each(|one| println!("  {one}"));
    found.check(differing.is_empty(), "all doors show all numbers, and nothing else");
    if month.control {
        control::run(&own, &mut partners, &mut found).await?;
    }
    own.cluster.end_all().await?;
    println!("all of it took {:?}", begin.elapsed());
    Ok(found.conclude("One number everywhere"))
}

/// All doors, once.
async fn look(own: &Installation, partners: &mut [Partner]) -> Result<Table, Trouble> {
    let mut table = Table::default();
    for partner in partners {
        usage_doors::look(own, partner, &mut table).await?;
        invoice_doors::look(own, partner, &mut table).await?;
        stripe_books::look(own, partner, &mut table).await?;
    }
    Ok(table)
}
