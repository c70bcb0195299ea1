//! Quotas: a hard one is never overshot, whatever happens to the calls.

use super::{
    client::{request, send, until_units_come},
    world::{AT, World, quota},
};
use domain::{allowance::Allowance, id::SubscriptionId, quota::Beyond, refusal::Code, usage::Outcome};
use http::Method;
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_racing_calls_on_a_quota_of_100_exactly_100_are_served() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
    })
    .await;
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (address, key) = (world.address, world.live.clone());
            tokio::spawn(async move { until_units_come(address, "/payments/items/1", &key).await })
        })
        .collect();
    let (mut served, mut made) = (0, 0);
    for call in calls {
        let (status, calls) = call.await.expect("no panic");
        made += calls;
        match status {
            200 => served += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert_eq!(served, 100);
    assert_eq!(world.upstream.seen().len(), 100);
    let events = world.events_once(made).await;
    assert_eq!(events.iter().map(|event| event.units).sum::<u64>(), 100);
    assert_eq!(events.iter().map(|event| &event.request_id).collect::<HashSet<_>>().len(), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_race_over_changes_of_plan_never_overshoot_the_quota() {
    let mut world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
    })
    .await;
    let mut calls = Vec::new();
    for change in 0..6 {
        for _ in 0..50 {
            let (address, key) = (world.address, world.live.clone());
            calls.push(tokio::spawn(async move { until_units_come(address, "/payments/items/1", &key).await }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        // A change of plan ends a subscription and begins another with the same anchor.
        world.change(|directory| {
            let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
            subscription.id = SubscriptionId(Uuid::from_u128(100 + change));
        });
    }
    let (mut served, mut made) = (0, 0);
    for call in calls {
        let (status, calls) = call.await.expect("no panic");
        served += u32::from(status == 200);
        made += calls;
    }
    assert_eq!(served, 100);
    assert_eq!(world.events_once(made).await.iter().map(|event| event.units).sum::<u64>(), 100);
}

#[tokio::test]
async fn what_was_used_on_a_plan_without_a_quota_counts_after_the_change_to_one_with() {
    let mut world = World::start().await;
    assert_eq!(world.get("/payments/heavy").await.status, 200);
    assert_eq!(world.get("/payments/fail").await.status, 500);
    world.change(|directory| quota(&mut directory.plans[0].terms, 6, Beyond::Block));
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
}

#[tokio::test]
async fn a_call_that_is_not_billed_gives_its_units_back() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 5, Beyond::Block);
        directory.products[3].timeout_ms = 300;
    })
    .await;
    let used = || world.allowance.used(world.partner(), world.period());
    assert_eq!(world.get("/payments/fail").await.status, 500);
    let hang = format!("{}/hang", world.directory.products[3].route);
    assert_eq!(world.get(&hang).await.status, 504);
    assert_eq!(used(), 0);
    assert_eq!(world.get("/payments/heavy").await.header("x-turnpike-units"), "5");
    assert_eq!(used(), 5);
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    let units: Vec<_> = world.events().iter().map(|event| (event.outcome, event.units)).collect();
    assert!(units.contains(&(Outcome::Served, 0)) && units.contains(&(Outcome::UpstreamFailed, 0)));
    assert!(units.contains(&(Outcome::Served, 5)) && units.contains(&(Outcome::Refused(Code::QuotaExceeded), 0)));
}

#[tokio::test]
async fn beyond_a_soft_quota_calls_are_served_and_warn_says_so() {
    let mut world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 1, Beyond::Warn)).await;
    assert_eq!(world.get("/payments/items/1").await.header("x-quota-warning"), "");
    assert_eq!(world.get("/payments/items/1").await.header("x-quota-warning"), "2 of 1 units used");
    world.change(|directory| quota(&mut directory.plans[0].terms, 1, Beyond::Bill));
    let billed = world.get("/payments/items/1").await;
    assert_eq!((billed.status, billed.header("x-quota-warning")), (200, ""));
    assert_eq!(world.events_once(3).await.iter().map(|event| event.units).sum::<u64>(), 3);
}

#[tokio::test]
async fn test_calls_use_no_quota_and_cost_nothing() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 1, Beyond::Block)).await;
    for _ in 0..3 {
        let answer = send(world.address, request(Method::GET, "/payments/heavy", &world.test)).await;
        assert_eq!((answer.status, answer.header("x-turnpike-units")), (200, "0"));
        assert_eq!(answer.header("ratelimit"), "", "no limits, and no quota to show");
    }
    assert_eq!(world.allowance.used(world.partner(), world.period()), 0);
    assert!(world.events_once(3).await.iter().all(|event| event.units == 0));
}

#[tokio::test]
async fn the_quota_begins_anew_with_the_period_in_the_partners_time_zone_and_seeds_count() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 10, Beyond::Block)).await;
    world.exchange.add_used(Allowance::quota(world.partner(), world.period()), 10);
    let refused = world.get("/payments/items/1").await;
    assert_eq!(refused.code(), "quota-exceeded");
    // From 20 November 12:00 to 1 December 01:00 in Zurich, where the anchor's midnight UTC is one in the morning.
    assert_eq!(refused.header("retry-after"), (10 * 86_400 + 12 * 3_600).to_string());
    assert_eq!(refused.header("ratelimit-policy"), "\"quota\";q=10;w=2592000;qu=\"units\"");
    world.clock.set("2026-11-30T23:59:59Z");
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    world.clock.set("2026-12-01T00:00:00Z");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_within_which_the_plan_changed_has_a_quota_of_its_own() {
    let own = |directory: &mut domain::directory::Directory, units, periods_later| {
        quota(&mut directory.plans[0].terms, 1, Beyond::Block);
        let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
        let mut period = subscription.cycle.period_at(AT.parse().expect("a time")).expect("a period");
        for _ in 0..periods_later {
            period = subscription.cycle.period_at(period.end).expect("a period");
        }
        subscription.quota = Some(domain::quota::PeriodQuota { units, until: period.end });
    };
    let mut world = World::with(|directory, _| own(directory, 3, 0)).await;
    for _ in 0..3 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit-policy").contains("\"quota\";q=3;"), "{}", answer.header("ratelimit-policy"));
    }
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    // Of another period, it says nothing about this one.
    world.change(|directory| own(directory, 100, 1));
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    world.change(|directory| own(directory, 4, 0));
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}

/// The first part of a calendar period: what the partner used before the plan began is not held against its part of the quota, and the next
/// period is a whole one.
#[tokio::test]
async fn the_first_part_of_a_calendar_period_has_a_quota_and_a_count_of_its_own() {
    let began: jiff::Timestamp = "2026-11-20T10:00:00Z".parse().expect("a time");
    let world = World::with(|directory, _| {
        let terms = &mut directory.plans[0].terms;
        quota(terms, 3, Beyond::Block);
        terms.periods = domain::period::Alignment::Calendar;
        let cycle = terms.cycle_from(began, "Europe/Zurich").expect("a cycle");
        let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
        // 253 of 720 hours of three.
        subscription.quota = terms.quota_of_part(&cycle, Some(began), began).expect("in the calendar");
        (subscription.cycle, subscription.counts_from) = (cycle, Some(began));
    })
    .await;
    let whole = world.period();
    world.exchange.add_used(Allowance::quota(world.partner(), whole), 3);
    for _ in 0..2 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit-policy").contains("\"quota\";q=2;"), "{}", answer.header("ratelimit-policy"));
    }
    let refused = world.get("/payments/items/1").await;
    assert_eq!(refused.code(), "quota-exceeded");
    // From 20 November 12:00 to 30 November 23:00, midnight in Zurich.
    assert_eq!(refused.header("retry-after"), (10 * 86_400 + 11 * 3_600).to_string());
    let part = domain::period::Period { start: began, ..whole };
    // Each core has a log of its own, so the three come in no certain order.
    let spent: Vec<_> = world.events_once(3).await.iter().filter_map(|event| event.period).collect();
    assert_eq!(spent, [part; 2], "what was refused spends nothing");
    world.clock.set("2026-11-30T22:59:59Z");
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    world.clock.set("2026-11-30T23:00:00Z");
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
}

/// Limits and features of the plan before hold until the instant that was said, by the gateway's own clock, and the quota is the new plan's.
#[tokio::test]
async fn what_is_kept_of_a_larger_plan_ends_on_time_by_the_node_s_own_clock() {
    use domain::{
        limit::{Limit, Window},
        plan_change::Kept,
    };
    let world = World::with(|directory, _| {
        let terms = &mut directory.plans[0].terms;
        quota(terms, 10, Beyond::Block);
        let limited = |calls| vec![Limit { calls, window: Window::Day }];
        terms.limits = limited(2);
        let old = domain::plan::PlanTerms { limits: limited(4), quota: None, ..terms.clone() };
        let until = "2026-11-25T09:30:00Z".parse().expect("a time");
        directory.partners[0].subscription.as_mut().expect("a subscription").kept = Some(Kept::new(&old, terms, until));
    })
    .await;
    world.clock.set("2026-11-25T09:29:59Z");
    for _ in 0..3 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!(answer.status, 200);
        let policy = answer.header("ratelimit-policy");
        assert!(policy.contains("\"day\";q=4;") && policy.contains("\"quota\";q=10;"), "{policy}");
    }
    world.clock.set("2026-11-25T09:30:00Z");
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "limit-exceeded"));
    assert!(refused.header("ratelimit-policy").contains("\"day\";q=2;"), "{}", refused.header("ratelimit-policy"));
}

/// A trial's end is the end of a period: the gateway's own clock ends it, with no change of the directory and no call in between.
#[tokio::test]
async fn a_trial_has_a_quota_of_its_own_until_the_instant_that_it_ends() {
    let world = World::with(|directory, _| {
        let terms = &mut directory.plans[0].terms;
        quota(terms, 3, Beyond::Block);
        terms.trial = serde_json::from_str(r#"{"days":14,"quota":{"units":1,"beyond":"block"}}"#).expect("a trial");
        let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
        let until = "2026-11-25T09:30:00Z".parse().expect("a time");
        subscription.trial_until = Some(until);
        subscription.cycle.anchor = until;
    })
    .await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let refused = world.get("/payments/items/1").await;
    assert_eq!(refused.code(), "quota-exceeded");
    assert!(refused.header("ratelimit-policy").contains("\"quota\";q=1;"), "{}", refused.header("ratelimit-policy"));
    world.clock.set("2026-11-25T09:29:59Z");
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    world.clock.set("2026-11-25T09:30:00Z");
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
}

/// Whether or not anybody has carried it out: no subscription will be billed for what follows.
#[tokio::test]
async fn from_the_planned_end_of_a_plan_on_nothing_is_served() {
    let world = World::with(|directory, _| {
        let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
        subscription.ends_at = Some("2026-11-25T09:30:00Z".parse().expect("a time"));
    })
    .await;
    world.clock.set("2026-11-25T09:29:59Z");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    world.clock.set("2026-11-25T09:30:00Z");
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "no-subscription"));
    // Each core has a lane of its own: they come in any order.
    let units: HashSet<_> = world.events_once(2).await.iter().map(|event| (event.status, event.units)).collect();
    assert_eq!(units, HashSet::from([(200, 1), (403, 0)]));
}
