//! What experiments about usage begin with and end in: servers that sell one product without limits to one partner, `load`, and
//! three ledgers that are put beside each other once nothing comes any more.

use crate::{
    Trouble,
    cluster::{Cluster, Plan},
    findings::Findings,
    ledgers::{self, Comparison},
    paced::{self, Call},
    postgres::Postgres,
    upstream::Upstream,
};
use clap::Args;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Which servers are under test, and how they are judged.
#[derive(Args, Clone)]
pub struct Stage {
    /// Prints how long things took and does not judge it.
    #[arg(long)]
    pub untimed: bool,
    /// Control run: the safeguard is off, and the check must fail.
    #[arg(long)]
    pub control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

impl Stage {
    /// That many gateways before that upstream, with these variables besides those that every one has.
    pub fn plan(&self, nodes: usize, upstream: &Upstream, environment: Vec<(&str, String)>) -> Plan {
        Plan {
            binary: self.binary.clone(),
            site: self.site.clone(),
            nodes,
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            setup: include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port())),
            probe: "/payments/payments".to_owned(),
        }
    }

    /// In a control run, nothing is written to the usage log.
    pub fn log_off(&self) -> Option<(&'static str, String)> {
        self.control.then(|| ("TURNPIKE_DURABILITY", "off".to_owned()))
    }

    /// For the title of an experiment.
    pub fn tell(&self, safeguard: &str) -> String {
        if self.control { format!(" (control run: {safeguard})") } else { String::new() }
    }

    pub const fn findings(&self) -> Findings {
        Findings::new(self.untimed)
    }

    /// Whether promises were kept; in a control run, whether they were broken and the safeguard was found to be missing.
    pub const fn is_as_expected(&self, holds: bool, is_found_out: bool) -> bool {
        if self.control { !holds && is_found_out } else { holds }
    }

    /// How long after that instant so many calls of ours were in Postgres, which may be away. A control run does not wait for
    /// what never comes.
    pub async fn stored(
        &self,
        postgres: &Postgres,
        calls: u64,
        since: Instant,
        patience: Duration,
    ) -> Option<Duration> {
        while !self.control && since.elapsed() < patience {
            if events(postgres).is_ok_and(|stored| stored >= calls as i64) {
                return Some(since.elapsed());
            }
            sleep(Duration::from_millis(250)).await;
        }
        None
    }
}

/// Calls of ours that are in Postgres.
pub fn events(postgres: &Postgres) -> Result<i64, Trouble> {
    let counted = postgres.numbers("select count(*) from usage_events where request_id like 'chaos-%'")?;
    counted.first().copied().ok_or_else(|| "psql answered with nothing".into())
}

/// Waits until nothing comes any more, and compares.
pub async fn compare(cluster: &Cluster, upstream: &Upstream, calls: &[Call]) -> Result<Comparison, Trouble> {
    cluster.wait_until_ingested().await?;
    Ok(ledgers::compare(paced::answered(calls), &upstream.ids(), &cluster.metered_ids()?))
}
