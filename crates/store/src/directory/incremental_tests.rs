//! Reading what changed gives what reading everything gives, whatever changed; and where it cannot, it says so.

use crate::{
    Actor, NewApp, NewKey, Store,
    keys::tests as keys,
    plans,
    plans::tests as new_plans,
    products::tests as products,
    test_db,
    test_db::{TestStore, world::World, world::now},
};
use domain::{
    directory::Directory, id::PlanId, key_text::Environment, period::Interval, plan::Grant, product::Visibility,
};
use jiff::SignedDuration;
use sqlx::{AssertSqlSafe, Executor as _};
use std::time::Instant;
use uuid::Uuid;

/// Brings `known` up to date by the changes alone, and holds it against everything.
async fn follow(store: &Store, known: &mut Directory) {
    let changes = store.directory_changes(known.version).await.expect("answered").expect("the list reaches back");
    known.apply(changes).expect("they follow");
    assert_eq!(*known, store.load_directory().await.expect("a directory"));
}

async fn whole(store: &Store) -> Directory {
    store.load_directory().await.expect("a directory")
}

async fn run(store: &TestStore, sql: impl Into<String>) {
    store.pool().execute(AssertSqlSafe(sql.into())).await.expect("it runs");
}

#[tokio::test]
async fn what_the_portal_does_is_read_as_changes() {
    let store = test_db::store().await;
    let mut known = whole(&store).await;
    let world = World::new(&store).await;
    let (partner, actor) = (world.partner, world.actor());
    follow(&store, &mut known).await;

    let product = products::create(&store, "payments", Visibility::Invitation, &["create", "read"]).await;
    follow(&store, &mut known).await;
    store.invite_partner_to_product(partner, product, Actor::System, now()).await.expect("invited");
    follow(&store, &mut known).await;
    let opens = Grant { product: "payments".to_owned(), operations: None };
    let mut terms = new_plans::terms();
    terms.products.push(opens);
    let plan: PlanId = new_plans::create(&store, "starter", terms.clone()).await;
    follow(&store, &mut known).await;
    assert!(known.plans.is_empty(), "nobody is on it");
    store.choose_plan(partner, plan, actor, now()).await.expect("chosen");
    follow(&store, &mut known).await;
    assert_eq!(known.plans.len(), 1);

    let app = store.create_app(partner, &NewApp::named("shop"), actor, now()).await.expect("an app");
    let new = NewKey::text(app, "Server", Environment::Live, keys::secret(1));
    let key = store.create_key(partner, &new, actor, now()).await.expect("a key");
    follow(&store, &mut known).await;
    let overlap = SignedDuration::from_hours(1);
    let next = store.rotate_key(partner, key, keys::secret(2), overlap, actor, now()).await.expect("rotated");
    follow(&store, &mut known).await;
    store.revoke_key(partner, next, actor, now()).await.expect("revoked");
    follow(&store, &mut known).await;
    assert_eq!(known.key(next).expect("kept").revoked_at, Some(now()));

    // Another version that one partner moves to, of a plan that has a new name.
    terms.interval = Interval::Year;
    store.add_plan_version(plan, &terms, Actor::System, now()).await.expect("added");
    let meta: plans::PlanMeta = new_plans::meta("Renamed");
    store.update_plan(plan, &meta, Actor::System, now()).await.expect("renamed");
    follow(&store, &mut known).await;
    assert_eq!((known.plans[0].version, known.plans[0].plan_name.as_str()), (1, "Renamed"));
    store.choose_plan(partner, plan, actor, now()).await.expect("chosen");
    follow(&store, &mut known).await;
    assert_eq!((known.plans.len(), known.plans[0].version), (1, 2));

    let fewer = products::new_product("payments", Visibility::Public, &["read"]);
    store.update_product(product, &fewer, Actor::System, now()).await.expect("updated");
    follow(&store, &mut known).await;
    store.suspend_partner(partner, "unpaid", Actor::System, now()).await.expect("suspended");
    follow(&store, &mut known).await;
    assert!(known.partner(partner).expect("kept").suspended);
    store.archive_product(product, Actor::System, now()).await.expect("archived");
    follow(&store, &mut known).await;
    assert!(known.products.is_empty());
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) as usize % bound
    }
}

/// Statements that concern some random row, or several.
const STATEMENTS: [&str; 25] = [
    "insert into partners (id, name, created_at) select gen_random_uuid(), 'p', now() from generate_series(1, 3)",
    "insert into apps (partner_id, id, name, created_at)
         select id, gen_random_uuid(), 'app', now() from partners order by random() limit 2",
    "insert into keys (partner_id, id, app_id, name, environment, hash, last_four, created_at)
         select partner_id, gen_random_uuid(), id, 'key', 'live', sha256(gen_random_uuid()::text::bytea), 'abcd', now()
         from apps order by random() limit 4",
    "insert into keys (partner_id, id, app_id, name, environment, hash, last_four, created_at)
         select partner_id, gen_random_uuid(), id, 'key', 'test', sha256(gen_random_uuid()::text::bytea), 'abcd', now()
         from apps order by random() limit 1",
    "update keys set revoked_at = now() where id in (select id from keys order by random() limit 2)",
    "update keys set expires_at = now(), scopes = '{read}', allowed_addresses = '{192.0.2.0/24}'
         where id in (select id from keys order by random() limit 1)",
    "delete from keys where id in (select id from keys order by random() limit 1)",
    "update apps set archived_at = now() where id in (select id from apps order by random() limit 1)",
    "update apps set archived_at = null where id in (select id from apps order by random() limit 2)",
    "delete from apps a where not exists (select from keys k where k.app_id = a.id)",
    "update partners set suspended_at = now(), suspended_reason = '' where id in (select id from partners order by random() limit 1)",
    "update partners set suspended_at = null, suspended_reason = null",
    "insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at)
         select p.id, gen_random_uuid(), v.id, 'active', now(), 'UTC', now() from
         (select id from partners p where not exists (select from subscriptions s where s.partner_id = p.id) order by random() limit 2) p,
         (select id from plan_versions order by random() limit 1) v",
    "update subscriptions set plan_version_id = (select id from plan_versions order by random() limit 1)
         where id in (select id from subscriptions order by random() limit 1)",
    "update subscriptions set status = 'ended' where id in (select id from subscriptions order by random() limit 1)",
    "delete from subscriptions where status = 'ended'",
    "update plans set name = 'n' || random() where id in (select id from plans order by random() limit 1)",
    "update products set visibility = case visibility when 'public' then 'invitation' else 'public' end
         where id in (select id from products order by random() limit 1)",
    "update products set archived_at = case when archived_at is null then now() end
         where id in (select id from products order by random() limit 1)",
    "update operations set weight = weight + 1, removed_at = case when removed_at is null then now() end
         where id in (select id from operations order by random() limit 2)",
    "insert into product_headers (product_id, name, sealed_value)
         select id, 'h' || random(), 'x' from products order by random() limit 1",
    "delete from product_headers where name in (select name from product_headers order by random() limit 1)",
    "insert into product_secrets (product_id, name, sealed_value)
         select id, 's' || (random() * 1000)::int, 'x' from products order by random() limit 1 on conflict do nothing",
    "insert into product_invitations (product_id, partner_id, created_at)
         select p.id, q.id, now() from products p, partners q order by random() limit 2 on conflict do nothing",
    "delete from product_invitations where partner_id in (select partner_id from product_invitations order by random() limit 1)",
];

#[tokio::test]
async fn any_statements_read_as_changes_give_what_everything_gives() {
    let store = test_db::store().await;
    for code in ["alpha", "beta", "gamma"] {
        products::create(&store, code, Visibility::Public, &["create", "read"]).await;
        let plan = new_plans::create(&store, code, new_plans::terms()).await;
        let yearly = domain::plan::PlanTerms { interval: Interval::Year, ..new_plans::terms() };
        store.add_plan_version(plan, &yearly, Actor::System, now()).await.expect("added");
    }
    let (mut random, mut known) = (Random(Uuid::new_v4().as_u64_pair().0), whole(&store).await);
    let mut had_any = false;
    for _ in 0..150 {
        let mut tx = store.begin().await.expect("a transaction");
        for _ in 0..=random.below(4) {
            let statement = STATEMENTS[random.below(STATEMENTS.len())];
            tx.execute(statement).await.expect("it runs");
            println!("{statement}");
        }
        // What was not committed is as if it had not been.
        if random.below(8) == 0 { tx.rollback().await } else { tx.commit().await }.expect("ended");
        // Several transactions are read at once, too.
        if random.below(3) > 0 {
            follow(&store, &mut known).await;
            had_any |= !known.keys.is_empty() && !known.partners.is_empty();
        }
    }
    follow(&store, &mut known).await;
    assert!(known.version > 150 && had_any);
}

#[tokio::test]
async fn changes_that_race_are_read_in_the_order_in_which_they_are_committed() {
    let store = test_db::store().await;
    for name in ["one", "two", "three", "four"] {
        World::named(&store, name).await;
    }
    let mut known = whole(&store).await;
    let writers = (0..4).map(|writer| {
        let store = store.handle();
        tokio::spawn(async move {
            for turn in 0..40 {
                let name = ["one", "two", "three", "four"][(writer + turn) % 4];
                sqlx::query(
                    "update partners set suspended_at = case when suspended_at is null then now() end where name = $1",
                )
                .bind(name)
                .execute(store.pool())
                .await
                .expect("updated");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    while !writers.iter().all(|writer| writer.is_finished()) {
        let changes = store.directory_changes(known.version).await.expect("answered").expect("the list reaches back");
        known.apply(changes).expect("they follow");
    }
    follow(&store, &mut known).await;
}

#[tokio::test]
async fn a_list_that_does_not_tell_everything_is_not_believed() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let before = whole(&store).await.version;
    for reason in ["one", "two", "three"] {
        store.suspend_partner(world.partner, reason, Actor::System, now()).await.expect("suspended");
        store.reactivate_partner(world.partner, Actor::System, now()).await.expect("reactivated");
    }
    let told = |since| {
        let store = store.handle();
        async move { store.directory_changes(since).await.expect("answered").is_some() }
    };
    assert!(told(before).await && told(before + 6).await);
    assert!(!told(before + 7).await, "a version that is still to come: Postgres was put back to an earlier day");
    for missing in [before + 3, before + 6, before + 1] {
        let all: Vec<(i64, String, Uuid)> =
            sqlx::query_as("delete from directory_changes where version = $1 returning version, kind, id")
                .bind(missing)
                .fetch_all(store.pool())
                .await
                .expect("deleted");
        assert!(!told(before).await, "version {missing} is missing");
        for (version, kind, id) in all {
            sqlx::query("insert into directory_changes values ($1, $2, $3)")
                .bind(version)
                .bind(kind)
                .bind(id)
                .execute(store.pool())
                .await
                .expect("put back");
        }
        assert!(told(before).await);
    }
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_read_as_a_whole_and_old_changes_are_forgotten() {
    let store = test_db::store().await;
    let before = whole(&store).await.version;
    run(&store, "insert into partners (id, name, created_at) select gen_random_uuid(), 'p', now() from generate_series(1, 1001)").await;
    assert_eq!(store.directory_changes(before).await.expect("answered"), None);
    let rows: i64 = sqlx::query_scalar("select count(*) from directory_changes where version > $1")
        .bind(before)
        .fetch_one(store.pool())
        .await
        .expect("a count");
    assert_eq!(rows, 1);

    run(&store, "update partners set name = 'q' where false").await;
    assert_eq!(whole(&store).await.version, before + 1, "no row, no change");
    run(&store, "update directory_version set version = 11999").await;
    run(&store, "insert into partners (id, name, created_at) values (gen_random_uuid(), 'p', now())").await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from directory_changes").fetch_one(store.pool()).await.expect("a count");
    assert_eq!(rows, 1, "those of the first versions are gone");
    run(&store, "truncate product_headers").await;
    assert_eq!(store.directory_changes(12_000).await.expect("answered"), None);
}

#[tokio::test]
async fn one_change_among_twenty_thousand_keys_is_read_in_a_moment() {
    let store = test_db::store().await;
    run(
        &store,
        "insert into partners (id, name, created_at) select gen_random_uuid(), 'p', now() from generate_series(1, 2000);
         insert into apps (partner_id, id, name, created_at) select id, gen_random_uuid(), 'app', now() from partners;
         insert into keys (partner_id, id, app_id, name, environment, hash, last_four, created_at)
             select partner_id, gen_random_uuid(), id, 'key', 'live', sha256((id::text || n)::bytea), 'abcd', now()
             from apps, generate_series(1, 10) n;
         analyze",
    )
    .await;
    let began = Instant::now();
    let mut known = whole(&store).await;
    let everything = began.elapsed();
    let mut quickest = everything;
    for _ in 0..5 {
        run(
            &store,
            "update keys set revoked_at = now() where id = (select id from keys where revoked_at is null limit 1)",
        )
        .await;
        let began = Instant::now();
        let changes = store.directory_changes(known.version).await.expect("answered").expect("the list reaches back");
        quickest = quickest.min(began.elapsed());
        known.apply(changes).expect("they follow");
    }
    println!("everything in {everything:?}, one change in {quickest:?}");
    assert!(quickest < everything / 2, "{quickest:?} of {everything:?}");
    assert_eq!(known, whole(&store).await);
}
