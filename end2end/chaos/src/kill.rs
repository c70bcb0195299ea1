//! `chaos kill` (R1, R2): connections call one or more gateways without pause while these are killed with SIGKILL at random
//! instants and started again; with several, now and then all at once. One partner in eight has a hard quota.
//!
//! Three ledgers by request id are then compared: C, calls whose whole answer a client read; U, calls that reached the upstream;
//! M, events in Postgres. Promise: every id of C is in M exactly once, M has no id twice, M is within U, M without C holds only
//! calls that were in flight at a kill; no unit is served beyond the quota; a gateway answers 200 again within a second.
//!
//! Control run (`--without-spool`): usage is not written to disk, and calls must be found lost.

use crate::{
    Trouble,
    client::{Answered, Line, Load},
    cluster::{Cluster, Plan},
    findings::Findings,
    ledgers::{self, Comparison},
    upstream::Upstream,
    world::{Random, get_status, seed_of_now},
};
use clap::Parser;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// From a start to the first call answered 200.
const BACK_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for that, and for the quota to run out at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of so many connections one calls for the partner with the quota.
const QUOTA_SHARE: usize = 8;

#[derive(Parser, Clone)]
pub struct Kill {
    /// How often a gateway is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Connections that call at once, over all gateways.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Longest time between a start and the next kill, in milliseconds; the instant within it is random.
    #[arg(long, default_value_t = 1_500)]
    longest_life: u64,
    /// Units of the hard quota; 100 for each round where nothing is said.
    #[arg(long)]
    quota: Option<u64>,
    /// Seed of the random instants; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints how long things took and does not judge it.
    #[arg(long)]
    untimed: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
    /// Control run: the spool write is switched off, and the check must fail.
    #[arg(long)]
    without_spool: bool,
    /// Where the result is written as JSON.
    #[arg(long)]
    result: Option<PathBuf>,
}

/// Whether the promises were kept, or in a control run whether calls were lost.
pub async fn run(kill: &Kill) -> Result<bool, Trouble> {
    let seed = kill.seed.unwrap_or_else(seed_of_now);
    let quota = kill.quota.unwrap_or(u64::from(kill.rounds) * 100);
    println!("seed {seed}, {} rounds, {} gateways, {} connections", kill.rounds, kill.nodes, kill.connections);
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(plan(kill, quota, upstream.port())).await?;
    let load = Load::of(lines(&cluster, kill.connections)?);
    let key = cluster.key("load")?.to_owned();

    let (mut restarts, mut probes) = (Vec::new(), Vec::new());
    let mut random = Random::new(seed);
    for round in 1..=kill.rounds {
        sleep(Duration::from_millis(100 + random.below(kill.longest_life))).await;
        let all = kill.nodes > 1 && random.below(4) == 0;
        let one = random.below(kill.nodes as u64) as usize;
        let victims: Vec<usize> = (0..kill.nodes).filter(|node| all || *node == one).collect();
        for victim in &victims {
            cluster.kill(*victim)?;
        }
        let mut starting = JoinSet::new();
        for victim in &victims {
            cluster.begin(*victim)?;
            let (port, key, tag) = (cluster.ports()[*victim], key.clone(), format!("chaos-probe-{round}-{victim}"));
            starting.spawn(async move { first_answer(port, &key, &tag).await });
        }
        let mut slowest = Duration::ZERO;
        for started in starting.join_all().await {
            let (took, id) = started.ok_or_else(|| format!("no answer within {PATIENCE:?}: {}", cluster.log()))?;
            slowest = slowest.max(took);
            restarts.push(took);
            probes.push(id);
        }
        if round % 10 == 0 || round == kill.rounds {
            println!("  round {round}: {} killed, back after {} ms", victims.len(), slowest.as_millis());
        }
    }
    // Units that a killed gateway held come back and are spent.
    let begin = Instant::now();
    while !kill.without_spool && served(&cluster)? < quota && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_millis(500)).await;
    let answered = load.stop().await;
    cluster.wait_until_ingested().await?;
    let units = served(&cluster)?;
    let metered = cluster.metered_ids()?;
    cluster.end_all().await?;

    let compared = ledgers::compare(answered.ids.iter().chain(&probes), &upstream.ids(), &metered);
    let holds = judge(kill, quota, units, &compared, &answered, &restarts);
    if let Some(path) = &kill.result {
        std::fs::write(path, to_json(kill, seed, &compared, (quota, units), &restarts, holds))?;
    }
    // The control run must fail for the right reason.
    Ok(if kill.without_spool { !holds && !compared.lost.is_empty() } else { holds })
}

/// Units that events have of the hard quota.
fn served(cluster: &Cluster) -> Result<u64, Trouble> {
    let units = cluster.psql(
        "select coalesce(sum(units), 0) from usage_events where partner_id = (select id from partners where code = 'quota')",
    )?;
    Ok(units.trim().parse()?)
}

fn judge(
    kill: &Kill,
    quota: u64,
    units: u64,
    compared: &Comparison,
    answered: &Answered,
    restarts: &[Duration],
) -> bool {
    let mut found = Findings::new(kill.untimed);
    found.check(compared.is_exact() && compared.answered > 1_000, compared.tell());
    let bound = kill.connections * (restarts.len() + 1);
    found.check(compared.unheard <= bound, format!("{} of at most {bound} were in flight at a kill", compared.unheard));
    let of_quota = |ids: &[String]| ids.iter().filter(|id| id.starts_with("chaos-quota-")).count() as u64;
    let heard = of_quota(&answered.ids);
    found.check(
        units <= quota && heard <= quota && units * 10 >= quota * 9,
        format!(
            "hard quota of {quota} units: {units} metered, {heard} answered; {} beyond",
            units.saturating_sub(quota)
        ),
    );
    let slowest = restarts.iter().max().copied().unwrap_or_default();
    found.check_time(
        slowest <= BACK_AGAIN,
        format!("{} starts, the slowest to its first 200 {} ms", restarts.len(), slowest.as_millis()),
    );
    println!("  note other answers {:?}, {} connections that broke", answered.statuses, answered.other);
    found.conclude("Killing")
}

fn to_json(
    kill: &Kill,
    seed: u64,
    compared: &Comparison,
    (quota, units): (u64, u64),
    restarts: &[Duration],
    holds: bool,
) -> String {
    let slowest = restarts.iter().max().map_or(0, |slowest| slowest.as_millis() as u64);
    serde_json::json!({
        "experiment": "kill", "seed": seed, "rounds": kill.rounds, "nodes": kill.nodes, "connections": kill.connections,
        "control": kill.without_spool, "answered": compared.answered, "upstream": compared.reached,
        "metered": compared.metered, "lost": compared.lost.len(), "doubled": compared.doubled.len(),
        "invented": compared.invented.len(), "in_flight": compared.unheard, "quota": quota, "quota_units": units,
        "slowest_restart_ms": slowest, "holds": holds,
    })
    .to_string()
}

/// How long it took, and the id of the call that was answered.
async fn first_answer(port: u16, key: &str, tag: &str) -> Option<(Duration, String)> {
    let (begin, mut number) = (Instant::now(), 0);
    while begin.elapsed() < PATIENCE {
        number += 1;
        let id = format!("{tag}-{number}");
        let headers = format!("Authorization: Bearer {key}\r\nX-Request-Id: {id}\r\n");
        if get_status(port, "/payments/payments", &headers).await == Some(200) {
            return Some((begin.elapsed(), id));
        }
        sleep(Duration::from_millis(5)).await;
    }
    None
}

/// Connections in turn over the gateways.
fn lines(cluster: &Cluster, connections: usize) -> Result<Vec<Line>, Trouble> {
    let (ports, load, quota) = (cluster.ports(), cluster.key("load")?, cluster.key("quota")?);
    let line = |number: usize| {
        let (name, key) = if number % QUOTA_SHARE == QUOTA_SHARE - 1 { ("quota", quota) } else { ("load", load) };
        // In turn for both of them.
        let port = ports[(number / QUOTA_SHARE + number) % ports.len()];
        Line { port, key: key.to_owned(), name: format!("{name}-{number}") }
    };
    Ok((0..connections).map(line).collect())
}

fn plan(kill: &Kill, quota: u64, upstream_port: u16) -> Plan {
    let off = || ("TURNPIKE_DURABILITY".to_owned(), "off".to_owned());
    Plan {
        binary: kill.binary.clone(),
        site: kill.site.clone(),
        nodes: kill.nodes,
        environment: kill.without_spool.then(off).into_iter().collect(),
        setup: include_str!("kill/setup.yaml")
            .replace("{upstream}", &format!("http://127.0.0.1:{upstream_port}"))
            .replace("{quota}", &quota.to_string()),
        probe: "/payments/payments".to_owned(),
    }
}
