//! Private plans: only partners who are named for one see it and may choose it; one partner's own stay its own.

use super::{
    NewPlan, PlanMeta,
    tests::{create, meta, terms},
};
use crate::{
    Actor, OrderedBy, Store, StoreError, Wish, test_db,
    test_db::world::{World, now},
};
use domain::{
    id::{PartnerId, PlanId},
    plan::PlanTerms,
};

const SYSTEM: Actor = Actor::System;

async fn private(store: &Store, code: &str) -> PlanId {
    let plan = create(store, code, terms()).await;
    store.update_plan(plan, &PlanMeta { private: true, ..meta(code) }, SYSTEM, now()).await.expect("updated");
    plan
}

async fn codes(store: &Store, partner: Option<PartnerId>) -> Vec<String> {
    store.offered_plans(partner).await.expect("plans").into_iter().map(|plan| plan.code).collect()
}

#[tokio::test]
async fn only_who_is_named_sees_a_private_plan_and_may_choose_it() {
    let store = test_db::store().await;
    let (acme, bolt) = (World::named(&store, "acme").await, World::named(&store, "bolt").await);
    create(&store, "starter", terms()).await;
    let plan = private(&store, "special").await;
    store.name_partner_for_plan(acme.partner, plan, SYSTEM, now()).await.expect("named");
    store.name_partner_for_plan(acme.partner, plan, SYSTEM, now()).await.expect("twice is once");
    assert_eq!(codes(&store, Some(acme.partner)).await, ["special", "starter"]);
    for other in [Some(bolt.partner), None] {
        assert_eq!(codes(&store, other).await, ["starter"], "{other:?}");
    }
    // A preview and the commit ask as the choice does.
    for (partner, sees) in [(acme.partner, true), (bolt.partner, false)] {
        let ground = store.change_ground(partner, Wish::Plan(plan), OrderedBy::Partner).await;
        assert_eq!(ground.is_ok(), sees, "{ground:?}");
    }
    let refused = store.choose_plan(bolt.partner, plan, bolt.actor(), now()).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    store.choose_plan(acme.partner, plan, acme.actor(), now()).await.expect("chosen");

    store.unname_partner_for_plan(acme.partner, plan, SYSTEM, now()).await.expect("taken back");
    assert_eq!(codes(&store, Some(acme.partner)).await, ["starter"]);
    let stays = store.subscription(acme.partner).await.expect("answered").expect("one");
    assert_eq!(stays.plan_code, "special", "nobody is moved off it");
    let again = store.unname_partner_for_plan(acme.partner, plan, SYSTEM, now()).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    let logged = store.all_audit_page(None, 50).await.expect("a log").items;
    let actions: Vec<&str> = logged.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "plan.name_partner").count(), 1, "{actions:?}");
    assert!(actions.contains(&"plan.unname_partner"), "{actions:?}");
}

#[tokio::test]
async fn an_archived_plan_and_one_for_everybody_name_nobody() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let open = create(&store, "starter", terms()).await;
    let refused = store.name_partner_for_plan(world.partner, open, SYSTEM, now()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let plan = private(&store, "special").await;
    store.name_partner_for_plan(world.partner, plan, SYSTEM, now()).await.expect("named");
    store.archive_plan(plan, SYSTEM, now()).await.expect("archived");
    assert_eq!(codes(&store, Some(world.partner)).await, ["starter"]);
    assert_eq!(store.plans_naming(world.partner).await.expect("plans"), []);
}

#[tokio::test]
async fn a_partners_own_plan_stays_its_own_and_says_what_it_comes_from() {
    let store = test_db::store().await;
    let (acme, bolt) = (World::named(&store, "acme").await, World::named(&store, "bolt").await);
    let base = create(&store, "pro", terms()).await;
    let from = store.plan(base).await.expect("a plan").versions[0].id;
    let cheaper = PlanTerms { base_fee_micros: 29_000_000, ..terms() };
    // Whatever is asked for, it is private.
    let new = NewPlan { code: "pro-acme".to_owned(), meta: meta("Pro"), terms: cheaper };
    let own = store.derive_plan(acme.partner, from, &new, SYSTEM, now()).await.expect("derived");
    assert_eq!(codes(&store, Some(acme.partner)).await, ["pro", "pro-acme"]);
    assert_eq!(codes(&store, Some(bolt.partner)).await, ["pro"]);
    store
        .add_plan_version(base, &PlanTerms { base_fee_micros: 99_000_000, ..terms() }, SYSTEM, now())
        .await
        .expect("added");
    let origin = store.plan_origin(own).await.expect("answered").expect("derived");
    assert_eq!((origin.partner, origin.version, origin.newest_version), (acme.partner, 1, 2));
    assert_eq!((origin.plan_code.as_str(), origin.terms.base_fee_micros), ("pro", 49_000_000));
    assert_eq!(store.plan_origin(base).await.expect("answered"), None);
    let named = store.plans_naming(acme.partner).await.expect("plans");
    assert!(named.len() == 1 && named[0].own && named[0].id == own, "{named:?}");

    let other = store.name_partner_for_plan(bolt.partner, own, SYSTEM, now()).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
    let open = store.update_plan(own, &meta("Pro"), SYSTEM, now()).await;
    assert!(matches!(open, Err(StoreError::Conflict { .. })), "{open:?}");
    let twice = store.make_plan_own(bolt.partner, own, from, SYSTEM, now()).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
    let special = private(&store, "special").await;
    store.name_partner_for_plan(bolt.partner, special, SYSTEM, now()).await.expect("named");
    let shared = store.make_plan_own(acme.partner, special, from, SYSTEM, now()).await;
    assert!(matches!(shared, Err(StoreError::Conflict { .. })), "another may choose it: {shared:?}");
}
