//! Open files run out.

use super::{Exhaustion, flood::Flood};
use crate::{
    Trouble,
    client::Load,
    findings::Findings,
    process::{Peak, open_files, processor_time},
    upstream::Upstream,
    world::{World, get_status},
};
use std::{
    collections::HashMap,
    process::Command,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// What the server may open, and connections that want to be open at once: many times as much.
const LIMIT: u64 = 512;
const FLOOD: usize = 2_000;
const AT_THE_PORTAL: usize = 500;

/// Programs that were there before the flood.
const STEADY: usize = 8;

/// Files that must never be taken: for the usage log, Postgres and whatever else is opened now and then.
const SPARE: u64 = 32;

/// Part of a processor that a flood which does nothing may cost, in percent.
const MOST_BUSY: u128 = 25;

pub async fn run(exhaustion: &Exhaustion) -> Result<Findings, Trouble> {
    let upstream = Upstream::start().await?;
    let limit = format!("--nofile={LIMIT}:{LIMIT}");
    let wrapper: &[&str] = if exhaustion.control { &[] } else { &["prlimit", &limit] };
    // Postgres's own connections are part of what has to fit.
    let environment = [("TURNPIKE_GATEWAY_HEADER_TIMEOUT", "5")];
    let mut world =
        World::launch(exhaustion.launch(wrapper, &environment, upstream.port()), "/payments/payments").await?;
    let (pid, gateway, admin) = (world.pid(), world.gateway_port(), world.admin_port());
    let mut found = Findings::new(exhaustion.untimed);
    let steady = Load::start(gateway, world.key(), STEADY);
    sleep(Duration::from_secs(1)).await;
    let limit = if exhaustion.control { lower(pid)? } else { LIMIT };

    let peak = Peak::of(move || open_files(pid));
    let flood = Flood::start(gateway, FLOOD, b"GET /payments/payments HTTP/1.1\r\nhost: a\r\nx".to_vec());
    let portal = Flood::start(world.portal_port(), AT_THE_PORTAL, b"GET / HTTP/1.1\r\nhost: a\r\nx".to_vec());
    sleep(Duration::from_secs(2)).await;
    let before = world.count_events()?;
    let began = Instant::now();
    let (mut asked, mut ready) = (0, 0);
    // On a slow machine the flood takes its time, and so do the events.
    let came = || -> Result<bool, Trouble> {
        let met = flood.tally.turned_away.load(Relaxed) + flood.tally.ended.load(Relaxed) > 0;
        Ok(met && world.count_events()? > before)
    };
    let longest = if exhaustion.control { 0 } else { 40 };
    while began.elapsed() < Duration::from_secs(exhaustion.seconds)
        || (began.elapsed() < Duration::from_secs(longest) && !came()?)
    {
        asked += 1;
        ready += u32::from(get_status(admin, "/ready", "").await == Some(200));
        sleep(Duration::from_millis(200)).await;
    }
    let shipped = world.count_events()?.saturating_sub(before);
    let answered = steady.stop().await;
    let (opened, turned_away, ended) =
        (flood.tally.opened.load(Relaxed), flood.tally.turned_away.load(Relaxed), flood.tally.ended.load(Relaxed));
    found.check(
        turned_away + ended > 0,
        format!("of {opened} connections that the flood opened {turned_away} were told that there is no room, {ended} made way"),
    );
    let (served, other) = (answered.ids.len(), answered.other);
    found.check(
        served > 0 && other == 0 && answered.statuses.is_empty(),
        format!(
            "of those who were there before {served} calls were served, {other} broke, others {:?}",
            answered.statuses
        ),
    );
    found.check(
        asked > 0 && ready == asked,
        format!("operators asked {asked} times whether it is ready, and heard so {ready} times"),
    );
    found.check(shipped > 0, format!("{shipped} events came to Postgres while the flood lasted"));

    // Nobody calls any more; only the flood is there.
    let time = processor_time(pid);
    let measured = Duration::from_secs(3);
    sleep(measured).await;
    let busy = processor_time(pid).saturating_sub(time).as_millis() * 100 / measured.as_millis();
    found.check_time(
        busy <= MOST_BUSY,
        format!("the flood alone kept {busy} % of a processor busy, {MOST_BUSY} at most"),
    );
    flood.end().await;
    portal.end().await;
    let most = peak.end();
    found.check(
        most + SPARE <= limit,
        format!("of {limit} files {most} were open at the worst, {SPARE} have to be spare"),
    );

    let (began, mut back) = (Instant::now(), None);
    while back != Some(200) && began.elapsed() < Duration::from_secs(60) {
        let authorization = format!("Authorization: Bearer {}\r\n", world.key());
        back = get_status(gateway, "/payments/payments", &authorization).await;
    }
    let took = began.elapsed();
    found.check(back == Some(200), format!("after the flood a new call was answered {back:?}"));
    found.check_time(took <= Duration::from_secs(2), format!("it took {took:?}"));
    found.check(world.is_running(), "the process is the one that was started");
    world.wait_until_ingested().await?;
    compare(&mut found, &answered.ids, &world.metered_ids()?, &upstream.ids());
    world.stop().await?;
    Ok(found)
}

/// Every call that a client saw answered is recorded once; none is recorded that never was.
fn compare(found: &mut Findings, answered: &[String], metered: &HashMap<String, u32>, upstream: &HashMap<String, u32>) {
    let lost = answered.iter().filter(|id| !metered.contains_key(*id)).count();
    let doubled = metered.values().filter(|count| **count > 1).count();
    let invented = metered.keys().filter(|id| !upstream.contains_key(*id)).count();
    let calls = metered.len();
    found.check(
        lost == 0 && doubled == 0 && invented == 0,
        format!("{calls} calls are recorded; {lost} are missing, {doubled} doubled, {invented} invented"),
    );
}

/// Takes from the running server what it has not opened yet, all but a few.
fn lower(pid: u32) -> Result<u64, Trouble> {
    let limit = open_files(pid) + 100;
    let nofile = format!("--nofile={limit}:{limit}");
    let lowered = Command::new("prlimit").args(["--pid", &pid.to_string(), &nofile]).status()?;
    if lowered.success() { Ok(limit) } else { Err("prlimit cannot lower the limit of the server".into()) }
}
