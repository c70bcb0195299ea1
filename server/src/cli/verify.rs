//! `turnpike verify`: whether usage is as it was recorded, by the seals of its log.

mod rows;

use super::{CommandError, reach::with_installation};
use crate::{config::Config, data_dir::DataDir};
use ::spool::{Checked, SealKey, SpoolError, Verifier};
use app::secrets::Secrets;
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use domain::period::Period;
use jiff::Timestamp;
use rows::Rows;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Faults of a lane that are printed; how many more there are is said.
const SHOWN: usize = 20;

/// What to look at, and with which keys.
#[derive(Debug, Args)]
pub struct Verify {
    /// The folder of a usage log: only this is looked at. Without it, the one in the data directory and the events in Postgres.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Do not ask Postgres: only the usage log in the data directory is looked at.
    #[arg(long)]
    offline: bool,
    /// Compare events of which the seals were made since then, as 2026-03-01T00:00:00Z. All seals are looked at in any case.
    #[arg(long)]
    from: Option<Timestamp>,
    /// And of which they were made before that.
    #[arg(long)]
    to: Option<Timestamp>,
    /// The public key that the seals must be signed with, as --show-public-key prints it; may be given more than once. Without it,
    /// the key of this installation's master secret.
    #[arg(long, value_name = "KEY")]
    public_key: Vec<String>,
    /// Print the public key of this installation's seals, and look at nothing.
    #[arg(long)]
    show_public_key: bool,
}

/// Looks, prints what is wrong, and fails where anything is.
pub async fn run(config: Config, verify: Verify) -> Result<ExitCode, CommandError> {
    if verify.show_public_key {
        println!("{}", BASE64_STANDARD.encode(key_of(&secrets(&config)?)?.public()));
        return Ok(ExitCode::SUCCESS);
    }
    let spool = verify.spool.clone().unwrap_or_else(|| config.data_dir.join("spool"));
    let keys = match verify.public_key.as_slice() {
        [] => Verifier::new([key_of(&secrets(&config)?)?.public()]),
        given => Verifier::new(given.iter().map(|text| read_key(text)).collect::<Result<Vec<_>, _>>()?),
    };
    let in_files = files(&spool, &keys)?;
    let outcome = move |faults: usize| if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if verify.offline || verify.spool.is_some() {
        return Ok(outcome(in_files));
    }
    with_installation(&config, async |store, _, _| {
        let node = if spool.join("node").exists() { Some(::spool::node(&spool)?) } else { None };
        let start = verify.from.unwrap_or(Timestamp::UNIX_EPOCH);
        let within = Period { start, end: verify.to.unwrap_or(Timestamp::MAX) };
        let (live_from, test_from) = store.events_kept_from().await?;
        let spool = node.map(|node| (spool.as_path(), node));
        let rows = Rows { store, keys: &keys, spool, within, live_from, test_from };
        Ok(outcome(in_files + rows.verify().await?))
    })
    .await
}

fn secrets(config: &Config) -> Result<Secrets, CommandError> {
    Ok(DataDir::open(&config.data_dir)?.secrets(config.master)?)
}

fn key_of(secrets: &Secrets) -> Result<SealKey, CommandError> {
    SealKey::from_seed(&secrets.log_seal_seed()).ok_or_else(|| "the master secret gives no key for seals".into())
}

fn read_key(text: &str) -> Result<[u8; 32], CommandError> {
    let bytes = BASE64_STANDARD.decode(text.trim()).unwrap_or_default();
    bytes.try_into().map_err(|_| format!("{text} is no public key: see turnpike verify --show-public-key").into())
}

/// Looks at all lanes of a spool; how many faults there are.
fn files(spool: &Path, keys: &Verifier) -> Result<usize, SpoolError> {
    let node = match spool.join("node").exists() {
        true => ::spool::node(spool)?,
        false => {
            println!("{} holds no usage log.", spool.display());
            return Ok(0);
        }
    };
    println!("node {node}");
    let mut faults = 0;
    for lane in ::spool::lanes(spool)? {
        let checked = ::spool::verify(spool, &node, lane, keys)?;
        tell(&node, lane, &checked);
        faults += checked.faults.len();
    }
    Ok(faults)
}

fn tell(node: &str, lane: u32, checked: &Checked) {
    let Checked { seals, records, first, past, unsealed, faults } = checked;
    let young = if *unsealed > 0 { format!("; {unsealed} behind them are not sealed yet") } else { String::new() };
    match (seals, faults.len()) {
        (0, 0) => println!("lane {lane}: no seals{young}"),
        (_, 0) => {
            println!("lane {lane}: ok, {records} records from {first} to {past} are as {seals} seals have them{young}")
        }
        (_, count) => println!("lane {lane}: {count} faults, {records} records are as {seals} seals have them{young}"),
    }
    for fault in faults.iter().take(SHOWN) {
        let records = match fault.past.saturating_sub(fault.first) {
            0 | 1 => format!("record {}", fault.first),
            _ => format!("records {} to {}", fault.first, fault.past - 1),
        };
        println!(
            "      {node} lane {lane} {records}, segment {} byte {}: {}",
            fault.segment, fault.byte_offset, fault.wrong
        );
    }
    if faults.len() > SHOWN {
        println!("      and {} more", faults.len() - SHOWN);
    }
}
