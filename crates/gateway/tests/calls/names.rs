//! Upstreams by name: what happens when the DNS moves, fails or lies.

use super::{
    faulty::{Fault, Faulty},
    world::{PATIENCE, World},
};
use domain::policy::Breaker;
use gateway::{Freshness, Names, Reach};
use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// A DNS that a test writes; `None` is a failure.
#[derive(Debug, Default)]
struct Zone(Mutex<Option<Vec<IpAddr>>>);

impl Zone {
    fn says(&self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        *self.0.lock().expect("no panic") = Some(addresses);
    }

    fn fails(&self) {
        *self.0.lock().expect("no panic") = None;
    }
}

impl Names for Zone {
    fn look_up<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let answer = self.0.lock().expect("no panic").clone();
        Box::pin(async { answer.ok_or_else(|| io::Error::other("the name server is out")) })
    }
}

const FRESHNESS: Freshness = Freshness { fresh: Duration::from_millis(50), stale: Duration::from_secs(8) };

/// A world whose upstream is called by a name; it closes each connection, so that each call looks again.
async fn world(upstream: &Faulty, zone: &Arc<Zone>, reach: Reach, allow_private: Option<bool>) -> World {
    let url = format!("http://api.example:{}", upstream.address.port());
    World::with(|directory, config| {
        config.cores = 1;
        config.names = zone.clone();
        config.freshness = FRESHNESS;
        config.upstream_reach = reach;
        config.deadlines.upstream_idle = Duration::ZERO;
        let product = &mut directory.products[0];
        product.upstream_url = url;
        product.policy.upstream.allow_private_addresses = allow_private;
        product.policy.upstream.breaker = Breaker { failures: 0, open_ms: 1 };
    })
    .await
}

#[tokio::test]
async fn the_last_addresses_serve_while_the_dns_fails_but_not_for_ever() {
    let (upstream, zone) = (Faulty::start(Fault::None).await, Arc::new(Zone::default()));
    zone.says(&["127.0.0.1"]);
    let world = world(&upstream, &zone, Reach::Private, None).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    zone.fails();
    for _ in 0..5 {
        sleep(Duration::from_millis(200)).await;
        assert_eq!(world.get("/payments/items/1").await.status, 200, "a stale answer serves");
    }
    sleep(FRESHNESS.stale).await;
    let answer = world.get("/payments/items/1").await;
    assert_eq!(answer.code(), "upstream-unreachable");
    assert!(!answer.body.contains("api.example"), "partners are told nothing of it: {}", answer.body);
    zone.says(&["127.0.0.1"]);
    let began = Instant::now();
    while world.get("/payments/items/1").await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "it comes back by itself");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_name_that_is_moved_to_a_private_address_is_not_followed() {
    let (upstream, zone) = (Faulty::start(Fault::None).await, Arc::new(Zone::default()));
    let private = ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254"];
    for (reach, says, open) in [
        (Reach::Public, None, false),
        (Reach::Private, Some(false), false),
        (Reach::Private, None, true),
        (Reach::Public, Some(true), true),
    ] {
        zone.says(&["127.0.0.1"]);
        let world = world(&upstream, &zone, reach, says).await;
        let status = if open { 200 } else { 502 };
        assert_eq!(world.get("/payments/items/1").await.status, status, "{reach:?} {says:?}");
        for address in private.iter().filter(|_| !open) {
            zone.says(&[address]);
            sleep(Duration::from_millis(150)).await;
            assert_eq!(world.get("/payments/items/1").await.status, 502, "{address}");
        }
        // What hands out the machine's credentials stays closed, whatever a product says.
        zone.says(&["169.254.169.254"]);
        sleep(Duration::from_millis(150)).await;
        assert_eq!(world.get("/payments/items/1").await.code(), "upstream-unreachable");
    }
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn every_spelling_of_a_private_address_is_refused() {
    let upstream = Faulty::start(Fault::None).await;
    for spelled in
        ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:7f00:1]", "0"]
    {
        let url = format!("http://{spelled}:{}", upstream.address.port());
        let world = World::with(|directory, config| {
            config.cores = 1;
            directory.products[0].upstream_url = url;
            directory.products[0].policy.upstream.allow_private_addresses = Some(false);
        })
        .await;
        assert_eq!(world.get("/payments/items/1").await.code(), "upstream-unreachable", "{spelled}");
    }
    assert_eq!(upstream.requests(), 0);
}
