//! `chaos postgres` (R4, R5, R6, R7): Postgres goes away under calls at a set pace, and comes back.
//!
//! - `stopped`: its processes end at once, and connections are refused. `frozen`: they stand still, and connections hang.
//!   `resets`: all of its connections end each two seconds, in turn by Postgres and by RST on the way.
//!   Promises: no call fails; memory stays within 100 MiB of what it was; the lag that the gateway tells is right by our clock;
//!   within 60 s after the return all is stored; no call is lost, doubled or invented.
//! - `cold`: a gateway starts while Postgres is down. Promises: it serves from what it kept on disk and says how old that is; it
//!   does not start from what was changed there, nor from what is older than it may be.
//!
//! What quotas and credit do meanwhile, and the portal, is what `chaos outage` asks.
//!
//! Control run: usage is not written to disk, so calls must be found lost; for `cold` what was kept may be a year old, so that
//! what is too old must be found to be believed.

mod cold;
pub mod gauges;

use crate::{
    Trouble,
    cluster::Cluster,
    findings::Findings,
    paced::{self, Call, Pace, Paced},
    postgres::Postgres,
    process::mib,
    reset::Proxy,
    stage::{self, Stage},
    upstream::Upstream,
};
use clap::{Parser, ValueEnum};
use gauges::{Gauges, Look};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two resets of all connections.
const RESET_EVERY: Duration = Duration::from_secs(2);
/// From the return of Postgres until all is stored.
const CATCHES_UP: Duration = Duration::from_secs(60);
/// Beyond what it was before.
const MEMORY: u64 = 100 << 20;
/// The lag is told once a second, in whole seconds, and what waits first was called up to one round of shipping before; in
/// milliseconds.
const LAG_ERROR: u128 = 3_000;
/// While all connections end each two seconds, usage is stored in between; in seconds.
const LAG_OF_RESETS: u64 = 20;

#[derive(Parser, Clone)]
pub struct Trial {
    /// What happens to Postgres; all of them, one after the other, where nothing is said.
    #[arg(long, value_enum)]
    case: Option<Case>,
    /// How long Postgres stays away.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Calls in each second.
    #[arg(long, default_value_t = 1_000)]
    calls: u64,
    /// Connections that make them.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    #[command(flatten)]
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Ended at once.
    Stopped,
    /// Stopped by SIGSTOP.
    Frozen,
    /// All connections end, again and again.
    Resets,
    /// Down while a gateway starts.
    Cold,
}

/// Whether everything was as it should be: kept in a real run, broken where it must be in a control run.
pub async fn run(trial: &Trial) -> Result<bool, Trouble> {
    let mut as_expected = true;
    for case in [Case::Stopped, Case::Frozen, Case::Resets, Case::Cold] {
        if trial.case.is_none_or(|only| only == case) {
            let off = if case == Case::Cold { "what was kept may be a year old" } else { "no usage log" };
            println!("Postgres {case:?}{}", trial.stage.tell(off));
            as_expected &= match case {
                Case::Cold => cold::run(trial).await?,
                _ => outage(trial, case).await?,
            };
        }
    }
    Ok(as_expected)
}

/// When what happened.
struct Course {
    away: (Instant, Instant),
    /// From the return until all that was answered before it was stored.
    caught_up: Option<Duration>,
    /// The same instants since the load began.
    away_due: (Duration, Duration),
}

async fn outage(trial: &Trial, case: Case) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let postgres = Postgres::start()?;
    let proxy = Proxy::start(postgres.port()).await?;
    let mut environment = Vec::from_iter(trial.stage.log_off());
    if case == Case::Resets {
        environment.push(("DATABASE_URL", format!("postgres://turnpike@127.0.0.1:{}/turnpike", proxy.port())));
    }
    let mut cluster = Cluster::start_on(trial.stage.plan(trial.nodes, &upstream, environment), postgres).await?;
    let gauges = Gauges::watch(cluster.admin_ports()[0], cluster.pid(0));
    let load = Paced::start(&Pace::on(&cluster, trial.calls, trial.connections, "load")?);
    sleep(Duration::from_secs((trial.seconds / 4).clamp(3, 30))).await;

    let away = (Instant::now(), load.elapsed());
    match case {
        Case::Stopped => cluster.postgres().stop()?,
        Case::Frozen => cluster.postgres().freeze()?,
        _ => {}
    }
    let mut resets = 0;
    while away.0.elapsed() < Duration::from_secs(trial.seconds) {
        if case == Case::Resets {
            resets += 1;
            if resets % 2 == 0 { proxy.reset_all() } else { end_all_connections(cluster.postgres())? }
        }
        sleep(RESET_EVERY.min(Duration::from_secs(trial.seconds))).await;
    }
    let back = (Instant::now(), load.elapsed());
    let answered = load.answered();
    match case {
        Case::Stopped => cluster.postgres().begin()?,
        Case::Frozen => cluster.postgres().thaw()?,
        _ => println!("  note all connections ended {resets} times, {} of them by RST", proxy.broken()),
    }
    // A restart itself may take a while, and counts.
    let caught_up = trial.stage.stored(cluster.postgres(), answered, back.0, 2 * CATCHES_UP).await;
    sleep(Duration::from_secs(2)).await;
    let calls = load.stop().await;
    let compared = stage::compare(&cluster, &upstream, &calls).await?;
    let course = Course { away: (away.0, back.0), caught_up, away_due: (away.1, back.1) };

    let mut found = trial.stage.findings();
    judge_calls(&mut found, trial, &calls, &course);
    found.check(compared.is_exact(), compared.tell());
    judge_gauges(&mut found, case, &gauges, &course);
    found.check(
        course.caught_up.is_some_and(|took| took <= CATCHES_UP),
        format!("all of {answered} calls stored {:?} after the return", course.caught_up),
    );
    cluster.end_all().await?;
    let holds = found.conclude(&format!("Postgres {case:?}"));
    Ok(trial.stage.is_as_expected(holds, !compared.lost.is_empty()))
}

fn judge_calls(found: &mut Findings, trial: &Trial, calls: &[Call], course: &Course) {
    let failed = paced::failures(calls);
    found.check(
        failed.is_empty() && !calls.is_empty(),
        format!("{} calls at {} a second, other than 200: {failed:?}", calls.len(), trial.calls),
    );
    let p99 = |from: Duration, to: Duration| {
        paced::percentile(calls.iter().filter(|call| call.due >= from && call.due < to), 990)
    };
    let (away, back) = course.away_due;
    let (before, while_away) = (p99(Duration::from_secs(1), away), p99(away, back));
    found.check_time(
        while_away <= before.mul_f64(1.2) + Duration::from_millis(1),
        format!("p99 of calls {before:?} before, {while_away:?} while it was away"),
    );
}

fn judge_gauges(found: &mut Findings, case: Case, gauges: &Gauges, course: &Course) {
    let (away, back) = course.away;
    let before = gauges.between(away - Duration::from_secs(2), away);
    let looks = gauges.between(away, back);
    let most = |looks: &[Look]| looks.iter().map(|look| look.resident).max().unwrap_or_default();
    let (was, most) = (most(&before), most(&looks));
    found.check(
        was > 0 && most <= was + MEMORY,
        format!("memory of a gateway {} MiB before, at most {} MiB while it was away", mib(was), mib(most)),
    );
    let backlog = looks.iter().map(|look| look.backlog).max().unwrap_or_default();
    let told = looks.iter().filter_map(|look| look.lag).count();
    if case == Case::Resets {
        let lag = looks.iter().filter_map(|look| look.lag).max().unwrap_or_default();
        found.check(
            told > 0 && lag <= LAG_OF_RESETS,
            format!("usage was at most {lag} s behind, {backlog} calls waited"),
        );
        return;
    }
    let wrong =
        |look: &Look| look.lag.map(|lag| u128::from(lag * 1_000).abs_diff(look.at.duration_since(away).as_millis()));
    let worst = looks.iter().filter_map(wrong).max().unwrap_or_default();
    found.check(
        told > 0 && worst <= LAG_ERROR,
        format!(
            "the lag that a gateway told was at most {worst} ms off our clock in {told} looks; {backlog} calls waited"
        ),
    );
}

/// As an operator who ends everybody's sessions, or a server that restarts.
fn end_all_connections(postgres: &Postgres) -> Result<(), Trouble> {
    postgres.psql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'turnpike' and pid <> pg_backend_pid()",
    )?;
    Ok(())
}
