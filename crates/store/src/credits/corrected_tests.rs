//! What expires or is corrected of allocated credit comes of, and goes back to, what paid it.

use super::{tests::Credited, *};
use crate::{
    StoreError,
    corrections::tests::{apply, asked, one, revert},
    ingest::tests::at,
};
use domain::{
    correction::{Change, Filter},
    credit::allocation::Holder,
    id::AllocationId,
};

const NOW: &str = "2026-03-01T09:20:00Z";

/// A gateway holds 8 units of an app's while they expire, and spends them afterwards: the rest of the credit, 50 units, pays.
async fn held_over_the_expiry() -> (Credited, AllocationId, CreditGrantId) {
    let world = Credited::new().await;
    let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T11:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
    world.grant(gift, NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 20, NOW).await;
    let rest = world.grant(NewCreditGrant::new(50, "Rest"), NOW).await;
    world.exchange("a", world.of(id), 8, (0, 0)).await;
    world.settle("2026-03-01T11:00:00Z").await;
    world.call_own("a", "2026-03-01T11:10:00Z", 8, Some((id, 8))).await;
    world.settle("2026-03-01T12:00:00Z").await;
    (world, id, rest)
}

#[tokio::test]
async fn what_expired_while_a_gateway_held_it_is_taken_of_what_is_common() {
    let (world, id, rest) = held_over_the_expiry().await;
    assert_eq!(world.stands(rest).await, [42, 8, 0, 0]);
    let own = world.own(id).await;
    assert_eq!((own.units, own.used, own.left, world.balance().await), (0, 0, 0, 42));
    // And where such a call is taken back, it goes back to where it came from.
    apply(&world.store, world.partner, &asked(Change::Void, one("a"))).await.expect("corrected");
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(rest).await, world.balance().await), ([50, 0, 0, 0], 50));
}

#[tokio::test]
async fn a_call_that_is_corrected_gives_its_units_back_to_where_they_came_from() {
    let world = Credited::new().await;
    let grant = world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 10, Some((id, 6))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.own(id).await.left, world.balance().await), (24, 66));
    let void = apply(&world.store, world.partner, &asked(Change::Void, one("a"))).await.expect("corrected");
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.own(id).await.left, world.balance().await), (30, 70));
    revert(&world.store, world.partner, void).await.expect("reverted");
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.own(id).await.left, world.balance().await, world.stands(grant).await), (24, 66, [90, 10, 0, 0]));
}

/// Of its own it has no more: so nothing of it is written down as its own.
#[tokio::test]
async fn what_an_allocation_cannot_give_back_is_noted_as_common_and_taken_again_as_such() {
    let (world, id, rest) = held_over_the_expiry().await;
    let void = asked(Change::Void, one("a"));
    let applied = apply(&world.store, world.partner, &void).await.expect("corrected");
    let noted = async |statement: &'static str| {
        sqlx::query_scalar::<_, i64>(statement).bind(id.0).fetch_all(world.store.pool()).await.expect("noted")
    };
    let events = "select allocated from usage_events where kind = 2 and allocation_id = $1 order by lane";
    let corrections = "select allocated from usage_correction_events where allocation_id = $1 order by step";
    assert_eq!((noted(events).await, noted(corrections).await), (vec![0], vec![0]));
    let again = apply(&world.store, world.partner, &void).await;
    assert!(matches!(again, Err(StoreError::Invalid { .. })), "nothing of it counts any more: {again:?}");
    revert(&world.store, world.partner, applied).await.expect("reverted");
    let taken = "select taken from allowances where partner_id = $1 and kind = 'credit'";
    assert_eq!((noted(events).await, noted(taken).await), (vec![0, 0], vec![0]));
    world.store.settle_credit(world.partner, at("2026-03-01T12:00:00Z")).await.expect("settled");
    assert_eq!((world.stands(rest).await, world.balance().await), ([42, 8, 0, 0], 42));
    world.agrees().await;
}

/// One hour's units came from the allocation, the other's from what is common, as the rest of the allocation had expired.
#[tokio::test]
async fn units_go_back_by_the_hour_that_they_were_used_in_whatever_is_corrected_first() {
    let all =
        || Filter { from: Some(at("2026-03-01T10:00:00Z")), to: Some(at("2026-03-01T12:00:00Z")), ..Filter::default() };
    for voids in [vec![all()], vec![one("a"), one("b")], vec![one("b"), one("a")]] {
        let world = Credited::new().await;
        let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T11:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
        let gift = world.grant(gift, NOW).await;
        let id = world.allocate(Holder::App(world.app().await), 20, NOW).await;
        let rest = world.grant(NewCreditGrant::new(50, "Rest"), NOW).await;
        world.call_own("b", "2026-03-01T10:30:00Z", 10, Some((id, 10))).await;
        world.exchange("a", world.of(id), 10, (0, 0)).await;
        world.settle("2026-03-01T11:00:00Z").await;
        world.call_own("a", "2026-03-01T11:10:00Z", 10, Some((id, 10))).await;
        world.settle("2026-03-01T12:00:00Z").await;
        assert_eq!((world.stands(rest).await, world.balance().await), ([40, 10, 0, 0], 40), "{voids:?}");
        for void in &voids {
            apply(&world.store, world.partner, &asked(Change::Void, void.clone())).await.expect("corrected");
        }
        world.settle("2026-03-01T12:00:00Z").await;
        assert_eq!((world.stands(rest).await, world.balance().await), ([50, 0, 0, 0], 50), "{voids:?}");
        assert_eq!(world.stands(gift).await, [0, 0, 20, 0], "what came back of it has expired: {voids:?}");
        world.agrees().await;
    }
}

/// As a server does that knows no allocations.
const ENDED: &str = "update credit_grants set ended_at = now(), ended_by = 'expired' where id = $1";

#[tokio::test]
async fn a_server_that_knows_no_allocations_cannot_end_a_grant_of_which_some_is_allocated() {
    let world = Credited::new().await;
    let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T11:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
    let gift = world.grant(gift, NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 20, NOW).await;
    let ended = sqlx::query(ENDED).bind(gift.0).execute(world.store.pool()).await;
    assert!(ended.expect_err("refused").to_string().contains("allocated to apps or teams"));
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(gift).await, world.own(id).await.left), ([0, 0, 20, 0], 0));
}

/// Control: without the database's word its units would stay for ever.
#[tokio::test]
async fn without_that_refusal_what_expired_stays_in_the_allocation() {
    let world = Credited::new().await;
    let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T11:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
    let gift = world.grant(gift, NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 20, NOW).await;
    sqlx::query("drop trigger credit_grants_end_unallocated on credit_grants")
        .execute(world.store.pool())
        .await
        .expect("dropped");
    sqlx::query(ENDED).bind(gift.0).execute(world.store.pool()).await.expect("ended");
    world.store.settle_credit(world.partner, at("2026-03-01T12:00:00Z")).await.expect("settled");
    assert_eq!(world.own(id).await.left, 20);
}
