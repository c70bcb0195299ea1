//! Sums with corrections are sums of what would have been counted, and every step is taken once, by whom it may.

mod books;

use super::*;
use crate::{
    Actor, Store, StoreError, Ts,
    ingest::{
        Position,
        tests::{at, event},
    },
    outside::Teller,
    reconcile::Kind,
    test_db::{self, TestStore, world::World},
    usage::{Place, RequestFilter},
};
use domain::{
    correction::{BackFill, Change, Filter, NewCorrection, State},
    id::{CorrectionId, OperatorId, PartnerId, TokenId},
    key_text::Environment,
    period::Period,
    usage::{UsageEvent, cloud_event::TYPE},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const MAKER: Actor = Actor::Operator(OperatorId(Uuid::from_u128(0xA)));
const OTHER: Actor = Actor::Operator(OperatorId(Uuid::from_u128(0xB)));

fn now() -> Timestamp {
    at("2026-04-01T00:00:00Z")
}

fn march() -> Period {
    Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-04-01T00:00:00Z") }
}

pub(crate) fn asked(change: Change, filter: Filter) -> NewCorrection {
    NewCorrection { change, filter, reason: "Counted wrongly".to_owned() }
}

/// One call, by its request id.
pub(crate) fn one(request: &str) -> Filter {
    Filter { request_id: Some(request.to_owned()), ..Filter::default() }
}

async fn tried(store: &Store, partner: PartnerId, new: &NewCorrection) -> Result<Draft, StoreError> {
    let effect = store.correction_effect(partner, new, now()).await?;
    Ok(Draft { new: new.clone(), dry_run: json!({"events": effect.hits.len()}), hash: effect.hash()? })
}

async fn drafted(store: &Store, partner: PartnerId, new: &NewCorrection) -> Result<(CorrectionId, Draft), StoreError> {
    let draft = tried(store, partner, new).await?;
    Ok((store.draft_correction(partner, &draft, false, MAKER, now()).await?, draft))
}

pub(crate) async fn apply(store: &Store, partner: PartnerId, new: &NewCorrection) -> Result<CorrectionId, StoreError> {
    let (id, draft) = drafted(store, partner, new).await?;
    let approval = Approval { seen: draft.hash, four_eyes: false };
    store.approve_correction(partner, id, (approval, &draft), MAKER, now()).await?;
    assert!(store.apply_correction(partner, id, (&draft, draft.hash, false), MAKER, now()).await?);
    Ok(id)
}

pub(crate) async fn revert(store: &Store, partner: PartnerId, id: CorrectionId) -> Result<bool, StoreError> {
    store.revert_correction(partner, id, ("It was right", false), OTHER, now()).await
}

async fn take_in(store: &Store, partner: PartnerId, events: Vec<UsageEvent>) {
    let to = Position { segment: 1, byte_offset: 9, sequence: events.len() as u64 };
    let own = events.into_iter().map(|event| UsageEvent { partner, ..event });
    store.ingest(("a", 0, (0..).zip(own).collect::<Vec<_>>()), Position::default(), to, now()).await.expect("taken in");
    store.caught_up("a", 0, now()).await.expect("noted");
}

async fn used(store: &Store, partner: PartnerId) -> (u64, u64) {
    let totals = store.usage_totals(partner, march(), &crate::usage::UsageFilter::default()).await.expect("totals");
    (totals.calls, totals.units)
}

async fn findings(store: &Store) -> Vec<crate::reconcile::Finding> {
    store.reconcile_all(march(), &Kind::ALL, now()).await.expect("compared").findings
}

/// Calls of ten units, one an hour, named `r0` and so on.
fn calls(count: i64) -> Vec<UsageEvent> {
    let call = |number: i64| UsageEvent {
        units: 10,
        ..event(at("2026-03-10T00:30:00Z") + SignedDuration::from_hours(number), &format!("r{number}"))
    };
    (0..count).map(call).collect()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome.expect_err("refused") {
        StoreError::Conflict { message, .. } | StoreError::Invalid { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_correction_is_carried_out_once_and_taken_back_once_however_often_it_is_asked_for() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    take_in(&store, partner, calls(5)).await;
    let (id, draft) = drafted(&store, partner, &asked(Change::Void, one("r2"))).await.expect("drafted");
    let early = store.apply_correction(partner, id, (&draft, draft.hash, false), MAKER, now()).await;
    assert!(refused(early).contains("draft"), "nothing counts that nobody approved");
    let approval = Approval { seen: draft.hash, four_eyes: false };
    store.approve_correction(partner, id, (approval, &draft), MAKER, now()).await.expect("approved");
    let race = (0..8).map(|_| {
        let (store, draft) = (store.handle(), draft.clone());
        tokio::spawn(
            async move { store.apply_correction(partner, id, (&draft, draft.hash, false), MAKER, now()).await },
        )
    });
    let mut applied = 0;
    for one in race.collect::<Vec<_>>() {
        applied += usize::from(one.await.expect("no panic").expect("an answer"));
    }
    assert_eq!((applied, used(&store, partner).await), (1, (4, 40)));
    let race = (0..8).map(|_| {
        let store = store.handle();
        tokio::spawn(async move { revert(&store, partner, id).await })
    });
    let mut reverted = 0;
    for one in race.collect::<Vec<_>>() {
        reverted += usize::from(one.await.expect("no panic").expect("an answer"));
    }
    assert_eq!((reverted, used(&store, partner).await), (1, (5, 50)));
    assert_eq!(findings(&store).await, []);
    let again = store.apply_correction(partner, id, (&draft, draft.hash, false), MAKER, now()).await;
    assert!(refused(again).contains("reverted"));
    let audit = store.all_audit_page(None, 4).await.expect("a page").items;
    let told: Vec<_> = audit.iter().map(|entry| (entry.action.as_str(), entry.partner.is_some())).collect();
    let steps = [("revert", true), ("apply", true), ("approve", false), ("draft", false)];
    let steps = steps.map(|(step, is_theirs)| (format!("correction.{step}"), is_theirs));
    assert!(told.iter().copied().eq(steps.iter().map(|(action, theirs)| (action.as_str(), *theirs))), "{told:?}");
}

#[tokio::test]
async fn where_it_takes_two_the_maker_neither_approves_nor_reverts_and_a_token_is_nobody() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    take_in(&store, partner, calls(2)).await;
    let draft = tried(&store, partner, &asked(Change::Void, one("r0"))).await.expect("tried");
    let token = Actor::Token(TokenId(Uuid::from_u128(1)));
    assert!(refused(store.draft_correction(partner, &draft, true, token, now()).await).contains("two operators"));
    let id = store.draft_correction(partner, &draft, true, MAKER, now()).await.expect("drafted");
    let approval = Approval { seen: draft.hash, four_eyes: true };
    for who in [MAKER, token, Actor::System] {
        refused(store.approve_correction(partner, id, (approval, &draft), who, now()).await);
    }
    let held = store.correction_of_any_partner(id).await.expect("it is there");
    assert_eq!((held.state, used(&store, partner).await), (State::Draft, (2, 20)));
    store.approve_correction(partner, id, (approval, &draft), OTHER, now()).await.expect("approved");
    store.apply_correction(partner, id, (&draft, draft.hash, false), MAKER, now()).await.expect("applied");
    for who in [MAKER, token] {
        refused(store.revert_correction(partner, id, ("No", true), who, now()).await);
    }
    assert!(store.revert_correction(partner, id, ("No", true), OTHER, now()).await.expect("reverted"));
    // The control: where it takes one, the maker does it all.
    let id = apply(&store, partner, &asked(Change::Void, one("r0"))).await.expect("applied");
    assert!(store.revert_correction(partner, id, ("No", false), MAKER, now()).await.expect("reverted"));
}

#[tokio::test]
async fn what_one_person_approved_is_a_draft_again_once_it_takes_two() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    take_in(&store, partner, calls(2)).await;
    let (id, draft) = drafted(&store, partner, &asked(Change::Void, one("r0"))).await.expect("drafted");
    let approval = Approval { seen: draft.hash, four_eyes: false };
    store.approve_correction(partner, id, (approval, &draft), MAKER, now()).await.expect("approved");
    for who in [OTHER, MAKER] {
        let outcome = store.apply_correction(partner, id, (&draft, draft.hash, true), who, now()).await;
        refused(outcome);
        let held = store.correction_of_any_partner(id).await.expect("there");
        assert_eq!((held.state, held.approved, used(&store, partner).await), (State::Draft, None, (2, 20)));
    }
    let approval = Approval { seen: draft.hash, four_eyes: true };
    refused(store.approve_correction(partner, id, (approval, &draft), MAKER, now()).await);
    store.approve_correction(partner, id, (approval, &draft), OTHER, now()).await.expect("approved");
    assert!(store.apply_correction(partner, id, (&draft, draft.hash, true), MAKER, now()).await.expect("applied"));
    assert_eq!(used(&store, partner).await, (1, 10));

    // Nor is it enough that an operator approves what a token made.
    let token = Actor::Token(TokenId(Uuid::from_u128(1)));
    let draft = tried(&store, partner, &asked(Change::Void, one("r1"))).await.expect("tried");
    let id = store.draft_correction(partner, &draft, false, token, now()).await.expect("drafted");
    let approval = Approval { seen: draft.hash, four_eyes: false };
    store.approve_correction(partner, id, (approval, &draft), OTHER, now()).await.expect("approved");
    refused(store.apply_correction(partner, id, (&draft, draft.hash, true), OTHER, now()).await);
    assert_eq!(used(&store, partner).await, (1, 10));
}

#[tokio::test]
async fn what_is_approved_is_what_was_seen_and_what_is_applied_what_was_approved() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    take_in(&store, partner, calls(3)).await;
    let day = Filter { from: Some(march().start), to: Some(march().end), ..Filter::default() };
    let all = asked(Change::SetUnits { units: 4 }, day);
    let (id, seen) = drafted(&store, partner, &all).await.expect("drafted");
    apply(&store, partner, &asked(Change::Void, one("r1"))).await.expect("applied");
    let again = tried(&store, partner, &all).await.expect("tried");
    let approval = Approval { seen: seen.hash, four_eyes: false };
    let outcome = store.approve_correction(partner, id, (approval, &again), MAKER, now()).await;
    assert!(refused(outcome).contains("has changed"));
    assert_eq!(store.correction_of_any_partner(id).await.expect("there").dry_run, json!({"events": 2}));
    let approval = Approval { seen: again.hash, four_eyes: false };
    store.approve_correction(partner, id, (approval, &again), MAKER, now()).await.expect("approved");
    apply(&store, partner, &asked(Change::Void, one("r2"))).await.expect("applied");
    // Whoever brings the old dry run is held to what is found when it is written.
    assert!(
        refused(store.apply_correction(partner, id, (&again, again.hash, false), MAKER, now()).await)
            .contains("changed")
    );
    let third = tried(&store, partner, &all).await.expect("tried");
    assert!(
        refused(store.apply_correction(partner, id, (&third, third.hash, false), MAKER, now()).await)
            .contains("changed")
    );
    assert_eq!(store.correction_of_any_partner(id).await.expect("there").state, State::Draft);
    assert_eq!(used(&store, partner).await, (1, 10));
}

#[tokio::test]
async fn corrections_of_one_call_add_up_and_go_back_in_the_other_order() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    take_in(&store, partner, calls(2)).await;
    let first = apply(&store, partner, &asked(Change::SetUnits { units: 7 }, one("r0"))).await.expect("applied");
    let second = apply(&store, partner, &asked(Change::Void, one("r0"))).await.expect("applied");
    assert_eq!(used(&store, partner).await, (1, 10));
    let nothing = apply(&store, partner, &asked(Change::Void, one("r0"))).await;
    assert!(refused(nothing).contains("nothing"), "what is voided cannot be voided again");
    assert!(refused(revert(&store, partner, first).await).contains(&second.to_string()));
    revert(&store, partner, second).await.expect("reverted");
    assert_eq!(used(&store, partner).await, (2, 17));
    revert(&store, partner, first).await.expect("reverted");
    assert_eq!(used(&store, partner).await, (2, 20));
    // The log has the call as it was, once, and says what became of it.
    let log = store.request_log(partner, march(), &RequestFilter::default(), None, 10).await.expect("a page");
    assert_eq!(log.requests.len(), 2);
    let place: Place = log.requests.iter().find(|call| call.request_id == "r0").expect("the call").place.clone();
    let told = store.corrections_of_call(partner, &place).await.expect("told");
    let told: Vec<_> = told.iter().map(|line| (line.correction, line.units, line.state)).collect();
    assert_eq!(told, [(first, -3, State::Reverted), (second, -7, State::Reverted)]);
    assert_eq!(findings(&store).await, []);
}

#[tokio::test]
async fn a_mistyped_report_from_outside_is_taken_back_and_a_back_fill_counts_as_told() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    let told = |id: &str, units: u64| {
        let event = json!({"specversion": "1.0", "type": TYPE, "source": "s", "id": id, "time": "2026-03-12T00:00:00Z",
            "data": {"units": units}});
        domain::usage::outside::read(&event).expect("an event")
    };
    let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
    let batch = [told("job-1", 1_000_000), told("job-2", 3)];
    store.take_in_outside(partner, teller, &batch, now()).await.expect("taken in");
    let typo = Filter { source: Some("s".to_owned()), ..one("job-1") };
    let set = apply(&store, partner, &asked(Change::SetUnits { units: 10 }, typo.clone())).await.expect("applied");
    assert_eq!(used(&store, partner).await, (2, 13));
    revert(&store, partner, set).await.expect("reverted");
    apply(&store, partner, &asked(Change::Void, typo)).await.expect("applied");
    assert_eq!(used(&store, partner).await, (1, 3));
    let fill = BackFill {
        at: at("2026-03-13T10:10:10.123456789Z"),
        calls: 500,
        units: 70,
        environment: Environment::Live,
        product: None,
        operation: None,
        app: None,
    };
    let filled = apply(&store, partner, &asked(Change::BackFill(fill), Filter::default())).await.expect("applied");
    assert_eq!(used(&store, partner).await, (501, 73));
    assert_eq!(findings(&store).await, []);
    let held: i64 = sqlx::query_scalar("select units_stored($1, $2, $3)")
        .bind(partner.0)
        .bind(Ts(at("2026-03-13T10:10:00Z")))
        .bind(Ts(march().end))
        .fetch_one(store.pool())
        .await
        .expect("units");
    assert_eq!(held, 0, "nobody's quota holds what no gateway counted");
    revert(&store, partner, filled).await.expect("reverted");
    assert_eq!((used(&store, partner).await, findings(&store).await), ((1, 3), vec![]));
}

#[tokio::test]
async fn a_void_gives_the_open_quota_back_never_below_zero_and_its_revert_takes_it_again() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    let held = |call: UsageEvent| UsageEvent { period: Some(march()), ..call };
    let paid = UsageEvent { credits: 4, ..held(calls(1).remove(0)) };
    take_in(&store, partner, calls(4).into_iter().skip(1).map(held).chain([paid]).collect()).await;
    let taken = async || {
        sqlx::query_as::<_, (String, i64)>("select kind, taken from allowances order by kind")
            .fetch_all(store.pool())
            .await
            .expect("allowances")
    };
    let stood = |credit, quota| vec![("credit".to_owned(), credit), ("quota".to_owned(), quota)];
    assert_eq!(taken().await, stood(4, 36));
    let set = apply(&store, partner, &asked(Change::SetUnits { units: 5 }, one("r0"))).await.expect("applied");
    assert_eq!(taken().await, stood(0, 35));
    let void = apply(&store, partner, &asked(Change::Void, one("r1"))).await.expect("applied");
    assert_eq!(taken().await, stood(0, 25));
    revert(&store, partner, set).await.expect("reverted");
    revert(&store, partner, void).await.expect("reverted");
    assert_eq!(taken().await, stood(4, 36));
    // Less is left in the allowance than the call used: as after a change behind our back.
    sqlx::query("update allowances set taken = 3").execute(store.pool()).await.expect("done");
    apply(&store, partner, &asked(Change::Void, one("r1"))).await.expect("applied");
    assert_eq!(taken().await, stood(3, 0));
}
