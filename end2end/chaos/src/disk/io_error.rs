//! Syncs and writes of the usage log fail, and then the power does.

use super::{
    Disk,
    shim::{Faults, Shim},
};
use crate::{
    Trouble,
    cluster::Cluster,
    findings::Findings,
    ledgers::Comparison,
    paced::{self, Call, Pace, Paced},
    stage,
    upstream::Upstream,
    world::{Random, get_text, seed_of_now},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Of so many syncs one fails, and the one after it.
const SYNC_EVERY: u64 = 23;
const WRITE_EVERY: u64 = 37;

pub async fn run(disk: &Disk) -> Result<bool, Trouble> {
    let seed = disk.seed.unwrap_or_else(seed_of_now);
    let control = disk.stage.tell("syncs lie");
    println!("Syncs and writes of the usage log fail, then the power{control}; seed {seed}, {} rounds", disk.rounds);
    let mut random = Random::new(seed);
    let (mut holds, mut lost) = (true, 0);
    for _ in 0..disk.rounds.max(1) {
        let (held, compared) = trial(disk, &mut random).await?;
        holds &= held;
        lost += compared.lost.len();
    }
    Ok(disk.stage.is_as_expected(holds, lost > 0))
}

async fn trial(disk: &Disk, random: &mut Random) -> Result<(bool, Comparison), Trouble> {
    let folder = tempfile::Builder::new().prefix("turnpike-chaos-disk-").tempdir()?;
    let shim = Shim::build(folder.path())?;
    let mut settings = vec![("SHIM_JOURNAL", shim.journal()), ("SHIM_SYNC_EVERY", SYNC_EVERY.to_string())];
    if disk.stage.control {
        settings.push(("SHIM_LIE", "1".to_owned()));
    } else {
        settings.push(("SHIM_WRITE_EVERY", WRITE_EVERY.to_string()));
    }
    let under = shim.environment(settings);
    let mut environment = under.clone();
    environment.push(("TURNPIKE_DURABILITY", "host".to_owned()));
    let upstream = Upstream::start().await?;
    let mut cluster = Cluster::start(disk.stage.plan(1, &upstream, environment)).await?;
    // What is answered from here on is on this disk alone.
    cluster.postgres().stop()?;
    let load = Paced::start(&Pace::on(&cluster, disk.calls, disk.connections, "broken")?);
    sleep(Duration::from_millis(disk.seconds * 1_000 + random.below(500))).await;
    // A slow machine takes longer until enough has gone wrong.
    let began = Instant::now();
    let enough =
        |faults: &Faults| faults.failed_syncs + faults.lies > 5 && (disk.stage.control || faults.failed_writes > 0);
    while began.elapsed() < Duration::from_secs(30) && !shim.faults().is_ok_and(|faults| enough(&faults)) {
        sleep(Duration::from_millis(250)).await;
    }
    cluster.kill(0)?;
    let broken = load.stop().await;

    let faults = shim.faults()?;
    let bytes = faults.cut_power(&cluster.data_dir(0).join("spool"), random)?;
    for (name, _) in &under {
        cluster.unset(0, name);
    }
    cluster.postgres().begin()?;
    cluster.begin(0)?;
    cluster.wait_until_open(0).await?;
    let load = Paced::start(&Pace::on(&cluster, disk.calls, disk.connections, "after")?);
    sleep(Duration::from_secs(1)).await;
    let after = load.stop().await;
    let all = [&broken[..], &after].concat();
    let compared = stage::compare(&cluster, &upstream, &all).await?;
    let metrics = get_text(cluster.admin_ports()[0], "/metrics").await.unwrap_or_default();
    let damaged =
        metrics.lines().filter(|line| line.starts_with("turnpike_spool_damaged") && line.ends_with(" 1")).count();
    let metered = cluster.metered_ids()?;

    let mut found = disk.stage.findings();
    judge_faults(&mut found, disk, &faults, bytes);
    found.check(compared.is_exact(), compared.tell());
    let refused = |call: &&Call| call.status.is_some_and(|status| status != 200);
    let billed = broken.iter().filter(refused).filter(|call| metered.contains_key(&call.id)).count();
    found.check(
        billed == 0,
        format!("{billed} of {} refused calls are stored as served", broken.iter().filter(refused).count()),
    );
    found.check(damaged == 0, format!("{damaged} lanes are damaged after the power cut"));
    let failed = paced::failures(&after);
    found.check(failed.is_empty(), format!("{} calls after it, other than 200: {failed:?}", after.len()));
    cluster.end_all().await?;
    Ok((found.conclude("A broken disk"), compared))
}

fn judge_faults(found: &mut Findings, disk: &Disk, faults: &Faults, bytes: u64) {
    let Faults { failed_syncs, lies, failed_writes, syncs, .. } = faults;
    found.check(
        failed_syncs + lies > 5 && (disk.stage.control || *failed_writes > 0),
        format!(
            "{syncs} syncs went well, {failed_syncs} failed, {lies} lied, {failed_writes} writes failed; the power cut took {bytes} bytes"
        ),
    );
}
