//! The race for the last units.

use crate::{
    Trouble,
    client::call_once,
    cluster::Cluster,
    upstream::Upstream,
    world::{Random, psql, seed_of_now},
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
const PATIENCE: Duration = Duration::from_secs(5);
/// After the race, as long as units may still come back from the killed node and from idle ones.
const LAST_CALLS: Duration = Duration::from_secs(8);

/// What the calls race for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Limit {
    Credit,
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
    /// Seed of the instant and the gateway of the kill; printed, so that a run can be repeated.
    #[arg(long)]
    pub seed: Option<u64>,
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
    let mut cluster = Cluster::start(credits, upstream.port()).await?;
    let watcher = Watcher::start(cluster.address());

    let race = Race::start(&cluster, credits);
    // In the middle: when some of the units have reached the upstream, and calls are in flight.
    let instant = 1 + random.below(credits.units as u64 * 9 / 10);
    let begin = Instant::now();
    while (upstream.ids().len() as u64) < instant && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(1)).await;
    }
    // The first gateway owns the Postgres that the others need, so it is killed only where it is alone.
    let killed = if credits.nodes == 1 { 0 } else { 1 + random.below(credits.nodes as u64 - 1) as usize };
    let restart = cluster.kill_and_start_again(killed, credits).await?;
    let mut seen = race.finish().await;
    seen.merge(last_calls(&cluster).await);

    wait_until_ingested(&cluster).await?;
    let lowest = watcher.stop().await;
    let kind = match credits.limit {
        Limit::Credit => "credit",
        Limit::Quota => "quota",
    };
    let books = cluster.stop(|cluster| Books::read(cluster, kind)).await?;
    Ok(Findings {
        seed,
        units: credits.units as i64,
        nodes: credits.nodes,
        kind,
        control: credits.without_check,
        seen,
        reached: upstream.ids().len(),
        books,
        lowest,
        restart,
        connections: credits.connections,
    })
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
    fn start(cluster: &Cluster, credits: &Credits) -> Self {
        let (ports, left) = (cluster.ports(), Arc::new(AtomicU64::new(credits.calls)));
        let mut running = JoinSet::new();
        for number in 0..credits.connections {
            let (port, key, left) = (ports[number % ports.len()], cluster.key().to_owned(), left.clone());
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
        Self(running)
    }

    async fn finish(self) -> Seen {
        let mut all = Seen::default();
        self.0.join_all().await.into_iter().for_each(|part| all.merge(part));
        all
    }
}

/// Calls every gateway in turn, until what came back late must have been spent.
async fn last_calls(cluster: &Cluster) -> Seen {
    let mut seen = Seen::default();
    let (ports, begin) = (cluster.ports(), Instant::now());
    let mut call = 0_u64;
    while begin.elapsed() < LAST_CALLS {
        for port in &ports {
            call += 1;
            let id = format!("chaos-last-{call}");
            let status = call_on(&mut None, *port, cluster.key(), &id).await;
            seen.note(id, status);
        }
        sleep(Duration::from_millis(20)).await;
    }
    seen
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
    fn start((socket, port): (String, String)) -> Self {
        let (stop, lowest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(i64::MAX)));
        let (ends, kept) = (stop.clone(), lowest.clone());
        let looks = tokio::spawn(async move {
            while !ends.load(Relaxed) {
                let (socket, port) = (socket.clone(), port.clone());
                let statement = "select units - coalesce((select taken from allowances a where a.kind = 'credit'
                    and a.partner_id = b.partner_id), 0) from credit_balances b";
                let look = tokio::task::spawn_blocking(move || psql(&socket, &port, statement).ok());
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

async fn wait_until_ingested(cluster: &Cluster) -> Result<(), Trouble> {
    let begin = Instant::now();
    let (mut last, mut since) = (String::new(), Instant::now());
    while begin.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(250)).await;
        let count = cluster.psql("select count(*) from usage_events")?;
        if count != last {
            (last, since) = (count, Instant::now());
        } else if since.elapsed() > Duration::from_secs(2) {
            return Ok(());
        }
    }
    Err("events were still arriving after a minute".into())
}

/// What Postgres says in the end.
#[derive(Debug, Clone, Copy)]
struct Books {
    /// Units of served calls, from the events, and how many of them were credit.
    metered: i64,
    credits: i64,
    taken: i64,
    granted: i64,
    spent: i64,
}

impl Books {
    fn read(cluster: &Cluster, kind: &str) -> Result<Self, Trouble> {
        let text = cluster.psql(&format!(
            "select (select coalesce(sum(units), 0) from usage_events), (select coalesce(sum(credits), 0) from usage_events),
                 (select coalesce(sum(taken), 0) from allowances where kind = '{kind}'),
                 (select coalesce(sum(granted), 0) from allowance_leases where kind = '{kind}'),
                 (select coalesce(sum(spent), 0) from allowance_leases where kind = '{kind}')"
        ))?;
        let numbers: Vec<i64> = text.trim().split('|').map(str::parse).collect::<Result<_, _>>()?;
        match numbers[..] {
            [metered, credits, taken, granted, spent] => Ok(Self { metered, credits, taken, granted, spent }),
            _ => Err("psql answered with something else".into()),
        }
    }
}

struct Findings {
    seed: u64,
    units: i64,
    nodes: usize,
    kind: &'static str,
    control: bool,
    seen: Seen,
    reached: usize,
    books: Books,
    lowest: Option<i64>,
    restart: Duration,
    connections: usize,
}

impl Findings {
    /// Exactly all units were served: those that clients saw, and calls whose answer was on its way at the kill.
    fn holds(&self) -> bool {
        let Books { metered, credits, taken, granted, spent } = self.books;
        let answered = self.seen.served.len() as i64;
        let in_flight = metered - answered;
        let of_kind = if self.kind == "credit" { credits } else { metered - credits };
        metered == self.units
            && (0..=self.connections as i64).contains(&in_flight)
            && [of_kind, taken, granted, spent].iter().all(|sum| *sum == self.units)
            && self.lowest.unwrap_or(0) >= 0
            && self.seen.statuses.keys().any(|status| matches!(status, 402 | 429))
    }

    /// Whether more was served than there was.
    fn overshot(&self) -> bool {
        self.seen.served.len() as i64 > self.units
    }

    fn to_json(&self) -> String {
        let Books { metered, credits, taken, granted, spent } = self.books;
        serde_json::json!({
            "experiment": "credits", "seed": self.seed, "nodes": self.nodes, "kind": self.kind, "units": self.units,
            "control": self.control, "answered": self.seen.served.len(), "reached_upstream": self.reached,
            "metered": metered, "credits": credits, "taken": taken, "granted": granted, "spent": spent,
            "lowest_balance": self.lowest, "restart_ms": self.restart.as_millis() as u64, "holds": self.holds(),
        })
        .to_string()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Books { metered, credits, taken, granted, spent } = self.books;
        writeln!(
            f,
            "served to clients {}, reached the upstream {}, other answers {:?}, broken off {}",
            self.seen.served.len(),
            self.reached,
            self.seen.statuses,
            self.seen.broken
        )?;
        writeln!(f, "units metered {metered} (credit {credits}), taken {taken}, granted {granted}, spent {spent}")?;
        writeln!(f, "lowest balance {:?}, restart {} ms", self.lowest, self.restart.as_millis())?;
        let control = if self.control { " (control run without the check: it must not)" } else { "" };
        write!(f, "{}{control}", if self.holds() { "holds" } else { "does not hold" })
    }
}
