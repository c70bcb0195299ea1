//! `chaos reconcile` (R15): numbers of usage are changed behind Turnpike's back, and each change is found and named.
//!
//! First two gateways serve eight partners, are killed now and then, and `turnpike reconcile` runs all the while: nobody has
//! changed anything, so it must find nothing. Then the installation's clock is moved through a month under load, so that there are
//! days, levels of gauges and invoices, and the calls end. Faults are put in by SQL with Postgres' own safeguards off: a unit or a
//! call more or less, a row taken out, doubled, or moved by an hour, in the events, the sums by hour and day, meters, levels, the
//! lines of invoices and what the gateways told. A few at a time, each on a day of a partner that no other touches: each has to be
//! named by partner, meter and hour, nothing else may be, and once they are taken back nothing may be found.
//!
//! Control run: only what gateways told and the numbers of records are looked at, and the check must fail.

mod faults;
mod month;

use crate::{
    Trouble,
    clients::{Clients, Habit},
    cluster::{Cluster, Plan},
    findings::Findings,
    upstream::Upstream,
    world::{Random, seed_of_now},
};
use clap::Parser;
use faults::{FAULTS, Fault, Named, take_back};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const PARTNERS: [&str; 8] = ["north", "south", "west", "east", "upper", "lower", "inner", "outer"];
/// Every so many clean runs a gateway is killed.
const KILL_EVERY: u32 = 10;
/// Faults that are there at once; more would be more lines than the command prints.
const AT_ONCE: usize = 8;

const METERS: &str = "    policy:
      meters:
        bytes: { name: Bytes, value: bytes_out }
        running: { name: Running, kind: gauge, value: { header: { name: X-Level } } }
";
const PRICES: &str = "    meters:
      - { product: payments, meter: bytes, price: { model: per_unit, unit_price: \"0.0001\" } }
      - { product: payments, meter: running, price: { model: per_unit, unit_price: \"0.01\" } }
";

#[derive(Parser, Clone)]
pub struct Reconcile {
    /// Faults, eight at a time.
    #[arg(long, default_value_t = 1_000)]
    faults: usize,
    /// Runs under load before that, in which nothing may be found.
    #[arg(long, default_value_t = 100)]
    clean: u32,
    /// Days that the clock is moved through. Fewer than 32 make no invoices, and lines of invoices are left alone.
    #[arg(long, default_value_t = 33)]
    days: u32,
    /// Connections to each gateway in the clean runs.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Seed of the faults and the kills; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Control run: no sums are compared, and the check must fail.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(reconcile: &Reconcile) -> Result<bool, Trouble> {
    let seed = reconcile.seed.unwrap_or_else(seed_of_now);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(plan(reconcile, upstream.port())).await?;
    let mut found = Findings::new(false);

    let alarms = clean_runs(reconcile, &mut cluster, &mut random).await?;
    let example = alarms.first().map(|alarm| format!(", as: {alarm}")).unwrap_or_default();
    found.check(
        alarms.is_empty(),
        format!("{} runs under load, with gateways killed, raised {} alarms{example}", reconcile.clean, alarms.len()),
    );

    let from = month::pass(&mut cluster, reconcile.days, PARTNERS.len()).await?;
    let counts = cluster.psql(
        "select (select count(*) from usage_events), (select count(distinct date_trunc('hour', at)) from usage_events),
             (select count(*) from usage_daily), (select count(*) from usage_gauge_levels), (select count(*) from invoice_lines)",
    )?;
    let whole = compare(&cluster, reconcile, &from)?;
    let example = whole.first().map(|alarm| format!(", as: {alarm}")).unwrap_or_default();
    found.check(
        whole.is_empty(),
        format!(
            "events|hours|rows by day|levels|lines of invoices: {}; before the first fault {} alarms{example}",
            counts.trim(),
            whole.len()
        ),
    );
    let judged = put_in_all(reconcile, &cluster, &from, &mut random)?;
    for (name, (put_in, missed)) in &judged.by_fault {
        found.check(*missed == 0, format!("{put_in} times {name}: {missed} not named"));
    }
    let put_in: u32 = judged.by_fault.values().map(|(put_in, _)| put_in).sum();
    found.check(put_in as usize >= reconcile.faults, format!("{put_in} faults, in {:?}", judged.took));
    found.check(judged.strangers == 0, format!("{} alarms named what nobody had touched", judged.strangers));
    found.check(judged.stayed == 0, format!("{} alarms stayed after their fault was taken back", judged.stayed));
    judged.examples.iter().take(5).for_each(|example| println!("  {example}"));
    Ok(found.conclude("reconcile") != reconcile.control)
}

/// What became of the faults.
#[derive(Default)]
struct Judged {
    /// How often each was put in, and not named.
    by_fault: BTreeMap<&'static str, (u32, u32)>,
    strangers: usize,
    stayed: usize,
    took: Duration,
    examples: Vec<String>,
}

fn put_in_all(reconcile: &Reconcile, cluster: &Cluster, from: &str, random: &mut Random) -> Result<Judged, Trouble> {
    let begin = Instant::now();
    let kinds: Vec<Fault> = FAULTS.into_iter().filter(|fault| reconcile.days >= 32 || !fault.is_billed()).collect();
    faults::prepare(cluster)?;
    let mut judged = Judged::default();
    let (mut next, mut done, mut tries) = (0, 0, 0);
    while done < reconcile.faults && tries < reconcile.faults * 4 {
        let mut there: Vec<(Fault, Named)> = Vec::new();
        while there.len() < AT_ONCE.min(reconcile.faults - done) && tries < reconcile.faults * 4 {
            let fault = kinds[next % kinds.len()];
            (next, tries) = (next + 1, tries + 1);
            // None where all that it could touch is touched.
            if let Some(named) = fault.put_in(cluster, there.len(), random)? {
                there.push((fault, named));
            }
        }
        let alarms = compare(cluster, reconcile, from)?;
        for (fault, named) in &there {
            let missed: Vec<&String> =
                named.lines.iter().filter(|name| !alarms.iter().any(|alarm| alarm.contains(*name))).collect();
            let count = judged.by_fault.entry(fault.name).or_default();
            count.0 += 1;
            if !missed.is_empty() {
                count.1 += 1;
                judged.examples.push(format!("missed: {}: {missed:?} in {alarms:?}", fault.name));
            }
        }
        for alarm in &alarms {
            if !there.iter().any(|(fault, named)| fault.explains(named, alarm)) {
                judged.strangers += 1;
                judged.examples.push(format!("nobody touched: {alarm}"));
            }
        }
        take_back(cluster, &there.iter().map(|(fault, _)| *fault).collect::<Vec<_>>())?;
        let stayed = compare(cluster, reconcile, from)?;
        judged.examples.extend(stayed.first().map(|alarm| format!("stayed: {alarm}")));
        judged.stayed += stayed.len();
        done += there.len();
        if done % (AT_ONCE * 10) == 0 {
            println!("  {done} faults after {:?}", begin.elapsed());
        }
    }
    judged.took = begin.elapsed();
    Ok(judged)
}

fn plan(reconcile: &Reconcile, upstream: u16) -> Plan {
    let partners: String = PARTNERS
        .iter()
        .map(|code| {
            format!(
                "  {code}:\n    name: {code}\n    plan: all\n    apps:\n      app: {{ name: App, keys: {{ live: {{ name: Live, environment: live }} }} }}\n"
            )
        })
        .collect();
    let setup = include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{upstream}"));
    let setup = setup.split("partners:").next().unwrap_or_default().replace("plans:\n", &format!("{METERS}plans:\n"));
    Plan {
        binary: reconcile.binary.clone(),
        site: reconcile.site.clone(),
        nodes: 2,
        environment: Vec::new(),
        setup: format!("{setup}{PRICES}partners:\n{partners}"),
        probe: "/payments/payments".to_owned(),
    }
}

/// Calls of all partners to both gateways, with levels of a gauge.
fn load(cluster: &Cluster, connections: usize, pause: Duration) -> Result<Clients, Trouble> {
    let keys = PARTNERS.iter().map(|code| Ok(cluster.key(code)?.to_owned())).collect::<Result<Vec<_>, Trouble>>()?;
    let paths = Arc::new((0..9).map(|level| format!("/payments/payments?level={level}")).collect::<Vec<_>>());
    let keys = Arc::new(keys);
    let mut clients = Clients::new();
    for port in cluster.ports() {
        let (paths, keys) = (paths.clone(), keys.clone());
        let habit = Habit { name: "plain", port, paths, keys, pause, http2: false, fresh: false, at_once: 1 };
        clients.add(&habit, connections);
    }
    Ok(clients)
}

/// Compares again and again while calls are served and gateways are killed; what was found.
async fn clean_runs(reconcile: &Reconcile, cluster: &mut Cluster, random: &mut Random) -> Result<Vec<String>, Trouble> {
    let clients = load(cluster, reconcile.connections, Duration::from_millis(20))?;
    let from = month::hour(cluster, "now() - interval '2 hours'")?;
    let mut alarms = Vec::new();
    for round in 1..=reconcile.clean {
        // The second node: the first has the tasks.
        if round % KILL_EVERY == 0 {
            cluster.kill(1)?;
            cluster.begin(1)?;
            cluster.wait_until_open(1).await?;
        }
        sleep(Duration::from_millis(random.below(200))).await;
        alarms.extend(compare(cluster, reconcile, &from)?);
    }
    clients.stop().await;
    cluster.wait_until_ingested().await?;
    Ok(alarms)
}

/// The lines of `turnpike reconcile` that name something.
fn compare(cluster: &Cluster, reconcile: &Reconcile, from: &str) -> Result<Vec<String>, Trouble> {
    let mut arguments = vec!["reconcile", "--from", from];
    if reconcile.control {
        arguments.extend(["--only", "gateway,sequence"]);
    }
    let (holds, said) = cluster.said(&arguments)?;
    let alarms: Vec<String> = said
        .lines()
        .filter(|line| line.contains(": ") && !line.contains("numbers compared"))
        .map(ToOwned::to_owned)
        .collect();
    let is_whole = !said.lines().any(|line| line.starts_with("and ") && line.ends_with(" more"));
    if !said.contains("numbers compared") || holds != alarms.is_empty() || !is_whole {
        return Err(format!("turnpike reconcile: {said}").into());
    }
    Ok(alarms)
}
