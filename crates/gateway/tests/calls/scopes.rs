//! Limits for each app and each key beside the partner's: all of them count a call, or none.

use super::{
    client::{Answer, request, send},
    world::{PEPPER, World, key_text, limits},
};
use domain::{
    directory::Key,
    id::{AppId, KeyId},
    key_text::Environment,
    limit::{Limit, Window, rule::Share},
};
use gateway::hash_key;
use http::Method;
use uuid::Uuid;

const MINUTE: Window = Window::Minute;

/// One more live key of that app.
fn add_key(directory: &mut domain::directory::Directory, app: u128, seed: u8) -> String {
    let text = key_text(Environment::Live, seed);
    let first = directory.keys[0].clone();
    directory.keys.push(Key {
        id: KeyId(Uuid::from_u128(100 + u128::from(seed))),
        hash: hash_key(&PEPPER, &text),
        app: AppId(Uuid::from_u128(app)),
        ..first
    });
    text
}

async fn get(world: &World, key: &str) -> Answer {
    send(world.address, request(Method::GET, "/payments/items/1", key)).await
}

#[tokio::test]
async fn limits_for_partner_app_and_key_hold_together_and_a_refusal_uses_none_of_them() {
    let (mut sibling, mut other) = (String::new(), String::new());
    let world = World::with(|directory, _| {
        sibling = add_key(directory, 51, 61);
        other = add_key(directory, 52, 62);
        let terms = &mut directory.plans[0].terms;
        limits(terms, &[(7, MINUTE)]);
        terms.admission.app_limits = vec![Limit { calls: 5, window: MINUTE }];
        terms.admission.key_limits = vec![Limit { calls: 3, window: MINUTE }];
    })
    .await;
    for _ in 0..3 {
        assert_eq!(get(&world, &world.live).await.status, 200);
    }
    for _ in 0..5 {
        let refused = get(&world, &world.live).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "limit-exceeded"));
        assert!(refused.body.contains("3 calls a minute for each key"), "{}", refused.body);
        assert_eq!(
            refused.header("ratelimit-policy"),
            "\"minute\";q=7;w=60, \"app-minute\";q=5;w=60, \"key-minute\";q=3;w=60"
        );
        assert!(refused.header("ratelimit").contains("\"minute\";r=4"), "{}", refused.header("ratelimit"));
        assert!(refused.header("ratelimit").contains("\"app-minute\";r=2"), "{}", refused.header("ratelimit"));
        assert!(refused.header("ratelimit").contains("\"key-minute\";r=0"), "{}", refused.header("ratelimit"));
        assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), ("3", "0"));
    }
    for _ in 0..2 {
        assert_eq!(get(&world, &sibling).await.status, 200);
    }
    assert!(get(&world, &sibling).await.body.contains("5 calls a minute for each app"));
    for _ in 0..2 {
        assert_eq!(get(&world, &other).await.status, 200);
    }
    let refused = get(&world, &other).await;
    assert!(refused.body.contains("limit of 7 calls a minute is reached"), "{}", refused.body);
    assert_eq!(world.upstream.seen().len(), 7);
}

#[tokio::test]
async fn a_node_of_three_lets_its_part_of_a_limit_through_and_says_what_was_sold() {
    let world = World::with(|directory, config| {
        limits(&mut directory.plans[0].terms, &[(10, MINUTE)]);
        config.share = Share::new(3, 0).expect("one of three");
    })
    .await;
    let mut served = 0;
    for _ in 0..10 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!(answer.header("ratelimit-policy"), "\"minute\";q=10;w=60");
        served += u32::from(answer.status == 200);
    }
    let own = Share::new(3, 0).expect("one of three").of(world.partner().0.as_u128()).calls(10);
    assert_eq!(served, own);
    assert!((3..=4).contains(&served));
}

#[tokio::test]
async fn a_limit_smaller_than_the_number_of_nodes_is_refused_in_words_where_this_node_has_no_part() {
    let nodes = (0..3).filter_map(|index| Share::new(3, index));
    let mut served = 0;
    for share in nodes {
        let world = World::with(|directory, config| {
            limits(&mut directory.plans[0].terms, &[(1, MINUTE)]);
            config.share = share;
        })
        .await;
        let answer = world.get("/payments/items/1").await;
        served += u32::from(answer.status == 200);
        if answer.status != 200 {
            assert!(answer.body.contains("smaller than the number of gateways"), "{}", answer.body);
        }
        assert_eq!(world.get("/payments/items/1").await.status, 429);
    }
    assert_eq!(served, 1, "one of the three has it");
}
