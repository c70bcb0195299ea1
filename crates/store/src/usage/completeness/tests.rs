//! What is missing is told as missing, and nothing else is.

use super::*;
use crate::{
    Actor,
    ingest::{
        Position,
        tests::{at, event, partner},
    },
    reconcile::{Kind, ToldLane, ToldTally},
    test_db::{self, TestStore},
};
use MissingReason::{Lost, NotReported, Unaccounted};
use domain::key_text::Environment;

const NOON: &str = "2026-03-01T12:00:00Z";

fn day() -> Period {
    Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") }
}

fn stretch(start: &str, end: &str) -> Period {
    Period { start: at(start), end: at(end) }
}

/// Reason and stretch of what is missing of the day, some time after noon.
async fn missing(store: &TestStore, minutes: i64) -> Vec<(MissingReason, Period)> {
    let now = at(NOON) + SignedDuration::from_mins(minutes);
    let known = store.completeness(partner(), day(), now).await.expect("an answer");
    known.missing.into_iter().map(|missing| (missing.reason, missing.range)).collect()
}

/// Two lanes of one node that had handed everything over at noon.
async fn caught_up() -> TestStore {
    let store = test_db::store().await;
    let to = Position { sequence: 10, ..Position::default() };
    let events = (0..10).map(|number| (number, event(at("2026-03-01T10:30:00Z"), &format!("r{number}")))).collect();
    store.ingest(("a", 0, events), Position::default(), to, at("2026-03-01T10:31:00Z")).await.expect("taken in");
    for lane in [0, 1] {
        store.caught_up("a", lane, at(NOON)).await.expect("noted");
    }
    store
}

#[tokio::test]
async fn a_range_of_which_all_was_handed_over_misses_nothing() {
    let store = test_db::store().await;
    assert_eq!(missing(&store, 0).await, [], "there is no gateway that could be behind");
    let store = caught_up().await;
    let known = store.completeness(partner(), day(), at(NOON)).await.expect("an answer");
    assert_eq!(known, Completeness { through: Some(at(NOON)), missing: Vec::new() });
    let (before, beyond) = (
        stretch("2026-03-01T10:00:00Z", "2026-03-01T11:49:00Z"),
        stretch("2026-03-01T11:00:00Z", "2026-03-01T11:49:01Z"),
    );
    assert!(known.covers(before, Some(partner())));
    assert!(
        !known.covers(beyond, None) && !known.misses(beyond, None),
        "a call that began then may still be on its way"
    );
    assert_eq!(missing(&store, 1).await, [], "a minute's delay is none");
}

#[tokio::test]
async fn a_gateway_that_falls_silent_misses_usage_since_then_until_it_hands_over_ends_or_is_given_up() {
    let silent = [(NotReported, stretch(NOON, "2026-03-01T12:30:00Z"))];
    let store = caught_up().await;
    // The other lane goes on.
    store.caught_up("a", 1, at("2026-03-01T12:30:00Z")).await.expect("noted");
    assert_eq!(missing(&store, 30).await, silent);
    let all = store.all_partners_completeness(day(), at("2026-03-01T12:30:00Z")).await.expect("an answer");
    assert_eq!((all.through, all.missing[0].node.as_str()), (Some(at(NOON)), "a"));
    let earlier = Period { start: day().start, end: at("2026-03-01T11:00:00Z") };
    let known = store.completeness(partner(), earlier, at("2026-03-01T12:30:00Z")).await.expect("an answer");
    assert!(known.is_whole() && known.covers(earlier, Some(partner())), "what was before is whole");
    store.caught_up("a", 0, at("2026-03-01T12:30:00Z")).await.expect("noted");
    assert_eq!(missing(&store, 30).await, []);

    // One that ended as it should is not silent; one that could not hand over its last calls is.
    let store = caught_up().await;
    store.note_end("a", at("2026-03-01T12:00:01Z"), at("2026-03-01T12:00:02Z")).await.expect("noted");
    assert_eq!(missing(&store, 30).await, silent);
    store.note_end("a", at(NOON), at("2026-03-01T12:00:02Z")).await.expect("noted");
    assert_eq!(missing(&store, 30).await, []);
    let known = store.completeness(partner(), day(), at("2026-03-01T12:30:00Z")).await.expect("an answer");
    assert_eq!(known.through, Some(at("2026-03-01T12:30:00Z")), "nobody else serves calls");
    // It runs again.
    store.caught_up("a", 0, at("2026-03-01T12:10:00Z")).await.expect("noted");
    assert_eq!(missing(&store, 30).await, [(NotReported, stretch("2026-03-01T12:10:00Z", "2026-03-01T12:30:00Z"))]);
    store.forget_node("a", None).await.expect("forgotten");
    assert_eq!(missing(&store, 30).await, [], "an operator says that it had nothing");
}

#[tokio::test]
async fn a_gateway_that_never_caught_up_may_hold_calls_of_any_time() {
    let store = test_db::store().await;
    let to = Position { sequence: 1, ..Position::default() };
    let events = vec![(0, event(at("2026-03-01T10:30:00Z"), "r"))];
    store.ingest(("a", 0, events), Position::default(), to, at(NOON)).await.expect("taken in");
    assert_eq!(missing(&store, 1).await, [], "it has only just been heard of");
    assert_eq!(missing(&store, 5).await, [(NotReported, stretch("2026-03-01T00:00:00Z", "2026-03-01T12:05:00Z"))]);
    let known = store.completeness(partner(), day(), at("2026-03-01T12:05:00Z")).await.expect("an answer");
    assert_eq!(known.through, None);
}

#[tokio::test]
async fn what_was_given_up_stays_missing_between_the_calls_around_it() {
    let store = caught_up().await;
    let (from, to) =
        (Position { sequence: 10, ..Position::default() }, Position { segment: 1, byte_offset: 0, sequence: 13 });
    let now = at("2026-03-01T15:00:00Z");
    store.skip_damage("a", 0, (from, to), "the disk", Actor::System, now).await.expect("skipped");
    let past = Position { sequence: 14, ..to };
    let next = vec![(13, event(at("2026-03-01T12:10:00Z"), "next"))];
    store.ingest(("a", 0, next), to, past, now).await.expect("taken in");
    for lane in [0, 1] {
        store.caught_up("a", lane, now).await.expect("noted");
    }
    assert_eq!(missing(&store, 180).await, [(Lost, stretch(NOON, "2026-03-01T12:10:00Z"))]);
    let refused = [(14, 20)];
    store.note_unsynced("a", 0, &refused, now).await.expect("noted");
    assert_eq!(missing(&store, 180).await.len(), 1, "calls that were refused are not missing");
}

#[tokio::test]
async fn what_a_gateway_told_of_and_never_handed_over_is_lost_when_it_is_given_up() {
    let store = caught_up().await;
    let tally =
        ToldTally { partner: partner(), hour: at(NOON), environment: Environment::Live, part: 0, calls: 3, units: 3 };
    let told = ToldLane { lane: 0, epoch: 1, first: 0, through: 13, told: 0, tallies: vec![tally] };
    store.tell_tallies("a", &[told], at("2026-03-01T12:15:00Z")).await.expect("told");
    store.forget_node("a", None).await.expect("forgotten");
    assert_eq!(missing(&store, 30).await, [(Lost, stretch(NOON, "2026-03-01T12:15:00Z"))]);
}

#[tokio::test]
async fn an_hour_of_which_less_is_stored_than_was_counted_misses_usage_until_somebody_has_looked() {
    let store = caught_up().await;
    sqlx::query("delete from usage_events where sequence in (3, 7)").execute(store.pool()).await.expect("deleted");
    let now = at("2026-03-01T12:00:10Z");
    store.reconcile_all(day(), &Kind::ALL, now).await.expect("compared");
    let hour = stretch("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z");
    assert_eq!(missing(&store, 1).await, [(Unaccounted, hour)]);
    let known = store.completeness(partner(), day(), at(NOON)).await.expect("an answer");
    assert!(!known.covers(hour, Some(partner())) && known.misses(hour, None));
    assert!(known.covers(stretch("2026-03-01T11:00:00Z", "2026-03-01T11:40:00Z"), Some(partner())));
    store.accept_findings("looked", Actor::System, now).await.expect("accepted");
    assert_eq!(missing(&store, 1).await, []);
}

#[tokio::test]
async fn what_a_forgotten_gateway_may_have_served_unheard_is_lost_and_not_shown_as_complete() {
    let gone = (at("2026-03-01T12:20:00Z"), stretch(NOON, "2026-03-01T12:20:00Z"));
    // Postgres was away, the gateway served on, and its disk is lost: nobody was told of anything.
    let store = caught_up().await;
    store.forget_node("a", Some(gone.0)).await.expect("forgotten");
    assert_eq!(missing(&store, 30).await, [(Lost, gone.1)]);
    let known = store.completeness(partner(), day(), at("2026-03-01T13:00:00Z")).await.expect("an answer");
    assert!(!known.covers(gone.1, Some(partner())) && known.misses(gone.1, None));
    assert!(known.covers(stretch("2026-03-01T12:20:00Z", "2026-03-01T12:40:00Z"), Some(partner())));
    // Of what it had told of nobody has to say until when.
    let told = ToldLane { lane: 0, epoch: 1, first: 0, through: 13, told: 0, tallies: Vec::new() };
    store.tell_tallies("a", &[told], at("2026-03-01T12:25:00Z")).await.expect("told");
    assert_eq!(missing(&store, 30).await, [(Lost, stretch(NOON, "2026-03-01T12:25:00Z"))]);
    // It comes back, with all that it had.
    let (from, to) =
        (Position { sequence: 10, ..Position::default() }, Position { sequence: 13, ..Position::default() });
    let late = (10..13).map(|number| (number, event(at("2026-03-01T12:05:00Z"), "late"))).collect();
    store.ingest(("a", 0, late), from, to, at("2026-03-01T12:30:00Z")).await.expect("taken in");
    for lane in [0, 1] {
        store.caught_up("a", lane, at("2026-03-01T12:30:00Z")).await.expect("noted");
    }
    assert_eq!(missing(&store, 30).await, []);

    // One that had ended as it should had nothing left.
    let store = caught_up().await;
    store.note_end("a", at(NOON), at("2026-03-01T12:00:02Z")).await.expect("noted");
    store.forget_node("a", Some(gone.0)).await.expect("forgotten");
    assert_eq!(missing(&store, 30).await, []);
}
