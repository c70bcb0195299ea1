//! Subscriptions: choice, approval, change, on a real Postgres.

use super::{Chosen, OrderedBy, PlanOrder, PutInForce, SubscriptionStatus, Wish};
use crate::{
    Actor, PlanMeta, Store, StoreError,
    plans::tests as plans,
    test_db,
    test_db::world::{World, now},
};
use domain::{
    id::{PartnerId, PlanId},
    plan::{Approval, Grant, PlanTerms},
    plan_change::When,
    policy::{Meter, MeterValue, Policy},
    product::Visibility,
    usage::MeterKind,
};
use jiff::{SignedDuration, Timestamp};

async fn plan(store: &Store, code: &str) -> PlanId {
    plans::create(store, code, plans::terms()).await
}

async fn queued(store: &Store, code: &str) -> PlanId {
    let id = plan(store, code).await;
    let meta = PlanMeta { approval: Approval::Queue, ..plans::meta(code) };
    store.update_plan(id, &meta, Actor::System, now()).await.expect("updated");
    id
}

#[tokio::test]
async fn the_first_plan_sets_the_anchor_and_a_change_keeps_it_with_its_time_zone() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor) = (world.partner, world.actor());
    let (starter, pro) = (plan(&store, "starter").await, plan(&store, "pro").await);
    store.set_partner_time_zone(partner, "Europe/Zurich", actor, now()).await.expect("set");
    assert!(store.subscription(partner).await.expect("answered").is_none());
    let first = store.choose_plan(partner, starter, actor, now()).await.expect("chosen");
    store.set_partner_time_zone(partner, "Asia/Tokyo", actor, now()).await.expect("set");
    let later = now() + SignedDuration::from_hours(24 * 10);
    let Chosen::Active(second) = store.choose_plan(partner, pro, actor, later).await.expect("chosen") else {
        panic!("no approval is asked for");
    };
    let active = store.subscription(partner).await.expect("answered").expect("a subscription");
    assert_eq!((active.id, active.plan_code.as_str(), active.started_at), (second, "pro", Some(later)));
    assert_eq!((active.anchor, active.time_zone.as_str()), (now(), "Europe/Zurich"));
    let history = store.subscription_history(partner).await.expect("history");
    assert_eq!(history.len(), 2);
    assert_eq!((Chosen::Active(history[1].id), history[1].status), (first, SubscriptionStatus::Ended));
    assert_eq!(history[1].ended_at, Some(later), "the old one ends where the new one starts");
    let again = store.choose_plan(partner, pro, actor, later).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn a_plan_with_approval_waits_and_starts_when_an_operator_says_yes() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor) = (world.partner, world.actor());
    let (starter, big) = (plan(&store, "starter").await, queued(&store, "enterprise").await);
    store.choose_plan(partner, starter, actor, now()).await.expect("chosen");
    let Chosen::Requested(waiting) = store.choose_plan(partner, big, actor, now()).await.expect("chosen") else {
        panic!("approval is asked for");
    };
    let queue = store.all_plan_requests().await.expect("queue");
    assert_eq!(
        (queue.len(), queue[0].partner_name.as_str(), queue[0].current_plan.as_deref()),
        (1, "acme", Some("starter"))
    );
    assert_eq!(store.subscription(partner).await.expect("answered").expect("one").plan_code, "starter");

    let later = now() + SignedDuration::from_hours(5);
    store.approve_plan_request(partner, waiting, Actor::System, later).await.expect("approved");
    let active = store.subscription(partner).await.expect("answered").expect("a subscription");
    assert_eq!((active.id, active.started_at, active.anchor), (waiting, Some(later), now()));
    assert!(store.all_plan_requests().await.expect("queue").is_empty());
    let twice = store.approve_plan_request(partner, waiting, Actor::System, later).await;
    assert!(matches!(twice, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_first_plan_with_approval_anchors_when_it_starts() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let big = queued(&store, "enterprise").await;
    let chosen = store.choose_plan(world.partner, big, world.actor(), now()).await.expect("chosen");
    let Chosen::Requested(waiting) = chosen else { panic!("approval is asked for") };
    let later = now() + SignedDuration::from_hours(50);
    store.approve_plan_request(world.partner, waiting, Actor::System, later).await.expect("approved");
    assert_eq!(store.subscription(world.partner).await.expect("answered").expect("one").anchor, later);
}

#[tokio::test]
async fn a_request_can_be_declined_withdrawn_and_replaced() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor) = (world.partner, world.actor());
    let (big, bigger) = (queued(&store, "big").await, queued(&store, "bigger").await);
    let request = async |plan| match store.choose_plan(partner, plan, actor, now()).await.expect("chosen") {
        Chosen::Requested(id) | Chosen::Active(id) => id,
    };
    let first = request(big).await;
    store.decline_plan_request(partner, first, Actor::System, now()).await.expect("declined");
    let second = request(big).await;
    store.withdraw_plan_request(partner, second, actor, now()).await.expect("withdrawn");
    request(big).await;
    let fourth = request(bigger).await;
    let waiting = store.requested_subscription(partner).await.expect("answered").expect("a request");
    assert_eq!((waiting.id, waiting.plan_code.as_str()), (fourth, "bigger"));
    let starter = plan(&store, "starter").await;
    store
        .assign_plan_version(partner, store.plan(starter).await.expect("a plan").versions[0].id, Actor::System, now())
        .await
        .expect("assigned");
    assert!(store.requested_subscription(partner).await.expect("answered").is_none(), "the assignment replaces it");
}

#[tokio::test]
async fn private_and_archived_plans_are_not_a_partners_choice_but_an_operators() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor) = (world.partner, world.actor());
    let (private, archived) = (plan(&store, "private").await, plan(&store, "archived").await);
    let meta = PlanMeta { private: true, ..plans::meta("Private") };
    store.update_plan(private, &meta, Actor::System, now()).await.expect("updated");
    store.archive_plan(archived, Actor::System, now()).await.expect("archived");
    for plan in [private, archived] {
        assert!(matches!(store.choose_plan(partner, plan, actor, now()).await, Err(StoreError::NotFound)));
    }
    let version = store.plan(private).await.expect("a plan").versions[0].id;
    store.assign_plan_version(partner, version, Actor::System, now()).await.expect("assigned");
    assert_eq!(store.subscription(partner).await.expect("answered").expect("one").plan_code, "private");
}

#[tokio::test]
async fn a_partner_stays_on_its_version_until_it_is_moved() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let starter = plan(&store, "starter").await;
    store.choose_plan(world.partner, starter, world.actor(), now()).await.expect("chosen");
    let dearer = PlanTerms { base_fee_micros: 59_000_000, ..plans::terms() };
    store.add_plan_version(starter, &dearer, Actor::System, now()).await.expect("added");
    let before = store.subscription(world.partner).await.expect("answered").expect("one");
    assert_eq!((before.version, before.newest_version, before.terms.base_fee_micros), (1, 2, 49_000_000));
    store.move_to_newest_version(world.partner, Actor::System, now()).await.expect("moved");
    let after = store.subscription(world.partner).await.expect("answered").expect("one");
    assert_eq!((after.version, after.terms.base_fee_micros), (2, 59_000_000));
    let again = store.move_to_newest_version(world.partner, Actor::System, now()).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn racing_choices_leave_one_active_plan_and_a_suspended_partner_chooses_none() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (starter, pro) = (plan(&store, "starter").await, plan(&store, "pro").await);
    let choose = |plan| store.choose_plan(world.partner, plan, world.actor(), now());
    store.warm().await;
    let (one, two) = tokio::join!(choose(starter), choose(pro));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    let history = store.subscription_history(world.partner).await.expect("history");
    assert_eq!(history.iter().filter(|sub| sub.status == SubscriptionStatus::Active).count(), 1);
    store.suspend_partner(world.partner, "Unpaid", Actor::System, now()).await.expect("suspended");
    let refused = store.choose_plan(world.partner, starter, world.actor(), now()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { field, .. }) if field == "plan"));
}

/// Plans the change to that plan for the end of the running period, and gives when that is.
async fn planned(store: &Store, partner: PartnerId, plan: PlanId) -> Timestamp {
    let ground = store.change_ground(partner, Wish::Plan(plan), OrderedBy::Operator).await.expect("a ground");
    let preview = ground.preview(When::PeriodEnd, now()).expect("a preview");
    let order = PlanOrder {
        by: OrderedBy::Operator,
        from: ground.current.map(|own| own.id),
        replaces: None,
        to: ground.target.map(|target| target.version_id),
        at_once: false,
        effective_at: preview.effective_at,
        cycle: preview.cycle,
        counts_from: preview.counts_from,
        quota: None,
        kept_until: None,
        mails: Vec::new(),
    };
    store.order_plan(partner, order, Actor::System, now()).await.expect("planned");
    preview.effective_at
}

async fn due(store: &Store, at: Timestamp) -> Option<PutInForce> {
    let change = store.all_partners_due_changes(at).await.expect("changes").pop()?;
    Some(store.put_change_in_force(&change, &[], &|_| Vec::new(), at).await.expect("an answer"))
}

#[tokio::test]
async fn a_planned_change_that_was_overtaken_is_closed_and_moves_nothing() {
    let store = test_db::store().await;
    let (starter, pro) = (plan(&store, "starter").await, plan(&store, "pro").await);
    // As older servers would, which know of no planned change.
    for (name, overtake, why) in [
        (
            "billed",
            "insert into billing_periods (partner_id, subscription_id, period_start, period_end, closed_at)
                 select partner_id, id, started_at, $2 + interval '1 day', $2 from subscriptions
                 where partner_id = $1 and status = 'active'",
            "is billed",
        ),
        (
            "moved",
            "update plan_changes set subscription_id = (select id from subscriptions where partner_id = $1
                 and status = 'ended') where partner_id = $1 and $2 is not null",
            "no longer in force",
        ),
    ] {
        let partner = World::named(&store, name).await.partner;
        store.choose_plan(partner, pro, Actor::System, now()).await.expect("chosen");
        store.choose_plan(partner, starter, Actor::System, now()).await.expect("chosen");
        let at = planned(&store, partner, pro).await;
        sqlx::query(overtake).bind(partner.0).bind(crate::Ts(at)).execute(store.pool()).await.expect("overtaken");
        let answer = due(&store, at).await;
        assert!(matches!(&answer, Some(PutInForce::Failed(problem)) if problem.contains(why)), "{name}: {answer:?}");
        let own = store.subscription(partner).await.expect("answered").expect("one");
        assert_eq!((own.plan_code.as_str(), own.started_at), ("starter", Some(now())), "{name}");
        assert!(store.scheduled_change(partner).await.expect("answered").is_none());
    }
}

#[tokio::test]
async fn a_planned_change_that_cannot_be_made_is_tried_for_a_day() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let starter = plan(&store, "starter").await;
    store.choose_plan(world.partner, starter, world.actor(), now()).await.expect("chosen");
    let maps = crate::products::tests::create(&store, "maps", Visibility::Public, &["read"]).await;
    let value = MeterValue::Header { name: "X-Tiles".to_owned() };
    let tiles = Meter::new("Tiles", MeterKind::Sum, value);
    let policy = Policy { meters: [("tiles".to_owned(), tiles)].into(), ..Policy::default() };
    store.set_product_policy(maps, &policy, Actor::System, now()).await.expect("a policy");
    let price =
        serde_json::json!([{"product": "maps", "meter": "tiles", "price": {"model": "per_unit", "unit_price": "1"}}]);
    let grant = Grant { product: "maps".to_owned(), operations: None };
    let meters = serde_json::from_value(price).expect("a price");
    let metered = PlanTerms { products: vec![grant], meters, ..plans::terms() };
    let pro = plans::create(&store, "pro", metered).await;
    let at = planned(&store, world.partner, pro).await;
    sqlx::query("update products set policy = jsonb_set(policy, '{meters}', '{}') where id = $1")
        .bind(maps.0)
        .execute(store.pool())
        .await
        .expect("the meter is gone");
    let later = at + SignedDuration::from_mins(5);
    let first = due(&store, at).await;
    assert!(matches!(&first, Some(PutInForce::Later(problem)) if problem.contains("has no meter tiles")), "{first:?}");
    assert_eq!(due(&store, later - SignedDuration::from_secs(1)).await, None);
    assert!(matches!(due(&store, later).await, Some(PutInForce::Later(_))));
    assert!(store.scheduled_change(world.partner).await.expect("answered").is_some());
    let last = due(&store, at + SignedDuration::from_hours(24)).await;
    assert!(matches!(&last, Some(PutInForce::Failed(problem)) if problem.contains("has no meter tiles")), "{last:?}");
    assert!(store.scheduled_change(world.partner).await.expect("answered").is_none());
}
