//! Once for ever, and nothing lost or replaced in silence.

use super::*;
use crate::{
    Actor, NewPlan, PlanMeta, Ts,
    test_db::{self, TestStore, world::World},
    usage::UsageFilter,
};
use domain::usage::cloud_event::TYPE;
use serde_json::{Value, json};

fn told(source: &str, id: &str, data: Value) -> Outside {
    let event = json!({"specversion": "1.0", "type": TYPE, "source": source, "id": id, "data": data});
    domain::usage::outside::read(&event).expect("an event")
}

fn provider() -> Teller {
    Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false }
}

async fn units(store: &TestStore, world: &World) -> (u64, u64) {
    let hour = SignedDuration::from_hours(1);
    // Half an hour is counted from the raw events, whole hours from the roll-ups.
    let raw = Period { start: world.now - SignedDuration::from_mins(1), end: world.now + SignedDuration::from_secs(1) };
    let around = Period { start: world.now - 30 * hour, end: world.now + 30 * hour };
    let mut both = Vec::new();
    for range in [raw, around] {
        let totals = store.usage_totals(world.partner, range, &UsageFilter::default()).await.expect("totals");
        both.push((totals.calls, totals.units));
    }
    assert_eq!(both[0], both[1], "raw events and roll-ups agree");
    both[0]
}

#[tokio::test]
async fn of_a_thousand_that_race_under_one_id_one_counts() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let race = (0..1_000).map(|_| {
        let (store, partner, now) = (store.handle(), world.partner, world.now);
        tokio::spawn(async move {
            let event = told("https://producer.example", "job-1", json!({"units": 7}));
            // Whom the pool keeps waiting too long tries again, as a producer does.
            loop {
                if let Ok(answers) = store.take_in_outside(partner, provider(), std::slice::from_ref(&event), now).await
                {
                    return answers;
                }
            }
        })
    });
    let mut answers = Vec::new();
    for run in race.collect::<Vec<_>>() {
        answers.extend(run.await.expect("no panic"));
    }
    assert_eq!(answers.iter().filter(|told| **told == Told::Accepted).count(), 1);
    assert_eq!(answers.iter().filter(|told| **told == Told::Duplicate).count(), 999);
    assert_eq!(units(&store, &world).await, (1, 7));
    assert_eq!(store.outside_mark(world.partner).await.expect("a mark").accepted, 1);

    // The control: under other names the same counts again, so the figures above can be wrong.
    let event = told("https://other.example", "job-1", json!({"units": 7}));
    store.take_in_outside(world.partner, provider(), &[event], world.now).await.expect("taken in");
    assert_eq!(units(&store, &world).await, (2, 14));
}

#[tokio::test]
async fn units_of_a_time_without_a_plan_are_refused_and_told_units_hold_no_quota() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let meta = PlanMeta {
        name: "Small".to_owned(),
        summary: String::new(),
        position: 1,
        private: false,
        approval: domain::plan::Approval::Automatic,
    };
    let terms = serde_json::from_value(json!({"currency": "EUR", "products": []})).expect("terms");
    let new = NewPlan { code: "small".to_owned(), meta, terms };
    let plan = store.create_plan(&new, Actor::System, world.now).await.expect("a plan");
    store.choose_plan(world.partner, plan, Actor::System, world.now).await.expect("chosen");
    let at = |id: &str, time: Timestamp, data: Value| {
        let event = json!({"specversion": "1.0", "type": TYPE, "source": "s", "id": id, "time": time, "data": data});
        domain::usage::outside::read(&event).expect("an event")
    };
    let before = world.now - SignedDuration::from_hours(1);
    let batch = [
        at("1", before, json!({"units": 7})),
        at("2", before, json!({"units": 0})),
        at("3", before, json!({"units": 7, "environment": "test"})),
        at("4", world.now, json!({"units": 7})),
    ];
    let answers = store.take_in_outside(world.partner, provider(), &batch, world.now).await.expect("taken in");
    assert!(matches!(&answers[0], Told::Invalid { pointer: "/time", .. }), "{answers:?}");
    assert_eq!(answers[1..], [Told::Accepted, Told::Accepted, Told::Accepted]);
    let held: i64 = sqlx::query_scalar("select units_stored($1, $2, $3)")
        .bind(world.partner.0)
        .bind(Ts(world.now - SignedDuration::from_hours(30)))
        .bind(Ts(world.now + SignedDuration::from_hours(30)))
        .fetch_one(store.pool())
        .await
        .expect("units");
    assert_eq!(held, 0, "whether they came before the period's first call or after it");
}

#[tokio::test]
async fn what_contradicts_the_first_is_kept_beside_it_and_counts_nothing_even_years_later() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let first = told("s", "1", json!({"units": 7}));
    let other = told("s", "1", json!({"units": 8}));
    let batch = [first.clone(), first.clone(), other.clone(), told("s", "2", json!({"units": 1}))];
    let answers = store.take_in_outside(world.partner, provider(), &batch, world.now).await.expect("taken in");
    assert_eq!(answers, [Told::Accepted, Told::Duplicate, Told::Conflict, Told::Accepted]);
    let later = world.now + SignedDuration::from_hours(24 * 800);
    let answers = store.take_in_outside(world.partner, provider(), &[other, first], later).await.expect("taken in");
    assert_eq!(answers, [Told::Conflict, Told::Duplicate]);
    assert_eq!(units(&store, &world).await, (2, 8));
    let of_partner = |resolved| ConflictFilter { partner: Some(world.partner), resolved };
    let listed = async |resolved| {
        store.outside_conflicts_of_any_partner(&of_partner(resolved), None, 10).await.expect("conflicts").items
    };
    let conflicts = listed(None).await;
    let [conflict] = conflicts.as_slice() else { panic!("one, however often it is told: {conflicts:?}") };
    assert_eq!((conflict.id.as_str(), &conflict.payload["data"]["units"]), ("1", &json!(8)));
    assert_eq!((conflict.received_at, conflict.first_units, conflict.resolved_at), (world.now, Some(7), None));
    assert_eq!(store.all_open_outside_conflicts().await.expect("a count"), 1);
    let resolve = async |note| store.resolve_outside_conflict(conflict.conflict, note, Actor::System, world.now).await;
    assert!(matches!(resolve(" ").await, Err(StoreError::Invalid { .. })), "say why");
    resolve("A second run of the same job").await.expect("resolved");
    assert!(matches!(resolve("Again").await, Err(StoreError::NotFound)));
    assert_eq!((listed(Some(false)).await.len(), listed(Some(true)).await.len()), (0, 1));
    assert_eq!(store.all_open_outside_conflicts().await.expect("a count"), 0);
    assert_eq!(units(&store, &world).await, (2, 8), "the first goes on to count");
}

#[tokio::test]
async fn a_partner_cannot_take_the_provider_s_ids_away() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let own = Teller { is_partner: true, ..provider() };
    let (nothing, real) = (told("s", "1", json!({"units": 0})), told("s", "1", json!({"units": 9})));
    for (partner, teller, event) in
        [(world.partner, own, nothing), (world.partner, provider(), real.clone()), (other.partner, provider(), real)]
    {
        let answers = store.take_in_outside(partner, teller, &[event], world.now).await.expect("taken in");
        assert_eq!(answers, [Told::Accepted]);
    }
    assert_eq!(units(&store, &world).await, (2, 9));
}

#[tokio::test]
async fn what_names_something_unknown_is_told_so_and_the_others_count() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let their_app = store.apps(other.partner).await.expect("apps").first().map(|app| app.app.id);
    let app = their_app.unwrap_or(AppId(Uuid::from_u128(99)));
    let mut future = told("s", "4", json!({"units": 1}));
    future.time = Some(world.now + SignedDuration::from_hours(25));
    let mut past = told("s", "5", json!({"units": 1}));
    past.time = Some(world.now - SignedDuration::from_hours(24 * 401));
    let batch = [
        told("s", "1", json!({"units": 1, "product": "none"})),
        told("s", "2", json!({"units": 1, "app": app})),
        told("s", "3", json!({"units": 1})),
        future,
        past,
    ];
    let answers = store.take_in_outside(world.partner, provider(), &batch, world.now).await.expect("taken in");
    let fields: Vec<_> =
        answers.iter().map(|told| if let Told::Invalid { pointer, .. } = told { *pointer } else { "" }).collect();
    assert_eq!(fields, ["/data/product", "/data/app", "", "/time", "/time"]);
    assert_eq!(units(&store, &world).await, (1, 1));
    // What was refused is not remembered: mended, it counts.
    let mended = told("s", "1", json!({"units": 2}));
    let answers = store.take_in_outside(world.partner, provider(), &[mended], world.now).await.expect("taken in");
    assert_eq!(answers, [Told::Accepted]);
}

#[tokio::test]
async fn an_event_of_ours_and_one_that_was_told_read_back_side_by_side() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let data = json!({"units": 3, "region": "eu", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "bytes_out": 5});
    let batch: Vec<_> =
        (0..3).map(|number| told("https://p.example", &format!("job-{number}"), data.clone())).collect();
    store.take_in_outside(world.partner, provider(), &batch, world.now).await.expect("taken in");
    let range = Period { start: world.now, end: world.now + SignedDuration::from_secs(1) };
    let page = store.usage_events(world.partner, range, None, 2).await.expect("events");
    let rest = store.usage_events(world.partner, range, page.next.as_ref(), 2).await.expect("events");
    let ids: Vec<_> = page.events.iter().chain(&rest.events).map(|stored| stored.event.request_id.as_str()).collect();
    assert_eq!((ids, rest.next), (vec!["job-0", "job-1", "job-2"], None));
    let stored = &page.events[0];
    assert_eq!((stored.source.as_str(), stored.place.node.as_str()), ("https://p.example", NODE));
    assert_eq!((stored.event.units, stored.event.trace_id), (3, batch[0].data.trace()));
}
