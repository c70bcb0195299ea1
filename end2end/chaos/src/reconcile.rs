//! `chaos reconcile` (R15): numbers of usage are changed behind Turnpike's back, and each change is found and named.
//!
//! First two gateways serve three partners, are killed now and then, and `turnpike reconcile` runs all the while: nobody has
//! changed anything, so it must find nothing. Then the calls end, and faults are put in by SQL, one at a time, with Postgres' own
//! safeguards off: a unit or a call more or less, a row taken out, doubled, or moved by an hour, in the events, in the hourly
//! sums and in what the gateways told. Each has to be named by partner, meter and hour, and once it is taken back nothing may
//! be found.
//!
//! The run is short of a day, so daily sums are not among them; a test of the store changes those.
//!
//! Control run: the hourly sums are not looked at (`--only gateway,sequence`), and the check must fail.

use crate::{
    Trouble,
    clients::{Clients, Habit},
    cluster::{Cluster, Plan},
    findings::Findings,
    upstream::Upstream,
    world::{Random, seed_of_now},
};
use clap::Parser;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::sleep;

const PARTNERS: [&str; 3] = ["north", "south", "west"];
/// Every so many clean runs a gateway is killed.
const KILL_EVERY: u32 = 10;

#[derive(Parser, Clone)]
pub struct Reconcile {
    /// Faults, one after the other.
    #[arg(long, default_value_t = 1_000)]
    faults: u32,
    /// Runs under load before that, in which nothing may be found.
    #[arg(long, default_value_t = 100)]
    clean: u32,
    /// Connections to each gateway in the clean runs.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Seed of the faults and the kills; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Control run: the hourly sums are not compared, and the check must fail.
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

    cluster.end_all().await?;
    let events = cluster.psql("select count(*) from usage_events")?;
    let whole = compare(&cluster, reconcile)?;
    found.check(
        whole.is_empty(),
        format!("{} events, and before the first fault {} alarms", events.trim(), whole.len()),
    );
    let mut by_fault: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let (mut stayed, mut examples) = (0, Vec::new());
    for _ in 0..reconcile.faults {
        let fault = FAULTS[random.below(FAULTS.len() as u64) as usize];
        let named = fault.put_in(&cluster, &mut random)?;
        let alarms = compare(&cluster, reconcile)?;
        let missed: Vec<&String> =
            named.iter().filter(|name| !alarms.iter().any(|alarm| alarm.contains(*name))).collect();
        let count = by_fault.entry(fault.name).or_default();
        count.0 += 1;
        if !missed.is_empty() {
            count.1 += 1;
            examples.push(format!("{}: {missed:?} in {alarms:?}", fault.name));
        }
        fault.take_back(&cluster)?;
        // Each alarm ends with its cause; looked at now and then, as it takes as long as the look at the fault.
        if random.below(10) == 0 {
            stayed += compare(&cluster, reconcile)?.len();
        }
    }
    for (name, (put_in, missed)) in &by_fault {
        found.check(*missed == 0, format!("{put_in} times {name}: {missed} not named"));
    }
    found.check(stayed == 0, format!("{stayed} alarms stayed after their fault was taken back"));
    examples.iter().take(3).for_each(|example| println!("  missed: {example}"));
    Ok(found.conclude("reconcile") != reconcile.control)
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
    let setup = setup.split("partners:").next().unwrap_or_default().to_owned() + "partners:\n" + &partners;
    Plan {
        binary: reconcile.binary.clone(),
        site: reconcile.site.clone(),
        nodes: 2,
        environment: Vec::new(),
        setup,
        probe: "/payments/payments".to_owned(),
    }
}

/// Compares again and again while calls are served and gateways are killed; what was found.
async fn clean_runs(reconcile: &Reconcile, cluster: &mut Cluster, random: &mut Random) -> Result<Vec<String>, Trouble> {
    let keys = PARTNERS.iter().map(|code| Ok(cluster.key(code)?.to_owned())).collect::<Result<Vec<_>, Trouble>>()?;
    let mut clients = Clients::new();
    for port in cluster.ports() {
        let habit = Habit {
            name: "plain",
            port,
            paths: Arc::new(vec!["/payments/payments".to_owned()]),
            keys: Arc::new(keys.clone()),
            pause: Duration::from_millis(10),
            http2: false,
            fresh: false,
            at_once: 1,
        };
        clients.add(&habit, reconcile.connections);
    }
    let mut alarms = Vec::new();
    for round in 1..=reconcile.clean {
        // The second node: the first has the tasks.
        if round % KILL_EVERY == 0 {
            cluster.kill(1)?;
            cluster.begin(1)?;
            cluster.wait_until_open(1).await?;
        }
        sleep(Duration::from_millis(random.below(200))).await;
        alarms.extend(compare(cluster, reconcile)?);
    }
    clients.stop().await;
    cluster.wait_until_ingested().await?;
    Ok(alarms)
}

/// The lines of `turnpike reconcile` that name something.
fn compare(cluster: &Cluster, reconcile: &Reconcile) -> Result<Vec<String>, Trouble> {
    let mut arguments = vec!["reconcile"];
    if reconcile.control {
        arguments.extend(["--only", "gateway,sequence"]);
    }
    let (holds, said) = cluster.said(&arguments)?;
    let alarms: Vec<String> = said
        .lines()
        .filter(|line| line.contains(": ") && !line.contains("numbers compared"))
        .map(ToOwned::to_owned)
        .collect();
    if !said.contains("numbers compared") || holds != alarms.is_empty() {
        return Err(format!("turnpike reconcile: {said}").into());
    }
    Ok(alarms)
}

/// A change that nobody who is honest makes.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    table: &'static str,
    /// What makes a row of the table one.
    key: &'static str,
    change: &'static str,
    /// Which of its meters is named, and in how many hours: with the one before, too, where it was moved.
    meter: &'static str,
    moved: bool,
}

const EVENT: &str = "t.node = f.node and t.lane = f.lane and t.sequence = f.sequence";
const SUM: &str = "(t.partner_id, t.hour, t.environment, t.product_id, t.operation_id, t.app_id, t.key_id, t.plan_version_id, \
                   t.outcome, t.status_class) = (f.partner_id, f.hour, f.environment, f.product_id, f.operation_id, f.app_id, \
                   f.key_id, f.plan_version_id, f.outcome, f.status_class)";
const TALLY: &str = "(t.partner_id, t.hour, t.environment, t.node, t.epoch, t.lane, t.part) = \
                     (f.partner_id, f.hour, f.environment, f.node, f.epoch, f.lane, f.part)";

const fn fault(name: &'static str, table: &'static str, change: &'static str, meter: &'static str) -> Fault {
    let key = match table.as_bytes() {
        b"usage_events" => EVENT,
        b"usage_hourly" => SUM,
        _ => TALLY,
    };
    Fault { name, table, key, change, meter, moved: false }
}

const FAULTS: [Fault; 13] = [
    fault("a unit more in an event", "usage_events", "set units = t.units + 1", "units"),
    fault("a unit less in an event", "usage_events", "set units = t.units - 1", "units"),
    fault("an event taken out", "usage_events", "delete", "calls"),
    fault("an event doubled", "usage_events", "double", "calls"),
    Fault {
        moved: true,
        ..fault("an event moved by an hour", "usage_events", "set at = t.at - interval '1 hour'", "calls")
    },
    fault("a call more in an hourly sum", "usage_hourly", "set calls = t.calls + 1", "calls"),
    fault("a call less in an hourly sum", "usage_hourly", "set calls = t.calls - 1", "calls"),
    fault("a unit more in an hourly sum", "usage_hourly", "set units = t.units + 1", "units"),
    fault("a unit less in an hourly sum", "usage_hourly", "set units = t.units - 1", "units"),
    fault("an hourly sum taken out", "usage_hourly", "delete", "calls"),
    fault("a call more in what a gateway told", "gateway_tallies", "set calls = t.calls + 1", "calls"),
    fault("a unit less in what a gateway told", "gateway_tallies", "set units = t.units - 1", "units"),
    fault("a tally taken out", "gateway_tallies", "delete", "calls"),
];

/// No trigger and no key stands in the way.
const OFF: &str = "set session_replication_role = replica;";

impl Fault {
    /// Puts it in at a random row; what has to be named.
    fn put_in(&self, cluster: &Cluster, random: &mut Random) -> Result<Vec<String>, Trouble> {
        let Self { table, key, change, meter, .. } = self;
        let rows: u64 = cluster.psql(&format!("select count(*) from {table} where units > 0"))?.trim().parse()?;
        let row = random.below(rows.max(1));
        let act = match *change {
            "delete" => format!("delete from {table} t using chaos_fault f where {key}"),
            "double" => format!("insert into {table} select * from chaos_fault"),
            set => format!("update {table} t {set} from chaos_fault f where {key}"),
        };
        let hour = if *table == "usage_events" { "at" } else { "hour" };
        let said = cluster.psql(&format!(
            "{OFF} drop table if exists chaos_fault;
             create table chaos_fault as select * from {table} where units > 0 order by {hour}, partner_id offset {row} limit 1;
             {act};
             select partner_id, to_char(date_trunc('hour', {hour} at time zone 'UTC'), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                 to_char(date_trunc('hour', {hour} at time zone 'UTC') - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
             from chaos_fault"
        ))?;
        let [partner, hour, before] = said.trim().split('|').collect::<Vec<_>>()[..] else {
            return Err(format!("{}: {said}", self.name).into());
        };
        let partner = partner.replace('-', "");
        let name = |hour: &str| format!("partner_{partner}, hour {hour}, {meter}:");
        Ok(if self.moved { vec![name(hour), name(before)] } else { vec![name(hour)] })
    }

    fn take_back(&self, cluster: &Cluster) -> Result<(), Trouble> {
        let Self { table, key, .. } = self;
        cluster.psql(&format!(
            "{OFF} delete from {table} t using chaos_fault f where {key}; insert into {table} select * from chaos_fault"
        ))?;
        Ok(())
    }
}
