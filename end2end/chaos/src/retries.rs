//! Identical requests that race on Idempotency-Keys while gateways are killed.

mod findings;
mod posts;
mod upstream;

use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    world::{Random, seed_of_now},
};
use clap::{Parser, ValueEnum};
use findings::Findings;
use posts::{Order, Posts};
use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use upstream::Upstream;

/// Longest wait for a request to be with the upstream, before a kill.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the upstream works.
const WORK: Duration = Duration::from_millis(40);

/// What keeps a request from being carried out twice, taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Control {
    /// The product does not mark its operation.
    Unmarked,
    /// Postgres forgets what was in flight at a kill.
    Forgotten,
}

#[derive(Parser, Clone)]
pub struct Retries {
    /// Idempotency-Keys.
    #[arg(long, default_value_t = 1_000)]
    keys: usize,
    /// Identical requests on each key.
    #[arg(long, default_value_t = 1_000)]
    posts: usize,
    /// Keys whose requests race at the same time.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
    /// Connections that send at once, over all gateways.
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// How often a gateway is killed while the upstream works for it.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Gateways on one Postgres; one, then two, where nothing is said.
    #[arg(long)]
    nodes: Option<usize>,
    /// Seed of the instants and victims; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// The binary under test.
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    /// The built site that the binary serves.
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
    /// Control run: without what protects, the check must fail.
    #[arg(long, value_enum)]
    control: Option<Control>,
    /// Where the result is written as JSON.
    #[arg(long)]
    result: Option<PathBuf>,
}

pub async fn main(retries: &Retries) -> ExitCode {
    let mut as_expected = true;
    let mut results = Vec::new();
    for nodes in retries.nodes.map_or_else(|| vec![1, 2], |nodes| vec![nodes]) {
        match run(retries, nodes).await {
            Ok(found) => {
                let holds = found.print(retries.control);
                // The control run must fail for the right reason.
                as_expected &= if retries.control.is_some() { found.repeated() } else { holds };
                results.push(found.to_json(retries, holds));
            }
            Err(error) => {
                eprintln!("chaos: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if let Some(path) = &retries.result
        && let Err(error) = std::fs::write(path, serde_json::Value::Array(results).to_string())
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(retries: &Retries, nodes: usize) -> Result<Findings, Trouble> {
    let Retries { keys, posts, at_once, connections, kills, .. } = *retries;
    let seed = retries.seed.unwrap_or_else(seed_of_now);
    println!(
        "seed {seed}, {nodes} gateways: {posts} identical posts on each of {keys} keys, {at_once} keys at once over \
         {connections} connections, {kills} kills"
    );
    let mut random = Random::new(seed);
    let upstream = Upstream::start(nodes, WORK).await?;
    let mut cluster = Cluster::start(plan(retries, nodes, upstream.port())).await?;
    let granted = keys * posts * 2;
    let grant = ["grant-credit", "--partner", "load", "--units", &granted.to_string(), "--reason", "Race"];
    cluster.command(&grant)?;

    let begin = Instant::now();
    let order = Order { keys, posts, at_once };
    let race = Posts::start(cluster.ports(), cluster.key("load")?, order, connections);
    let mut restarts = Vec::new();
    for kill in 0..kills {
        // In the middle: when some of the keys have been executed, and others are.
        let part = (keys * 9 / 10 / kills) as u64;
        let instant = part * kill as u64 + random.below(part.max(1));
        while (upstream.keys() as u64) < instant && !race.is_over() {
            sleep(Duration::from_millis(1)).await;
        }
        let victim = busy(&upstream, nodes, &mut random).await;
        cluster.kill(victim)?;
        if retries.control == Some(Control::Forgotten) {
            cluster.psql("delete from idempotency_keys where state = 'in_flight'")?;
        }
        let begin = Instant::now();
        cluster.begin(victim)?;
        cluster.wait_until_open(victim).await?;
        restarts.push(begin.elapsed());
    }
    let mut seen = race.finish().await;
    let raced = begin.elapsed();
    let settled = posts::settle(&cluster.ports(), cluster.key("load")?, order).await;
    seen.merge(&settled);

    cluster.wait_until_ingested().await?;
    let listed = cluster.command(&["unknown-requests"])?.matches("attempt_").count();
    cluster.end_all().await?;
    let books = findings::Books::read(&cluster, listed)?;
    Ok(Findings { seed, nodes, kills, order, seen, settled, executed: upstream.executed(), books, restarts, raced })
}

/// A gateway that the upstream is working for; any, where it works for none.
async fn busy(upstream: &Upstream, nodes: usize, random: &mut Random) -> usize {
    let begin = Instant::now();
    let mut busy = Vec::new();
    while busy.is_empty() && begin.elapsed() < PATIENCE {
        sleep(Duration::from_micros(200)).await;
        busy = (0..nodes).filter(|node| upstream.working_for(*node) > 0).collect();
    }
    if busy.is_empty() {
        busy = (0..nodes).collect();
    }
    busy.remove(random.below(busy.len() as u64) as usize)
}

fn plan(retries: &Retries, nodes: usize, upstream_port: u16) -> Plan {
    let policy = match retries.control {
        Some(Control::Unmarked) => "",
        _ => "    policy: { operations: { createPayment: { idempotency_key: required } } }",
    };
    Plan {
        binary: retries.binary.clone(),
        site: retries.site.clone(),
        nodes,
        environment: Vec::new(),
        setup: include_str!("retries.yaml")
            .replace("{upstream}", &format!("http://127.0.0.1:{upstream_port}"))
            .replace("{policy}", policy),
        probe: "/payments/payments".to_owned(),
    }
}
