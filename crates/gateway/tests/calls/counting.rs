//! A product's rule says which calls cost units; the allowance, the event and the answer agree on it.

use super::{
    client::{Answer, open, request, request_with, send},
    keys::Keys,
    world::{World, limits, quota},
};
use domain::{
    limit::Window,
    policy::{Counted, CountedRefusals, Counting, IdempotencyKey, StatusClass},
    quota::Beyond,
    usage::{Outcome, UsageEvent},
};
use http::Method;
use http_body_util::BodyExt;
use std::{collections::BTreeSet, sync::Arc};

const QUOTA: u64 = 1_000;

async fn world(counting: Counting) -> World {
    World::with(|directory, config| {
        let product = &mut directory.products[0];
        let echo = product.operations.iter().find(|operation| operation.path == "/echo").expect("the operation");
        product.policy.operations.entry(echo.code.clone()).or_default().idempotency_key = IdempotencyKey::Optional;
        product.policy.counting = counting;
        quota(&mut directory.plans[0].terms, QUOTA, Beyond::Block);
        config.idempotency = Some(Arc::new(Keys::default()));
    })
    .await
}

fn used(world: &World) -> u64 {
    world.allowance.used(world.partner(), world.period())
}

pub(super) fn refusals(codes: &[&str], units: u32) -> Option<CountedRefusals> {
    Some(CountedRefusals { codes: codes.iter().map(|code| (*code).to_owned()).collect(), units })
}

async fn event(world: &World, id: &str) -> UsageEvent {
    loop {
        if let Some(event) = world.events().into_iter().find(|event| event.request_id == id) {
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Answer, event and allowance say that the call cost so many units.
async fn costs(world: &World, answer: &Answer, units: u64, before: u64, what: &str) {
    assert_eq!(answer.header("x-turnpike-units"), units.to_string(), "{what}");
    let event = event(world, answer.header("x-request-id")).await;
    assert_eq!(event.units, units, "{what}");
    assert!(units == 0 || event.period == Some(world.period()), "{what} counts in a period");
    let rule = match event.outcome {
        _ if units == 0 => "",
        Outcome::Replayed => "replay",
        Outcome::Refused(_) => "refusal",
        _ => "weight:1",
    };
    assert_eq!(event.price_rule, rule, "{what}");
    assert_eq!(used(world), before + units, "{what}");
}

#[tokio::test]
async fn each_status_counts_as_the_rule_says_and_our_own_5xx_never() {
    use StatusClass::{ClientError, Redirection, ServerError, Success};
    let all = BTreeSet::from(StatusClass::ALL);
    let rules = [
        Counting::default().statuses,
        BTreeSet::new(),
        BTreeSet::from([Success]),
        BTreeSet::from([Redirection, ClientError]),
        BTreeSet::from([ServerError]),
        all,
    ];
    for statuses in rules {
        let world = world(Counting { statuses: statuses.clone(), ..Counting::default() }).await;
        for (path, status, class) in [
            ("/payments/priced", 200, Success),
            ("/payments/empty", 204, Success),
            ("/payments/unchanged", 304, Redirection),
            ("/payments/missing-item", 404, ClientError),
            ("/payments/fail", 500, ServerError),
        ] {
            let before = used(&world);
            let answer = world.get(path).await;
            assert_eq!(answer.status, status);
            let units = u64::from(statuses.contains(&class));
            costs(&world, &answer, units, before, &format!("{path} under {statuses:?}")).await;
        }
        let before = used(&world);
        let broken = open(world.address, request(Method::GET, "/payments/break", &world.live)).await;
        let id = broken.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert!(broken.into_body().collect().await.is_err());
        let event = event(&world, &id).await;
        assert_eq!((event.outcome, event.units), (Outcome::UpstreamFailed, 0), "what the API breaks off is free");
        assert_eq!(used(&world), before);
    }
}

#[tokio::test]
async fn a_call_that_its_client_breaks_off_counts_only_where_the_rule_says_so() {
    for interrupted in [true, false] {
        let world = world(Counting { interrupted, ..Counting::default() }).await;
        let mut answer = open(world.address, request(Method::GET, "/payments/stall", &world.live)).await;
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        answer.body_mut().frame().await.expect("a frame").expect("data");
        drop(answer);
        let event = event(&world, &id).await;
        assert_eq!((event.outcome, event.units), (Outcome::ClientGone, u64::from(interrupted)));
        assert_eq!(used(&world), u64::from(interrupted));
    }
}

#[tokio::test]
async fn a_replay_costs_what_the_rule_says_as_long_as_there_are_units() {
    for (replays, units) in [(Counted::Free, 0), (Counted::Full, 1), (Counted::Units(3), 3), (Counted::Units(0), 0)] {
        let world = world(Counting { replays, ..Counting::default() }).await;
        let post = || {
            let headers = [("idempotency-key", "k")];
            send(world.address, request_with(Method::POST, "/payments/echo", &world.live, &headers, "one"))
        };
        costs(&world, &post().await, 1, 0, "the call itself").await;
        for again in 0..3 {
            let before = used(&world);
            let answer = post().await;
            assert_eq!(answer.header("idempotent-replayed"), "true");
            costs(&world, &answer, units, before, &format!("{replays:?}, time {again}")).await;
        }
        let test = send(
            world.address,
            request_with(Method::POST, "/payments/echo", &world.test, &[("idempotency-key", "k")], "one"),
        );
        assert_eq!(test.await.status, 200);
        assert_eq!(used(&world), 1 + 3 * units, "test calls cost nothing");
    }
    let world = world(Counting { replays: Counted::Units(600), ..Counting::default() }).await;
    let post = || {
        let headers = [("idempotency-key", "k")];
        send(world.address, request_with(Method::POST, "/payments/echo", &world.live, &headers, "one"))
    };
    costs(&world, &post().await, 1, 0, "the call itself").await;
    costs(&world, &post().await, 600, 1, "the first replay").await;
    costs(&world, &post().await, 0, 601, "one that would pass the quota is free").await;
}

#[tokio::test]
async fn a_refusal_costs_what_the_rule_says_and_never_passes_the_quota() {
    let counting = Counting { refusals: refusals(&["limit-exceeded"], 7), ..Counting::default() };
    let world = World::with(|directory, _| {
        directory.products[0].policy.counting = counting;
        quota(&mut directory.plans[0].terms, 16, Beyond::Block);
        limits(&mut directory.plans[0].terms, &[(1, Window::Hour)]);
    })
    .await;
    costs(&world, &world.get("/payments/priced").await, 1, 0, "a call").await;
    // Of 15 that are left seven are taken twice, however the units come to this gateway; a third time would pass the quota.
    for units in [7, 7, 0, 0] {
        let before = used(&world);
        let refused = world.get("/payments/priced").await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "limit-exceeded"));
        costs(&world, &refused, units, before, "a refusal").await;
    }
    let nowhere = world.get("/payments/no-such-operation").await;
    assert_eq!((nowhere.status, used(&world)), (404, 15), "other refusals are free");
    let test = send(world.address, request(Method::GET, "/payments/priced", &world.test)).await;
    assert_eq!((test.status, used(&world)), (200, 15), "and so are test calls");
}

#[tokio::test]
async fn refusals_are_free_where_no_rule_names_them() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, QUOTA, Beyond::Block);
        limits(&mut directory.plans[0].terms, &[(1, Window::Hour)]);
    })
    .await;
    costs(&world, &world.get("/payments/priced").await, 1, 0, "a call").await;
    costs(&world, &world.get("/payments/priced").await, 0, 1, "a refusal").await;
}
