//! `chaos purge`: kept answers are let go on every node within a second of the purge's commit, and only those of its product.
//!
//! Clients ask every gateway without pause for answers that are kept for an hour. A purge is committed as the REST API commits
//! it; the clock runs from there to the first answer of each gateway that is no longer the kept one.
//!
//! Control run: the purge is of another product, and the check must fail.

use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    findings::Findings,
    upstream::Upstream,
};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::sleep};

/// What is promised.
const PROMISE: Duration = Duration::from_secs(1);
/// Longest wait for a purge to be seen.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between two questions to one gateway.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Parser, Clone)]
pub struct Purge {
    /// Gateways on one Postgres.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Purges, one after the other.
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Prints how long things took and does not judge it.
    #[arg(long)]
    untimed: bool,
    /// Control run: another product is purged, and the check must fail.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(purge: &Purge) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let cluster = Cluster::start(plan(purge, upstream.port())).await?;
    let (mut purged, mut others) =
        (Lines::open(&cluster, "/payments/payments").await?, Lines::open(&cluster, "/rates/payments").await?);
    let product = if purge.control { "rates" } else { "payments" };
    let statement =
        format!("insert into cache_purges (product_id, at) select id, now() from products where code = '{product}'");
    let (mut delays, mut missed, mut strayed) = (Vec::new(), 0, 0);
    for round in 0..purge.rounds {
        purged.fill().await?;
        others.fill().await?;
        // At any instant of the second.
        sleep(Duration::from_millis(u64::from(round) * 37 % 500)).await;
        cluster.psql(&statement)?;
        let committed = Instant::now();
        while !purged.all_seen() && committed.elapsed() < PATIENCE {
            purged.ask(committed).await?;
            sleep(PAUSE).await;
        }
        missed += usize::from(!purged.all_seen());
        delays.extend(purged.take_seen());
        others.ask(committed).await?;
        strayed += others.take_seen().len();
        if purge.control {
            break;
        }
    }
    delays.sort_unstable();
    let longest = delays.last().copied().unwrap_or_default();
    let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
    let mut findings = Findings::new(purge.untimed);
    findings.check(missed == 0, format!("{} purges reached {} gateways, {missed} not", purge.rounds, purge.nodes));
    findings.check(strayed == 0, format!("{strayed} answers of the other product were let go"));
    let (median_ms, longest_ms) = (median.as_millis(), longest.as_millis());
    findings.check_time(
        longest <= PROMISE,
        format!("from commit to the first other answer: median {median_ms} ms, longest {longest_ms} ms"),
    );
    Ok(findings.conclude("purge") != purge.control)
}

/// A connection to each gateway, for one address.
struct Lines {
    path: &'static str,
    key: String,
    lines: Vec<Line>,
}

struct Line {
    port: u16,
    sender: http1::SendRequest<Empty<Bytes>>,
    /// After the purge, when the first answer came that was not the kept one.
    seen: Option<Duration>,
}

impl Lines {
    async fn open(cluster: &Cluster, path: &'static str) -> Result<Self, Trouble> {
        let mut lines = Vec::new();
        for port in cluster.ports() {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            lines.push(Line { port, sender, seen: None });
        }
        Ok(Self { path, key: cluster.key("load")?.to_owned(), lines })
    }

    /// Asks until every gateway gives a kept answer.
    async fn fill(&mut self) -> Result<(), Trouble> {
        let Self { path, key, lines } = self;
        for line in lines {
            let begin = Instant::now();
            while !line.is_hit(path, key).await? {
                if begin.elapsed() > PATIENCE {
                    return Err(format!("the gateway at {} keeps nothing", line.port).into());
                }
                sleep(PAUSE).await;
            }
            line.seen = None;
        }
        Ok(())
    }

    async fn ask(&mut self, since: Instant) -> Result<(), Trouble> {
        let Self { path, key, lines } = self;
        for line in lines.iter_mut().filter(|line| line.seen.is_none()) {
            if !line.is_hit(path, key).await? {
                line.seen = Some(since.elapsed());
            }
        }
        Ok(())
    }

    fn all_seen(&self) -> bool {
        self.lines.iter().all(|line| line.seen.is_some())
    }

    fn take_seen(&mut self) -> Vec<Duration> {
        self.lines.iter_mut().filter_map(|line| line.seen.take()).collect()
    }
}

impl Line {
    async fn is_hit(&mut self, path: &str, key: &str) -> Result<bool, Trouble> {
        self.sender.ready().await?;
        let request = Request::get(path)
            .header("host", "api.example")
            .header("authorization", format!("Bearer {key}"))
            .body(Empty::new())?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        body.collect().await?;
        if head.status != 200 {
            return Err(format!("{path} was answered {}", head.status).into());
        }
        let said = head.headers.get("cache-status").and_then(|said| said.to_str().ok()).unwrap_or_default();
        Ok(said.contains("; hit"))
    }
}

fn plan(purge: &Purge, upstream_port: u16) -> Plan {
    let product = |name: &str| {
        format!(
            "  {name}:\n    name: {name}\n    document: api.yaml\n    route: /{name}\n    upstream_url: \"http://127.0.0.1:{upstream_port}\"\n    \
             visibility: public\n    policy: {{ cache: {{ default_fresh_seconds: 3600, price: {{ units: 0 }} }} }}\n"
        )
    };
    let setup = format!(
        "products:\n{}{}plans:\n  all:\n    name: All\n    currency: USD\n    products: [{{ product: payments }}, {{ product: rates }}]\n\
         partners:\n  load: {{ name: Load, plan: all, apps: {{ app: {{ name: App, keys: {{ key: {{ name: Key, environment: live }} }} }} }} }}\n",
        product("payments"),
        product("rates")
    );
    Plan {
        binary: purge.binary.clone(),
        site: purge.site.clone(),
        nodes: purge.nodes,
        environment: Vec::new(),
        setup,
        probe: "/payments/payments".to_owned(),
    }
}
