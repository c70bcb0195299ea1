//! Time that passes under load: by the installation's test clock, so that days are summed up, levels hold and invoices are made.

use super::load;
use crate::{Trouble, cluster::Cluster};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Hours that the clock jumps at once: not a part of a day, so that calls come at all times of it.
const STEP: u32 = 19;
/// How long calls come before it jumps again. Gateways look at the clock twice a second.
const MOMENT: Duration = Duration::from_millis(1_500);
/// The longest wait for days and invoices.
const PATIENCE: Duration = Duration::from_secs(600);

/// Lets so many days pass, and ends the gateways once all days are summed up and, where there are enough of them, each partner has its
/// invoice. The begin of the first event's day.
pub(super) async fn pass(cluster: &mut Cluster, days: u32, partners: usize) -> Result<String, Trouble> {
    let clients = load(cluster, 1, Duration::from_millis(100))?;
    for _ in 0..(days * 24).div_ceil(STEP) {
        cluster.psql(&format!("update clock set ahead_seconds = ahead_seconds + {}", STEP * 3600))?;
        sleep(MOMENT).await;
    }
    clients.stop().await;
    cluster.wait_until_ingested().await?;
    cluster.end_all().await?;
    // What is done each minute is done at the start, too.
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    let invoices = if days >= 32 { partners } else { 0 };
    let is_ready = format!(
        "select (select count(*) from invoices) >= {invoices} and made_before + interval '25 hours'
             > now() + ahead_seconds * interval '1 second' from usage_upkeep, clock"
    );
    let begin = Instant::now();
    while cluster.psql(&is_ready)?.trim() != "t" {
        if begin.elapsed() > PATIENCE {
            let findings = cluster.psql("select * from reconciliation_findings where resolved_at is null limit 5")?;
            return Err(format!("days and invoices were not made; open findings: {findings}; {}", cluster.log()).into());
        }
        sleep(Duration::from_millis(100)).await;
    }
    cluster.end(0).await?;
    // Sums of a day are compared where all of it is.
    hour(cluster, "select date_trunc('day', min(at), 'UTC') from usage_events")
}

/// The begin of the hour of that instant, as a command takes it.
pub(super) fn hour(cluster: &Cluster, instant: &str) -> Result<String, Trouble> {
    let said = cluster.psql(&format!(
        "select to_char(date_trunc('hour', ({instant}) at time zone 'UTC'), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    ))?;
    Ok(said.trim().to_owned())
}
