//! Who may call: every way to be known, and every way not to be.

use super::{
    client::{request, request_with, send},
    world::{TRY_KEY, World, key_text},
};
use domain::{
    id::{KeyId, MemberId},
    key_text::Environment,
    refusal::Code,
    usage::Outcome,
};
use gateway::try_credential::{Claims, mint};
use http::Method;
use jiff::SignedDuration;
use uuid::Uuid;

#[tokio::test]
async fn a_key_is_taken_from_either_header_and_never_reaches_the_upstream() {
    let world = World::start().await;
    let bearer = send(world.address, request(Method::GET, "/payments/items/1", &world.live)).await;
    assert_eq!((bearer.status, bearer.body.as_str()), (200, "{\"ok\":true}"));
    let header = [("x-api-key", world.live.as_str())];
    assert_eq!(send(world.address, request_with(Method::GET, "/payments/items/1", "", &header, "")).await.status, 200);
    let both = send(world.address, request_with(Method::GET, "/payments/items/1", &world.live, &header, "")).await;
    assert_eq!(both.status, 200);
    for seen in world.upstream.seen() {
        assert!(!seen.headers.iter().any(|(_, value)| value.to_str().is_ok_and(|text| text.contains(&world.live))));
        assert_eq!(seen.headers["x-upstream-key"], "for the upstream only");
    }
}

#[tokio::test]
async fn bad_credentials_are_told_apart_and_none_of_them_reaches_the_upstream() {
    let world = World::start().await;
    let mut mistyped = world.live.clone();
    mistyped.replace_range(12..13, if &mistyped[12..13] == "a" { "b" } else { "a" });
    let unknown = key_text(Environment::Live, 99);
    let basic = [("authorization", "Basic dXNlcjpwYXNz")];
    let other = [("x-api-key", world.test.as_str())];
    for (key, headers, code) in [
        ("", &[][..], "missing-key"),
        ("", &basic[..], "missing-key"),
        (mistyped.as_str(), &[], "malformed-key"),
        ("nonsense", &[], "malformed-key"),
        (unknown.as_str(), &[], "unknown-key"),
        (world.live.as_str(), &other, "conflicting-credentials"),
        (world.live.as_str(), &basic, "conflicting-credentials"),
    ] {
        let answer = send(world.address, request_with(Method::GET, "/payments/items/1", key, headers, "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code));
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert!(!answer.body.contains(&world.live));
    }
    assert_eq!(world.upstream.seen().len(), 0);
    assert_eq!(world.events().len(), 0, "nobody is known, so nobody's usage is recorded");
}

#[tokio::test]
async fn a_revoked_or_expired_key_is_refused_from_the_next_call_on_and_recorded() {
    let mut world = World::start().await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    world.change(|directory| directory.keys[0].revoked_at = Some("2026-11-20T11:00:00Z".parse().expect("a time")));
    assert_eq!(world.get("/payments/items/1").await.code(), "revoked-key");
    world.change(|directory| {
        directory.keys[0].revoked_at = None;
        directory.keys[0].expires_at = Some("2026-11-20T12:00:01Z".parse().expect("a time"));
    });
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    world.clock.set("2026-11-20T12:00:01Z");
    assert_eq!(world.get("/payments/items/1").await.code(), "expired-key");
    let outcomes: Vec<_> = world.events_once(4).await.into_iter().map(|event| event.outcome).collect();
    assert!(
        outcomes.contains(&Outcome::Refused(Code::RevokedKey))
            && outcomes.contains(&Outcome::Refused(Code::ExpiredKey))
    );
}

#[tokio::test]
async fn a_try_it_credential_stands_for_its_key_and_names_the_member() {
    let mut world = World::start().await;
    let member = MemberId(Uuid::from_u128(77));
    let expires_at = "2026-11-20T12:04:00Z".parse().expect("a time");
    let claims = Claims { key: KeyId(Uuid::from_u128(42)), member: Some(member), expires_at };
    let credential = mint(&TRY_KEY, &claims);
    let tried = request(Method::GET, "/payments/items/1", &credential);
    assert_eq!(send(world.address, tried.clone()).await.status, 200);
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.member, event.key, event.environment), (Some(member), claims.key, Environment::Test));

    let forged = mint(&[9; 32], &claims);
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &forged)).await.code(), "malformed-key");
    let stranger = mint(&TRY_KEY, &Claims { key: KeyId(Uuid::from_u128(4711)), ..claims });
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &stranger)).await.code(), "unknown-key");
    let long = mint(&TRY_KEY, &Claims { expires_at: expires_at + SignedDuration::from_hours(1), ..claims });
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &long)).await.code(), "expired-key");
    world.change(|directory| directory.keys[1].revoked_at = Some(expires_at));
    assert_eq!(send(world.address, tried.clone()).await.code(), "revoked-key");
    world.change(|directory| directory.keys[1].revoked_at = None);
    world.clock.set("2026-11-20T12:04:00Z");
    assert_eq!(send(world.address, tried).await.code(), "expired-key");
}
