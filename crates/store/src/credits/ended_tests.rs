//! An allocation that has ended is left alone once nothing can come of it, and nothing that comes is forgotten.

use super::{tests::Credited, *};
use crate::corrections::tests::{apply, asked, one};
use domain::{correction::Change, credit::allocation::Holder};

const NOW: &str = "2026-03-01T09:20:00Z";

impl Credited {
    /// Allocations that are looked at every few seconds.
    async fn looked_at(&self) -> i64 {
        sqlx::query_scalar("select count(*) from credit_allocation_balances where back_units > 0 and not at_rest")
            .fetch_one(self.store.pool())
            .await
            .expect("counted")
    }
}

#[tokio::test]
async fn what_nothing_can_come_of_is_looked_at_no_more() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let id = world.allocate(of, 30, NOW).await;
    world.back(id, None, NOW).await;
    assert_eq!(world.looked_at().await, 0, "no gateway holds any of it");
    // Of the next a gateway holds some: it is used.
    let id = world.allocate(of, 30, NOW).await;
    world.exchange("a", world.of(id), 10, (0, 0)).await;
    world.back(id, None, NOW).await;
    assert_eq!(world.looked_at().await, 1);
    world.call_own("a", "2026-03-01T10:10:00Z", 10, Some((id, 10))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.looked_at().await, world.balance().await), (0, 90));
    // And of the next given back.
    let id = world.allocate(of, 30, NOW).await;
    let held = world.exchange("b", world.of(id), 10, (0, 0)).await;
    world.back(id, None, NOW).await;
    world.exchange("b", world.of(id), 0, (10, held.turn)).await;
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.looked_at().await, world.balance().await), (0, 90));
    let more = world.exchange("b", world.of(id), 1, (0, held.turn + 1)).await;
    assert_eq!((more.granted, more.limit), (0, 0), "nothing of it is granted");
}

#[tokio::test]
async fn a_call_that_is_corrected_afterwards_gives_its_units_back_all_the_same() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 10, Some((id, 10))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    world.back(id, None, NOW).await;
    assert_eq!((world.looked_at().await, world.balance().await), (0, 90));
    apply(&world.store, world.partner, &asked(Change::Void, one("a"))).await.expect("corrected");
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.own(id).await.left, world.looked_at().await, world.balance().await), (0, 0, 100));
}

/// What was never told apart is found when the sums are made again.
#[tokio::test]
async fn units_that_come_to_light_as_sums_are_made_again_are_given_back() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    let wrong = "update credit_allocation_balances set units = 0, at_rest = true, back_units = 1000000000000000000";
    sqlx::query("update credit_allocations set ended_at = now()").execute(world.store.pool()).await.expect("ended");
    sqlx::query(wrong).execute(world.store.pool()).await.expect("tampered with");
    world.store.rebuild_all_credit().await.expect("rebuilt");
    world.settle(NOW).await;
    assert_eq!((world.own(id).await.left, world.looked_at().await, world.balance().await), (0, 0, 100));
}
