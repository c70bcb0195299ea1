//! What narrows keys and callers: networks behind proxies, scopes, guesses; and who calls, told to the upstream.

use super::{
    client::{Answer, request, request_with, send},
    world::{World, key_text},
};
use domain::{directory::ProductSecret, key_text::Environment, policy::OperationPolicy};
use gateway::{ProxyHeader, TrustedProxies};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sha2::Sha256;

async fn from(world: &World, headers: &[(&str, &str)]) -> Answer {
    send(world.address, request_with(Method::GET, "/payments/items/1", &world.live, headers, "")).await
}

fn proxies(networks: &[&str], header: ProxyHeader) -> TrustedProxies {
    let networks = networks.iter().map(|network| network.parse().expect("a network")).collect();
    TrustedProxies { networks, header }
}

#[tokio::test]
async fn a_key_works_only_from_its_networks_and_no_forged_header_gets_around_it() {
    let mut world = World::start().await;
    world.change(|directory| directory.keys[0].allowed_addresses = vec!["192.0.2.0/24".to_owned()]);
    for forged in [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1, 192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("true-client-ip", "192.0.2.1"),
        ("cf-connecting-ip", "192.0.2.1"),
        ("x_forwarded_for", "192.0.2.1"),
        ("x-client-ip", "192.0.2.1"),
    ] {
        let answer = from(&world, &[forged]).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "address-not-allowed"), "{forged:?}");
    }
    assert_eq!(world.events_once(8).await.len(), 8, "the key's owner sees that it was tried");
    world.change(|directory| directory.keys[0].allowed_addresses = vec!["::ffff:127.0.0.0/104".to_owned()]);
    assert_eq!(from(&world, &[]).await.status, 200);
}

#[tokio::test]
async fn only_the_header_that_a_trusted_proxy_writes_moves_the_client_and_the_upstream_hears_of_it() {
    for (networks, header, sent, status) in [
        (&["127.0.0.0/8"][..], ProxyHeader::XForwardedFor, &[("x-forwarded-for", "192.0.2.7")][..], 200),
        (&["127.0.0.0/8"], ProxyHeader::XForwardedFor, &[("x-forwarded-for", "192.0.2.7, 198.51.100.1")], 403),
        (&["127.0.0.0/8"], ProxyHeader::XForwardedFor, &[("forwarded", "for=192.0.2.7")], 403),
        (&["127.0.0.0/8"], ProxyHeader::Forwarded, &[("x-forwarded-for", "192.0.2.7")], 403),
        (&["127.0.0.0/8"], ProxyHeader::Forwarded, &[("forwarded", "for=192.0.2.7")], 200),
        (&["10.0.0.0/8"], ProxyHeader::XForwardedFor, &[("x-forwarded-for", "192.0.2.7")], 403),
        (&["127.0.0.0/8"], ProxyHeader::XForwardedFor, &[], 403),
    ] {
        let world = World::with(|directory, config| {
            directory.keys[0].allowed_addresses = vec!["192.0.2.0/24".to_owned()];
            config.trusted_proxies = proxies(networks, header);
        })
        .await;
        let answer = from(&world, sent).await;
        assert_eq!(answer.status, status, "{networks:?} {header:?} {sent:?}");
        if status == 200 {
            assert_eq!(world.upstream.last().headers["x-forwarded-for"], "192.0.2.7");
        }
    }
}

#[tokio::test]
async fn a_key_with_scopes_does_only_what_they_name_and_one_without_does_all() {
    let mut world = World::start().await;
    world.change(|directory| {
        let product = &mut directory.products[0];
        let items = product.operations.iter().filter(|operation| operation.path == "/items/{id}");
        let codes: Vec<String> = items.map(|operation| operation.code.clone()).collect();
        let policy = OperationPolicy { scope: Some("items:read".to_owned()), ..OperationPolicy::default() };
        product.policy.operations.extend(codes.into_iter().map(|code| (code, policy.clone())));
    });
    assert_eq!(from(&world, &[]).await.status, 200, "no scopes are all scopes");
    world.change(|directory| directory.keys[0].scopes = vec!["items:write".to_owned(), "items:readers".to_owned()]);
    let answer = from(&world, &[]).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "missing-scope"));
    assert_eq!(world.get("/payments/heavy").await.status, 200, "an operation that asks for none");
    world.change(|directory| directory.keys[0].scopes.push("items:read".to_owned()));
    assert_eq!(from(&world, &[]).await.status, 200);
}

#[tokio::test]
async fn who_guesses_keys_is_told_so_after_a_while_and_a_good_key_works_from_there_all_the_time() {
    let world = World::with(|_, config| {
        config.cores = 1;
        config.guesses_per_minute = 10;
    })
    .await;
    for seed in 0..30 {
        let guess = key_text(Environment::Live, 100 + seed);
        let answer = send(world.address, request(Method::GET, "/payments/items/1", &guess)).await;
        let expected = if seed < 10 { (401, "unknown-key") } else { (429, "too-many-guesses") };
        assert_eq!((answer.status, answer.code().as_str()), expected, "guess {seed}");
        if seed >= 10 {
            assert_eq!(answer.header("retry-after"), "60");
        }
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    world.clock.set("2026-11-20T12:01:00Z");
    let guess = key_text(Environment::Live, 99);
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &guess)).await.code(), "unknown-key");
}

#[tokio::test]
async fn the_upstream_hears_who_calls_in_headers_that_only_the_gateway_can_have_signed() {
    const SECRET: &[u8] = b"a signing secret of this product";
    let mut world = World::with(|directory, _| {
        directory.products[0].policy.authentication.identity_headers = true;
        directory.secrets.push(ProductSecret {
            product: directory.products[0].id,
            name: "identity-signing".to_owned(),
            sealed_value: SECRET.iter().map(|byte| byte ^ 0x55).collect(),
        });
    })
    .await;
    let forged = [
        ("x-turnpike-partner", "partner_forged"),
        ("x_turnpike_partner", "partner_forged"),
        ("x-turnpike_plan", "forged"),
        ("x-turnpike-signature", "v1=00"),
        ("X-Turnpike-Timestamp", "1"),
        ("client-cert", ":AAAA:"),
        ("connection", "x-turnpike-partner, x-turnpike-signature"),
        ("x-request-id", "call-1"),
    ];
    let path = "/payments/items/1?b=2&a=%20";
    let answer = send(world.address, request_with(Method::GET, path, &world.live, &forged, "")).await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.last();
    let header = |name: &str| {
        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}");
        values[0].to_str().expect("text").to_owned()
    };
    let text = format!(
        "turnpike-identity-v1\n{}\nGET\n/base/items/1?b=2&a=%20\ncall-1\n{}\n{}\n{}\nstarter\nlive\n",
        header("x-turnpike-timestamp"),
        header("x-turnpike-partner"),
        header("x-turnpike-app"),
        header("x-turnpike-key"),
    );
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET).expect("a key");
    mac.update(text.as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-turnpike-signature"), format!("v1={expected}"));
    assert_eq!(header("x-turnpike-partner"), world.partner().to_string());
    assert_eq!((header("x-turnpike-plan").as_str(), header("x-turnpike-environment").as_str()), ("starter", "live"));
    assert!(seen.headers.keys().all(|name| !name.as_str().contains('_')), "{:?}", seen.headers);
    assert!(seen.headers.get("client-cert").is_none());
    let kept = world.snapshots.load_full();
    world.directory.secrets.clear();
    let broken = gateway::Snapshot::compile(&world.directory, &|_| Ok(Vec::new()));
    assert!(broken.problems().iter().any(|problem| problem.message.contains("identity-signing")));
    world.snapshots.store(std::sync::Arc::new(broken));
    assert_eq!(world.get("/payments/items/1").await.status, 502, "nothing is forwarded unsigned");
    world.snapshots.store(kept);
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}
