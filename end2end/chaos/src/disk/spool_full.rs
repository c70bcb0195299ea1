//! The disk of the usage log is full while Postgres is down.

use super::{Disk, shim::Shim};
use crate::{
    Trouble,
    cluster::Cluster,
    findings::Findings,
    ledgers::Comparison,
    paced::{self, Call, Pace, Paced},
    stage,
    upstream::Upstream,
    world::get_text,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Longest wait for the disk to be full, and for calls to be served again after Postgres is back.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long calls go on against a full disk.
const WHILE_FULL: Duration = Duration::from_secs(4);
const SERVED_AGAIN: Duration = Duration::from_secs(10);

pub async fn run(disk: &Disk) -> Result<bool, Trouble> {
    if disk.stage.control {
        // Serves, and is judged as one that refuses.
        return Ok(!trial(disk, "refuse", "serve").await?);
    }
    Ok(trial(disk, "refuse", "refuse").await? & trial(disk, "serve", "serve").await?)
}

async fn trial(disk: &Disk, judged_as: &str, mode: &str) -> Result<bool, Trouble> {
    println!("The disk of the usage log is full, TURNPIKE_SPOOL_FULL={mode}, judged as {judged_as}");
    let folder = tempfile::Builder::new().prefix("turnpike-chaos-disk-").tempdir()?;
    let data = folder.path().join("data");
    let mut environment = vec![
        ("TURNPIKE_SPOOL_FULL", mode.to_owned()),
        ("TURNPIKE_DATA_DIR", data.display().to_string()),
        ("TURNPIKE_GATEWAY_CORES", "2".to_owned()),
    ];
    let mounted = disk.mount(&data, disk.mib, "a quota of the shim's own stands for the full disk")?;
    if mounted.is_none() {
        let room = (disk.mib << 20).to_string();
        let settings = vec![("SHIM_ROOM", room), ("SHIM_FOLDER", data.join("spool").display().to_string())];
        environment.extend(Shim::build(folder.path())?.environment(settings));
    }
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(disk.stage.plan(1, &upstream, environment)).await?;
    cluster.postgres().stop()?;
    let load = Paced::start(&Pace::on(&cluster, disk.calls, disk.connections, "full")?);
    let is_full = until_full(&cluster, &load).await;
    let full_at = load.elapsed();
    sleep(WHILE_FULL).await;
    let back_at = load.elapsed();
    cluster.postgres().begin()?;
    let drained = until_drained(&cluster, &load).await;
    sleep(Duration::from_secs(2)).await;
    let calls = load.stop().await;
    let compared = stage::compare(&cluster, &upstream, &calls).await?;
    let unmetered = counter(&cluster, "turnpike_gateway_unmetered_total").await.unwrap_or_default();
    let metered = cluster.metered_ids()?;

    let mut found = disk.stage.findings();
    found.check(is_full, format!("the disk was full after {full_at:?} and {} calls", calls.len()));
    if judged_as == "refuse" {
        judge_refusals(&mut found, &calls, &metered, &compared, (full_at, back_at));
        found.check(unmetered == 0, format!("{unmetered} calls were served unbilled"));
    } else {
        let failed = paced::failures(&calls);
        found.check(failed.is_empty(), format!("{} calls, other than 200: {failed:?}", calls.len()));
        found.check(
            unmetered > 0 && unmetered == compared.lost.len() as u64,
            format!(
                "the gateway counted {unmetered} unmetered calls; {} answered ones are not stored",
                compared.lost.len()
            ),
        );
        found.check(
            compared.doubled.is_empty() && compared.invented.is_empty(),
            format!(
                "{} of {} calls stored, {} doubled, {} invented",
                compared.metered,
                compared.answered,
                compared.doubled.len(),
                compared.invented.len()
            ),
        );
    }
    let last: Vec<&Call> = calls.iter().filter(|call| call.due > back_at + SERVED_AGAIN).collect();
    let not_served = last.iter().filter(|call| call.status != Some(200)).count();
    found.check_time(
        not_served == 0,
        format!(
            "{not_served} of {} calls were not served later than {SERVED_AGAIN:?} after the return of Postgres",
            last.len()
        ),
    );
    found.check(drained.is_some(), format!("the usage log was empty {drained:?} after the return of Postgres"));
    cluster.end_all().await?;
    Ok(found.conclude("A full disk of the usage log"))
}

fn judge_refusals(
    found: &mut Findings,
    calls: &[Call],
    metered: &HashMap<String, u32>,
    compared: &Comparison,
    (full_at, back_at): (Duration, Duration),
) {
    let others = paced::failures(calls).into_iter().filter(|(what, _)| what != "503").collect::<Vec<_>>();
    let refused: Vec<&Call> = calls.iter().filter(|call| call.status == Some(503)).collect();
    let without = refused.iter().filter(|call| !call.retry_after).count();
    found.check(
        !refused.is_empty() && others.is_empty() && without == 0,
        format!(
            "{} calls got 503, {without} of them without Retry-After; others than 200 and 503: {others:?}",
            refused.len()
        ),
    );
    let while_full = calls.iter().filter(|call| call.due > full_at + Duration::from_secs(1) && call.due < back_at);
    let (mut all, mut served) = (0, 0);
    while_full.for_each(|call| {
        all += 1;
        served += u64::from(call.status == Some(200));
    });
    found.check(all > 0, format!("{served} of {all} calls found room while the disk was full"));
    found.check(compared.is_exact(), compared.tell());
    let billed = refused.iter().filter(|call| metered.contains_key(&call.id)).count();
    found.check(billed == 0, format!("{billed} calls that got 503 are stored as served"));
}

/// Whether the disk became full: by a refusal, or by a call that was served unmetered.
async fn until_full(cluster: &Cluster, load: &Paced) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let unmetered = counter(cluster, "turnpike_gateway_unmetered_total").await.unwrap_or_default();
        if load.others() > 10 || unmetered > 10 {
            return true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}

/// How long it took until nothing waited but what comes in.
async fn until_drained(cluster: &Cluster, load: &Paced) -> Option<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let answered = load.answered();
        sleep(Duration::from_millis(500)).await;
        let backlog = counter(cluster, "turnpike_spool_backlog_records").await;
        if backlog.is_some_and(|backlog| backlog < 2_000) && load.answered() > answered {
            return Some(begin.elapsed());
        }
    }
    None
}

/// The sum over all labels; `None` where there is no such metric.
async fn counter(cluster: &Cluster, name: &str) -> Option<u64> {
    let text = get_text(cluster.admin_ports()[0], "/metrics").await?;
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|value| value as u64).reduce(|a, b| a + b)
}
