//! One reference is one move of one kind, and the ledger tells the kinds apart.

use super::{tests::Credited, *};
use crate::{Actor, StoreError, ingest::tests::at, leases::LeaseAsk};
use domain::{
    credit::allocation::{Holder, Spend},
    id::AllocationId,
};

const NOW: &str = "2026-03-01T09:20:00Z";

impl Credited {
    async fn referred(&self, of: Holder, units: u64, reference: &str) -> Result<CreditAllocation, StoreError> {
        let new = NewCreditAllocation { of, units, spend: Spend::First, reference: Some(reference.to_owned()) };
        self.store.allocate_credit(self.partner, &new, Actor::System, at(NOW)).await
    }

    async fn back_by(
        &self,
        id: AllocationId,
        units: Option<u64>,
        reference: &str,
    ) -> Result<CreditAllocation, StoreError> {
        let asked = GiveBackCredit { units, reference: Some(reference.to_owned()) };
        self.store.give_back_credit(self.partner, id, &asked, Actor::System, at(NOW)).await
    }
}

fn is_taken<T>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict { field, .. }) if field == "reference")
}

#[tokio::test]
async fn the_same_reference_moves_units_once() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let first = world.referred(of, 30, "budget-1").await.expect("allocated");
    let second = world.referred(of, 30, "budget-1").await.expect("the first");
    assert_eq!((first.left, &second), (30, &first));
    assert!(is_taken(world.referred(of, 31, "budget-1").await));
    for _ in 0..2 {
        assert_eq!(world.back_by(first.id, Some(10), "budget-2").await.expect("given back").left, 20);
    }
    assert!(is_taken(world.back_by(first.id, Some(11), "budget-2").await));
    let theirs = crate::test_db::world::World::named(&world.store, "other").await.partner;
    let back = GiveBackCredit { units: None, reference: None };
    let nobody = world.store.give_back_credit(theirs, first.id, &back, Actor::System, at(NOW)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound)));
    let new = NewCreditAllocation { of, units: 1, spend: Spend::First, reference: None };
    let nobody = world.store.allocate_credit(theirs, &new, Actor::System, at(NOW)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound)), "another partner's app does not exist");
}

#[tokio::test]
async fn a_reference_of_one_kind_of_move_is_not_taken_for_another() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let id = world.referred(of, 30, "made").await.expect("allocated").id;
    world.referred(of, 0, "chosen").await.expect("chosen");
    world.back_by(id, Some(10), "part").await.expect("given back");
    // Neither a choice nor a part that was given back has ended it.
    assert!(is_taken(world.back_by(id, None, "chosen").await));
    assert!(is_taken(world.back_by(id, None, "part").await));
    assert_eq!((world.own(id).await.left, world.own(id).await.ended_at), (20, None));
    world.back_by(id, Some(20), "rest").await.expect("given back");
    for _ in 0..2 {
        assert_eq!(world.back_by(id, None, "end").await.expect("ended").ended_at, Some(at(NOW)));
        assert_eq!(world.back_by(id, Some(20), "rest").await.expect("as before").left, 0);
    }
    // It gave nothing back, as a choice moves nothing.
    assert!(is_taken(world.referred(of, 0, "end").await));
    assert!(is_taken(world.back_by(id, Some(20), "end").await));
    assert_eq!(world.referred(of, 0, "chosen").await.expect("as before").id, id);
    world.agrees().await;
}

/// Another server's clock is ahead: what it wrote before has a name that sorts behind.
#[tokio::test]
async fn which_move_ended_an_allocation_is_not_decided_by_servers_clocks() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let id = world.referred(of, 30, "made").await.expect("allocated").id;
    let renamed =
        "update credit_allocation_moves set id = 'ffffffff-ffff-7fff-bfff-ffffffffffff' where reference = 'made'";
    sqlx::query(renamed).execute(world.store.pool()).await.expect("renamed");
    let ended = world.back_by(id, None, "end").await.expect("ended");
    assert_eq!(world.back_by(id, None, "end").await.expect("the same again"), ended);
    assert!(is_taken(world.back_by(id, None, "made").await));
    assert_eq!(world.referred(of, 30, "made").await.expect("as before").id, id);
}

#[tokio::test]
async fn the_ledger_says_why_units_came_back() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    let ask = |need, returned, turn| LeaseAsk { of: world.of(id), limit: None, need, want: need, returned, turn };
    let held = world.store.exchange_units("a", ask(10, 0, 0), at(NOW)).await.expect("granted");
    world.back_by(id, Some(25), "part").await.expect("given back");
    world.store.exchange_units("a", ask(0, 10, held.turn), at(NOW)).await.expect("let go of");
    world.settle("2026-03-01T10:00:00Z").await;
    world.back_by(id, None, "end").await.expect("ended");
    let kinds: Vec<(String, i64)> = sqlx::query_as(
        "select split_part(t.idempotency_key, ':', 1), sum(e.units)::bigint from ledger_transactions t
         join ledger_unit_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id and e.account = 'allocated'
         group by 1 order by min(t.id::text)",
    )
    .fetch_all(world.store.pool())
    .await
    .expect("entries");
    let told: Vec<_> = kinds.iter().map(|(kind, units)| (kind.as_str(), *units)).collect();
    assert_eq!(
        told,
        [("credit-allocate", 30), ("credit-give-back", -20), ("credit-let-go", -5), ("credit-allocation-end", -5)]
    );
    world.agrees().await;
}
