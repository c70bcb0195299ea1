//! `chaos deploy` (R30): two gateways behind a load balancer are restarted one after the other while clients call, the policy
//! is changed, and Postgres is away for one of the restarts.
//!
//! Promise: no call fails, whatever its client speaks, how long it takes and how long it thinks between calls; every answered
//! call is in Postgres exactly once; a gateway that was told to stop is gone within 30 s; clients are told to leave; a change of
//! the policy is in force on each gateway and costs no call; a gateway starts from its disk while Postgres is down.

mod fleet;

use crate::{
    Trouble,
    balancer::Balancer,
    clients::{Clients, Habit, Seen},
    findings::Findings,
    frames::{self, GOAWAY},
    upstream::Upstream,
    world::get_status,
};
use clap::{Parser, ValueEnum};
use fleet::Fleet;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

/// How long the slow calls take at the upstream.
const SLOW: Duration = Duration::from_millis(2_500);

#[derive(Parser, Clone)]
pub struct Deploy {
    /// Restarts, of both gateways together.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Connections that call without a pause; others speak HTTP/2, think between calls or make slow ones.
    #[arg(long, default_value_t = 24)]
    connections: usize,
    /// Seconds of notice that load balancer and clients get (TURNPIKE_GATEWAY_DRAIN_NOTICE).
    #[arg(long, default_value_t = 2)]
    notice: u64,
    /// Control run: what is left out, and then the check must fail.
    #[arg(long, value_enum)]
    control: Option<Control>,
    /// Prints how long things took and does not judge it.
    #[arg(long)]
    untimed: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Control {
    /// SIGKILL in place of SIGTERM.
    Kill,
    /// Neither notice nor time for calls in flight.
    Hurry,
}

pub async fn run(deploy: &Deploy) -> Result<bool, Trouble> {
    println!("{} restarts of two gateways, control run: {:?}", deploy.rounds, deploy.control);
    let upstream = Upstream::start().await?;
    let hurry = deploy.control == Some(Control::Hurry);
    let mut settings = vec![
        ("TURNPIKE_GATEWAY_DRAIN_NOTICE", if hurry { "0".to_owned() } else { deploy.notice.to_string() }),
        ("TURNPIKE_GATEWAY_CORES", "1".to_owned()),
    ];
    if hurry {
        settings.push(("TURNPIKE_GATEWAY_DRAIN", "0".to_owned()));
    }
    let mut fleet = Fleet::start(&deploy.binary, &deploy.site, 2, &settings).await?;
    let keys = fleet.apply(&setup(upstream.port(), 0)).await?;
    fleet.wait_until_in_force().await?;
    let key = |partner: &str| keys.get(partner).cloned().ok_or("apply printed no key");
    let (load, moved) = (key("load")?, key("moved")?);

    let balancer = Balancer::start(&fleet.gateways()).await?;
    let clients = start_clients(deploy, balancer.port(), &load);
    sleep(Duration::from_millis(500)).await;

    let mut book = Book::default();
    for round in 1..=deploy.rounds {
        book.restart(deploy, &mut fleet, 1 + round % 2).await?;
        book.reload(&fleet, upstream.port(), round, &moved).await?;
    }
    if deploy.control.is_none() {
        book.without_postgres(&mut fleet, &load).await?;
    }
    let seen = clients.stop().await;
    let metered = fleet.metered().await?;
    for number in (0..3).rev() {
        fleet.terminate(number).await?;
    }
    let found = judge(deploy, &book, &seen, &metered, &upstream.ids());
    Ok(found.conclude("Deployment") != deploy.control.is_some())
}

fn start_clients(deploy: &Deploy, port: u16, key: &str) -> Clients {
    let habit = |name, path: String| Habit {
        name,
        port,
        paths: Arc::new(vec![path]),
        keys: Arc::new(vec![key.to_owned()]),
        pause: Duration::ZERO,
        http2: false,
        fresh: false,
        at_once: 1,
    };
    let (plain, slow) = ("/payments/payments".to_owned(), format!("/payments/payments?wait={}", SLOW.as_millis()));
    let mut clients = Clients::new();
    clients.add(&habit("plain", plain.clone()), deploy.connections);
    // Longer than the gateway keeps a connection warm, shorter than the notice.
    clients.add(&Habit { pause: Duration::from_millis(1_300), ..habit("thinks", plain.clone()) }, 12);
    clients.add(&Habit { pause: Duration::from_millis(50), ..habit("slow", slow.clone()) }, 6);
    clients.add(&Habit { http2: true, at_once: 6, ..habit("http2", plain) }, 3);
    clients.add(&Habit { http2: true, at_once: 3, ..habit("slow2", slow) }, 2);
    clients
}

/// What was done, and how long it took.
#[derive(Default)]
struct Book {
    ended: Vec<Instant>,
    drains: Vec<Duration>,
    reloads: Vec<Duration>,
    /// Reloads after which a gateway did not decide as it had to.
    wrong: u32,
    goaways: u32,
    /// Until a gateway was ready without Postgres, and what it then answered.
    alone: Option<(Duration, bool)>,
}

impl Book {
    async fn restart(&mut self, deploy: &Deploy, fleet: &mut Fleet, number: usize) -> Result<(), Trouble> {
        let watcher = watch_goaway(fleet.gateways()[number - 1].0).await?;
        sleep(Duration::from_millis(50)).await;
        self.ended.push(Instant::now());
        if deploy.control == Some(Control::Kill) {
            fleet.kill(number)?;
        } else {
            self.drains.push(fleet.terminate(number).await?);
        }
        self.goaways += u32::from(watcher.await.unwrap_or(false));
        fleet.start_again(number).await?;
        // The balancer has noticed, and load is on both.
        sleep(Duration::from_millis(400)).await;
        Ok(())
    }

    /// Another policy: an allowed partner is shut out, or let in again.
    async fn reload(&mut self, fleet: &Fleet, upstream: u16, round: usize, key: &str) -> Result<(), Trouble> {
        fleet.apply(&setup(upstream, round)).await?;
        self.reloads.push(fleet.wait_until_in_force().await?);
        let header = format!("X-API-Key: {key}\r\nX-Request-Id: moved\r\n");
        for (port, _) in fleet.gateways() {
            let served = get_status(port, "/payments/payments", &header).await == Some(200);
            self.wrong += u32::from(served != round.is_multiple_of(2));
        }
        Ok(())
    }

    /// The first server ends and Postgres with it; then a gateway is restarted.
    async fn without_postgres(&mut self, fleet: &mut Fleet, key: &str) -> Result<(), Trouble> {
        fleet.terminate(0).await?;
        self.ended.push(Instant::now());
        self.drains.push(fleet.terminate(1).await?);
        let took = fleet.start_again(1).await?;
        let header = format!("X-API-Key: {key}\r\nX-Request-Id: alone\r\n");
        let served = get_status(fleet.gateways()[0].0, "/payments/payments", &header).await == Some(200);
        let from_disk = fleet.log().contains("starting without Postgres, from the last directory on disk");
        self.alone = Some((took, served && from_disk));
        sleep(Duration::from_secs(2)).await;
        fleet.start_again(0).await?;
        Ok(())
    }
}

fn judge(
    deploy: &Deploy,
    book: &Book,
    seen: &Seen,
    metered: &HashMap<String, u32>,
    reached: &HashMap<String, u32>,
) -> Findings {
    let mut found = Findings::new(deploy.untimed);
    let (answered, failed) = (seen.answered.len(), seen.failed.len());
    found.check(
        failed == 0 && answered > 1_000,
        format!("{failed} of {} calls failed{}", answered + failed, seen.examples(&book.ended)),
    );
    let in_flight = |(began, took): &&(Instant, Duration)| {
        *took >= SLOW && book.ended.iter().any(|ended| began < ended && *ended < *began + *took)
    };
    let spanning = seen.times.iter().filter(in_flight).count();
    found.check(
        spanning > book.ended.len(),
        format!("{spanning} calls of {SLOW:?} were in flight at a restart and were answered"),
    );
    let lost = seen.answered.iter().filter(|id| !metered.contains_key(*id)).count();
    let doubled = metered.values().filter(|count| **count > 1).count();
    let invented = metered.keys().filter(|id| !reached.contains_key(*id)).count();
    let known: HashSet<&String> = seen.answered.iter().collect();
    let unheard = metered.keys().filter(|id| !known.contains(id)).count();
    found.check(
        lost + doubled + invented + unheard == 0,
        format!(
            "of {answered} answered calls in Postgres: {lost} lost, {doubled} doubled, {invented} that no upstream saw, \
             {unheard} that no client heard of"
        ),
    );
    let twice = reached.iter().filter(|(id, count)| id.starts_with("chaos-") && **count > 1).count();
    found.check(twice == 0, format!("{twice} calls reached the upstream twice"));
    let slowest = book.drains.iter().max().copied().unwrap_or_default();
    found.check_time(
        slowest <= Duration::from_secs(30),
        format!("{} restarts, the slowest end {slowest:?} after SIGTERM", book.ended.len()),
    );
    found.check(
        seen.told_to_leave as usize >= book.ended.len() && book.goaways as usize >= deploy.rounds,
        format!(
            "{} answers of HTTP/1.1 told the client to leave, {} of {} restarts sent GOAWAY; {} connections in all",
            seen.told_to_leave, book.goaways, deploy.rounds, seen.connections
        ),
    );
    let slowest = book.reloads.iter().max().copied().unwrap_or_default();
    found.check(
        book.wrong == 0,
        format!("{} policies put in force under load, {} decisions were wrong after", book.reloads.len(), book.wrong),
    );
    found.check_time(slowest <= Duration::from_secs(1), format!("the slowest policy was in force after {slowest:?}"));
    if let Some((took, served)) = book.alone {
        found.check(
            served,
            format!("without Postgres a gateway started from its disk and served, ready after {took:?}"),
        );
    }
    println!("  note p99 of {:?}, p99.9 of {:?} over all calls", seen.percentile(990), seen.percentile(999));
    found
}

/// Whether an idle connection of HTTP/2 is told to go, without an error, before it is closed.
async fn watch_goaway(port: u16) -> Result<JoinHandle<bool>, Trouble> {
    let mut connection = frames::Connection::open(port, &[]).await?;
    Ok(tokio::spawn(async move {
        // A server may close one that never called.
        while let Some(frame) = connection.next().await {
            if frame.kind == GOAWAY {
                return frame.payload.get(4..8) == Some(&[0; 4]);
            }
        }
        false
    }))
}

/// In odd rounds the plan of the partner `moved` opens nothing.
fn setup(upstream: u16, round: usize) -> String {
    let plan = if round.is_multiple_of(2) { "all" } else { "nothing" };
    include_str!("deploy/setup.yaml")
        .replace("{upstream}", &format!("http://127.0.0.1:{upstream}"))
        .replace("{plan}", plan)
        .replace("{timeout}", &(30_000 + round).to_string())
}
