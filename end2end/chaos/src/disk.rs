//! `chaos disk` (R8, R9, R10): disks that are full or break, under calls at a set pace.
//!
//! - `spool-full`: the disk of the usage log is full while Postgres is down. Promises: with `refuse` no call is answered that is not
//!   stored later, and the others get 503 with Retry-After; with `serve` every call is answered, and the counter of unmetered calls
//!   is right to the last one. Once Postgres is back the log drains, and calls are served and stored again.
//! - `postgres-full`: the disk of Postgres is full. Promises: no call fails, the gateway says within 30 s that usage waits, and all
//!   of it is stored once there is room again.
//! - `io-error`: syncs and writes of the usage log fail (EIO), then the power fails, under `TURNPIKE_DURABILITY=host`. Promise: what
//!   was answered is stored, for the server never believes a sync that comes after one that failed.
//!
//! Full disks are tmpfs mounts of a few MiB; where mounting is not allowed, the shim's own quota, and for Postgres a trigger that
//! raises what a full disk does.
//!
//! Control run: `spool-full` is judged as `refuse` while the server serves; with a full Postgres nothing is written to the usage log;
//! syncs lie instead of failing. Each must be found out by lost calls.

mod io_error;
mod postgres_full;
mod shim;
mod small;
mod spool_full;

use crate::{Trouble, stage::Stage};
use clap::{Parser, ValueEnum};
use std::path::Path;

#[derive(Parser, Clone)]
pub struct Disk {
    /// Which disk, and how; all of them, one after the other, where nothing is said.
    #[arg(long, value_enum)]
    case: Option<Case>,
    /// How long Postgres is full, and how long syncs fail.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Calls in each second.
    #[arg(long, default_value_t = 1_000)]
    calls: u64,
    /// Connections that make them.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Size of the disk of the usage log, in MiB.
    #[arg(long, default_value_t = 16)]
    mib: u64,
    /// Repetitions of `io-error`, each with its own instant of the power cut.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Seed of what is random; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Mounts nothing, as on a machine where that is not allowed.
    #[arg(long)]
    without_mounts: bool,
    #[command(flatten)]
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    SpoolFull,
    PostgresFull,
    IoError,
}

/// Whether everything was as it should be: kept in a real run, broken where it must be in a control run.
pub async fn run(disk: &Disk) -> Result<bool, Trouble> {
    let mut as_expected = true;
    for case in [Case::SpoolFull, Case::PostgresFull, Case::IoError] {
        if disk.case.is_none_or(|only| only == case) {
            as_expected &= match case {
                Case::SpoolFull => spool_full::run(disk).await?,
                Case::PostgresFull => postgres_full::run(disk).await?,
                Case::IoError => io_error::run(disk).await?,
            };
        }
    }
    Ok(as_expected)
}

impl Disk {
    /// That disk, where mounting is allowed.
    fn mount(&self, folder: &Path, mib: u64, instead: &str) -> Result<Option<small::SmallDisk>, Trouble> {
        let disk = if self.without_mounts { None } else { small::SmallDisk::mount(folder, mib)? };
        if disk.is_none() {
            println!("  note no tmpfs can be mounted here: {instead}");
        }
        Ok(disk)
    }
}
