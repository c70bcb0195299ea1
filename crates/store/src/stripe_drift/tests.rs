//! What was decided holds for the two values that it was decided of, and for no others.

use super::{Drift, DriftFilter, DriftKind, DriftState, ListedDrift};
use crate::{
    Actor, Store, StoreError,
    test_db::{self, world::World},
};
use domain::id::{DriftId, OperatorId, PartnerId};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const OPERATOR: Actor = Actor::Operator(OperatorId(Uuid::from_u128(9)));

fn at(hours: i64) -> Timestamp {
    test_db::world::now() + SignedDuration::from_hours(hours)
}

fn name(partner: PartnerId, theirs: &str) -> Drift {
    Drift {
        kind: DriftKind::Customer,
        object: partner.to_string(),
        field: "name".to_owned(),
        partner: Some(partner),
        stripe_id: "cus_1".to_owned(),
        ours: "Acme".to_owned(),
        theirs: theirs.to_owned(),
    }
}

fn meter(event_name: &str) -> Drift {
    Drift {
        kind: DriftKind::Meter,
        object: event_name.to_owned(),
        field: "status".to_owned(),
        partner: None,
        stripe_id: "mtr_1".to_owned(),
        ours: "active".to_owned(),
        theirs: "inactive".to_owned(),
    }
}

async fn all(store: &Store, filter: DriftFilter) -> Vec<ListedDrift> {
    store.all_partners_stripe_drift(&filter, None, 200).await.expect("a list").items
}

async fn keep(store: &Store, found: &[Drift], hours: i64) -> bool {
    store.keep_stripe_drift(found, 5, at(hours), at(hours)).await.expect("kept")
}

#[tokio::test]
async fn a_decision_holds_as_long_as_both_values_do_and_what_agrees_again_is_gone() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    assert!(keep(&store, &[name(partner, "Akme"), meter("units")], 0).await);
    let by_kind = |kind| DriftFilter { kind: Some(kind), ..DriftFilter::default() };
    let customer = all(&store, by_kind(DriftKind::Customer)).await.remove(0);
    assert_eq!((customer.state, customer.partner_name.is_empty()), (DriftState::Open, false));
    let refused = store.accept_stripe_drift(customer.id, "  ", OPERATOR, at(1)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    store.accept_stripe_drift(customer.id, "They are called so", OPERATOR, at(1)).await.expect("accepted");
    let again = store.accept_stripe_drift(customer.id, "Again", OPERATOR, at(1)).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");

    assert!(keep(&store, &[name(partner, "Akme")], 2).await, "the meter agrees again");
    let left = all(&store, DriftFilter::default()).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].state, left[0].first_seen_at, left[0].last_seen_at), (DriftState::Accepted, at(0), at(2)));
    let standing = store.stripe_comparison().await.expect("a standing");
    assert_eq!((standing.open, standing.accepted, standing.compared_at), (0, 1, Some(at(2))));

    assert!(keep(&store, &[name(partner, "Akme & Co")], 3).await);
    let other = all(&store, DriftFilter::default()).await.remove(0);
    assert_eq!((other.state, other.note.as_str(), other.first_seen_at), (DriftState::Open, "", at(0)));
    assert_ne!(other.id, customer.id, "other values are another difference");
    let stale = store.ask_to_write_stripe_drift(customer.id, OPERATOR, at(3)).await;
    assert!(matches!(stale, Err(StoreError::NotFound)), "what was shown before cannot be written: {stale:?}");
    assert!(!keep(&store, &[], 2).await, "a comparison that began earlier says nothing");
    assert_eq!(all(&store, DriftFilter::default()).await.len(), 1);
}

#[tokio::test]
async fn ours_is_asked_for_once_and_the_audit_log_has_both_values() {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    keep(&store, &[name(partner, "Akme")], 0).await;
    let id = all(&store, DriftFilter::default()).await[0].id;
    let ask = |id: DriftId| store.ask_to_write_stripe_drift(id, OPERATOR, at(1));
    let (one, two) = tokio::join!(ask(id), ask(id));
    assert_eq!([one, two].iter().filter(|done| done.is_ok()).count(), 1, "two clicks are one");
    assert_eq!(store.asked_stripe_drift().await.expect("asked"), [(name(partner, "Akme"), at(1))]);
    keep(&store, &[name(partner, "Akme")], 2).await;
    let asked = DriftFilter { state: Some(DriftState::Asked), partner: Some(partner), ..DriftFilter::default() };
    assert_eq!(all(&store, asked).await.len(), 1, "a comparison in between takes nothing back");

    store.refuse_stripe_drift(&name(partner, "Akme"), "Stripe said no").await.expect("noted");
    let listed = all(&store, DriftFilter::default()).await.remove(0);
    assert_eq!((listed.state, listed.problem.as_str()), (DriftState::Open, "Stripe said no"));
    ask(id).await.expect("asked again");
    assert_eq!(all(&store, DriftFilter::default()).await[0].problem, "");

    let log = store.audit_page(partner, None, 50).await.expect("a page").items;
    let written: Vec<_> = log.iter().filter(|entry| entry.action == "stripe_drift.write").collect();
    assert_eq!(written.len(), 2);
    let value = |side: &Option<serde_json::Value>| side.as_ref().map(|side| side["value"].clone());
    assert_eq!(
        (value(&written[0].before), value(&written[0].after)),
        (Some("Akme".into()), Some("Acme".into())),
        "theirs before, ours after"
    );
}

#[tokio::test]
async fn the_list_goes_on_where_a_page_ended() {
    let store = test_db::store().await;
    let found: Vec<_> = (0..7).map(|number| meter(&format!("units_{number}"))).collect();
    keep(&store, &found, 0).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.all_partners_stripe_drift(&DriftFilter::default(), after.as_deref(), 3).await.expect("a page");
        seen.extend(page.items.into_iter().map(|one| one.drift.object));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    assert!(store.all_partners_stripe_drift(&DriftFilter::default(), Some("x"), 3).await.is_err());
}
