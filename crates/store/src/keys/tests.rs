//! Keys: made, rotated, revoked, on a real Postgres.

use super::{KeyState, NewKey, NewSecret};
use crate::{Actor, StoreError, Ts, test_db, test_db::world::World};
use domain::{directory::KeyKind, id::AppId, key_bounds::KeyBounds, key_text::Environment};
use jiff::SignedDuration;

pub(crate) fn secret(byte: u8) -> NewSecret {
    NewSecret { hash: [byte; 32], last_four: "abcd".to_owned() }
}

pub(crate) fn new_key(app: AppId, environment: Environment, byte: u8) -> NewKey {
    NewKey::text(app, "Server", environment, secret(byte))
}

#[tokio::test]
async fn a_rotated_key_works_until_its_overlap_ends_and_its_successor_from_now_on() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    let app = store.apps(partner).await.expect("apps")[0].app.id;
    let new = NewKey { code: Some("ci".to_owned()), ..new_key(app, Environment::Test, 1) };
    let old = store.create_key(partner, &new, actor, now).await.expect("created");
    let overlap = SignedDuration::from_hours(24);
    let successor = store.rotate_key(partner, old, secret(2), overlap, actor, now).await.expect("rotated");

    let before = store.key(partner, old).await.expect("a key");
    assert_eq!((before.state(now), before.replaced_by), (KeyState::Expiring, Some(successor)));
    assert_eq!(before.state(now + overlap), KeyState::Expired);
    let after = store.key(partner, successor).await.expect("a key");
    assert_eq!(
        (after.state(now), after.name.as_str(), after.environment),
        (KeyState::Active, "Server", Environment::Test)
    );
    assert_eq!(store.find_key_by_code(partner, "ci").await.expect("answered").map(|key| key.id), Some(successor));

    let again = store.rotate_key(partner, old, secret(3), overlap, actor, now).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    let too_long = SignedDuration::from_hours(24 * 31);
    let refused = store.rotate_key(partner, successor, secret(3), too_long, actor, now).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == "overlap"));
}

#[tokio::test]
async fn a_revoked_key_stays_revoked_and_cannot_be_rotated() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    let app = store.apps(partner).await.expect("apps")[0].app.id;
    let key = store.create_key(partner, &new_key(app, Environment::Live, 1), actor, now).await.expect("created");
    store.revoke_key(partner, key, actor, now).await.expect("revoked");
    assert_eq!(store.key(partner, key).await.expect("a key").state(now), KeyState::Revoked);
    assert!(matches!(store.revoke_key(partner, key, actor, now).await, Err(StoreError::Conflict { .. })));
    let rotated = store.rotate_key(partner, key, secret(2), SignedDuration::ZERO, actor, now).await;
    assert!(matches!(rotated, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn of_two_racing_rotations_one_wins() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    let app = store.apps(partner).await.expect("apps")[0].app.id;
    let key = store.create_key(partner, &new_key(app, Environment::Live, 1), actor, now).await.expect("created");
    store.warm().await;
    let (one, two) = tokio::join!(
        store.rotate_key(partner, key, secret(2), SignedDuration::ZERO, actor, now),
        store.rotate_key(partner, key, secret(3), SignedDuration::ZERO, actor, now)
    );
    assert!(one.is_ok() != two.is_ok());
    assert_eq!(store.keys(partner).await.expect("keys").len(), 2);
}

#[tokio::test]
async fn another_partners_key_cannot_be_reached() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let app = store.apps(other.partner).await.expect("apps")[0].app.id;
    let new = new_key(app, Environment::Live, 1);
    let theirs = store.create_key(other.partner, &new, other.actor(), other.now).await.expect("created");
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    assert!(matches!(store.key(partner, theirs).await, Err(StoreError::NotFound)));
    assert!(matches!(store.revoke_key(partner, theirs, actor, now).await, Err(StoreError::NotFound)));
    assert!(matches!(store.rename_key(partner, theirs, "x", actor, now).await, Err(StoreError::NotFound)));
    let rotated = store.rotate_key(partner, theirs, secret(2), SignedDuration::ZERO, actor, now).await;
    assert!(matches!(rotated, Err(StoreError::NotFound)));
    assert!(store.keys(partner).await.expect("keys").is_empty());
}

#[tokio::test]
async fn the_list_says_when_a_key_was_last_used_and_the_log_holds_no_secret() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    let app = store.apps(partner).await.expect("apps")[0].app.id;
    let key = store.create_key(partner, &new_key(app, Environment::Live, 1), actor, now).await.expect("created");
    assert_eq!(store.key(partner, key).await.expect("a key").last_used_at, None);
    sqlx::query("insert into key_last_used (partner_id, key_id, at) values ($1, $2, $3)")
        .bind(partner.0)
        .bind(key.0)
        .bind(Ts(now))
        .execute(store.pool())
        .await
        .expect("inserted");
    let apps = store.apps(partner).await.expect("apps");
    assert_eq!(apps[0].keys[0].last_used_at, Some(now));
    store.rename_key(partner, key, "Shop", actor, now).await.expect("renamed");
    let log = store.audit_page(partner, None, 50).await.expect("a page");
    assert!(log.items.iter().any(|entry| entry.action == "key.create" && entry.subject == key.to_string()));
}

#[tokio::test]
async fn a_keys_bounds_are_kept_changed_and_told_and_a_successor_inherits_them() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, actor, now) = (world.partner, world.actor(), world.now);
    let app = store.apps(partner).await.expect("apps")[0].app.id;
    let month = SignedDuration::from_hours(30 * 24);
    let bounds = KeyBounds {
        allowed_addresses: vec!["192.0.2.9/24".to_owned()],
        scopes: vec!["orders:read".to_owned()],
        expires_at: Some(now + month),
    };
    let new = NewKey { bounds: bounds.clone(), ..new_key(app, Environment::Live, 1) };
    let key = store.create_key(partner, &new, actor, now).await.expect("created");
    let made = store.key(partner, key).await.expect("a key");
    assert_eq!(made.bounds.allowed_addresses, ["192.0.2.0/24"]);
    assert_eq!((made.state(now), made.state(now + month)), (KeyState::Active, KeyState::Expired));

    let later = now + SignedDuration::from_hours(24);
    let wider = KeyBounds { allowed_addresses: Vec::new(), expires_at: None, ..bounds.clone() };
    let past = KeyBounds { expires_at: Some(now), ..bounds.clone() };
    let refused = store.bound_key(partner, key, past, actor, later).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == "expires_at"));
    let wrong = KeyBounds { allowed_addresses: vec!["everywhere".to_owned()], ..KeyBounds::default() };
    let refused = store.bound_key(partner, key, wrong, actor, later).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == "allowed_addresses"));

    let next = store.rotate_key(partner, key, secret(2), SignedDuration::ZERO, actor, later).await.expect("rotated");
    let successor = store.key(partner, next).await.expect("a key");
    assert_eq!((successor.bounds.scopes.len(), successor.expires_at), (1, Some(later + month)));
    store.bound_key(partner, next, wider, actor, later).await.expect("bound");
    let directory = store.load_directory().await.expect("a directory");
    let served = directory.keys.iter().find(|served| served.id == next).expect("served");
    assert_eq!((served.allowed_addresses.len(), served.scopes.len(), served.expires_at), (0, 1, None));
    let stranger = World::named(&store, "stranger").await;
    let refused = store.bound_key(stranger.partner, next, KeyBounds::default(), stranger.actor(), later).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn an_identity_belongs_to_one_app_at_a_time_and_only_the_provider_registers_it() {
    let store = test_db::store().await;
    let (first, second) = (World::new(&store).await, World::named(&store, "second").await);
    let now = first.now;
    let identity = KeyKind::Token.identity("https://id.example/", "acme").expect("an identity");
    let new = async |world: &World| NewKey {
        kind: KeyKind::Token,
        identity: identity.clone(),
        secret: NewSecret { last_four: String::new(), ..secret(9) },
        ..new_key(store.apps(world.partner).await.expect("apps")[0].app.id, Environment::Live, 9)
    };
    let refused = store.create_key(first.partner, &new(&first).await, first.actor(), now).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == "kind"));
    let key = store.create_key(first.partner, &new(&first).await, Actor::System, now).await.expect("registered");
    let taken = store.create_key(second.partner, &new(&second).await, Actor::System, now).await;
    assert!(matches!(taken, Err(StoreError::Conflict { field, .. }) if field == "identity"));
    let rotated = store.rotate_key(first.partner, key, secret(3), SignedDuration::ZERO, first.actor(), now).await;
    assert!(matches!(rotated, Err(StoreError::Conflict { .. })));
    store.revoke_key(first.partner, key, first.actor(), now).await.expect("revoked");
    store.create_key(second.partner, &new(&second).await, Actor::System, now).await.expect("moved");
}
