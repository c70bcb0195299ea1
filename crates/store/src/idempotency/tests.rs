//! Keys in a real Postgres: taken once, told twice, never executed again.

use super::{Attempt, Begun, Resolution, UnknownFilter, UnknownSources};
use crate::{
    Actor, Store, StoreError, test_db,
    test_db::world::{World, now},
};
use domain::{
    id::{AttemptId, OperationId, PartnerId, ProductId},
    idempotency::{Key, Slot, Unknown},
    key_text::Environment,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn slot(world: &World, key: &str) -> Slot {
    Slot {
        partner: world.partner,
        environment: Environment::Live,
        product: ProductId(Uuid::from_u128(1)),
        operation: OperationId(Uuid::from_u128(2)),
        key: Key::parse(key.as_bytes()).expect("a key"),
    }
}

fn attempt(fingerprint: u8, life: u128) -> Attempt {
    Attempt {
        id: Uuid::now_v7(),
        fingerprint: [fingerprint; 32],
        request_id: "req_1".to_owned(),
        node: "one".to_owned(),
        life: Uuid::from_u128(life),
        lost_at: now() + MINUTE,
    }
}

async fn begin(store: &Store, slot: &Slot, attempt: &Attempt, at: Timestamp) -> Begun {
    store.begin_attempt(slot.partner, slot, attempt, at).await.expect("an answer")
}

#[tokio::test]
async fn of_fifty_racing_attempts_one_may_go_on() {
    let store = test_db::store().await;
    store.warm().await;
    let world = World::new(&store).await;
    let racing: Vec<_> = (0..50)
        .map(|_| {
            let (store, slot, attempt) = (store.handle(), slot(&world, "k"), attempt(1, 1));
            tokio::spawn(async move { begin(&store, &slot, &attempt, now()).await })
        })
        .collect();
    let mut fresh = 0;
    for race in racing {
        match race.await.expect("no panic") {
            Begun::Fresh => fresh += 1,
            other => assert_eq!(other, Begun::InFlight),
        }
    }
    assert_eq!(fresh, 1);
}

#[tokio::test]
async fn an_answer_is_given_again_until_its_time_is_over() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (slot, first) = (slot(&world, "k"), attempt(1, 1));
    assert_eq!(begin(&store, &slot, &first, now()).await, Begun::Fresh);
    assert!(store.answer_attempt(world.partner, first.id, b"sealed", now() + DAY).await.expect("kept"));
    let answered = Begun::Answered { sealed_answer: b"sealed".to_vec() };
    assert_eq!(begin(&store, &slot, &attempt(1, 1), now()).await, answered);
    assert_eq!(begin(&store, &slot, &attempt(2, 1), now()).await, Begun::Mismatch);
    assert_eq!(begin(&store, &slot, &attempt(1, 1), now() + DAY - MINUTE).await, answered);
    assert_eq!(begin(&store, &slot, &attempt(2, 1), now() + DAY).await, Begun::Fresh);
}

#[tokio::test]
async fn a_key_means_nothing_to_another_partner_environment_or_operation() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let slot = slot(&world, "k");
    let first = attempt(1, 1);
    assert_eq!(begin(&store, &slot, &first, now()).await, Begun::Fresh);
    for elsewhere in [
        Slot { partner: other.partner, ..slot.clone() },
        Slot { environment: Environment::Test, ..slot.clone() },
        Slot { product: ProductId(Uuid::from_u128(9)), ..slot.clone() },
        Slot { operation: OperationId(Uuid::from_u128(9)), ..slot.clone() },
        Slot { key: Key::parse(b"K").expect("a key"), ..slot.clone() },
    ] {
        assert_eq!(begin(&store, &elsewhere, &attempt(1, 1), now()).await, Begun::Fresh, "{elsewhere}");
    }
    // Nor can another partner end it.
    assert!(!store.answer_attempt(other.partner, first.id, b"theirs", now() + DAY).await.expect("asked"));
    store.release_attempt(other.partner, first.id).await.expect("asked");
    assert_eq!(begin(&store, &slot, &attempt(1, 1), now()).await, Begun::InFlight);
}

#[tokio::test]
async fn a_released_key_is_free_and_an_answered_one_cannot_be_released() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (slot, first, second) = (slot(&world, "k"), attempt(1, 1), attempt(2, 1));
    assert_eq!(begin(&store, &slot, &first, now()).await, Begun::Fresh);
    store.release_attempt(world.partner, first.id).await.expect("released");
    assert_eq!(begin(&store, &slot, &second, now()).await, Begun::Fresh);
    store.release_attempt(world.partner, first.id).await.expect("too late, and not its own");
    store.answer_attempt(world.partner, second.id, b"sealed", now() + DAY).await.expect("kept");
    store.release_attempt(world.partner, second.id).await.expect("refused in silence");
    assert_eq!(begin(&store, &slot, &second, now()).await, Begun::Answered { sealed_answer: b"sealed".to_vec() });
}

#[tokio::test]
async fn what_an_earlier_life_left_in_flight_is_unknown_and_in_the_audit_log() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (mine, theirs) = (slot(&world, "mine"), slot(&world, "theirs"));
    begin(&store, &mine, &attempt(1, 1), now()).await;
    begin(&store, &theirs, &Attempt { node: "two".to_owned(), ..attempt(1, 1) }, now()).await;
    assert_eq!(
        store.lose_attempts_of_earlier_lives("one", Uuid::from_u128(1), now()).await.expect("done"),
        0,
        "its own life's are still being carried out"
    );
    assert_eq!(store.lose_attempts_of_earlier_lives("one", Uuid::from_u128(2), now()).await.expect("done"), 1);
    let next = attempt(1, 2);
    assert_eq!(begin(&store, &mine, &next, now()).await, Begun::Unknown(Unknown::NodeEnded));
    assert_eq!(begin(&store, &mine, &next, now() + DAY).await, Begun::Unknown(Unknown::NodeEnded), "for a month");
    assert_eq!(begin(&store, &theirs, &next, now()).await, Begun::InFlight);
    let audit = store.audit_page(world.partner, None, 10).await.expect("a page").items;
    let entry = audit.iter().find(|entry| entry.action == "idempotency_key.unknown").expect("an entry");
    assert_eq!(entry.after.as_ref().map(|after| after["key"].clone()), Some("mine".into()));
    assert_eq!(store.lose_attempts_of_node("two", now()).await.expect("done"), 1);
    assert_eq!(begin(&store, &theirs, &next, now()).await, Begun::Unknown(Unknown::NodeEnded));
}

#[tokio::test]
async fn an_overdue_attempt_is_unknown_before_and_after_the_sweep_and_may_still_be_answered() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (slot, first) = (slot(&world, "k"), attempt(1, 1));
    begin(&store, &slot, &first, now()).await;
    let late = now() + MINUTE;
    assert_eq!(begin(&store, &slot, &attempt(1, 1), late).await, Begun::Unknown(Unknown::Overdue));
    assert_eq!(begin(&store, &slot, &attempt(2, 1), late).await, Begun::Mismatch);
    let swept = store.sweep_all_idempotency_keys(late).await.expect("swept");
    assert_eq!((swept.lost, swept.forgotten), (1, 0));
    assert_eq!(begin(&store, &slot, &attempt(1, 1), late + DAY).await, Begun::Unknown(Unknown::Overdue));
    assert!(store.answer_attempt(world.partner, first.id, b"late", late + DAY).await.expect("kept"));
    let swept = store.sweep_all_idempotency_keys(late + DAY).await.expect("swept");
    assert_eq!((swept.lost, swept.forgotten), (0, 1));
}

#[tokio::test]
async fn an_operator_frees_an_unknown_key_or_says_that_its_request_was_carried_out() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    for (key, resolution, then) in [
        ("a", Resolution::NotCarriedOut, Begun::Fresh),
        ("b", Resolution::CarriedOut, Begun::Unknown(Unknown::CarriedOut)),
    ] {
        let (slot, first) = (slot(&world, key), attempt(1, 1));
        let id = AttemptId(first.id);
        let resolve = || store.resolve_unknown_request(id, resolution, "Asked the bank", Actor::System, now());
        begin(&store, &slot, &first, now()).await;
        let early = resolve().await;
        assert!(matches!(early, Err(StoreError::NotFound)), "it is in flight: {early:?}");
        store.give_up_attempt(world.partner, first.id, Unknown::NoAnswer, now() + DAY, now()).await.expect("given up");
        assert_eq!(unknown(&store, None).await, [id]);
        resolve().await.expect("resolved");
        assert!(unknown(&store, None).await.is_empty());
        assert!(matches!(resolve().await, Err(StoreError::NotFound)), "once");
        assert!(!store.answer_attempt(world.partner, first.id, b"late", now() + DAY).await.expect("asked"));
        assert_eq!(begin(&store, &slot, &attempt(1, 1), now()).await, then);
        let audit = store.audit_page(world.partner, None, 10).await.expect("a page").items;
        let of_it: Vec<_> = audit.iter().filter(|entry| entry.subject == id.to_string()).collect();
        let actions: Vec<_> = of_it.iter().map(|entry| entry.action.as_str()).collect();
        assert!(matches!(actions[..], [resolved, "idempotency_key.unknown"] if resolved.ends_with("carried_out")));
        assert_eq!(of_it[0].after.as_ref().map(|after| after["note"].clone()), Some("Asked the bank".into()));
    }
}

#[tokio::test]
async fn what_is_known_to_be_carried_out_is_not_listed_and_cannot_be_freed() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    for (key, reason) in [("long", Unknown::TooLong), ("unrecorded", Unknown::Unrecorded)] {
        let (slot, first) = (slot(&world, key), attempt(1, 1));
        begin(&store, &slot, &first, now()).await;
        store.give_up_attempt(world.partner, first.id, reason, now() + DAY, now()).await.expect("given up");
        assert!(unknown(&store, None).await.is_empty());
        let freed = store
            .resolve_unknown_request(AttemptId(first.id), Resolution::NotCarriedOut, "", Actor::System, now())
            .await;
        assert!(matches!(freed, Err(StoreError::NotFound)), "{freed:?}");
        assert_eq!(begin(&store, &slot, &attempt(1, 1), now()).await, Begun::Unknown(reason));
        let audit = store.audit_page(world.partner, None, 10).await.expect("a page").items;
        let noted = audit.iter().any(|entry| entry.subject == AttemptId(first.id).to_string());
        assert_eq!(noted, reason == Unknown::Unrecorded, "{key}");
    }
}

#[tokio::test]
async fn unknown_requests_are_listed_oldest_first_in_pages_for_all_partners_or_one() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let mut begun = Vec::new();
    for (world, key) in [(&world, "a"), (&other, "b"), (&world, "c")] {
        let first = attempt(1, 1);
        begin(&store, &slot(world, key), &first, now()).await;
        store.give_up_attempt(world.partner, first.id, Unknown::NoAnswer, now() + DAY, now()).await.expect("given up");
        begun.push(AttemptId(first.id));
    }
    assert_eq!(unknown(&store, None).await, begun);
    assert_eq!(unknown(&store, Some(world.partner)).await, [begun[0], begun[2]]);
    let all = UnknownFilter::default();
    let first = store.all_unknown_requests(&all, None, 2).await.expect("a page");
    let next = store.all_unknown_requests(&all, first.next.as_deref(), 2).await.expect("a page");
    assert_eq!((first.items.len(), next.items.len(), next.next), (2, 1, None));
    let last = &next.items[0];
    assert_eq!((last.attempt, last.partner_name.as_str(), last.key.as_str()), (begun[2], "acme", "c"));
    assert!(store.all_unknown_requests(&all, Some("nonsense"), 2).await.is_err());
}

async fn unknown(store: &Store, partner: Option<PartnerId>) -> Vec<AttemptId> {
    found(store, &UnknownFilter { partner, ..UnknownFilter::default() }).await
}

async fn found(store: &Store, filter: &UnknownFilter) -> Vec<AttemptId> {
    let page = store.all_unknown_requests(filter, None, 10).await.expect("a list");
    page.items.iter().map(|request| request.attempt).collect()
}

#[tokio::test]
async fn an_unknown_request_is_found_by_product_key_and_request_id_and_is_nowhere_once_it_is_resolved() {
    let store = test_db::store().await;
    let (world, other) = (World::named(&store, "Zebra").await, World::named(&store, "apple").await);
    let mut begun = Vec::new();
    for (world, key, product) in [(&world, "a", 1), (&other, "b", 1), (&world, "c", 7), (&world, "d", 1)] {
        let first = Attempt { request_id: format!("req_{key}"), ..attempt(1, 1) };
        let slot = Slot { product: ProductId(Uuid::from_u128(product)), ..slot(world, key) };
        begin(&store, &slot, &first, now()).await;
        let reason = if key == "d" { Unknown::TooLong } else { Unknown::NoAnswer };
        store.give_up_attempt(world.partner, first.id, reason, now() + DAY, now()).await.expect("given up");
        begun.push(AttemptId(first.id));
    }
    let product = Some(ProductId(Uuid::from_u128(7)));
    assert_eq!(found(&store, &UnknownFilter { product, ..UnknownFilter::default() }).await, [begun[2]]);
    for (text, wanted) in [("b", vec![begun[1]]), ("req_a", vec![begun[0]]), ("req", vec![]), ("d", vec![])] {
        let filter = UnknownFilter { text: Some(text.to_owned()), ..UnknownFilter::default() };
        assert_eq!(found(&store, &filter).await, wanted, "{text}");
    }
    let sources = store.all_unknown_sources().await.expect("sources");
    let names: Vec<_> = sources.partners.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!((sources.requests, names, sources.products.len()), (3, vec!["apple", "Zebra"], 2));
    let one = store.unknown_request_of_any_partner(begun[2]).await.expect("it is there");
    assert_eq!((one.key.as_str(), one.partner, Some(one.product_id)), ("c", world.partner, product));
    let known = store.unknown_request_of_any_partner(begun[3]).await;
    assert!(matches!(known, Err(StoreError::NotFound)), "{known:?}");
    for attempt in &begun[..3] {
        let done = store.resolve_unknown_request(*attempt, Resolution::CarriedOut, "", Actor::System, now()).await;
        done.expect("resolved");
        let gone = store.unknown_request_of_any_partner(*attempt).await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    }
    assert_eq!(store.all_unknown_sources().await.expect("sources"), UnknownSources::default());
}

#[tokio::test]
async fn who_keeps_more_than_allowed_is_named() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    for (world, bytes) in [(&world, 5_000), (&other, 1_000)] {
        let (slot, first) = (slot(world, "k"), attempt(1, 1));
        begin(&store, &slot, &first, now()).await;
        store.answer_attempt(world.partner, first.id, &vec![7; bytes], now() + DAY).await.expect("kept");
    }
    assert_eq!(store.partners_with_more_kept_than(5_000).await.expect("a list"), [world.partner]);
}
