//! `turnpike reconcile`: whether the places that count usage say the same, on demand.

use super::{CommandError, reach::with_installation};
use crate::config::Config;
use clap::Args;
use domain::period::Period;
use jiff::{SignedDuration, Timestamp};
use std::{process::ExitCode, time::Duration};
use store::{
    Actor, Store, StoreError,
    reconcile::{Kind, Reconciliation, hours_before},
};
use tokio::time::sleep;

/// Differences that are printed; how many more there are is said.
const SHOWN: usize = 200;
/// How often it is tried again where somebody else compares just now.
const TRIES: u32 = 300;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// What to compare.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// The first hour, as 2026-03-01T00:00:00Z. Without it, two days ago.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Where to end. Without it, with the hour that runs.
    #[arg(long)]
    to: Option<Timestamp>,
    /// Only these: gateway, sequence, hourly, daily, meters, credit, invoice.
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    only: Vec<String>,
    /// Let invoices go on although numbers differ that were found so far, on record; nothing is compared. Says why.
    #[arg(long, value_name = "NOTE")]
    accept: Option<String>,
}

/// Compares, prints what differs, and fails where anything does.
pub async fn run(config: Config, what: Reconcile) -> Result<ExitCode, CommandError> {
    let chosen = what.only.iter().map(|code| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == code);
        kind.ok_or_else(|| format!("{code} is not one of gateway, sequence, hourly, daily, meters, credit, invoice"))
    });
    let mut kinds = chosen.collect::<Result<Vec<_>, String>>()?;
    if kinds.is_empty() {
        kinds = Kind::ALL.to_vec();
    }
    with_installation(&config, async |store, _, now| {
        if let Some(note) = &what.accept {
            let accepted = store.accept_findings(note, Actor::System, now).await?;
            println!("{accepted} differences hold no invoice back any more. They are in the audit log.");
            return Ok(ExitCode::SUCCESS);
        }
        let usual = hours_before(now, SignedDuration::from_hours(48));
        let whole = |at: Timestamp| hours_before(at, SignedDuration::ZERO).start;
        let end = what
            .to
            .map_or(usual.end, |to| if whole(to) == to { to } else { hours_before(to, SignedDuration::ZERO).end });
        let range = Period { start: what.from.map_or(usual.start, whole), end };
        let done = compare(store, range, &kinds, now).await?;
        let mut lines: Vec<String> = done.findings.iter().map(ToString::to_string).collect();
        lines.sort();
        lines.iter().take(SHOWN).for_each(|line| println!("{line}"));
        if lines.len() > SHOWN {
            println!("and {} more", lines.len() - SHOWN);
        }
        println!("{} to {}: {} numbers compared, {} differ", range.start, range.end, done.compared, lines.len());
        Ok(if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
    .await
}

/// Waits for whoever compares just now: a server does every few minutes.
async fn compare(store: &Store, range: Period, kinds: &[Kind], now: Timestamp) -> Result<Reconciliation, StoreError> {
    for _ in 0..TRIES {
        match store.reconcile_all(range, kinds, now).await {
            Err(StoreError::Conflict { .. }) => sleep(BETWEEN_TRIES).await,
            done => return done,
        }
    }
    store.reconcile_all(range, kinds, now).await
}
