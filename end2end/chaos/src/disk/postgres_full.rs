//! The disk of Postgres is full: its tables are on a tmpfs that somebody else fills.

use super::Disk;
use crate::{
    Trouble,
    cluster::Cluster,
    paced::{self, Pace, Paced},
    postgres::Postgres,
    postgres_trial::gauges,
    stage,
    upstream::Upstream,
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The tables, and room for some usage.
const MIB: u64 = 64;
/// Within which the gateway says that usage waits.
const TELLS: Duration = Duration::from_secs(30);
/// Within which all is stored once there is room.
const DRAINS: Duration = Duration::from_secs(60);
/// What Postgres says of a full disk, said by a trigger.
const TRIGGER: &str = "
    create function no_room() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
    end $$;
    create trigger no_room before insert on usage_events for each statement execute function no_room();";

pub async fn run(disk: &Disk) -> Result<bool, Trouble> {
    println!("The disk of Postgres is full{}", disk.stage.tell("no usage log"));
    let folder = tempfile::Builder::new().prefix("turnpike-chaos-disk-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let mounted = disk.mount(&folder.path().join("tables"), MIB, "a trigger says what a full disk of Postgres says")?;
    let postgres = Postgres::start()?;
    if let Some(small) = &mounted {
        postgres.move_to(small.folder())?;
    }
    let upstream = Upstream::start().await?;
    let plan = disk.stage.plan(1, &upstream, disk.stage.log_off().into_iter().collect());
    let mut cluster = Cluster::start_on(plan, postgres).await?;
    let load = Paced::start(&Pace::on(&cluster, disk.calls, disk.connections, "pgfull")?);
    sleep(Duration::from_secs(3)).await;

    let full = Instant::now();
    match &mounted {
        Some(small) => small.fill()?,
        None => drop(cluster.psql(TRIGGER)?),
    }
    let (mut told, mut most) = (None, 0);
    while full.elapsed() < Duration::from_secs(disk.seconds) {
        sleep(Duration::from_millis(250)).await;
        if let Some(look) = gauges::look(cluster.admin_ports()[0], cluster.pid(0)).await {
            let lag = look.lag.unwrap_or_default();
            if lag >= 3 {
                told.get_or_insert(full.elapsed());
            }
            most = most.max(look.backlog);
        }
    }
    let stored = stage::events(cluster.postgres())?;
    let answered = load.answered();
    match &mounted {
        Some(small) => small.make_room()?,
        None => drop(cluster.psql("drop trigger no_room on usage_events")?),
    }
    let drained = disk.stage.stored(cluster.postgres(), answered, Instant::now(), 2 * DRAINS).await;
    sleep(Duration::from_secs(1)).await;
    let calls = load.stop().await;
    let compared = stage::compare(&cluster, &upstream, &calls).await?;

    let mut found = disk.stage.findings();
    let failed = paced::failures(&calls);
    found.check(failed.is_empty() && !calls.is_empty(), format!("{} calls, other than 200: {failed:?}", calls.len()));
    found.check(most > 100, format!("{most} calls waited while Postgres was full, {stored} were stored"));
    found.check(
        told.is_some_and(|told| told <= TELLS),
        format!("the gateway told of its lag {told:?} after the disk was full"),
    );
    found.check(compared.is_exact(), compared.tell());
    found.check(
        drained.is_some_and(|took| took <= DRAINS),
        format!("all stored {drained:?} after there was room again"),
    );
    cluster.end_all().await?;
    let holds = found.conclude("A full disk of Postgres");
    Ok(disk.stage.is_as_expected(holds, !compared.lost.is_empty()))
}
