//! The race for the last units. Postgres is a process of its own, so that every gateway can be killed.

use crate::{
    Trouble,
    client::call_once,
    cluster::{Cluster, Plan},
    console,
    portal::Rest,
    postgres,
    upstream::Upstream,
    world::{Random, seed_of_now},
};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// After the race, as long as units may still come back from the killed node and from idle ones.
const LAST_CALLS: Duration = Duration::from_secs(6);

/// What the calls race for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Limit {
    Credit,
    /// Credit with a balance that may go below zero: the last two fifths of the units.
    Overdraft,
    /// Credit that the app has for itself, beside as much again that is common and that no call may touch.
    Allocation,
    Quota,
}

#[derive(Parser, Clone)]
pub struct Credits {
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// What runs out.
    #[arg(long, value_enum, default_value = "credit")]
    pub limit: Limit,
    /// How many units there are.
    #[arg(long, default_value_t = 100)]
    pub units: usize,
    /// Calls of one unit each.
    #[arg(long, default_value_t = 10_000)]
    pub calls: u64,
    /// Connections that call at once, over all gateways.
    #[arg(long, default_value_t = 500)]
    pub connections: usize,
    /// Seed of the instants of the kills, and of their order; printed, so that a run can be repeated.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Kills only this gateway, and not each of them once.
    #[arg(long)]
    pub victim: Option<usize>,
    /// The binary under test.
    #[arg(long, env = "TURNPIKE_BIN")]
    pub binary: PathBuf,
    /// The built site that the binary serves.
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    pub site: PathBuf,
    /// Control run: units are granted without a look at what is left, and the check must fail.
    #[arg(long)]
    pub without_check: bool,
    /// Where the result is written as JSON.
    #[arg(long)]
    pub result: Option<PathBuf>,
}

pub async fn main(credits: &Credits) -> ExitCode {
    let found = match run(credits).await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("chaos: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{found}");
    if let Some(path) = &credits.result
        && let Err(error) = std::fs::write(path, found.to_json())
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    // The control run must fail for the right reason.
    let as_expected = if credits.without_check { found.overshot() } else { found.holds() };
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(credits: &Credits) -> Result<Findings, Trouble> {
    let seed = credits.seed.unwrap_or_else(seed_of_now);
    println!(
        "seed {seed}, {} nodes, {:?}, {} calls for {} units",
        credits.nodes, credits.limit, credits.calls, credits.units
    );
    let mut random = Random::new(seed);
    let upstream = Upstream::after(Duration::from_millis(15)).await?;
    let mut cluster = Cluster::start(plan(credits, upstream.port())).await?;
    if matches!(credits.limit, Limit::Credit | Limit::Overdraft) {
        let units = (credits.units - overdraft(credits)).to_string();
        cluster.command(&["grant-credit", "--partner", "load", "--units", &units, "--reason", "Race"])?;
    }
    if matches!(credits.limit, Limit::Allocation) {
        let twice = (2 * credits.units).to_string();
        cluster.command(&["grant-credit", "--partner", "load", "--units", &twice, "--reason", "Race"])?;
        allocate(&cluster, credits.units).await?;
    }
    let watcher = Watcher::start(cluster.postgres().address());

    let race = Race::start(&cluster, credits)?;
    let victims = victims(credits, &mut random)?;
    let mut kills = Vec::new();
    for (number, victim) in victims.iter().enumerate() {
        // In the middle: when some of the units have reached the upstream, and calls are in flight.
        let part = credits.units as u64 * 9 / 10 / victims.len() as u64;
        let instant = 1 + part * number as u64 + random.below(part.max(1));
        let begin = Instant::now();
        while (upstream.ids().len() as u64) < instant && begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1)).await;
        }
        println!("node {victim} is killed when {} calls have reached the upstream", upstream.ids().len());
        cluster.kill(*victim)?;
        cluster.begin(*victim)?;
        kills.push((*victim, Instant::now()));
    }
    let mut restart = Duration::ZERO;
    for (victim, killed) in kills {
        cluster.wait_until_open(victim).await?;
        restart = restart.max(killed.elapsed());
    }
    let mut seen = race.finish().await;
    seen.merge(last_calls(&cluster, credits.units as i64).await?);

    cluster.wait_until_ingested().await?;
    let lowest = watcher.stop().await;
    let kind = match credits.limit {
        Limit::Credit | Limit::Overdraft | Limit::Allocation => "credit",
        Limit::Quota => "quota",
    };
    cluster.end_all().await?;
    let books = Books::read(&cluster, kind)?;
    Ok(Findings {
        seed,
        units: credits.units as i64,
        nodes: credits.nodes,
        overdraft: overdraft(credits) as i64,
        allocated: if matches!(credits.limit, Limit::Allocation) { credits.units as i64 } else { 0 },
        kind,
        control: credits.without_check,
        seen,
        reached: upstream.ids().len(),
        books,
        lowest,
        restart,
        kills: victims.len(),
        connections: credits.connections,
    })
}

/// Gives the app that will call so many units of its own.
async fn allocate(cluster: &Cluster, units: usize) -> Result<(), Trouble> {
    let link = cluster.command(&["operator-link"])?;
    let token = console::make_token(cluster.portal_port(), &link, "partners:write,plan:write").await?;
    let named = |kind: &str| format!("select '{kind}_' || replace(id::text, '-', '') from {kind}s");
    let [partner, app] = ["partner", "app"].map(|kind| cluster.psql(&named(kind)));
    let path = format!("/api/credit/allocations?partner={}", partner?.trim());
    let body = serde_json::json!({ "app": app?.trim(), "units": units });
    Rest { port: cluster.portal_port(), token }.post(&path, &body).await?;
    // Gateways hear of it within a second.
    sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// Of the units, those below zero.
fn overdraft(credits: &Credits) -> usize {
    if matches!(credits.limit, Limit::Overdraft) { credits.units * 2 / 5 } else { 0 }
}

/// Every gateway once, in any order, or the one that was asked for.
fn victims(credits: &Credits, random: &mut Random) -> Result<Vec<usize>, Trouble> {
    if let Some(victim) = credits.victim {
        return if victim < credits.nodes { Ok(vec![victim]) } else { Err("there is no such gateway".into()) };
    }
    let mut left: Vec<usize> = (0..credits.nodes).collect();
    let mut victims = Vec::new();
    while !left.is_empty() {
        victims.push(left.remove(random.below(left.len() as u64) as usize));
    }
    Ok(victims)
}

fn plan(credits: &Credits, upstream_port: u16) -> Plan {
    let terms = match credits.limit {
        Limit::Credit | Limit::Allocation => "    admission: { credit: { required: true } }".to_owned(),
        Limit::Overdraft => format!(
            "    admission: {{ credit: {{ required: true, overdraft: {{ units: {}, unit_price: \"0.01\" }} }} }}",
            overdraft(credits)
        ),
        Limit::Quota => format!("    quota: {{ units: {}, beyond: block }}", credits.units),
    };
    let setup = include_str!("credits.yaml")
        .replace("{upstream}", &format!("http://127.0.0.1:{upstream_port}"))
        .replace("{terms}", &terms);
    let off = || ("TURNPIKE_LEASES".to_owned(), "off".to_owned());
    Plan {
        binary: credits.binary.clone(),
        site: credits.site.clone(),
        nodes: credits.nodes,
        environment: credits.without_check.then(off).into_iter().collect(),
        setup,
        probe: "/payments/payments".to_owned(),
    }
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    served: HashSet<String>,
    statuses: BTreeMap<u16, u64>,
    broken: u64,
}

impl Seen {
    fn note(&mut self, id: String, status: Option<u16>) {
        match status {
            Some(200) => drop(self.served.insert(id)),
            Some(status) => *self.statuses.entry(status).or_default() += 1,
            None => self.broken += 1,
        }
    }

    fn merge(&mut self, other: Self) {
        self.served.extend(other.served);
        self.broken += other.broken;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}

/// Connections that share the calls among them.
struct Race(JoinSet<Seen>);

impl Race {
    fn start(cluster: &Cluster, credits: &Credits) -> Result<Self, Trouble> {
        let (ports, key) = (cluster.ports(), cluster.key("load")?.to_owned());
        let left = Arc::new(AtomicU64::new(credits.calls));
        let mut running = JoinSet::new();
        for number in 0..credits.connections {
            let (port, key, left) = (ports[number % ports.len()], key.clone(), left.clone());
            running.spawn(async move {
                let mut seen = Seen::default();
                let mut connection = None;
                let (take, mut attempt) = (|left: u64| left.checked_sub(1), 0_u64);
                while left.fetch_update(Relaxed, Relaxed, take).is_ok() {
                    attempt += 1;
                    let id = format!("chaos-{number}-{attempt}");
                    let status = call_on(&mut connection, port, &key, &id).await;
                    // Nobody was there: the call is still to be made, under another id.
                    if status.is_none() {
                        left.fetch_add(1, Relaxed);
                    }
                    seen.note(id, status);
                }
                seen
            });
        }
        Ok(Self(running))
    }

    async fn finish(self) -> Seen {
        let mut all = Seen::default();
        self.0.join_all().await.into_iter().for_each(|part| all.merge(part));
        all
    }
}

/// Calls every gateway in turn, until what came back late must have been spent, and is if that comes.
async fn last_calls(cluster: &Cluster, units: i64) -> Result<Seen, Trouble> {
    let mut seen = Seen::default();
    let (ports, key, begin) = (cluster.ports(), cluster.key("load")?, Instant::now());
    let mut call = 0_u64;
    let all_spent = || Books::read(cluster, "credit").is_ok_and(|books| books.metered >= units);
    while begin.elapsed() < LAST_CALLS || (begin.elapsed() < 10 * LAST_CALLS && !all_spent()) {
        for port in &ports {
            call += 1;
            let id = format!("chaos-last-{call}");
            let status = call_on(&mut None, *port, key, &id).await;
            seen.note(id, status);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(seen)
}

type Sender = http1::SendRequest<Empty<Bytes>>;

/// One call on the connection, or on a new one where there is none.
async fn call_on(connection: &mut Option<Sender>, port: u16, key: &str, id: &str) -> Option<u16> {
    let call = async {
        if connection.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(driver);
            *connection = Some(sender);
        }
        call_once(connection.as_mut()?, port, key, id).await
    };
    let status = tokio::time::timeout(PATIENCE, call).await.ok().flatten();
    if status.is_none() {
        *connection = None;
        sleep(Duration::from_millis(20)).await;
    }
    status
}

/// Looks at the balance all the time.
struct Watcher {
    stop: Arc<AtomicBool>,
    lowest: Arc<AtomicI64>,
    looks: tokio::task::JoinHandle<()>,
}

impl Watcher {
    fn start(address: String) -> Self {
        let (stop, lowest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(i64::MAX)));
        let (ends, kept) = (stop.clone(), lowest.clone());
        let looks = tokio::spawn(async move {
            while !ends.load(Relaxed) {
                let address = address.clone();
                let statement = "select units - coalesce((select taken from allowances a where a.kind = 'credit'
                    and a.partner_id = b.partner_id), 0) from credit_balances b";
                let look = tokio::task::spawn_blocking(move || postgres::ask(&address, statement).ok());
                let left = look.await.ok().flatten().and_then(|text| text.trim().parse().ok());
                if let Some(left) = left {
                    kept.fetch_min(left, Relaxed);
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        Self { stop, lowest, looks }
    }

    /// The lowest balance that was seen; `None` where there is none.
    async fn stop(self) -> Option<i64> {
        self.stop.store(true, Relaxed);
        let _ = self.looks.await;
        Some(self.lowest.load(Relaxed)).filter(|lowest| *lowest != i64::MAX)
    }
}

/// What Postgres says in the end.
#[derive(Debug, Clone, Copy)]
struct Books {
    /// Units of served calls, from the events, and how many of them were credit.
    metered: i64,
    credits: i64,
    /// Of those, the app's own.
    allocated: i64,
    taken: i64,
    granted: i64,
    spent: i64,
}

impl Books {
    fn read(cluster: &Cluster, kind: &str) -> Result<Self, Trouble> {
        let numbers = cluster.postgres().numbers(&format!(
            "select (select coalesce(sum(units), 0) from usage_events), (select coalesce(sum(credits), 0) from usage_events),
                 (select coalesce(sum(allocated), 0) from usage_events),
                 (select coalesce(sum(taken), 0) from allowances where kind = '{kind}'),
                 (select coalesce(sum(granted), 0) from allowance_leases where kind = '{kind}'),
                 (select coalesce(sum(spent), 0) from allowance_leases where kind = '{kind}')"
        ))?;
        match numbers[..] {
            [metered, credits, allocated, taken, granted, spent] => {
                Ok(Self { metered, credits, allocated, taken, granted, spent })
            }
            _ => Err("psql answered with something else".into()),
        }
    }
}

struct Findings {
    seed: u64,
    units: i64,
    /// Of those, the ones below zero.
    overdraft: i64,
    /// And the app's own.
    allocated: i64,
    nodes: usize,
    kind: &'static str,
    control: bool,
    seen: Seen,
    reached: usize,
    books: Books,
    lowest: Option<i64>,
    restart: Duration,
    kills: usize,
    connections: usize,
}

impl Findings {
    /// Exactly all units were served: those that clients saw, and calls whose answer was on its way at the kill.
    fn holds(&self) -> bool {
        let Books { metered, credits, allocated, taken, granted, spent } = self.books;
        let answered = self.seen.served.len() as i64;
        let in_flight = metered - answered;
        let of_kind = if self.kind == "credit" { credits } else { metered - credits };
        metered == self.units
            && allocated == self.allocated
            && (0..=(self.connections * self.kills) as i64).contains(&in_flight)
            && [of_kind, taken, granted, spent].iter().all(|sum| *sum == self.units)
            && self.lowest.unwrap_or(0) >= -self.overdraft
            && self.seen.statuses.keys().any(|status| matches!(status, 402 | 429))
    }

    /// Whether more was served than there was.
    fn overshot(&self) -> bool {
        self.seen.served.len() as i64 > self.units
    }

    fn to_json(&self) -> String {
        let Books { metered, credits, allocated, taken, granted, spent } = self.books;
        serde_json::json!({
            "experiment": "credits", "seed": self.seed, "nodes": self.nodes, "kills": self.kills, "kind": self.kind, "units": self.units, "overdraft": self.overdraft,
            "control": self.control, "answered": self.seen.served.len(), "reached_upstream": self.reached,
            "metered": metered, "credits": credits, "allocated": allocated, "taken": taken, "granted": granted, "spent": spent,
            "lowest_balance": self.lowest, "restart_ms": self.restart.as_millis() as u64, "holds": self.holds(),
        })
        .to_string()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Books { metered, credits, allocated, taken, granted, spent } = self.books;
        writeln!(
            f,
            "served to clients {}, reached the upstream {}, other answers {:?}, broken off {}",
            self.seen.served.len(),
            self.reached,
            self.seen.statuses,
            self.seen.broken
        )?;
        writeln!(
            f,
            "units metered {metered} (credit {credits}, the app's own {allocated}), taken {taken}, granted {granted}, spent {spent}"
        )?;
        writeln!(f, "lowest balance {:?}, restart {} ms", self.lowest, self.restart.as_millis())?;
        let control = if self.control { " (control run without the check: it must not)" } else { "" };
        write!(f, "{}{control}", if self.holds() { "holds" } else { "does not hold" })
    }
}
