//! Breaks a running Turnpike and checks what it promised. It shares no code with what it checks: it speaks HTTP, reads
//! Postgres by `psql`, and keeps two ledgers of its own.
//!
//! `chaos kill` (R1, R2): gateways are killed under load. Promise: no answered call is lost or doubled, no quota overshot.
//!
//! `chaos upstream` (R19, R20, R34, R37): what happens while the API behind the gateway fails.
//!
//! `chaos exhaustion` (R36): open files and memory run out. `chaos sizes` (R23): requests larger than anybody may send.
//!
//! `chaos credits` (R28): thousands of calls race for 100 units of credit, or of a hard quota, on one gateway or on several
//! that share one Postgres, while each of them is killed once. Promise: exactly 100 units are ever served, the balance is never
//! below zero, and in the end what was granted, what was spent and what the events say are the same number.
//!
//! `chaos retries` (R29): identical requests race on each of many Idempotency-Keys, on one gateway and on two that share one
//! Postgres, while gateways are killed. Promise: no key is ever executed twice; every other answer is the first one again, or 409;
//! a key whose gateway was killed under it stays unknown; what was executed is charged once, and replays are free.
//!
//! `chaos deploy` (R30): gateways are restarted under load, policies change, Postgres is away. Promise: no call fails and every
//! answered call is in Postgres exactly once.
//!
//! `chaos slow-clients` (R21): thousands of connections are held and hardly used. `chaos http2-floods` (R22): frames that cost
//! their sender nothing. Promise: who floods is closed, memory and CPU are bounded, and every call of others is served.
//!
//! `chaos crowd` (R24): keys are revoked among 100,000 while they call. Promise: in force within five seconds, and no call fails.
//!
//! `chaos disk` (R8, R9, R10): disks are full or break.
//!
//! `chaos restore` (R33): Postgres is put back to an earlier instant.
//!
//! `chaos spool` (R3): the usage log is cut off and damaged.
//!
//! `chaos fill` breaks nothing: it makes 100,000 keys, 10,000 partners and 1,000 routes for those who measure.
//! `chaos outage` (R4, R5): Postgres ends or hangs under load, and comes back; what quotas and credit do meanwhile.
//!
//! `chaos postgres` (R4, R5, R6, R7): Postgres is away for long, or keeps ending connections, or is down at a start.
//!
//! `chaos reconcile` (R15): numbers of usage are changed by SQL, and each change is found and named.
//!
//! `chaos stripe` (R11 to R14): Stripe fails, is down, tells things late, and the server is killed while it tells Stripe of invoices.
//! Promise: each unit is billed exactly once.
//!
//! `chaos month` (R16): a partner-month of a million events in either mode of collecting: pages, REST, files, invoices and Stripe say
//! the same, to the unit and to the cent.
//!
//! `chaos purge`: kept answers are let go on every gateway within a second.

mod balancer;
mod client;
mod clients;
mod cluster;
mod console;
mod credits;
mod crowd;
mod deploy;
mod disk;
mod exhaustion;
mod fill;
mod findings;
mod frames;
mod http2_floods;
mod kill;
mod ledgers;
mod month;
mod outage;
mod paced;
mod portal;
mod postgres;
mod postgres_trial;
mod process;
mod purge;
mod reconcile;
mod reset;
mod restore;
mod retries;
mod sizes;
mod slow_clients;
mod spool_trial;
mod stage;
mod stripe;
mod upstream;
mod upstream_trial;
mod world;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Breaks a running Turnpike and checks what it promised")]
struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Subcommand)]
enum Experiment {
    /// Kill the server under load, again and again; no call that a client saw answered may be lost or doubled.
    Kill(kill::Kill),
    /// Restart gateways and change policies under load; no call may fail.
    Deploy(deploy::Deploy),
    /// Hold thousands of connections and hardly use them; every call of others is served.
    SlowClients(slow_clients::SlowClients),
    /// Flood by HTTP/2; it costs the server little, and others nothing.
    Http2Floods(http2_floods::Floods),
    /// The process that floods.
    #[command(hide = true)]
    Http2Attacker(http2_floods::Attacker),
    /// What is flooded in the control run.
    #[command(hide = true)]
    Http2Bare,
    /// Change a large installation under load; no call may fail.
    Crowd(crowd::Crowd),
    /// Make a large installation of a running small one, for experiments and measurements.
    Fill(fill::Fill),
    /// Let upstreams fail; calls end in time and cost nothing, and others do not notice.
    Upstream(upstream_trial::Trial),
    /// Let calls race for the last units of credit while a gateway is killed; not one more may be served.
    Credits(credits::Credits),
    /// Let identical requests race on Idempotency-Keys while gateways are killed; none may be carried out twice.
    Retries(retries::Retries),
    /// Let open files and memory run out under a flood of connections; what was admitted is served and recorded.
    Exhaustion(exhaustion::Exhaustion),
    /// Send headers, addresses and bodies of every size; each is refused with its status, in constant memory.
    Sizes(sizes::Sizes),
    /// Take Postgres away, by its end and by hanging; only leased units may be spent, and all is made good afterwards.
    Outage(outage::Outage),
    /// Change numbers of usage behind the server's back; each is found and named, and nothing else is.
    Reconcile(reconcile::Reconcile),
    /// Take Postgres away under calls at a set pace; none fails, and all is stored within a minute of its return.
    Postgres(postgres_trial::Trial),
    /// Let disks be full or break; what was answered is stored, and the rest is refused or counted.
    Disk(disk::Disk),
    /// Put Postgres back to an earlier instant; what it had stored since comes back from the gateways, once.
    Restore(restore::Restore),
    /// Cut off and damage the usage log of a killed server; what is whole is stored once, and harm is told.
    Spool(spool_trial::Trial),
    /// Let Stripe fail, and kill the server while it tells Stripe of invoices; each unit is billed exactly once.
    Stripe(stripe::Stripe),
    /// Live through a partner's month of a million events, and compare what every door of the product says of it.
    Month(month::Month),
    /// Purge kept answers, and time how long every gateway takes to follow.
    Purge(purge::Purge),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().experiment {
        Experiment::Kill(kill) => conclude(kill::run(&kill).await),
        Experiment::Credits(credits) => credits::main(&credits).await,
        Experiment::Retries(retries) => retries::main(&retries).await,
        Experiment::Fill(fill) => conclude(fill::fill(&fill).map(|version| {
            println!("{version}");
            true
        })),
        Experiment::Deploy(deploy) => conclude(deploy::run(&deploy).await),
        Experiment::SlowClients(slow) => conclude(slow_clients::run(&slow).await),
        Experiment::Http2Floods(floods) => conclude(http2_floods::run(&floods).await),
        Experiment::Http2Attacker(attacker) => conclude(http2_floods::attack(&attacker).await),
        Experiment::Http2Bare => conclude(http2_floods::serve_bare().await),
        Experiment::Crowd(crowd) => conclude(crowd::run(&crowd).await),
        Experiment::Reconcile(reconcile) => conclude(reconcile::run(&reconcile).await),
        Experiment::Upstream(trial) => conclude(upstream_trial::run(&trial).await),
        Experiment::Exhaustion(exhaustion) => conclude(exhaustion::run(&exhaustion).await),
        Experiment::Sizes(sizes) => conclude(sizes::run(&sizes).await),
        Experiment::Outage(outage) => conclude(outage::run(&outage).await),
        Experiment::Disk(disk) => conclude(disk::run(&disk).await),
        Experiment::Restore(restore) => conclude(restore::run(&restore).await),
        Experiment::Spool(trial) => conclude(spool_trial::run(&trial).await),
        Experiment::Postgres(trial) => conclude(postgres_trial::run(&trial).await),
        Experiment::Stripe(stripe) => conclude(stripe::run(&stripe).await),
        Experiment::Month(month) => conclude(month::run(&month).await),
        Experiment::Purge(purge) => conclude(purge::run(&purge).await),
    }
}

/// `as_expected` says whether promises were kept in a real run, and broken in a control run.
fn conclude(as_expected: Result<bool, Trouble>) -> ExitCode {
    match as_expected {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Anything that keeps the experiment from being carried out; never a broken promise, which is a finding.
type Trouble = Box<dyn std::error::Error + Send + Sync>;
