//! `chaos spool` (R3): the usage log of a killed server is cut off or damaged, and a server takes it in.
//!
//! Calls are answered while Postgres is down, the server is killed, and copies of its lane are harmed: cut at every byte of the last
//! records, and with one to three bits turned over at random. A server then finds many such lanes at once, as if each were a core's.
//! Promises, for each lane: every record before the harm is stored exactly once; a torn record is cut off, to the byte, and told; a
//! turned bit is told as damage, and nothing behind it is stored until somebody goes on behind it, and then all but what was hit; no
//! call is stored twice; the server starts, and calls are served and stored.
//!
//! Control run: the harm mends its checksums, so that it must be found that nobody tells of it.

mod lane;

use crate::{
    Trouble,
    cluster::Cluster,
    findings::Findings,
    paced::{self, Pace, Paced},
    stage::Stage,
    upstream::Upstream,
    world::{Random, get_text, seed_of_now},
};
use clap::Parser;
use lane::{Harm, Lane};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Longest wait until a server has taken in what it can.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of so many damaged lanes, somebody goes on behind the damage of one.
const SKIPPED_OF: usize = 32;

#[derive(Parser, Clone)]
pub struct Trial {
    /// Seeds of turned bits, each a lane.
    #[arg(long, default_value_t = 10_000)]
    flips: u64,
    /// The last records, which are cut at every byte.
    #[arg(long, default_value_t = 4)]
    cut_records: usize,
    /// Only every so many bytes.
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// Lanes that one server finds; each is a core's, of which it has at most 256.
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u64).range(1..=256))]
    lanes: u64,
    /// Calls of which the lane consists, about.
    #[arg(long, default_value_t = 30)]
    calls: u64,
    /// The first seed; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    stage: Stage,
}

/// What was found over all lanes.
#[derive(Debug, Default)]
struct Tally {
    lanes: u64,
    /// Lanes whose stored calls are not the expected ones, as text.
    wrong: Vec<String>,
    doubled: u64,
    /// Lanes that did not tell of what was cut off, or told something else.
    wrong_cut: u64,
    /// Lanes that did not tell of damage, or told of it where there is none.
    untold: u64,
    skipped: u64,
    /// Of which not exactly what was hit is missing.
    wrong_skips: Vec<String>,
    spent: Spent,
}

/// What servers took their time for.
#[derive(Debug, Default)]
struct Spent {
    servers: u64,
    starting: Duration,
    taking_in: Duration,
    going_on: Duration,
}

/// Whether everything was as it should be: kept in a real run, broken where it must be in a control run.
pub async fn run(trial: &Trial) -> Result<bool, Trouble> {
    let seed = trial.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}, {} flips{}", trial.flips, trial.stage.tell("checksums are mended"));
    let control = trial.stage.control;
    let upstream = Upstream::start().await?;
    let cores = vec![("TURNPIKE_GATEWAY_CORES", "1".to_owned())];
    let mut cluster = Cluster::start(trial.stage.plan(1, &upstream, cores)).await?;
    let lane = record(&mut cluster, trial).await?;
    println!("  note a lane of {} records and {} bytes", lane.records.len(), lane.bytes.len());
    // From here on it is never stopped, so that it need not wait for its disk.
    cluster.psql("alter system set synchronous_commit = off")?;
    cluster.psql("select pg_reload_conf()")?;
    cluster.set(0, "TURNPIKE_GATEWAY_CORES", &trial.lanes.to_string());
    let lanes = usize::try_from(trial.lanes)?;
    let mut found = trial.stage.findings();

    let begin = lane.records.iter().rev().nth(trial.cut_records.saturating_sub(1)).map_or(0, |record| record.from);
    let cuts: Vec<Harm> = (begin..=lane.bytes.len()).step_by(trial.step).map(|at| lane.cut(at)).collect();
    let mut tally = Tally::default();
    if !control {
        for batch in cuts.chunks(lanes) {
            take_in(&mut cluster, batch, &mut tally, (PATIENCE, true)).await?;
        }
        judge(&mut found, &tally, "cut at every byte of the last records");
    }

    let mut flips = Tally::default();
    // What a control run waits for never comes.
    let patience = if control { PATIENCE / 6 } else { PATIENCE };
    let seeds: Vec<u64> = (0..trial.flips).map(|number| seed.wrapping_add(number)).collect();
    let begin = Instant::now();
    for (number, batch) in seeds.chunks(lanes).enumerate() {
        let harmed: Vec<Harm> = batch.iter().map(|seed| lane.flip(&mut Random::new(*seed), control)).collect();
        take_in(&mut cluster, &harmed, &mut flips, (patience, false)).await?;
        if number % 10 == 9 {
            println!("  note {} lanes with bits turned over after {:.0?}", flips.lanes, begin.elapsed());
        }
    }
    let Spent { servers, starting, taking_in, going_on } = &flips.spent;
    println!(
        "  time {servers} servers: starting {starting:.1?}, taking lanes in {taking_in:.1?}, going on behind damage {going_on:.1?}"
    );
    judge(&mut found, &flips, "with bits turned over");
    found.check(
        flips.wrong_skips.is_empty() && (flips.skipped > 0 || control),
        format!(
            "{} lanes gone on with behind the damage, without what was hit and nothing else: wrong {:?}",
            flips.skipped,
            flips.wrong_skips.iter().take(3).collect::<Vec<_>>()
        ),
    );
    cluster.end_all().await?;
    let holds = found.conclude("A harmed usage log");
    Ok(trial.stage.is_as_expected(holds, flips.untold > 0))
}

fn judge(found: &mut Findings, tally: &Tally, how: &str) {
    let examples: Vec<_> = tally.wrong.iter().take(3).collect();
    found.check(
        tally.wrong.is_empty() && tally.doubled == 0 && tally.lanes > 0,
        format!(
            "{} lanes {how}: {} stored not just what is whole before the harm {examples:?}, {} calls stored twice",
            tally.lanes,
            tally.wrong.len(),
            tally.doubled
        ),
    );
    found.check(
        tally.wrong_cut == 0,
        format!("{} of them did not tell, to the byte, what was cut off", tally.wrong_cut),
    );
    found.check(tally.untold == 0, format!("{} of them told wrongly whether they are damaged", tally.untold));
}

/// Calls are answered while Postgres is down, and the server is killed.
async fn record(cluster: &mut Cluster, trial: &Trial) -> Result<Lane, Trouble> {
    cluster.wait_until_ingested().await?;
    cluster.end(0).await?;
    fs::remove_dir_all(cluster.data_dir(0).join("spool"))?;
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    cluster.postgres().stop()?;
    let load = Paced::start(&Pace::on(cluster, 100, 1, "tail")?);
    while load.answered() < trial.calls {
        sleep(Duration::from_millis(10)).await;
    }
    let calls = load.stop().await;
    cluster.kill(0)?;
    cluster.postgres().begin()?;
    let bytes = fs::read(cluster.data_dir(0).join("spool/0").join(format!("{:020}.log", 0)))?;
    // Whoever knocked without a key before has no call in the log.
    let lane = Lane::read(bytes)?;
    let known: BTreeSet<&String> = lane.records.iter().map(|record| &record.id).collect();
    match paced::answered(&calls).all(|id| known.contains(id)) {
        true => Ok(lane),
        false => Err("an answered call is not in the log of the killed server".into()),
    }
}

/// A server finds these lanes.
async fn take_in(
    cluster: &mut Cluster,
    batch: &[Harm],
    tally: &mut Tally,
    (patience, call): (Duration, bool),
) -> Result<(), Trouble> {
    let spool = cluster.data_dir(0).join("spool");
    fs::remove_dir_all(&spool)?;
    for (number, harm) in batch.iter().enumerate() {
        let folder = spool.join(number.to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{:020}.log", 0)), &harm.bytes)?;
    }
    let begin = Instant::now();
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    tally.spent.servers += 1;
    tally.spent.starting += begin.elapsed();
    let node = fs::read_to_string(spool.join("node"))?.trim().to_owned();
    let begin = Instant::now();
    let (stored, metrics) = loop {
        let stored = stored(cluster, &node)?;
        let metrics = get_text(cluster.admin_ports()[0], "/metrics").await.unwrap_or_default();
        let is_all = batch.iter().enumerate().all(|(lane, harm)| {
            stored.get(&lane).map_or(0, BTreeMap::len) >= harm.expected.len()
                && value(&metrics, "turnpike_spool_damaged", lane) == Some(u64::from(harm.is_damaged))
        });
        if is_all || begin.elapsed() > patience {
            break (stored, metrics);
        }
        sleep(Duration::from_millis(100)).await;
    };
    for (lane, harm) in batch.iter().enumerate() {
        tally.lanes += 1;
        let calls = stored.get(&lane).cloned().unwrap_or_default();
        tally.doubled += calls.values().filter(|count| **count > 1).count() as u64;
        if !calls.keys().eq(harm.expected.iter()) {
            tally.wrong.push(format!("{} of {} stored", calls.len(), harm.expected.len()));
        }
        tally.wrong_cut += u64::from(value(&metrics, "turnpike_spool_cut_bytes", lane) != Some(harm.cut as u64));
        tally.untold += u64::from(value(&metrics, "turnpike_spool_damaged", lane) != Some(u64::from(harm.is_damaged)));
    }
    tally.spent.taking_in += begin.elapsed();
    let begin = Instant::now();
    let is_told = |lane: usize| value(&metrics, "turnpike_spool_damaged", lane) == Some(1);
    let damaged = batch.iter().enumerate().filter(|(lane, harm)| harm.is_damaged && is_told(*lane));
    skip(cluster, &node, damaged.step_by(SKIPPED_OF), tally).await?;
    tally.spent.going_on += begin.elapsed();
    if call {
        served_after(cluster, tally).await?;
    }
    cluster.kill(0)
}

/// Goes on behind the damage of these lanes, as often as there is some.
async fn skip<'a>(
    cluster: &Cluster,
    node: &str,
    damaged: impl Iterator<Item = (usize, &'a Harm)>,
    tally: &mut Tally,
) -> Result<(), Trouble> {
    let wanted: BTreeMap<usize, BTreeSet<String>> =
        damaged.map(|(lane, harm)| (lane, harm.expected.union(&harm.behind).cloned().collect())).collect();
    let (mut harmed, begin) = (wanted.keys().copied().collect::<BTreeSet<_>>(), Instant::now());
    while !harmed.is_empty() && begin.elapsed() < PATIENCE {
        for lane in harmed.clone() {
            let (is_well, said) = cluster.said(&["spool", "skip-damage", &lane.to_string(), "--note", "chaos"])?;
            if is_well && said.contains("Nothing is damaged") {
                harmed.remove(&lane);
            }
        }
    }
    let calls = loop {
        let calls = stored(cluster, node)?;
        let metrics = get_text(cluster.admin_ports()[0], "/metrics").await.unwrap_or_default();
        let is_whole = |(lane, wanted): (&usize, &BTreeSet<String>)| {
            calls.get(lane).map_or(0, BTreeMap::len) >= wanted.len()
                && value(&metrics, "turnpike_spool_damaged", *lane) == Some(0)
        };
        if wanted.iter().all(is_whole) || begin.elapsed() > PATIENCE {
            break calls;
        }
        sleep(Duration::from_millis(100)).await;
    };
    for (lane, wanted) in &wanted {
        let calls = calls.get(lane).cloned().unwrap_or_default();
        tally.skipped += 1;
        tally.doubled += calls.values().filter(|count| **count > 1).count() as u64;
        if !calls.keys().eq(wanted.iter()) {
            tally.wrong_skips.push(format!("lane {lane}: {} of {} stored", calls.len(), wanted.len()));
        }
    }
    Ok(())
}

/// Calls after the start are served and stored.
async fn served_after(cluster: &Cluster, tally: &mut Tally) -> Result<(), Trouble> {
    let before = events(cluster)?;
    let load = Paced::start(&Pace::on(cluster, 400, 16, "more")?);
    sleep(Duration::from_millis(300)).await;
    let calls = load.stop().await;
    let answered = paced::answered(&calls).count() as i64;
    let begin = Instant::now();
    while events(cluster)? < before + answered && begin.elapsed() < PATIENCE / 3 {
        sleep(Duration::from_millis(100)).await;
    }
    if events(cluster)? != before + answered || answered < calls.len() as i64 {
        tally
            .wrong
            .push(format!("of {} calls after the start {answered} were answered, or not all were stored", calls.len()));
    }
    Ok(())
}

fn events(cluster: &Cluster) -> Result<i64, Trouble> {
    let counted =
        cluster.postgres().numbers("select count(*) from usage_events where request_id like 'chaos-more-%'")?;
    counted.first().copied().ok_or_else(|| "psql answered with nothing".into())
}

/// How often each call is stored, by the lane of that node.
fn stored(cluster: &Cluster, node: &str) -> Result<BTreeMap<usize, BTreeMap<String, u64>>, Trouble> {
    let text = cluster.psql(&format!(
        "select lane, request_id, count(*) from usage_events where node = '{node}' and request_id like 'chaos-tail-%' group by 1, 2"
    ))?;
    let mut stored = BTreeMap::<usize, BTreeMap<String, u64>>::new();
    for line in text.lines() {
        let mut parts = line.split('|');
        let mut next = || parts.next().ok_or("psql answered with something else");
        let (lane, id, count) = (next()?.parse()?, next()?.to_owned(), next()?.parse()?);
        stored.entry(lane).or_default().insert(id, count);
    }
    Ok(stored)
}

/// Of that lane; `None` where it is not told.
fn value(metrics: &str, name: &str, lane: usize) -> Option<u64> {
    let begin = format!("{name}{{lane=\"{lane}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begin))?.parse::<f64>().ok().map(|value| value as u64)
}
