//! `chaos restore` (R33): Postgres is put back to an earlier instant, by a base backup, while calls go on.
//!
//! The backup is taken at one instant, calls go on and are stored for a while, then Postgres is stopped at once, its data are
//! thrown away, and it starts from the backup. In between a gateway is killed and started again. Promise: the usage that was stored
//! after the backup comes back from the gateways' disks by itself: every answered call is stored once, none twice; sums by the
//! hour say the same; and no call fails but those that were in flight at the kill.
//!
//! Control run: gateways keep nothing that was stored (`TURNPIKE_SPOOL_KEEP_BYTES=0`), and calls must be found lost.

use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    paced::{self, Pace, Paced},
    stage::{self, Stage},
    upstream::Upstream,
};
use clap::Parser;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// From the restored Postgres' first answer until all is stored again.
const COMES_BACK: Duration = Duration::from_secs(60);
/// Small, so that a short run fills more than one segment: a segment that is not full is never let go.
const SPOOL_BYTES: u64 = 64 << 20;
const SMALL_SPOOL_BYTES: u64 = 8 << 20;

#[derive(Parser, Clone)]
pub struct Restore {
    /// How long calls go on after the backup, all of which Postgres forgets.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Calls in each second.
    #[arg(long, default_value_t = 500)]
    calls: u64,
    /// Connections that make them.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    #[command(flatten)]
    stage: Stage,
}

/// Whether everything was as it should be: kept in a real run, broken where it must be in a control run.
pub async fn run(restore: &Restore) -> Result<bool, Trouble> {
    let control = restore.stage.tell("nothing is kept");
    println!("Postgres is restored to {} s ago under {} gateways{control}", restore.seconds, restore.nodes);
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(plan(restore, &upstream)).await?;
    let load = Paced::start(&Pace::on(&cluster, restore.calls, restore.connections, "restore")?);
    sleep(Duration::from_secs(3)).await;
    cluster.postgres().back_up()?;
    let backup_at = Instant::now();
    let at_backup = stage::events(cluster.postgres())?;
    sleep(Duration::from_secs(restore.seconds)).await;
    let at_loss = stage::events(cluster.postgres())?;

    cluster.postgres().stop()?;
    cluster.postgres().restore()?;
    let (answered, forgotten) = (load.answered(), backup_at.elapsed());
    cluster.postgres().begin()?;
    let back = Instant::now();
    let restored = stage::events(cluster.postgres())?;
    let stored = restore.stage.stored(cluster.postgres(), answered, back, 2 * COMES_BACK).await;
    // A gateway that starts anew asks where it stands, and what it kept is still there.
    let killed = load.elapsed();
    cluster.kill(0)?;
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    let open = load.elapsed();
    sleep(Duration::from_secs(2)).await;
    let calls = load.stop().await;
    let compared = stage::compare(&cluster, &upstream, &calls).await?;
    let sums = cluster.postgres().numbers(
        "select (select count(*) from usage_events), (select coalesce(sum(calls), 0) from usage_hourly),
             (select coalesce(sum(units), 0) from usage_events), (select coalesce(sum(units), 0) from usage_hourly)",
    )?;

    let mut found = restore.stage.findings();
    found.check(
        restored < at_loss && at_loss - at_backup > 500,
        format!("{at_backup} events at the backup, {at_loss} when Postgres was lost {forgotten:?} later, {restored} in the restored one"),
    );
    let around_the_kill = |due: Duration| due + Duration::from_secs(1) > killed && due < open + Duration::from_secs(1);
    let failed: Vec<_> =
        calls.iter().filter(|call| call.status != Some(200) && !around_the_kill(call.due)).cloned().collect();
    found.check(
        failed.is_empty(),
        format!("{} calls, other than 200 but around the kill: {:?}", calls.len(), paced::failures(&failed)),
    );
    found.check(compared.is_exact(), compared.tell());
    let equal = matches!(sums[..], [events, calls, units, rolled_up] if events == calls && units == rolled_up);
    found.check(equal, format!("events, calls by the hour, units, units by the hour: {sums:?}"));
    found.check(stored.is_some(), format!("all {answered} calls were stored again {stored:?} after Postgres was back"));
    found.check_time(stored.is_some_and(|took| took <= COMES_BACK), "which is within a minute");
    cluster.end_all().await?;
    let holds = found.conclude("A restored Postgres");
    Ok(restore.stage.is_as_expected(holds, !compared.lost.is_empty()))
}

fn plan(restore: &Restore, upstream: &Upstream) -> Plan {
    let control = restore.stage.control;
    let spool = if control { SMALL_SPOOL_BYTES } else { SPOOL_BYTES.max(restore.seconds * restore.calls * 1_024) };
    let kept = if control { 0 } else { spool / 2 };
    let settings = vec![
        ("TURNPIKE_SPOOL_MAX_BYTES", spool.to_string()),
        ("TURNPIKE_SPOOL_KEEP_BYTES", kept.to_string()),
        ("TURNPIKE_GATEWAY_CORES", "1".to_owned()),
    ];
    restore.stage.plan(restore.nodes, upstream, settings)
}
