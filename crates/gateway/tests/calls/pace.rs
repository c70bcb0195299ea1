//! How limits let calls through: spread, hybrid, throttled, or only telling.

use super::{
    client::{raw, request, send},
    world::{World, limits},
};
use domain::{
    limit::Window,
    policy::{Credit, Pace, Preset, Throttle},
    refusal::Code,
    usage::Outcome,
};
use http::Method;
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn world(calls: u32, window: Window, pace: Pace) -> World {
    World::with(|directory, _| {
        limits(&mut directory.plans[0].terms, &[(calls, window)]);
        directory.plans[0].terms.admission.limits = pace;
    })
    .await
}

#[tokio::test]
async fn spread_refuses_a_second_call_at_once_and_takes_it_after_its_gap() {
    let world = world(20, Window::Minute, Pace { preset: Preset::Spread, ..Pace::default() }).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let refused = world.get("/payments/items/1").await;
    assert_eq!(refused.code(), "limit-exceeded");
    assert!((1..=3).contains(&refused.header("retry-after").parse::<u32>().expect("seconds")));
    tokio::time::sleep(Duration::from_millis(3_050)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}

#[tokio::test]
async fn hybrid_takes_a_tenth_at_once_and_the_rest_evenly() {
    let world = world(30, Window::Hour, Pace { preset: Preset::Hybrid, ..Pace::default() }).await;
    let mut served = 0;
    for _ in 0..10 {
        served += usize::from(world.get("/payments/items/1").await.status == 200);
    }
    assert_eq!(served, 3);
}

#[tokio::test]
async fn a_limit_that_only_tells_serves_warns_and_counts() {
    let world = world(2, Window::Minute, Pace { soft: true, ..Pace::default() }).await;
    for _ in 0..2 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-warning")), (200, ""));
    }
    for _ in 0..3 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-warning")), (200, "minute limit of 2 passed"));
        assert_eq!(answer.header("x-ratelimit-remaining"), "0");
    }
    let events = world.events_once(5).await;
    assert!(events.iter().all(|event| (event.outcome, event.units) == (Outcome::Served, 1)));
}

const THROTTLE: Throttle = Throttle { from_percent: 50, max_delay_ms: 4_000 };

#[tokio::test]
async fn a_throttled_call_waits_longer_the_nearer_the_limit_is_and_none_waits_in_vain() {
    let world = world(4, Window::Minute, Pace { throttle: Some(THROTTLE), ..Pace::default() }).await;
    let mut times = Vec::new();
    for _ in 0..4 {
        let began = Instant::now();
        assert_eq!(world.get("/payments/items/1").await.status, 200);
        times.push(began.elapsed().as_millis());
    }
    assert!(times[0] < 1_900 && times[1] < 1_900, "{times:?}");
    assert!((2_000..3_900).contains(&times[2]) && times[3] >= 4_000, "{times:?}");
    let began = Instant::now();
    assert_eq!(world.get("/payments/items/1").await.code(), "limit-exceeded");
    assert!(began.elapsed().as_millis() < 1_900, "nothing is gained by waiting");
}

#[tokio::test]
async fn throttled_calls_are_spread_over_time_instead_of_refused() {
    let pace =
        Pace { preset: Preset::Spread, throttle: Some(Throttle { from_percent: 99, max_delay_ms: 900 }), soft: false };
    let world = world(10, Window::Second, pace).await;
    let began = Instant::now();
    let calls = (0..5).map(|_| send(world.address, request(Method::GET, "/payments/items/1", &world.live)));
    let answers: Vec<_> = calls.map(tokio::spawn).collect();
    for answer in answers {
        assert_eq!(answer.await.expect("no panic").status, 200);
    }
    assert!(began.elapsed().as_millis() >= 400, "five calls, a tenth of a second apart");
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_costs_nothing_and_is_recorded_once() {
    let world = world(
        2,
        Window::Minute,
        Pace { throttle: Some(Throttle { max_delay_ms: 3_000, ..THROTTLE }), ..Pace::default() },
    )
    .await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let head = format!("GET /payments/items/2 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(stream);
    let events = world.events_once(2).await;
    let left = events.iter().find(|event| event.status == 499).expect("the event");
    assert_eq!((left.outcome, left.units), (Outcome::ClientGone, 0));
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    assert_eq!(world.upstream.seen().len(), 1);
    let last = world.get("/payments/items/1").await;
    assert_eq!((last.status, last.header("x-ratelimit-remaining")), (200, "0"), "its place was not used");
}

#[tokio::test]
async fn only_so_many_calls_of_a_partner_wait() {
    let pace = Pace { throttle: Some(Throttle { from_percent: 1, max_delay_ms: 60_000 }), ..Pace::default() };
    let world = World::with(|directory, _| {
        limits(&mut directory.plans[0].terms, &[(100, Window::Hour)]);
        directory.plans[0].terms.admission.limits = pace;
    })
    .await;
    for _ in 0..6 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    // Each of these would wait for about three seconds.
    let key = &world.live;
    let head = format!("GET /payments/items/2 HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n");
    let calls: Vec<_> = (0..400)
        .map(|_| {
            let (address, head) = (world.address, head.clone());
            tokio::spawn(async move { raw(address, head.as_bytes()).await.0 })
        })
        .collect();
    let (mut served, mut turned_away, mut refused) = (6, 0, 0);
    for call in calls {
        let answer = call.await.expect("no panic");
        served += usize::from(answer.starts_with("HTTP/1.1 200"));
        refused += usize::from(answer.starts_with("HTTP/1.1 429"));
        turned_away += usize::from(answer.contains("256 calls of yours wait already"));
    }
    assert_eq!((served, refused), (100, 306), "the limit, and everybody else");
    assert!(turned_away >= 100, "{turned_away} of 400 did not wait");
    let codes = world.events().iter().filter(|event| event.outcome == Outcome::Refused(Code::LimitExceeded)).count();
    assert_eq!(codes, refused);
}

#[tokio::test]
async fn credit_is_spent_no_faster_than_the_plan_says_and_what_was_not_spent_makes_room() {
    let world = World::with(|directory, _| {
        let terms = &mut directory.plans[0].terms;
        terms.admission.credit =
            Credit { required: true, preset: Preset::BurstThrough, units_per_minute: Some(7), ..Credit::default() };
        limits(terms, &[(100, Window::Hour)]);
    })
    .await;
    world.exchange.add_credit(world.partner(), 1_000);
    assert_eq!(world.get("/payments/heavy").await.status, 200);
    for _ in 0..3 {
        assert_eq!(
            world.get("/payments/fail").await.status,
            500,
            "it costs nothing, so it leaves its room to the next"
        );
    }
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let refused = world.get("/payments/heavy").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "limit-exceeded"));
    assert!(refused.body.contains("at most 7 units of credit a minute"), "{}", refused.body);
    assert!((50..=61).contains(&refused.header("retry-after").parse::<u32>().expect("seconds")));
    assert_eq!(refused.header("x-ratelimit-remaining"), "95", "the limit is as it was");
    assert_eq!(world.get("/payments/items/1").await.status, 200, "one unit still fits");
    assert_eq!(world.get("/payments/items/1").await.status, 429);
    assert_eq!(world.events().iter().map(|event| event.credits).sum::<u64>(), 7);
}
