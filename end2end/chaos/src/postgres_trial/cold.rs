//! A gateway starts while Postgres is down: from its disk, where that is as it was left and not too old.

use super::Trial;
use crate::{
    Trouble,
    cluster::Cluster,
    paced::{self, Pace, Paced},
    stage,
    upstream::Upstream,
    world::get_text,
};
use serde_json::Value;
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Seconds for which what is on disk is believed in this experiment.
const MAX_AGE: u64 = 20;
/// For a control run: a year.
const FOR_LONG: u64 = 365 * 86_400;
/// Longest wait for a server to refuse its start; it gives Postgres some seconds.
const REFUSES: Duration = Duration::from_secs(30);
/// From the start to the first answer, Postgres being down.
const STARTS: Duration = Duration::from_secs(8);
/// Calls that are made without Postgres.
const CALLING: Duration = Duration::from_secs(3);

pub async fn run(trial: &Trial) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let max_age = if trial.stage.control { FOR_LONG } else { MAX_AGE };
    let settings = vec![("TURNPIKE_DIRECTORY_MAX_AGE", max_age.to_string())];
    let mut cluster = Cluster::start(trial.stage.plan(1, &upstream, settings)).await?;
    let mut found = trial.stage.findings();

    let before = Instant::now();
    cluster.end(0).await?;
    cluster.postgres().stop()?;
    let since = Instant::now();
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    found.check_time(since.elapsed() <= STARTS, format!("without Postgres it was open after {:?}", since.elapsed()));
    let load = Paced::start(&Pace::on(&cluster, trial.calls.min(200), 8, "cold")?);
    sleep(CALLING).await;
    let youngest = since.elapsed().as_secs();
    let told = directory_age(&cluster).await;
    // It was asked for the last time up to two seconds before it was told to end.
    let oldest = before.elapsed().as_secs() + 3;
    let calls = load.stop().await;
    let failed = paced::failures(&calls);
    found.check(failed.is_empty() && !calls.is_empty(), format!("{} calls, other than 200: {failed:?}", calls.len()));
    found.check(
        told.is_some_and(|told| (youngest..=oldest).contains(&told)),
        format!("/status says that the directory is {told:?} s old, our clock {youngest} to {oldest} s"),
    );
    let of_metrics = get_text(cluster.admin_ports()[0], "/metrics").await.unwrap_or_default();
    found.check(
        of_metrics.lines().any(|line| line.starts_with("turnpike_directory_age_seconds ")),
        "/metrics has turnpike_directory_age_seconds",
    );
    found.check(cluster.log().contains("age_seconds"), "the log says how old it is");
    cluster.end(0).await?;

    // Changed while it is young: one letter of a name, and a line of changes that somebody made up.
    cluster.postgres().begin()?;
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    sleep(Duration::from_secs(2)).await;
    cluster.end(0).await?;
    cluster.postgres().stop()?;
    let (whole, changes) = (cluster.data_dir(0).join("directory.json"), cluster.data_dir(0).join("directory.changes"));
    let text = fs::read_to_string(&whole)?;
    fs::write(&whole, text.replacen("payments", "paymentz", 1))?;
    let refused = refuses(&mut cluster).await?;
    found.check(refused, "one letter of the directory on disk changed: it does not start");
    fs::write(&whole, &text)?;
    let before = fs::read(&changes).unwrap_or_default();
    let made_up = "{\"since\":1,\"products\":[],\"partners\":[],\"keys\":[],\"found\":{\"version\":99}}\n";
    fs::write(&changes, [before.as_slice(), made_up.as_bytes()].concat())?;
    let refused = refuses(&mut cluster).await?;
    found.check(refused, "a change made up: it does not start");
    fs::write(&changes, &before)?;

    sleep(Duration::from_secs(MAX_AGE + 1)).await;
    let refused = refuses(&mut cluster).await?;
    let too_old = cluster.log().contains("TURNPIKE_DIRECTORY_MAX_AGE allows");
    found.check(refused && too_old, format!("older than {MAX_AGE} s: it does not start, and says why"));

    cluster.postgres().begin()?;
    if refused {
        cluster.begin(0)?;
        cluster.wait_until_open(0).await?;
    }
    let compared = stage::compare(&cluster, &upstream, &calls).await?;
    found.check(compared.is_exact(), compared.tell());
    cluster.end_all().await?;
    let holds = found.conclude("A cold start");
    Ok(trial.stage.is_as_expected(holds, !refused))
}

/// Seconds, from `/status`.
async fn directory_age(cluster: &Cluster) -> Option<u64> {
    let status = timeout(REFUSES, get_text(cluster.admin_ports()[0], "/status")).await.ok().flatten()?;
    serde_json::from_str::<Value>(&status).ok()?.get("directory_age_seconds")?.as_u64()
}

/// Whether a start ends with an error, without a call being served.
async fn refuses(cluster: &mut Cluster) -> Result<bool, Trouble> {
    cluster.begin(0)?;
    let begin = Instant::now();
    while begin.elapsed() < REFUSES {
        if let Some(status) = cluster.ended(0)? {
            return Ok(!status.success());
        }
        if cluster.is_open(0).await {
            return Ok(false);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err("a server neither started nor ended".into())
}
