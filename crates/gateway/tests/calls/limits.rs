//! Limits: 429 with everything a client needs, and nothing lost on the way.

use super::{
    client::{request, send},
    world::{World, limits, quota},
};
use domain::{limit::Window, quota::Beyond, refusal::Code, usage::Outcome};
use http::Method;

#[tokio::test]
async fn a_reached_limit_is_a_429_with_its_fields_and_a_raised_limit_holds_at_once() {
    let mut world = World::with(|directory, _| limits(&mut directory.plans[0].terms, &[(3, Window::Minute)])).await;
    for remaining in ["2", "1", "0"] {
        let answer = world.get("/payments/items/1").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-remaining"), remaining);
        assert_eq!(answer.header("ratelimit-policy"), "\"minute\";q=3;w=60");
        let (standing, resets) = answer.header("ratelimit").rsplit_once('=').expect("a time");
        assert_eq!(standing, format!("\"minute\";r={remaining};t"));
        assert!((50..=60).contains(&resets.parse::<u32>().expect("seconds")), "{resets}");
        assert_eq!(answer.header("x-turnpike-units"), "1");
    }
    for _ in 0..20 {
        let refused = world.get("/payments/items/1").await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "limit-exceeded"));
        assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), ("3", "0"));
        let wait: u32 = refused.header("retry-after").parse().expect("seconds");
        assert!((50..=60).contains(&wait));
        assert!(refused.body.contains("https://portal.example/docs/errors/limit-exceeded"));
        assert!(refused.body.contains("3 calls a minute"));
    }
    let test = send(world.address, request(Method::GET, "/payments/items/1", &world.test)).await;
    assert_eq!(test.status, 200, "test calls have limits of their own");
    world.change(|directory| limits(&mut directory.plans[0].terms, &[(5, Window::Minute)]));
    assert_eq!(world.get("/payments/items/1").await.header("x-ratelimit-remaining"), "1", "what was counted stays");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(world.get("/payments/items/1").await.status, 429);
    let events = world.events_once(27).await;
    let refused = events.iter().filter(|event| event.outcome == Outcome::Refused(Code::LimitExceeded));
    assert_eq!(refused.map(|event| (event.status, event.units)).collect::<Vec<_>>(), vec![(429, 0); 21]);
}

#[tokio::test]
async fn a_busy_client_recovers_because_refused_calls_do_not_count() {
    let world = World::with(|directory, _| limits(&mut directory.plans[0].terms, &[(2, Window::Second)])).await;
    let began = std::time::Instant::now();
    let mut served = 0;
    while began.elapsed().as_millis() < 2_500 {
        served += usize::from(world.get("/payments/items/1").await.status == 200);
    }
    let most = 2 * (2 + usize::try_from(began.elapsed().as_secs()).expect("few"));
    assert!((3..=most).contains(&served), "{served} calls in {:?} at 2 a second", began.elapsed());
}

#[tokio::test]
async fn several_windows_hold_at_once_and_one_refusal_uses_none_of_them() {
    let world = World::with(|directory, _| {
        limits(&mut directory.plans[0].terms, &[(2, Window::Minute), (100, Window::Hour)]);
    })
    .await;
    let mut last = None;
    for _ in 0..10 {
        last = Some(world.get("/payments/items/1").await);
    }
    let last = last.expect("an answer");
    assert_eq!(last.status, 429);
    assert!(last.header("ratelimit").contains("\"hour\";r=98;t="), "{}", last.header("ratelimit"));
}

#[tokio::test]
async fn a_limit_refusal_uses_no_quota_and_a_quota_refusal_uses_no_limit() {
    let world = World::with(|directory, _| {
        limits(&mut directory.plans[0].terms, &[(3, Window::Hour)]);
        quota(&mut directory.plans[0].terms, 2, Beyond::Block);
    })
    .await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    for _ in 0..5 {
        let refused = world.get("/payments/items/1").await;
        assert_eq!(refused.code(), "quota-exceeded");
        assert_eq!(refused.header("x-ratelimit-remaining"), "1", "the limit is as it was");
    }
    assert_eq!(world.get("/payments/free").await.status, 200, "it costs nothing, so no quota refuses it");
    assert_eq!(world.get("/payments/free").await.code(), "limit-exceeded");
    assert_eq!(world.allowance.used(world.partner(), world.period()), 2);
}
