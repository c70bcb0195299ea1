//! `chaos crowd` (R24): 100,000 keys of 10,000 partners on 1,000 routes, and changes while they call.
//!
//! Promise: a key that is created or revoked, a partner's other plan and a product's other policy are in force within five
//! seconds, and no call fails meanwhile. What one change costs, and the memory of it all, is printed. The control restarts the
//! server where it should have read the change.

mod change;

use crate::{
    Trouble,
    clients::{Clients, Habit},
    fill::{Fill, fill},
    findings::Findings,
    process::{mib, most_resident, processor_ms, resident},
    upstream::Upstream,
    world::{Launch, World},
};
use change::{Changer, Kind};
use clap::Parser;
use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// A full reload of the configuration.
const MOST: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser, Clone)]
pub struct Crowd {
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    #[arg(long, default_value_t = 10_000)]
    partners: u64,
    #[arg(long, default_value_t = 1_000)]
    routes: u64,
    /// Changes under load, of each kind in turn.
    #[arg(long, default_value_t = 20)]
    changes: u32,
    /// Connections that call at once.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Control run: the server is killed and started again for each change, and the check must fail.
    #[arg(long)]
    control: bool,
    /// Prints how long things took and does not judge it.
    #[arg(long)]
    untimed: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

pub async fn run(crowd: &Crowd) -> Result<bool, Trouble> {
    let Crowd { keys, partners, routes, .. } = *crowd;
    println!("{keys} keys, {partners} partners, {routes} routes");
    let upstream = Upstream::start().await?;
    let launch = Launch {
        binary: crowd.binary.clone(),
        site: crowd.site.clone(),
        environment: Vec::new(),
        wrapper: Vec::new(),
        setup: include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port())),
    };
    let mut world = World::launch(launch, "/payments/payments").await?;
    let empty = resident(world.pid());
    let texts = world.data_dir().join("keys.txt");
    let began = Instant::now();
    let version = fill(&Fill {
        data_dir: world.data_dir(),
        texts: texts.clone(),
        keys,
        partners,
        routes,
        partner: "load".to_owned(),
        product: "payments".to_owned(),
        seed: 1,
        secret: None,
    })?;
    let filled = began.elapsed();
    wait_for(&world, version).await?;
    println!("  note made in {filled:.1?}, and in force {:.1?} after that", began.elapsed() - filled);
    let full = resident(world.pid());

    let mut texts: Vec<String> = fs::read_to_string(texts)?.lines().map(str::to_owned).collect();
    // One key in a hundred is left for the changes.
    let first_spare = texts.len() - texts.len() / 100;
    let spare = texts.split_off(first_spare).into_iter().zip(first_spare + 1..);
    let mut spare: Vec<_> = spare.map(|(text, number)| (text, format!("crowd-{number}"))).collect();
    let quiet = (routes, spare.pop().ok_or("there are too few keys")?.0);
    let mut changer = Changer { spare, quiet, made: 0, control: crowd.control };
    let habit = Habit {
        name: "crowd",
        port: world.gateway_port(),
        paths: Arc::new((1..routes).map(|number| format!("/crowd-{number}/payments")).collect()),
        keys: Arc::new(texts),
        pause: Duration::from_millis(2),
        http2: false,
        fresh: false,
        at_once: 1,
    };
    let quiet = time_calls(&habit, crowd).await;
    if !crowd.control && !crowd.untimed {
        // The crowd is being written to disk.
        sleep(Duration::from_secs(5)).await;
        let before = processor_ms(world.pid());
        sleep(Duration::from_secs(1)).await;
        println!("  note {} ms of CPU in a second without calls and changes", processor_ms(world.pid()) - before);
        for kind in Kind::ALL {
            let took = changer.make(&mut world, kind).await?;
            println!(
                "  note {}, without calls: in force after {:.2?}, {} ms of CPU",
                kind.describe(),
                took.in_force,
                took.cpu_ms
            );
        }
    }
    let mut clients = Clients::new();
    clients.add(&habit, crowd.connections);
    sleep(Duration::from_secs(1)).await;
    let mut slowest = [Duration::ZERO; Kind::ALL.len()];
    for number in 0..crowd.changes {
        let place = number as usize % slowest.len();
        let took = changer.make(&mut world, Kind::ALL[place]).await?;
        slowest[place] = slowest[place].max(took.in_force);
    }
    let seen = clients.stop().await;
    let (after, peak) = (resident(world.pid()), most_resident(world.pid()));
    world.stop().await?;

    let mut found = Findings::new(crowd.untimed);
    let (answered, failed) = (seen.answered.len(), seen.failed.len());
    found.check(
        failed == 0 && answered > 500,
        format!(
            "{failed} of {} calls failed during {} changes{}",
            answered + failed,
            crowd.changes,
            seen.examples(&[])
        ),
    );
    for (kind, slowest) in Kind::ALL.iter().zip(slowest) {
        let what = kind.describe();
        found.check_time(slowest <= MOST, format!("{what}: in force {slowest:.2?} after the commit, at most"));
    }
    println!(
        "  note calls took {:?} at p99, {:?} at most, {:?} at p99 before the changes",
        seen.percentile(990),
        seen.percentile(1_000),
        quiet
    );
    println!(
        "  note memory: {} MiB with one key, {} with all, {} after the changes, {} at most",
        mib(empty),
        mib(full),
        mib(after),
        mib(peak)
    );
    Ok(found.conclude("Crowd") != crowd.control)
}

/// The p99 while nothing changes.
async fn time_calls(habit: &Habit, crowd: &Crowd) -> Duration {
    let mut clients = Clients::new();
    clients.add(habit, crowd.connections);
    sleep(Duration::from_millis(if crowd.untimed { 200 } else { 3_000 })).await;
    clients.stop().await.percentile(990)
}

/// Waits until the gateway decides by that version of the directory.
async fn wait_for(world: &World, version: u64) -> Result<(), Trouble> {
    let began = Instant::now();
    while world.directory_version().await.is_none_or(|now| now < version) {
        if began.elapsed() > PATIENCE {
            return Err("the directory was not in force after a minute".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
