//! Tokens: whose count, and every forgery that does not.

use super::{
    client::{Answer, request, request_with, send},
    issuer::{AUDIENCE, ISSUER, KeySetServer, Signing, hmac_token, signed_part},
    world::{PEPPER, World},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    directory::{Directory, Key, KeyKind},
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    policy::{Algorithm, Issuer, Proof},
    refusal::Code,
    usage::Outcome,
};
use gateway::hash_key;
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// 2026-11-20T12:00:00Z, the world's time.
const NOW: i64 = 1_795_176_000;

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "acme-service", "exp": NOW + 300, "iat": NOW - 5})
}

fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "kid": "one", "typ": "at+jwt"})
}

fn with(mut value: Value, name: &str, content: Value) -> Value {
    value[name] = content;
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().expect("an object").remove(name);
    value
}

fn issuer(keys: &KeySetServer, algorithms: &[Algorithm]) -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        jwks_url: keys.url(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: algorithms.to_vec(),
        claim: "sub".to_owned(),
        only_access_tokens: false,
        allow_private_addresses: true,
    }
}

/// The key that an identity of the first partner stands for.
fn identity(kind: KeyKind, text: &str) -> Key {
    Key {
        id: KeyId(Uuid::from_u128(4711)),
        hash: hash_key(&PEPPER, text),
        partner: PartnerId(Uuid::from_u128(1)),
        app: AppId(Uuid::from_u128(51)),
        team: None,
        environment: Environment::Live,
        kind,
        allowed_addresses: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        revoked_at: None,
    }
}

fn accept(directory: &mut Directory, product: usize, ways: &[&[Proof]], issuer: Issuer) {
    let authentication = &mut directory.products[product].policy.authentication;
    authentication.accept = ways.iter().map(|way| way.to_vec()).collect();
    authentication.issuers = vec![issuer];
}

async fn world(keys: &KeySetServer, algorithms: &[Algorithm], ways: &[&[Proof]]) -> World {
    World::with(|directory, config| {
        accept(directory, 0, ways, issuer(keys, algorithms));
        directory.keys.push(identity(KeyKind::Token, &format!("token\n{ISSUER}\nacme-service")));
        config.guesses_per_minute = 10_000;
    })
    .await
}

async fn call(world: &World, token: &str) -> Answer {
    send(world.address, request(Method::GET, "/payments/items/1", token)).await
}

#[tokio::test]
async fn a_token_of_every_algorithm_proves_its_app_and_never_reaches_the_upstream() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let all = [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA];
    for (signing, algorithms) in [
        (Signing::es256(), &["ES256"][..]),
        (Signing::es384(), &["ES384"]),
        (Signing::eddsa(), &["EdDSA"]),
        (Signing::rsa(), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ] {
        let keys = KeySetServer::start(&[signing.jwk("one")]).await;
        let world = world(&keys, &all, &[&[Proof::Token]]).await;
        for algorithm in algorithms {
            let token = signing.token(&header(algorithm), &claims());
            let answer = call(&world, &token).await;
            assert_eq!(answer.status, 200, "{algorithm}: {}", answer.body);
            let seen = world.upstream.last();
            assert!(!seen.headers.values().any(|value| value.to_str().is_ok_and(|text| text.contains(&token))));
        }
        let events = world.events_once(algorithms.len()).await;
        assert!(events.iter().all(|event| event.key == KeyId(Uuid::from_u128(4711))));
        assert_eq!(keys.asked(), 1, "fetched once, by nobody's call");
    }
}

#[tokio::test]
async fn no_forged_token_counts() {
    let (good, other) = (Signing::es256(), Signing::es256());
    let rsa = Signing::rsa();
    let keys = KeySetServer::start(&[good.jwk("one"), rsa.jwk("rsa")]).await;
    let world = world(&keys, &[Algorithm::ES256, Algorithm::RS256], &[&[Proof::Token]]).await;
    assert_eq!(call(&world, &good.token(&header("ES256"), &claims())).await.status, 200, "the control");

    let plain = || header("ES256");
    let sign = |header: Value, claims: Value| good.token(&header, &claims);
    let whole = sign(plain(), claims());
    let (signed, signature) = whole.rsplit_once('.').expect("a signature");
    let raw = |header: &str, claims: &str| good.token_of_texts(header, claims);
    let claim_text = claims().to_string();
    let twice = |name: &str, value: &str| format!("{{\"{name}\":{value},{}", &claim_text[1..]);
    let n = rsa.jwk("rsa")["n"].as_str().expect("text").to_owned();
    let rsa_kid = |alg: &str| with(header(alg), "kid", json!("rsa"));
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).expect("bytes");
    flipped[40] ^= 1;

    let mut table = vec![
        ("alg none", format!("{}.", signed_part(&with(plain(), "alg", json!("none")).to_string(), &claim_text))),
        ("alg None", format!("{}.", signed_part(&with(plain(), "alg", json!("NONE")).to_string(), &claim_text))),
        ("alg none with a signature", sign(with(plain(), "alg", json!("none")), claims())),
        ("no alg", sign(without(plain(), "alg"), claims())),
        ("HS256 under the public key's modulus", hmac_token(&rsa_kid("HS256"), &claims(), n.as_bytes())),
        ("HS256 under the key set", hmac_token(&rsa_kid("HS256"), &claims(), rsa.jwk("rsa").to_string().as_bytes())),
        ("HS256 under nothing", hmac_token(&header("HS256"), &claims(), b"")),
        ("an algorithm that is not on the issuer's list", rsa.token(&rsa_kid("PS256"), &claims())),
        ("an algorithm of another kind of key", sign(rsa_kid("ES256"), claims())),
        ("RS256 with an elliptic key's id", rsa.token(&header("RS256"), &claims())),
        ("another key", other.token(&plain(), &claims())),
        ("jwk", other.token(&with(plain(), "jwk", other.jwk("one")), &claims())),
        ("jku", other.token(&with(plain(), "jku", json!(keys.url())), &claims())),
        ("x5u", sign(with(plain(), "x5u", json!("https://evil.example/")), claims())),
        ("x5c", sign(with(plain(), "x5c", json!(["MIIB"])), claims())),
        ("crit", sign(with(plain(), "crit", json!(["exp"])), claims())),
        ("b64", sign(with(plain(), "b64", json!(false)), claims())),
        ("zip", sign(with(plain(), "zip", json!("DEF")), claims())),
        ("nested", sign(with(plain(), "cty", json!("JWT")), claims())),
        ("a kid that is a path", sign(with(plain(), "kid", json!("../../dev/null")), claims())),
        ("a kid that is SQL", sign(with(plain(), "kid", json!("x' UNION SELECT 'key' --")), claims())),
        ("a kid that is no text", sign(with(plain(), "kid", json!(["one"])), claims())),
        ("no kid where there are two keys of the kind", {
            sign(without(with(plain(), "alg", json!("RS256")), "kid"), claims())
        }),
        ("a signature of zeros", format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("no signature", format!("{signed}.")),
        ("half a signature", format!("{signed}.{}", &signature[..40])),
        ("a signature with a bit turned", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped))),
        ("padding", format!("{whole}==")),
        ("five parts", format!("{whole}.AA.AA")),
        ("another payload", format!("{}.{signature}", signed_part(&plain().to_string(), &twice("x", "1")))),
        ("iss twice", raw(&plain().to_string(), &twice("iss", "\"https://evil.example/\""))),
        ("sub twice", raw(&plain().to_string(), &twice("sub", "\"somebody else\""))),
        ("alg twice", raw("{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"one\"}", &claim_text)),
        ("claims that are a list", raw(&plain().to_string(), "[]")),
        ("claims that are no JSON", raw(&plain().to_string(), "{")),
        ("another issuer", sign(plain(), with(claims(), "iss", json!("https://evil.example/")))),
        ("the issuer without its slash", sign(plain(), with(claims(), "iss", json!("https://id.example")))),
        ("no issuer", sign(plain(), without(claims(), "iss"))),
        ("another audience", sign(plain(), with(claims(), "aud", json!("https://other.example")))),
        ("a part of the audience", sign(plain(), with(claims(), "aud", json!("https://api")))),
        ("no audience", sign(plain(), without(claims(), "aud"))),
        ("audiences that are numbers", sign(plain(), with(claims(), "aud", json!([1, 2])))),
        ("no exp", sign(plain(), without(claims(), "exp"))),
        ("exp as text", sign(plain(), with(claims(), "exp", json!("2099")))),
        ("exp with an exponent", raw(&plain().to_string(), &twice("y", "1").replace("1795176300", "1e300"))),
        ("issued tomorrow", sign(plain(), with(claims(), "iat", json!(NOW + 86_400)))),
        ("an unknown identity", sign(plain(), with(claims(), "sub", json!("nobody")))),
        ("an identity with a line feed", sign(plain(), with(claims(), "sub", json!("acme-service\n")))),
        ("an identity that is no text", sign(plain(), with(claims(), "sub", json!(7)))),
        ("no identity", sign(plain(), without(claims(), "sub"))),
        ("an ID token by its typ claim", sign(plain(), with(claims(), "typ", json!("ID")))),
        ("an ID token by its nonce", sign(plain(), with(claims(), "nonce", json!("n")))),
        ("an ID token by its at_hash", sign(plain(), with(claims(), "at_hash", json!("h")))),
        ("an ID token by token_use", sign(plain(), with(claims(), "token_use", json!("id")))),
        ("a logout token", sign(with(plain(), "typ", json!("logout+jwt")), claims())),
        ("bound to a key that nobody proved", sign(plain(), with(claims(), "cnf", json!({"jkt": "x"})))),
        ("bound to a certificate that nobody has", {
            let bound = json!({"x5t#S256": URL_SAFE_NO_PAD.encode([7; 32])});
            sign(plain(), with(claims(), "cnf", bound))
        }),
        ("more than 8 KiB", sign(plain(), with(claims(), "padding", json!("x".repeat(8192))))),
    ];
    table.extend([("only dots", "..".to_owned()), ("text with dots", "eyJ.x.y".to_owned())]);
    for (what, token) in &table {
        let answer = call(&world, token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid-token"), "{what}: {}", answer.body);
        assert!(!answer.body.contains(token.as_str()), "{what}");
    }
    assert_eq!(world.upstream.seen().len(), 1);
    assert_eq!(world.events_once(1).await.len(), 1, "nobody is known, so nobody's usage is recorded");
    assert_eq!(call(&world, &whole).await.status, 200, "the control still holds");
}

#[tokio::test]
async fn times_count_with_a_minute_of_leeway_and_an_expired_token_is_its_partners() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[signing.jwk("one")]).await;
    let world = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    let at = |name: &str, time: i64| signing.token(&header("ES256"), &with(claims(), name, json!(time)));
    for (name, time, code) in [
        ("exp", NOW - 59, None),
        ("exp", NOW - 60, Some("expired-token")),
        ("nbf", NOW + 60, None),
        ("nbf", NOW + 61, Some("expired-token")),
        ("iat", NOW + 60, None),
    ] {
        let answer = call(&world, &at(name, time)).await;
        assert_eq!(
            (answer.status == 200).then_some(()).is_none().then(|| answer.code()).as_deref(),
            code,
            "{name} {time}"
        );
    }
    let token = at("exp", NOW + 10);
    assert_eq!(call(&world, &token).await.status, 200);
    world.clock.set("2026-11-20T12:01:10Z");
    assert_eq!(call(&world, &token).await.code(), "expired-token", "what is remembered ends with the token");
    let refused: Vec<_> =
        world.events_once(7).await.into_iter().filter(|e| e.outcome == Outcome::Refused(Code::ExpiredToken)).collect();
    assert_eq!(refused.len(), 3);
}

#[tokio::test]
async fn an_issuer_that_says_what_is_an_access_token_is_held_to_it() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[signing.jwk("one")]).await;
    let mut world = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    let typed = |typ: &str| signing.token(&with(header("ES256"), "typ", json!(typ)), &claims());
    assert_eq!(call(&world, &typed("JWT")).await.status, 200);
    world.change(|directory| directory.products[0].policy.authentication.issuers[0].only_access_tokens = true);
    assert_eq!(call(&world, &typed("JWT")).await.code(), "invalid-token", "though it is remembered");
    assert_eq!(call(&world, &typed("at+jwt")).await.status, 200);
    assert_eq!(call(&world, &typed("application/at+jwt")).await.status, 200);
}

#[tokio::test]
async fn what_is_taken_away_from_a_remembered_token_is_gone_at_once() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[signing.jwk("one")]).await;
    let mut world = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    let token = signing.token(&header("ES256"), &claims());
    assert_eq!(call(&world, &token).await.status, 200);
    world.change(|directory| directory.keys[2].revoked_at = Some("2026-11-20T11:00:00Z".parse().expect("a time")));
    assert_eq!(call(&world, &token).await.code(), "revoked-key");
    world.change(|directory| {
        directory.keys[2].revoked_at = None;
        directory.products[0].policy.authentication.issuers[0].audiences = vec!["https://new.example".to_owned()];
    });
    assert_eq!(call(&world, &token).await.code(), "invalid-token");
    world.change(|directory| directory.products[0].policy.authentication = Default::default());
    assert_eq!(call(&world, &token).await.code(), "malformed-key", "no product takes tokens any more");
}

#[tokio::test]
async fn keys_roll_over_with_one_fetch_however_many_tokens_ask_and_outlive_their_issuer() {
    let (old, new, forged) = (Signing::es256(), Signing::es256(), Signing::es256());
    let keys = KeySetServer::start(&[old.jwk("old")]).await;
    let world = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    let signed = |signing: &Signing, kid: &str, number: usize| {
        signing.token(&with(header("ES256"), "kid", json!(kid)), &with(claims(), "jti", json!(number)))
    };
    assert_eq!(call(&world, &signed(&old, "old", 0)).await.status, 200);
    assert_eq!(keys.asked(), 1);

    keys.show(&[old.jwk("old"), new.jwk("new")]);
    let tokens: Vec<String> = (0..20).map(|number| signed(&new, "new", number)).collect();
    // The set was fetched a moment ago, so that nobody gets it fetched again yet.
    assert_eq!(call(&world, &tokens[0]).await.code(), "invalid-token");
    for number in 0..50 {
        assert_eq!(call(&world, &signed(&forged, &format!("kid-{number}"), 0)).await.code(), "invalid-token");
    }
    assert_eq!(keys.asked(), 1, "invented kids fetch nothing");
    keys.break_down();
    assert_eq!(call(&world, &signed(&old, "old", 1)).await.status, 200, "no call needs the issuer");
}

#[tokio::test]
async fn calls_with_a_new_key_wait_for_the_one_fetch_that_brings_it() {
    let (old, new) = (Signing::es256(), Signing::es256());
    let keys = KeySetServer::start(&[old.jwk("old")]).await;
    let world = World::with(|directory, config| {
        accept(directory, 0, &[&[Proof::Token]], issuer(&keys, &[Algorithm::ES256]));
        directory.keys.push(identity(KeyKind::Token, &format!("token\n{ISSUER}\nacme-service")));
        config.key_set_pause = Duration::from_millis(300);
    })
    .await;
    let signed = |signing: &Signing, kid: &str, number: usize| {
        signing.token(&with(header("ES256"), "kid", json!(kid)), &with(claims(), "jti", json!(number)))
    };
    let early = signed(&old, "old", 0);
    assert_eq!(call(&world, &early).await.status, 200);
    tokio::time::sleep(Duration::from_millis(400)).await;
    keys.show(&[new.jwk("new")]);
    let tokens: Vec<String> = (0..8).map(|number| signed(&new, "new", number)).collect();
    let calls: Vec<_> = tokens
        .iter()
        .map(|token| tokio::spawn(send(world.address, request(Method::GET, "/payments/items/1", token))))
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("an answer").status, 200);
    }
    assert_eq!(keys.asked(), 2);
    assert_eq!(call(&world, &early).await.code(), "invalid-token", "a key that left the set proves nothing any more");
}

#[tokio::test]
async fn a_call_waits_for_the_first_key_set_and_says_503_where_there_is_none() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[]).await;
    keys.break_down();
    let world = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    let token = signing.token(&header("ES256"), &claims());
    let answer = call(&world, &token).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "issuer-unavailable"));
    assert!(!answer.header("retry-after").is_empty());
    keys.show(&[signing.jwk("one")]);
    let began = Instant::now();
    while call(&world, &token).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "failed fetches are tried again by themselves");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_key_set_is_neither_fetched_from_private_addresses_nor_through_redirects_nor_without_end() {
    let signing = Signing::es256();
    let token = signing.token(&header("ES256"), &claims());
    for private in [false, true] {
        let keys = KeySetServer::start(&[signing.jwk("one")]).await;
        let world = World::with(|directory, _| {
            let closed = Issuer { allow_private_addresses: private, ..issuer(&keys, &[Algorithm::ES256]) };
            accept(directory, 0, &[&[Proof::Token]], closed);
            directory.keys.push(identity(KeyKind::Token, &format!("token\n{ISSUER}\nacme-service")));
        })
        .await;
        let answer = call(&world, &token).await;
        assert_eq!((answer.status, keys.asked()), if private { (200, 1) } else { (503, 0) });
    }
    let aim = KeySetServer::start(&[signing.jwk("one")]).await;
    let keys = KeySetServer::start(&[]).await;
    keys.answer("302 Found", &format!("location: {}\r\ncontent-length: 0", aim.url()), "");
    let redirected = world(&keys, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    assert_eq!((call(&redirected, &token).await.status, aim.asked()), (503, 0));
    let endless = KeySetServer::start(&[]).await;
    let body = json!({"keys": [signing.jwk("one")], "padding": "x".repeat(300 * 1024)}).to_string();
    endless.answer("200 OK", &format!("content-length: {}", body.len()), &body);
    let endless = world(&endless, &[Algorithm::ES256], &[&[Proof::Token]]).await;
    assert_eq!(call(&endless, &token).await.status, 503);
}

#[tokio::test]
async fn several_proofs_have_to_name_one_partner_and_environment() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[signing.jwk("one")]).await;
    let mut world = world(&keys, &[Algorithm::ES256], &[&[Proof::Key, Proof::Token]]).await;
    let token = format!("Bearer {}", signing.token(&header("ES256"), &claims()));
    let both = |key: &str| {
        let headers = [("authorization", token.as_str()), ("x-api-key", key)];
        request_with(Method::GET, "/payments/items/1", "", &headers, "")
    };
    let answer = send(world.address, both(&world.live)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let event = world.events_once(1).await.remove(0);
    assert_eq!(event.key, KeyId(Uuid::from_u128(41)), "the API key is the one that is counted");
    assert_eq!(world.get("/payments/items/1").await.code(), "missing-credential");
    let alone = request_with(Method::GET, "/payments/items/1", "", &[("authorization", token.as_str())], "");
    let answer = send(world.address, alone).await;
    assert_eq!(answer.code(), "missing-credential");
    assert!(answer.body.contains("an API key together with a token"), "{}", answer.body);

    let recorded = world.events_once(3).await.len();
    assert_eq!(send(world.address, both(&world.test)).await.code(), "conflicting-credentials", "live and test");
    world.change(|directory| {
        let mut second = directory.partners[0].clone();
        second.id = PartnerId(Uuid::from_u128(2));
        directory.keys[2].partner = second.id;
        directory.partners.push(second);
    });
    let answer = send(world.address, both(&world.live)).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "conflicting-credentials"), "two partners");
    assert_eq!(world.events().len(), recorded, "nobody is billed, and nobody's usage tells of it");
    let forged = Signing::es256().token(&header("ES256"), &claims());
    let headers = [("authorization", format!("Bearer {forged}")), ("x-api-key", world.live.clone())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = send(world.address, request_with(Method::GET, "/payments/items/1", "", &headers, "")).await;
    assert_eq!(answer.code(), "invalid-token", "a good key does not carry a bad token");
}

#[tokio::test]
async fn a_product_that_may_not_be_known_answers_no_proof_otherwise_than_a_path_that_does_not_exist() {
    let signing = Signing::es256();
    let keys = KeySetServer::start(&[signing.jwk("one")]).await;
    let world = World::with(|directory, _| {
        // The hidden product takes tokens and so does the public one; the partner's plan opens neither.
        accept(directory, 1, &[&[Proof::Token]], issuer(&keys, &[Algorithm::ES256]));
        accept(directory, 2, &[&[Proof::Token]], issuer(&keys, &[Algorithm::ES256]));
        directory.keys.push(identity(KeyKind::Token, &format!("token\n{ISSUER}\nacme-service")));
    })
    .await;
    let good = signing.token(&header("ES256"), &claims());
    let late = signing.token(&header("ES256"), &with(claims(), "exp", json!(NOW - 300)));
    let forged = Signing::es256().token(&header("ES256"), &claims());
    let stranger = signing.token(&header("ES256"), &with(claims(), "sub", json!("nobody")));
    for credential in ["", &good, &late, &forged, &stranger, &world.live, "a.b.c"] {
        let mut answers = Vec::new();
        for path in ["/hidden/items/1", "/nowhere/items/1"] {
            let answer = send(world.address, request(Method::GET, path, credential)).await;
            let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
            answers.push((answer.status, answer.code(), problem["detail"].clone()));
        }
        assert_eq!(answers[0], answers[1], "{credential}");
    }
    let public = send(world.address, request(Method::GET, "/public/items/1", "")).await;
    assert_eq!(public.code(), "missing-credential");
    assert!(public.body.contains("asks for a token"), "{}", public.body);
}
