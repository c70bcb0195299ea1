//! The gateway's questions about keys, answered from a real Postgres.

use super::*;
use domain::{
    id::{OperationId, ProductId},
    idempotency::Key,
    key_text::Environment,
};
use store::test_db::{self, TestStore, world::World};

async fn nodes() -> (TestStore, World, Keys, Keys) {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let secrets = Arc::new(Secrets::from_master([7; 32]));
    let node = |name: &str| Keys::new(store.handle(), secrets.clone(), name.to_owned(), 8);
    let (one, two) = (node("one"), node("two"));
    (store, world, one, two)
}

fn attempt(world: &World, key: &str) -> Arc<Attempt> {
    Arc::new(Attempt {
        id: Uuid::now_v7(),
        slot: Slot {
            partner: world.partner,
            environment: Environment::Live,
            product: ProductId(Uuid::from_u128(1)),
            operation: OperationId(Uuid::from_u128(2)),
            key: Key::parse(key.as_bytes()).expect("a key"),
        },
        fingerprint: [1; 32],
        request_id: "req_1".to_owned(),
        longest: Duration::from_secs(60),
        keep: Duration::from_secs(3600),
    })
}

#[tokio::test]
async fn of_racing_retries_on_two_nodes_one_goes_on_and_all_get_its_answer() {
    let (store, world, one, two) = nodes().await;
    store.warm().await;
    let racing: Vec<_> = (0..50)
        .map(|number| {
            let (keys, attempt) = (if number % 2 == 0 { one.clone() } else { two.clone() }, attempt(&world, "k"));
            tokio::spawn(async move { (keys.begin(&attempt).await.expect("an answer"), keys, attempt) })
        })
        .collect();
    let mut fresh = Vec::new();
    for race in racing {
        match race.await.expect("no panic") {
            (Begun::Fresh, keys, attempt) => fresh.push((keys, attempt)),
            (other, ..) => assert_eq!(other, Begun::InFlight),
        }
    }
    let [(keys, first)] = fresh.as_slice() else { panic!("{} went on", fresh.len()) };
    keys.keep(first, b"the answer".to_vec()).await.expect("kept");
    for keys in [&one, &two] {
        let again = keys.begin(&attempt(&world, "k")).await;
        assert_eq!(again, Ok(Begun::Answered(b"the answer".to_vec())));
    }
}

#[tokio::test]
async fn a_kept_answer_is_sealed_for_its_partner_and_key() {
    let (store, world, one, _) = nodes().await;
    let first = attempt(&world, "k");
    assert_eq!(one.begin(&first).await, Ok(Begun::Fresh));
    one.keep(&first, b"a secret answer".to_vec()).await.expect("kept");
    let now = Timestamp::now();
    let held = store.held(world.partner, &first.slot, &first.fingerprint, now).await.expect("a row");
    let Some(rows::Begun::Answered { sealed_answer }) = held else { panic!("{held:?}") };
    assert!(!sealed_answer.windows(6).any(|window| window == b"secret"));
    // Moved to another key, it does not open there.
    let other = attempt(&world, "other");
    assert_eq!(one.begin(&other).await, Ok(Begun::Fresh));
    store.answer_attempt(world.partner, other.id, &sealed_answer, now + signed(other.keep)).await.expect("moved");
    one.0.forget(&other);
    assert!(one.begin(&attempt(&world, "other")).await.is_err());
}

#[tokio::test]
async fn what_an_earlier_life_of_the_node_left_is_unknown_and_not_carried_out_again() {
    let (store, world, one, two) = nodes().await;
    assert_eq!(one.begin(&attempt(&world, "k")).await, Ok(Begun::Fresh));
    // The same node after a crash.
    let reborn = Keys::new(store.handle(), one.0.secrets.clone(), "one".to_owned(), 8);
    assert_eq!(reborn.begin(&attempt(&world, "k")).await, Ok(Begun::InFlight), "not before it was looked at");
    reborn.sweep(u64::MAX, Timestamp::now()).await.expect("swept");
    for keys in [&reborn, &two] {
        assert_eq!(keys.begin(&attempt(&world, "k")).await, Ok(Begun::Unknown(Unknown::NodeEnded)));
    }
}

#[tokio::test]
async fn a_partner_with_too_much_kept_may_still_retry_and_not_begin() {
    let (_store, world, one, _) = nodes().await;
    let first = attempt(&world, "k");
    assert_eq!(one.begin(&first).await, Ok(Begun::Fresh));
    one.keep(&first, vec![7; 5_000]).await.expect("kept");
    one.sweep(4_000, Timestamp::now()).await.expect("swept");
    assert_eq!(one.begin(&attempt(&world, "new")).await, Ok(Begun::Full));
    assert_eq!(one.begin(&attempt(&world, "k")).await, Ok(Begun::Answered(vec![7; 5_000])));
    one.sweep(10_000, Timestamp::now()).await.expect("swept");
    assert_eq!(one.begin(&attempt(&world, "new")).await, Ok(Begun::Fresh));
}

#[tokio::test]
async fn a_storm_of_retries_is_one_question_and_holds_nobody_up() {
    let (store, world, one, _) = nodes().await;
    store.warm().await;
    let held = store.hold_keys(&[attempt(&world, "k").slot.clone()]).await;
    let storm: Vec<_> = (0..50)
        .map(|_| {
            let (keys, attempt) = (one.clone(), attempt(&world, "k"));
            tokio::spawn(async move { keys.begin(&attempt).await })
        })
        .collect();
    sleep(Duration::from_millis(100)).await;
    let other = one.begin(&attempt(&world, "other")).await;
    assert_eq!(other, Ok(Begun::Fresh), "it waits for nobody");
    let mut different = attempt(&world, "k");
    Arc::get_mut(&mut different).expect("nobody else has it").fingerprint = [2; 32];
    let asked = tokio::spawn({
        let keys = one.clone();
        async move { keys.begin(&different).await }
    });
    sleep(Duration::from_millis(50)).await;
    held.give_back().await;
    let mut told = Vec::new();
    for one in storm {
        told.push(one.await.expect("no panic").expect("an answer"));
    }
    let different = asked.await.expect("no panic").expect("an answer");
    // Whichever of the two requests Postgres takes first, it is one.
    let fresh = told.iter().chain([&different]).filter(|begun| **begun == Begun::Fresh).count();
    assert_eq!(fresh, 1, "{told:?} {different:?}");
    let expected = if different == Begun::Fresh { Begun::Mismatch } else { Begun::InFlight };
    assert!(told.iter().all(|begun| [Begun::Fresh, expected.clone()].contains(begun)), "{told:?}");
    assert!(different == Begun::Fresh || different == Begun::Mismatch);
}

#[tokio::test]
async fn what_became_of_a_request_does_not_wait_behind_questions() {
    let (store, world, one, _) = nodes().await;
    store.warm().await;
    let first = attempt(&world, "first");
    assert_eq!(one.begin(&first).await, Ok(Begun::Fresh));
    let held = store.hold_keys(&["a", "b"].map(|key| attempt(&world, key).slot.clone())).await;
    let asked = |key: &str| {
        let (keys, attempt) = (one.clone(), attempt(&world, key));
        tokio::spawn(async move { keys.begin(&attempt).await })
    };
    let stuck = ["a", "b"].map(asked);
    sleep(Duration::from_millis(500)).await;
    let behind = ["c", "d", "e"].map(asked);
    one.keep(&first, b"the answer".to_vec()).await.expect("kept");
    assert!(stuck.iter().all(|one| !one.is_finished()), "it did not wait for them");
    for one in stuck {
        assert!(one.await.expect("no panic").is_err(), "Postgres does not answer for that long");
    }
    for one in behind {
        assert_eq!(one.await.expect("no panic"), Ok(Begun::Fresh));
    }
    assert_eq!(one.0.waiting().len(), 2, "they may have taken a key");
    one.finish(PATIENCE).await;
    assert_eq!(one.0.waiting().len(), 2, "and may yet take it");
    held.give_back().await;
    for _ in 0..600 {
        one.finish(PATIENCE).await;
        if one.0.waiting().is_empty() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(one.0.waiting().len(), 0);
    assert_eq!(one.begin(&attempt(&world, "a")).await, Ok(Begun::Fresh));
}

#[tokio::test]
async fn without_postgres_a_question_is_answered_in_time_and_endings_are_told_later() {
    let (store, world, one, _) = nodes().await;
    let nowhere = Store::lazy(store.options().socket("/nonexistent"), 2);
    let lost = Keys::new(nowhere, one.0.secrets.clone(), "lost".to_owned(), 2);
    let asked = timeout(PATIENCE * 20, lost.begin(&attempt(&world, "k"))).await.expect("in time");
    assert!(asked.is_err());
    assert_eq!(lost.0.waiting().len(), 1, "a key that may have been taken is freed later");

    let first = attempt(&world, "k");
    assert_eq!(one.begin(&first).await, Ok(Begun::Fresh));
    one.0.wait(first.clone(), Ending::Released);
    assert_eq!(one.begin(&attempt(&world, "k")).await, Ok(Begun::InFlight));
    one.tell_waiting().await.expect("told");
    assert_eq!(one.begin(&attempt(&world, "k")).await, Ok(Begun::Fresh));
}
