//! The directory is what the tables say, changes with them, and is quick to read.

use crate::{
    Actor, NewApp, Store,
    plans::tests as plans,
    products::tests as products,
    test_db,
    test_db::world::{World, now},
};
use domain::{directory::Directory, product::Visibility};
use std::time::{Duration, Instant};

async fn load(store: &Store) -> Directory {
    store.load_directory().await.expect("a directory")
}

#[tokio::test]
async fn it_holds_what_a_partner_may_and_rises_with_each_change() {
    let store = test_db::store().await;
    let empty = load(&store).await;
    assert_eq!(empty, Directory { version: empty.version, edition: empty.edition, ..Directory::default() });

    let world = World::new(&store).await;
    let product = products::create(&store, "payments", Visibility::Invitation, &["create", "read"]).await;
    store.invite_partner_to_product(world.partner, product, Actor::System, now()).await.expect("invited");
    let plan = plans::create(&store, "starter", plans::terms()).await;
    let unused = plans::create(&store, "unused", plans::terms()).await;
    store.choose_plan(world.partner, plan, world.actor(), now()).await.expect("chosen");
    let directory = load(&store).await;
    assert!(directory.version > empty.version);
    assert_eq!(store.directory_version().await.expect("a version"), directory.version);

    let found = &directory.products[0];
    assert_eq!((found.id, found.invited.as_slice()), (product, [world.partner].as_slice()));
    assert_eq!(found.operations.iter().map(|o| o.code.as_str()).collect::<Vec<_>>(), ["create", "read"]);
    assert_eq!(directory.plans.len(), 1, "a plan that nobody is on ({unused}) is not needed");
    let partner = &directory.partners[0];
    let subscription = partner.subscription.as_ref().expect("one");
    assert_eq!(subscription.plan_version, directory.plans[0].id);
    assert_eq!((subscription.cycle.anchor, partner.suspended), (now(), false));

    store.suspend_partner(world.partner, "unpaid", Actor::System, now()).await.expect("suspended");
    store.archive_product(product, Actor::System, now()).await.expect("archived");
    let later = load(&store).await;
    assert!(later.version > directory.version);
    assert!(later.partners[0].suspended && later.products.is_empty());
}

#[tokio::test]
async fn an_operation_that_left_the_document_stays_marked_as_removed() {
    let store = test_db::store().await;
    let product = products::create(&store, "payments", Visibility::Public, &["create", "read"]).await;
    let fewer = products::new_product("payments", Visibility::Public, &["read"]);
    store.update_product(product, &fewer, Actor::System, now()).await.expect("updated");
    let operations = &load(&store).await.products[0].operations;
    let found: Vec<_> = operations.iter().map(|one| (one.code.as_str(), one.removed)).collect();
    assert_eq!(found, [("read", false), ("create", true)]);
}

#[tokio::test]
async fn keys_of_an_archived_app_count_as_revoked() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let app = store.create_app(world.partner, &NewApp::named("shop"), world.actor(), now()).await.expect("an app");
    insert_keys(&store, 1).await;
    let before = load(&store).await;
    let keys = |directory: &Directory| {
        directory.keys.iter().filter(|key| key.app == app).map(|key| key.revoked_at).collect::<Vec<_>>()
    };
    assert_eq!(keys(&before), [None]);
    sqlx::query("update apps set archived_at = $1")
        .bind(crate::Ts(now()))
        .execute(store.pool())
        .await
        .expect("archived");
    assert_eq!(keys(&load(&store).await), [Some(now())]);
}

/// `count` keys for each app.
async fn insert_keys(store: &Store, count: i32) {
    sqlx::query(
        "insert into keys (partner_id, id, app_id, name, environment, hash, last_four, created_at)
         select partner_id, gen_random_uuid(), id, 'key', 'live', sha256((id::text || n)::bytea), 'abcd', now()
         from apps, generate_series(1, $1) n",
    )
    .bind(count)
    .execute(store.pool())
    .await
    .expect("keys");
}

#[tokio::test]
async fn a_listener_is_told() {
    let store = test_db::store().await;
    let mut listener = store.listen_directory().await.expect("listens");
    let before = store.directory_version().await.expect("a version");
    World::new(&store).await;
    tokio::time::timeout(Duration::from_secs(60), listener.changed()).await.expect("told").expect("connected");
    assert!(store.directory_version().await.expect("a version") > before);
}

#[tokio::test]
async fn ten_thousand_partners_are_read() {
    let store = test_db::store().await;
    products::create(&store, "payments", Visibility::Public, &["create", "read"]).await;
    plans::create(&store, "starter", plans::terms()).await;
    sqlx::raw_sql(
        "insert into partners (id, name, created_at) select gen_random_uuid(), 'p' || n, now() from generate_series(1, 10000) n;
         insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at, started_at)
             select p.id, gen_random_uuid(), v.id, 'active', now(), 'UTC', now(), now() from partners p, plan_versions v;
         insert into apps (partner_id, id, name, created_at) select id, gen_random_uuid(), 'app', now() from partners",
    )
    .execute(store.pool())
    .await
    .expect("partners");
    insert_keys(&store, 2).await;
    let began = Instant::now();
    let directory = load(&store).await;
    let took = began.elapsed();
    assert_eq!((directory.partners.len(), directory.keys.len(), directory.plans.len()), (10_000, 20_000, 1));
    println!("read in {took:?}");
    // A wide bound: an unoptimised build on a busy machine. It fails where the work is no longer linear.
    assert!(took < Duration::from_secs(60), "{took:?}");
    let began = Instant::now();
    let open = store.all_partners_open_subscriptions().await.expect("subscriptions");
    println!("open subscriptions in {:?}", began.elapsed());
    assert_eq!(open.len(), 10_000);
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// A gateway of an earlier version meets terms that it cannot read: it closes them, and follows everything else.
#[tokio::test]
async fn terms_of_a_later_version_stop_no_other_change() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let (plan, later) =
        (plans::create(&store, "starter", plans::terms()).await, plans::create(&store, "later", plans::terms()).await);
    store.choose_plan(world.partner, plan, world.actor(), now()).await.expect("chosen");
    sqlx::query(
        "insert into plan_versions (plan_id, id, version, terms, created_at, created_by)
         select plan_id, gen_random_uuid(), 2, terms || '{\"interval\": \"fortnight\"}', created_at, created_by
         from plan_versions where plan_id = $1",
    )
    .bind(later.0)
    .execute(store.pool())
    .await
    .expect("added");
    sqlx::query(
        "insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at, started_at)
         select $1, gen_random_uuid(), id, 'active', created_at, 'UTC', created_at, created_at
         from plan_versions where plan_id = $2 and version = 2",
    )
    .bind(other.partner.0)
    .bind(later.0)
    .execute(store.pool())
    .await
    .expect("added");
    store.suspend_partner(world.partner, "unpaid", Actor::System, now()).await.expect("suspended");
    let directory = load(&store).await;
    assert_eq!(directory.plans.iter().map(|plan| plan.plan_code.as_str()).collect::<Vec<_>>(), ["starter"]);
    assert_eq!(directory.partners.len(), 2);
    assert!(directory.partners.iter().any(|partner| partner.id == world.partner && partner.suspended));
}
