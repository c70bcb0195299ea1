//! `chaos outage` (R4, R5): Postgres goes away under load, by its end or by hanging, and comes back.
//!
//! Five partners call on every gateway all the while. Promises, while it is away:
//! - whoever has no hard quota is served, as fast as before;
//! - hard quotas and credit are spent down to what the gateways had leased, and not a unit further;
//! - then the product's mode holds: `closed` refuses with 503 `allowance-unavailable`, `open` serves its overdraft and refuses
//!   beyond it, and counts what it served;
//! - nobody waits long for a lease, a gateway can be killed or ended and starts from its disk, and the portal says that it cannot
//!   answer instead of hanging.
//!
//! Once it is back: calls on quotas are served again, each answered call is recorded exactly once, refused ones too, and grants,
//! taken units, spent units, events and balances are the same numbers, the overdraft among them.
//!
//! Control run: the closed product's policy is opened wide, so that more than what was leased is spent.

mod books;
mod judge;
mod load;

use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    upstream::Upstream,
};
use books::Leases;
use clap::{Parser, ValueEnum};
use judge::{Judge, Observed, Restart};
use load::{Load, Phase};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Units that an open product serves on overdraft, for each partner and life of a gateway.
const OVERDRAFT: i64 = 60;
/// Longest wait for Postgres to be used again after it is back.
const COMES_BACK: Duration = Duration::from_secs(60);
/// Longest time in which all leased units must have been spent.
const ALL_SPENT: Duration = Duration::from_secs(60);

#[derive(Parser, Clone)]
pub struct Outage {
    /// How Postgres goes away; both, one after the other, where nothing is said.
    #[arg(value_enum)]
    how: Option<How>,
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How long it stays away after all leased units are spent.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Prints how long things took and does not judge it: for a debug build, or a machine that is busy with other things.
    #[arg(long)]
    untimed: bool,
    /// Control run: the closed product is open, and the check must fail.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Its processes end at once; connections are refused. A gateway is killed meanwhile.
    Stopped,
    /// Its processes are stopped (SIGSTOP); connections hang. A gateway is ended meanwhile as an operator would.
    Frozen,
}

/// Whether everything was as it should be: kept in a real run, broken where it must be in a control run.
pub async fn run(outage: &Outage) -> Result<bool, Trouble> {
    let mut as_expected = true;
    for how in [How::Stopped, How::Frozen] {
        if outage.how.is_none_or(|only| only == how) {
            let control = if outage.control { " (control run: the closed product is open)" } else { "" };
            println!("Postgres {how:?} under {} gateways{control}", outage.nodes);
            as_expected &= experiment(outage, how).await?;
        }
    }
    Ok(as_expected)
}

/// Whether it went as it should.
async fn experiment(outage: &Outage, how: How) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(plan(outage, upstream.port())).await?;
    cluster.command(&["grant-credit", "--partner", "prepaid", "--units", "1000", "--reason", "Outage"])?;
    let load = Load::start(&cluster)?;
    load.first_calls().await;
    // What was being fetched has come.
    sleep(Duration::from_millis(2_000)).await;

    let held = Leases::read(cluster.postgres())?;
    match how {
        How::Stopped => cluster.postgres().stop()?,
        How::Frozen => cluster.postgres().freeze()?,
    }
    load.enter(Phase::Away);
    // Where the closed product is open its units never run out.
    let longest = if outage.control { ALL_SPENT / 12 } else { ALL_SPENT };
    let (all_spent, portal) = tokio::join!(load.all_spent(longest), look_at_the_portal(&cluster));
    let restart = restart(&mut cluster, how, outage.nodes - 1).await?;
    sleep(Duration::from_secs(outage.seconds)).await;
    let overdraft = overdraft_counted(&cluster).await?;

    load.enter(Phase::Quiet);
    match how {
        How::Stopped => cluster.postgres().begin()?,
        How::Frozen => cluster.postgres().thaw()?,
    }
    load.enter(Phase::Back);
    let seen = load.finish(COMES_BACK).await;
    cluster.wait_until_ingested().await?;
    cluster.end_all().await?;
    let observed = Observed { held, all_spent, portal, restart, overdraft, seen };
    let judge = Judge::of(outage, how, cluster.postgres(), observed)?;
    let holds = judge.conclude(&format!("{how:?}"));
    if outage.control {
        return Ok(!holds && judge.went_beyond());
    }
    if !holds {
        let log = cluster.log();
        log.lines().filter(|line| !line.contains("\"INFO\"")).for_each(|line| println!("  log  {line}"));
    }
    Ok(holds)
}

/// Kills a gateway, or ends it, and starts it while Postgres is away.
async fn restart(cluster: &mut Cluster, how: How, number: usize) -> Result<Restart, Trouble> {
    let begin = Instant::now();
    match how {
        How::Stopped => cluster.kill(number)?,
        How::Frozen => drop(cluster.end(number).await?),
    }
    let ended = begin.elapsed();
    cluster.begin(number)?;
    let begin = Instant::now();
    cluster.wait_until_open(number).await?;
    Ok(Restart { number, ended, open: begin.elapsed() })
}

/// What the portal answers, and how long that takes.
async fn look_at_the_portal(cluster: &Cluster) -> (Option<u16>, Duration) {
    let begin = Instant::now();
    let port = cluster.portal_port();
    let status = load::get(port, "/pricing", Duration::from_secs(30)).await;
    (status, begin.elapsed())
}

/// The units that each gateway says it served on overdraft.
async fn overdraft_counted(cluster: &Cluster) -> Result<Vec<i64>, Trouble> {
    let mut counted = Vec::new();
    for port in cluster.admin_ports() {
        let text = load::read(port, "/metrics").await.ok_or("no metrics")?;
        let lines = text.lines().filter(|line| line.starts_with("turnpike_gateway_overdraft_units_total"));
        counted.push(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok()).sum());
    }
    Ok(counted)
}

fn plan(outage: &Outage, upstream_port: u16) -> Plan {
    let closed = if outage.control { "{ open: { overdraft_units: 1000000 } }" } else { "closed" };
    let setup = include_str!("outage/setup.yaml")
        .replace("{upstream}", &format!("http://127.0.0.1:{upstream_port}"))
        .replace("{overdraft}", &OVERDRAFT.to_string())
        .replace("{closed}", closed);
    Plan {
        binary: outage.binary.clone(),
        site: outage.site.clone(),
        nodes: outage.nodes,
        environment: Vec::new(),
        setup,
        probe: "/closed/payments".to_owned(),
    }
}
