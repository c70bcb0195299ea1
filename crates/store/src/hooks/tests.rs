//! Whoever follows usage gets each event once, however late it comes, and in the order of its lane.

use super::*;
use crate::{
    Actor, Store,
    corrections::tests::{apply, asked, one, revert},
    ingest::{
        Position,
        tests::{at, event, partner},
    },
    outside::Teller,
    test_db::{self, TestStore, world::World},
};
use domain::{
    correction::Change,
    id::{HookId, PartnerId, TokenId},
    usage::{UsageEvent, cloud_event::TYPE, outside},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const NOON: &str = "2026-03-01T12:00:00Z";

async fn hook(store: &Store, partner: Option<PartnerId>) -> Hook {
    let id = HookId(Uuid::new_v4());
    let new = NewHook { id, partner, url: "https://a.example".to_owned(), sealed_secret: vec![1] };
    store.create_hook(&new, Actor::System, at(NOON)).await.expect("a hook");
    store.hook_of_any_partner(id, at(NOON)).await.expect("the hook")
}

/// Takes in records of a lane that stands at `first`.
async fn take_in(store: &Store, node: &str, first: u64, events: Vec<UsageEvent>) {
    let place = |sequence: u64| Position { segment: 0, byte_offset: sequence, sequence };
    let numbered: Vec<(u64, UsageEvent)> = (first..).zip(events).collect();
    let (from, to) = (place(first), place(first + numbered.len() as u64));
    store.ingest((node, 0, numbered), from, to, at(NOON)).await.expect("taken in");
}

fn minutes(minutes: i64) -> Timestamp {
    at(NOON) + SignedDuration::from_mins(minutes)
}

/// The request id of a call; what a correction did to which, and what was told late.
fn name(told: &Told) -> String {
    match told {
        Told::Usage(stored) => stored.event.request_id.clone(),
        Told::Corrected(one) => {
            let step = if one.is_revert { "back" } else { "set" };
            format!("{step} {}{:+} {}", one.request_id, one.units, if one.in_place { "open" } else { "closed" })
        }
        Told::Late(late) => format!("late {} {}", late.id, late.units),
    }
}

/// Everything that it has not got, in messages of at most so many events.
async fn drain(store: &Store, hook: &Hook, most: usize) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        let following = store.follow_usage(hook, most).await.expect("an answer");
        if following.is_empty() {
            return got;
        }
        assert!(following.len() <= most);
        got.extend(following.events().map(name));
        store.note_delivered(hook.id, &following, at(NOON)).await.expect("noted");
    }
}

/// What somebody would get who went on behind the latest time that they have seen.
async fn drain_by_time(store: &TestStore, seen: &mut Timestamp) -> Vec<String> {
    let rows: Vec<(crate::Ts, String)> =
        sqlx::query_as("select at, request_id from usage_events where at > $1 order by at")
            .bind(crate::Ts(*seen))
            .fetch_all(store.pool())
            .await
            .expect("events");
    *seen = rows.last().map_or(*seen, |(at, _)| at.0);
    rows.into_iter().map(|(_, id)| id).collect()
}

#[tokio::test]
async fn an_event_that_comes_late_is_not_passed_by_as_it_would_be_by_time() {
    let store = test_db::store().await;
    let hook = hook(&store, None).await;
    let mut by_time = Timestamp::UNIX_EPOCH;
    take_in(&store, "a", 0, vec![event(minutes(1), "a0"), event(minutes(2), "a1")]).await;
    take_in(&store, "b", 0, vec![event(minutes(3), "b0")]).await;
    assert_eq!(drain(&store, &hook, 2).await, ["a0", "a1", "b0"]);
    assert_eq!(drain_by_time(&store, &mut by_time).await, ["a0", "a1", "b0"]);
    // A gateway comes back with calls of before, and another one was never heard of.
    take_in(&store, "a", 2, vec![event(minutes(-90), "a2"), event(minutes(-30), "a3")]).await;
    take_in(&store, "c", 0, vec![event(minutes(-500), "c0")]).await;
    assert_eq!(drain(&store, &hook, 1).await, ["a2", "a3", "c0"]);
    assert_eq!(drain_by_time(&store, &mut by_time).await, Vec::<String>::new(), "the naive cursor has lost them");
    assert_eq!(drain(&store, &hook, 10).await, Vec::<String>::new());
}

#[tokio::test]
async fn while_many_lanes_are_taken_in_at_once_each_event_comes_once_and_in_the_order_of_its_lane() {
    let store = test_db::store().await;
    store.warm().await;
    let hook = hook(&store, None).await;
    const LANES: u64 = 4;
    const BATCHES: u64 = 25;
    let writers: Vec<_> = (0..LANES)
        .map(|lane| {
            let store = store.handle();
            tokio::spawn(async move {
                let mut next = 0;
                for batch in 0..BATCHES {
                    let size = 1 + (batch * 7 + lane * 3) % 9;
                    // In no order of time, neither in the lane nor between lanes.
                    let at_of = |number: u64| minutes(((number * 37 + lane * 11) % 600) as i64 - 300);
                    let events = (next..next + size).map(|n| event(at_of(n), &format!("{lane}-{n}"))).collect();
                    take_in(&store, &format!("node-{lane}"), next, events).await;
                    next += size;
                }
                next
            })
        })
        .collect();
    let mut got = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        got.extend(drain(&store, &hook, 7).await);
        tokio::task::yield_now().await;
    }
    got.extend(drain(&store, &hook, 7).await);
    let mut wanted = BTreeMap::new();
    for (lane, writer) in (0..LANES).zip(writers) {
        let all: Vec<String> = (0..writer.await.expect("written")).map(|n| format!("{lane}-{n}")).collect();
        wanted.insert(lane, all);
    }
    let unique: BTreeSet<_> = got.iter().collect();
    assert_eq!(unique.len(), got.len(), "none comes twice");
    for (lane, wanted) in wanted {
        let prefix = format!("{lane}-");
        let of_lane: Vec<_> = got.iter().filter(|id| id.starts_with(&prefix)).cloned().collect();
        assert_eq!(of_lane, wanted, "lane {lane}");
    }
}

#[tokio::test]
async fn what_was_not_noted_as_delivered_comes_again_and_the_same() {
    let store = test_db::store().await;
    let hook = hook(&store, None).await;
    take_in(&store, "a", 0, (0..5).map(|n| event(minutes(n), &format!("a{n}"))).collect()).await;
    let first = store.follow_usage(&hook, 3).await.expect("an answer");
    let again = store.follow_usage(&hook, 3).await.expect("an answer");
    assert_eq!((first.len(), &first), (3, &again));
    store.note_delivered(hook.id, &first.clone().cut(2), at(NOON)).await.expect("noted");
    assert_eq!(drain(&store, &hook, 10).await, ["a2", "a3", "a4"]);
    // One that was slower does not set it back.
    store.note_delivered(hook.id, &first, at(NOON)).await.expect("noted");
    assert_eq!(drain(&store, &hook, 10).await, Vec::<String>::new());
    assert_eq!(store.hook_of_any_partner(hook.id, at(NOON)).await.expect("the hook").delivered, 2 + 3 + 3);
}

#[tokio::test]
async fn a_hook_gets_what_is_taken_in_after_it_was_made_and_only_its_partner_s() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    take_in(&store, "a", 0, vec![event(minutes(0), "before")]).await;
    let (all, own) = (hook(&store, None).await, hook(&store, Some(world.partner)).await);
    let of_partner = UsageEvent { partner: world.partner, ..event(minutes(2), "own") };
    assert_ne!(world.partner, partner());
    // In the same stretch of records as what was before.
    take_in(&store, "a", 1, vec![event(minutes(1), "other"), of_partner, event(minutes(3), "another")]).await;
    let told =
        json!({"specversion": "1.0", "type": TYPE, "source": "job", "id": "told", "time": NOON, "data": {"units": 5}});
    let told = outside::read(&told).expect("an event");
    let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
    store.take_in_outside(world.partner, teller, &[told], at(NOON)).await.expect("told");
    assert_eq!(drain(&store, &all, 2).await, ["other", "own", "another", "told"]);
    assert_eq!(drain(&store, &own, 2).await, ["own", "told"]);
    assert_eq!(drain(&store, &own, 2).await, Vec::<String>::new());
}

#[tokio::test]
async fn stretches_are_forgotten_when_every_hook_has_passed_them_and_not_before() {
    let store = test_db::store().await;
    let (quick, slow) = (hook(&store, None).await, hook(&store, None).await);
    take_in(&store, "a", 0, vec![event(minutes(0), "a0"), event(minutes(1), "a1")]).await;
    drain(&store, &quick, 10).await;
    let later = at(NOON) + SignedDuration::from_hours(24);
    let forgotten = async |now| store.forget_followed(now).await.expect("an answer");
    assert_eq!(forgotten(later).await.stretches, 0, "the slow one needs it");
    let one = store.follow_usage(&slow, 1).await.expect("an answer");
    store.note_delivered(slow.id, &one, later).await.expect("noted");
    assert_eq!(forgotten(later).await.stretches, 0, "half of it");
    assert_eq!(drain(&store, &slow, 10).await, ["a1"]);
    assert_eq!(forgotten(at(NOON)).await.stretches, 0, "it may still grow");
    assert_eq!(forgotten(later).await, Forgotten { stretches: 1, ..Forgotten::default() });
    take_in(&store, "a", 2, vec![event(minutes(-5), "a2")]).await;
    for hook in [&quick, &slow] {
        assert_eq!(drain(&store, hook, 10).await, ["a2"]);
    }
}

#[tokio::test]
async fn a_hook_that_stands_still_keeps_stretches_until_retention_has_let_all_their_events_go_and_then_goes_on() {
    let store = test_db::store().await;
    let paused = hook(&store, None).await;
    store.set_hook_state(paused.id, false, Actor::System, at(NOON)).await.expect("paused");
    take_in(&store, "a", 0, (0..3).map(|n| event(minutes(n), &format!("a{n}"))).collect()).await;
    let later = at(NOON) + SignedDuration::from_hours(24);
    let kept_from = async |class: &'static str, bound: Timestamp| {
        sqlx::query(class).bind(crate::Ts(bound)).execute(store.pool()).await.expect("raised");
        store.forget_followed(later).await.expect("an answer")
    };
    let (live, test) = ("update usage_upkeep set live_from = $1", "update usage_upkeep set test_from = $1");
    assert_eq!(kept_from(test, later).await, Forgotten::default(), "live events are there");
    assert_eq!(kept_from(live, minutes(2)).await, Forgotten::default(), "the last one is there");
    let gone = Forgotten { stretches: 1, undelivered: 1, undelivered_records: 3 };
    assert_eq!(kept_from(live, later).await, gone);
    assert_eq!(kept_from(live, later).await, Forgotten::default());
    take_in(&store, "a", 3, vec![event(minutes(3), "a3")]).await;
    store.set_hook_state(paused.id, true, Actor::System, later).await.expect("resumed");
    assert_eq!(drain(&store, &paused, 10).await, ["a3"]);
}

#[tokio::test]
async fn a_hook_that_is_paused_or_deleted_while_it_is_served_gets_nothing_more_and_is_not_set_back() {
    let store = test_db::store().await;
    let (paused, deleted) = (hook(&store, None).await, hook(&store, None).await);
    take_in(&store, "a", 0, (0..4).map(|n| event(minutes(n), &format!("a{n}"))).collect()).await;
    let noted = async |hook: &Hook, got: &Following| store.note_delivered(hook.id, got, at(NOON)).await.expect("noted");
    let follow = async |hook: &Hook| store.follow_usage(hook, 2).await.expect("an answer");
    for hook in [&paused, &deleted] {
        assert!(noted(hook, &follow(hook).await).await, "it goes on");
    }
    let (of_paused, of_deleted) = (follow(&paused).await.cut(1), follow(&deleted).await.cut(1));
    store.set_hook_state(paused.id, false, Actor::System, at(NOON)).await.expect("paused");
    store.delete_hook(deleted.id, Actor::System, at(NOON)).await.expect("deleted");
    assert!(!noted(&paused, &of_paused).await && !noted(&deleted, &of_deleted).await);
    assert!(follow(&paused).await.is_empty() && follow(&deleted).await.is_empty());
    store.set_hook_state(paused.id, true, Actor::System, at(NOON)).await.expect("resumed");
    assert_eq!(drain(&store, &paused, 10).await, ["a3"], "what it had got while it was paused was noted");
}

#[tokio::test]
async fn more_lanes_than_are_looked_at_in_one_go_are_all_followed() {
    let store = test_db::store().await;
    let hook = hook(&store, None).await;
    for lane in 0..210 {
        take_in(&store, &format!("node-{lane:03}"), 0, vec![event(minutes(lane), &format!("{lane}"))]).await;
    }
    let got: BTreeSet<String> = drain(&store, &hook, 500).await.into_iter().collect();
    assert_eq!(got, (0..210).map(|lane| lane.to_string()).collect());
}

#[tokio::test]
async fn a_hook_waits_since_the_oldest_was_taken_in_that_it_has_not_got_unless_it_is_stopped() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (all, own) = (hook(&store, None).await, hook(&store, Some(world.partner)).await);
    let since = async |hook: &Hook| {
        let waits = store.hooks_waiting().await.expect("an answer");
        assert_eq!(waits.len(), 2);
        waits.iter().find(|wait| wait.id == hook.id).expect("the hook").since
    };
    assert_eq!((since(&all).await, since(&own).await), (None, None));
    take_in(&store, "a", 0, vec![event(minutes(-60), "a0"), event(minutes(1), "a1")]).await;
    let told =
        json!({"specversion": "1.0", "type": TYPE, "source": "job", "id": "told", "time": NOON, "data": {"units": 5}});
    let told = outside::read(&told).expect("an event");
    let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
    store.take_in_outside(world.partner, teller, &[told], minutes(5)).await.expect("told");
    assert_eq!((since(&all).await, since(&own).await), (Some(at(NOON)), Some(at(NOON))));
    let first = store.follow_usage(&all, 2).await.expect("an answer");
    store.note_delivered(all.id, &first, at(NOON)).await.expect("noted");
    assert_eq!(since(&all).await, Some(minutes(5)));
    drain(&store, &all, 10).await;
    assert_eq!((since(&all).await, since(&own).await), (None, Some(at(NOON))));
    store.set_hook_state(own.id, false, Actor::System, at(NOON)).await.expect("paused");
    assert_eq!(since(&own).await, None);
}

#[tokio::test]
async fn a_hook_that_fails_for_five_days_or_is_gone_is_switched_off_and_can_be_resumed() {
    let store = test_db::store().await;
    let (failing, gone) = (hook(&store, None).await, hook(&store, None).await);
    let fail = async |hook: &Hook, gone: bool, hours: i64| {
        let now = at(NOON) + SignedDuration::from_hours(hours);
        store
            .note_hook_failure(hook.id, "it answered 500", gone, now + SignedDuration::from_secs(5), now)
            .await
            .expect("noted")
    };
    assert_eq!(fail(&gone, true, 0).await, HookState::Disabled);
    for hours in [0, 60, 119] {
        assert_eq!(fail(&failing, false, hours).await, HookState::Active, "{hours}");
    }
    // One delivery is enough to begin anew.
    take_in(&store, "a", 0, vec![event(minutes(0), "a0")]).await;
    drain(&store, &failing, 1).await;
    for hours in [120, 239] {
        assert_eq!(fail(&failing, false, hours).await, HookState::Active, "{hours}");
    }
    let due = at(NOON) + SignedDuration::from_hours(240);
    assert_eq!(fail(&failing, false, 240).await, HookState::Disabled);
    let claimed = store.claim_hooks(due, due).await.expect("an answer");
    assert_eq!(claimed.len(), 0, "neither has anything to do");
    let audit = store.all_audit_page(None, 50).await.expect("a page").items;
    assert_eq!(audit.iter().filter(|entry| entry.action == "hook.disable").count(), 2);
    store.set_hook_state(failing.id, true, Actor::System, due).await.expect("resumed");
    take_in(&store, "z", 0, vec![event(minutes(1), "z0")]).await;
    let later = due + SignedDuration::from_secs(60);
    let claimed = store.claim_hooks(due, later).await.expect("an answer");
    assert_eq!(claimed.iter().map(|hook| (hook.id, hook.failures)).collect::<Vec<_>>(), [(failing.id, 0)]);
    assert_eq!(store.claim_hooks(due, later).await.expect("an answer").len(), 0, "it is somebody's");
    assert_eq!(store.claim_hooks(later, later).await.expect("an answer").len(), 1, "who is gone by now");
}

#[tokio::test]
async fn corrections_and_what_is_told_late_come_once_and_in_their_order_to_those_whom_they_concern() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let other = World::named(&store, "other").await.partner;
    let partner = world.partner;
    let [all, own, others] =
        [hook(&store, None).await, hook(&store, Some(partner)).await, hook(&store, Some(other)).await];
    let call = |number: i64| UsageEvent { partner, units: 10, ..event(minutes(number), &format!("r{number}")) };
    take_in(&store, "a", 0, (0..4).map(call).collect()).await;
    assert_eq!(drain(&store, &own, 3).await, ["r0", "r1", "r2", "r3"]);
    let first = apply(&store, partner, &asked(Change::Void, one("r0"))).await.expect("applied");
    revert(&store, partner, first).await.expect("reverted");
    apply(&store, partner, &asked(Change::SetUnits { units: 12 }, one("r1"))).await.expect("applied");
    let open = ["set r0-10 open", "back r0+10 open", "set r1+2 open"];
    assert_eq!(drain(&store, &own, 1).await, open);

    let plan = crate::plans::tests::create(&store, "starter", crate::plans::tests::terms()).await;
    let began = at(NOON) - SignedDuration::from_hours(48);
    store.choose_plan(partner, plan, Actor::System, began).await.expect("chosen");
    let subscription = store.open_subscription(partner).await.expect("answered").expect("one");
    sqlx::query(
        "insert into billing_periods (partner_id, subscription_id, period_start, period_end, closed_at) values ($1, $2, $3, $4, $4)",
    )
    .bind(partner.0)
    .bind(subscription.id.0)
    .bind(crate::Ts(began))
    .bind(crate::Ts(minutes(60)))
    .execute(store.pool())
    .await
    .expect("closed");
    let tell = async |id: &str, when: Timestamp| {
        let told =
            json!({"specversion": "1.0", "type": TYPE, "source": "s", "id": id, "time": when, "data": {"units": 5}});
        let told = outside::read(&told).expect("an event");
        let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
        store.take_in_outside(partner, teller, &[told], minutes(120)).await.expect("taken in");
    };
    tell("late-1", minutes(10)).await;
    tell("in-time", minutes(90)).await;
    tell("late-2", minutes(20)).await;
    apply(&store, partner, &asked(Change::Void, one("late-1"))).await.expect("applied");
    apply(&store, partner, &asked(Change::Void, one("r2"))).await.expect("applied");
    let mut got = drain(&store, &own, 2).await;
    let place = |text: &str| got.iter().position(|one| one == text).expect("it came");
    assert!(
        place("late late-1 5") < place("late late-2 5") && place("set late-1-5 closed") < place("set r2-10 closed")
    );
    got.sort_unstable();
    let expected = ["in-time", "late late-1 5", "late late-2 5", "set late-1-5 closed", "set r2-10 closed"];
    assert_eq!(got, expected);
    assert_eq!(drain(&store, &all, 100).await.len(), 4 + open.len() + expected.len());
    assert_eq!(drain(&store, &others, 100).await, Vec::<String>::new());

    // Whoever adds them up names each event as it was sent.
    let named: Vec<(Option<String>, Option<i64>)> =
        sqlx::query_as("select null::text, number from usage_correction_events order by number")
            .fetch_all(store.pool())
            .await
            .expect("numbers");
    assert_eq!(named.iter().map(|(_, number)| number.expect("it has one")).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let told = store.corrected_part(partner.0, (0, 5), 10).await.expect("answered");
    let of = told.iter().map(|told| match told {
        Told::Corrected(one) => one.of.clone().expect("an event"),
        other => panic!("{other:?}"),
    });
    let of: Vec<_> = of.collect();
    assert_eq!(of[3], ("s".to_owned(), "late-1".to_owned()));
    assert_eq!(of[4], ("turnpike:a".to_owned(), "a.0.0.2".to_owned()));
}

#[tokio::test]
async fn a_hook_with_nothing_to_get_is_not_written_to_and_one_with_something_is_claimed_at_once() {
    let store = test_db::store().await;
    take_in(&store, "a", 0, vec![event(minutes(1), "a0")]).await;
    let idle = hook(&store, None).await;
    let (now, until) = (minutes(2), minutes(4));
    let written = async || -> (String, Option<crate::Ts>) {
        sqlx::query_as("select xmin::text, claimed_until from export_hooks")
            .fetch_one(store.pool())
            .await
            .expect("a hook")
    };
    let before = written().await;
    for _ in 0..3 {
        assert_eq!(store.claim_hooks(now, until).await.expect("an answer").len(), 0);
    }
    assert_eq!(written().await, before);
    take_in(&store, "a", 1, vec![event(minutes(1), "a1")]).await;
    let claimed = store.claim_hooks(now, until).await.expect("an answer");
    assert_eq!(claimed.iter().map(|hook| hook.id).collect::<Vec<_>>(), [idle.id]);
    store.release_hook(idle.id).await.expect("let go");
    assert_eq!(drain(&store, &idle, 10).await, ["a1"]);
    assert_eq!(store.claim_hooks(now, until).await.expect("an answer").len(), 0);
    // What failed before is over when there is nothing more to get, and a test is asked for at any time.
    store.note_hook_failure(idle.id, "500", false, now, now).await.expect("noted");
    assert_eq!(store.claim_hooks(now, until).await.expect("an answer").len(), 1);
    store.release_hook(idle.id).await.expect("let go");
    store.note_delivered(idle.id, &Following::default(), now).await.expect("noted");
    store.ask_hook_test(idle.id, now).await.expect("asked");
    assert_eq!(store.claim_hooks(now, until).await.expect("an answer").len(), 1);
}
