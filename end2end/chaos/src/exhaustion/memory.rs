//! Memory runs out.
//!
//! The cap is kept as the kernel keeps that of a control group, without one: whoever is above it is killed. So the
//! experiment needs no rights, and a server that is started again and again would be seen to loop.

use super::{Exhaustion, flood::Flood};
use crate::{
    Trouble,
    client::Load,
    findings::Findings,
    process::{Peak, resident},
    upstream::Upstream,
    world::{World, get_status},
};
use std::{
    process::Command,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const CAP: u64 = 256 << 20;

/// Clients, and what each sends of a head that never ends: nearly all that a head may have.
const FLOOD: usize = 6_000;
const HEAD_BYTES: usize = 60 << 10;

const STEADY: usize = 8;

pub async fn run(exhaustion: &Exhaustion) -> Result<Findings, Trouble> {
    let upstream = Upstream::start().await?;
    let cap = CAP.to_string();
    let environment = [("TURNPIKE_MEMORY_LIMIT", cap.as_str())];
    let environment: &[_] = if exhaustion.control { &[] } else { &environment };
    let mut world = World::launch(exhaustion.launch(&[], environment, upstream.port()), "/payments/payments").await?;
    let (pid, gateway) = (world.pid(), world.gateway_port());
    let mut found = Findings::new(exhaustion.untimed);
    println!("  no control group: this experiment itself ends the server above {} MiB", CAP >> 20);
    println!("  memory at rest: {} MiB", resident(pid) >> 20);
    let steady = Load::start(gateway, world.key(), STEADY);
    sleep(Duration::from_secs(1)).await;
    let peak = Peak::of(move || {
        let bytes = resident(pid);
        if bytes > CAP {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        bytes
    });
    let head = [b"GET /payments/payments HTTP/1.1\r\nhost: a\r\nx: ".to_vec(), vec![b'h'; HEAD_BYTES]].concat();
    let flood = Flood::start(gateway, FLOOD, head);
    sleep(Duration::from_secs(exhaustion.seconds)).await;
    let (opened, turned_away, ended) =
        (flood.tally.opened.load(Relaxed), flood.tally.turned_away.load(Relaxed), flood.tally.ended.load(Relaxed));
    flood.end().await;
    let answered = steady.stop().await;
    let most = peak.end();
    found.check(
        most <= CAP && world.is_running(),
        format!("{} MiB at the worst while {opened} connections sent heads without end", most >> 20),
    );
    found.check(
        turned_away + ended > 0,
        format!("{turned_away} of them were told that there is no room, {ended} made way"),
    );
    let (served, other, refused) = (answered.ids.len(), answered.other, &answered.statuses);
    found.check(
        served > 0 && other == 0 && refused.keys().all(|status| *status == 503),
        format!("of those who were there before {served} calls were served, {other} broke, others {refused:?}"),
    );
    let (began, mut back) = (Instant::now(), None);
    while back != Some(200) && began.elapsed() < Duration::from_secs(10) {
        let authorization = format!("Authorization: Bearer {}\r\n", world.key());
        back = get_status(gateway, "/payments/payments", &authorization).await;
        sleep(Duration::from_millis(20)).await;
    }
    found.check(back == Some(200), format!("after the flood a new call was answered {back:?}"));
    found.check_time(began.elapsed() <= Duration::from_secs(2), format!("it took {:?}", began.elapsed()));
    if world.is_running() {
        world.wait_until_ingested().await?;
        let metered = world.metered_ids()?;
        let lost = answered.ids.iter().filter(|id| !metered.contains_key(*id)).count();
        let doubled = metered.values().filter(|count| **count > 1).count();
        found.check(
            lost == 0 && doubled == 0,
            format!("{lost} of the calls are missing in Postgres, {doubled} doubled"),
        );
        world.stop().await?;
    }
    Ok(found)
}
