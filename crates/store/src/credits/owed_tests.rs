//! What is owed, and what pays it: grants of its hour, the next grant, or an invoice. What an invoice bills is held against nothing else.

use super::{overdraft_tests::lent_units, tests::Credited, *};
use crate::{
    Actor, StoreError,
    ingest::tests::at,
    leases::{LeaseAsk, Leased},
};
use domain::{allowance::Allowance, money::Currency};
use std::time::Duration;
use tokio::time::timeout;

impl Credited {
    /// What a gateway gets that wants so many units more.
    async fn takes(&self, before: Leased, units: u64) -> Leased {
        let of = Allowance::credit(self.partner);
        let ask = LeaseAsk { of, limit: None, need: units, want: units, returned: 0, turn: before.turn };
        self.store.exchange_units("gateway", ask, at("2026-03-20T00:00:00Z")).await.expect("an answer")
    }

    /// Takes units back of calls of that hour, as a correction does.
    async fn correct(&self, hour: &str, units: i64) {
        let mut tx = self.store.begin().await.expect("a transaction");
        for statement in [
            "update usage_credit_hourly set units = units - $1 where hour = $2",
            "update allowances set taken = taken - $1 where kind = 'credit' and $2::timestamptz is not null",
            "update allowance_leases set granted = granted - $1, spent = spent - $1
             where kind = 'credit' and spent >= $1 and $2::timestamptz is not null and node = 'a'",
        ] {
            let done = sqlx::query(statement).bind(units).bind(crate::Ts(at(hour))).execute(&mut *tx).await;
            assert_eq!(done.expect("corrected").rows_affected(), 1, "{statement}");
        }
        tx.commit().await.expect("committed");
    }

    async fn book(&self, now: &str) {
        self.store.settle_credit(self.partner, at(now)).await.expect("settled");
        self.agrees().await;
    }
}

#[tokio::test]
async fn units_that_are_given_while_others_are_to_be_billed_can_be_used_at_once_and_no_more() {
    for (lends, more) in [(0, 0), (250, 0), (400, 100)] {
        let (world, _) = lent_units(lends).await;
        world.call("a", "2026-03-05T10:00:00Z", 300).await;
        world.settle("2026-03-05T11:00:00Z").await;
        let nothing = world.takes(Leased::default(), 1_000).await;
        assert_eq!(nothing.granted, more, "{lends}");
        world.grant(NewCreditGrant::new(50, "Bought"), "2026-03-06T00:00:00Z").await;
        let bought = world.takes(nothing, 1_000).await;
        assert_eq!(bought.granted, 50 + more, "{lends}");
        let standing = world.store.credit(world.partner).await.expect("a standing");
        assert_eq!((standing.balance, standing.to_be_billed), (-250, 300), "{lends}");
        assert_eq!(standing.overdraft, lends.max(300), "{lends}");
        // What a correction takes back is owed no more, before that is booked as after it.
        world.correct("2026-03-05T10:00:00Z", 100).await;
        let corrected = if lends == 400 { 250 } else { 50 + lends.saturating_sub(200) };
        let before = world.takes(bought, 1_000).await;
        assert_eq!(before.granted, corrected, "{lends}");
        world.book("2026-03-07T00:00:00Z").await;
        assert_eq!(world.takes(before, 1_000).await.granted, corrected, "{lends}");
    }
}

#[tokio::test]
async fn what_is_unused_is_paid_back_although_others_are_to_be_billed() {
    let (world, _) = lent_units(500).await;
    world.call("a", "2026-03-05T10:00:00Z", 300).await;
    world.settle("2026-03-05T11:00:00Z").await;
    let cost = Some(Money::new(Currency::Usd, 10_000_000));
    let paid = NewCreditGrant { kind: GrantKind::Paid, cost, ..NewCreditGrant::new(100, "Paid") };
    let paid = world.grant(paid, "2026-03-06T00:00:00Z").await;
    let given = world.grant(NewCreditGrant::new(40, "Given"), "2026-03-06T00:00:00Z").await;
    world.call("b", "2026-03-06T10:10:00Z", 70).await;
    let now = "2026-03-06T10:20:00Z";
    let less = NewCreditGrant::new(-71, "Too many");
    let refused = world.store.grant_credit(world.partner, &less, Actor::System, at(now)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    world.grant(NewCreditGrant::new(-20, "Some"), now).await;
    let how = (Void::Refunded, "They changed their mind");
    assert!(world.store.void_credit_grant(world.partner, paid, how, Actor::System, at(now)).await.expect("void"));
    assert_eq!((world.stands(given).await, world.stands(paid).await), ([0, 40, 0, 0], [0, 30, 0, 70]));
    let cash = world.money().await.into_iter().find(|(account, _)| *account == crate::LedgerAccount::Cash);
    assert_eq!(cash.map(|(_, money)| money), Some("$5.00".to_owned()), "for 50 of the 70; 20 were taken back before");
    assert_eq!(
        (world.balance().await, world.store.credit(world.partner).await.expect("read").to_be_billed),
        (-300, 300)
    );
    world.agrees().await;
}

#[tokio::test]
async fn units_that_come_back_pay_for_other_hours_of_their_grant_before_an_invoice_bills_them() {
    let (world, subscription) = lent_units(500).await;
    let until_noon = NewCreditGrant { expires_at: Some(at("2026-03-05T12:00:00Z")), ..NewCreditGrant::new(100, "Day") };
    let grant = world.grant(until_noon, "2026-03-05T00:00:00Z").await;
    world.call("a", "2026-03-05T09:00:00Z", 60).await;
    world.call("b", "2026-03-05T10:00:00Z", 70).await;
    world.settle("2026-03-05T12:00:00Z").await;
    let units = |all: Vec<Overdrawn>| all.iter().map(|one| one.units).collect::<Vec<_>>();
    assert_eq!(units(world.overdrawn(subscription, "2026-03-05T12:00:00Z").await), [30]);
    world.correct("2026-03-05T09:00:00Z", 50).await;
    world.book("2026-03-05T13:00:00Z").await;
    assert_eq!((world.stands(grant).await, world.balance().await), ([0, 80, 20, 0], 0));
    assert_eq!(world.overdrawn(subscription, "2026-03-05T13:00:00Z").await, []);
}

#[tokio::test]
async fn an_hour_that_was_booked_before_it_was_over_is_paid_by_a_grant_of_that_hour_all_the_same() {
    let (world, subscription) = lent_units(500).await;
    let first = world.grant(NewCreditGrant::new(10, "First"), "2026-03-05T00:00:00Z").await;
    world.call("a", "2026-03-05T10:10:00Z", 30).await;
    let how = (Void::Kept, "A mistake");
    let void = world.store.void_credit_grant(world.partner, first, how, Actor::System, at("2026-03-05T10:20:00Z"));
    assert!(void.await.expect("void"));
    assert_eq!(world.overdrawn(subscription, "2026-03-05T10:30:00Z").await, [], "the hour may still be paid");
    let second = world.grant(NewCreditGrant::new(50, "Second"), "2026-03-05T10:40:00Z").await;
    assert_eq!((world.stands(second).await, world.balance().await), ([30, 20, 0, 0], 30));
    assert_eq!(world.overdrawn(subscription, "2026-03-05T12:00:00Z").await, []);
    world.agrees().await;
}

#[tokio::test]
async fn what_is_not_billed_yet_is_forgiven_by_a_grant_for_then_and_by_no_later_one() {
    let (world, subscription) = lent_units(500).await;
    world.call("a", "2026-03-05T10:00:00Z", 30).await;
    world.settle("2026-03-05T11:00:00Z").await;
    let given = |effective: &str| NewCreditGrant {
        effective_at: Some(at(effective)),
        ..NewCreditGrant::new(20, "Our mistake")
    };
    let later = world.grant(given("2026-03-05T11:00:00Z"), "2026-03-06T00:00:00Z").await;
    let then = world.grant(given("2026-03-05T10:59:59Z"), "2026-03-06T00:00:00Z").await;
    assert_eq!((world.stands(later).await, world.stands(then).await), ([20, 0, 0, 0], [0, 20, 0, 0]));
    let billed = world.overdrawn(subscription, "2026-03-06T00:00:00Z").await;
    assert_eq!(billed.iter().map(|one| one.units).collect::<Vec<_>>(), [10]);
    world.agrees().await;
}

#[tokio::test]
async fn a_grant_that_began_and_ended_between_two_runs_paid_for_its_hours() {
    let (world, subscription) = lent_units(500).await;
    let hours = NewCreditGrant {
        effective_at: Some(at("2026-03-05T10:00:00Z")),
        expires_at: Some(at("2026-03-05T12:00:00Z")),
        ..NewCreditGrant::new(10, "Two hours")
    };
    let grant = world.grant(hours, "2026-03-05T09:00:00Z").await;
    world.call("a", "2026-03-05T10:30:00Z", 7).await;
    world.settle("2026-03-05T13:00:00Z").await;
    assert_eq!((world.stands(grant).await, world.balance().await), ([0, 7, 3, 0], 0));
    assert_eq!(world.overdrawn(subscription, "2026-03-05T13:00:00Z").await, []);
}

#[tokio::test]
async fn the_bill_so_far_waits_for_nobody_and_tells_what_booking_comes_to() {
    let (world, subscription) = lent_units(500).await;
    let soon = NewCreditGrant { expires_at: Some(at("2026-03-05T11:00:00Z")), ..NewCreditGrant::new(20, "Soon") };
    world.grant(soon, "2026-03-05T00:00:00Z").await;
    world.call("a", "2026-03-05T09:00:00Z", 25).await;
    world.settle("2026-03-05T10:00:00Z").await;
    world.call("b", "2026-03-05T10:00:00Z", 12).await;
    let later = NewCreditGrant { effective_at: Some(at("2026-03-05T12:00:00Z")), ..NewCreditGrant::new(8, "Later") };
    world.grant(later, "2026-03-05T10:00:00Z").await;
    world.call("c", "2026-03-05T12:10:00Z", 9).await;
    world.correct("2026-03-05T09:00:00Z", 11).await;
    let now = at("2026-03-05T13:00:00Z");
    let mut tx = world.store.begin().await.expect("a transaction");
    for held in ["credit_balances", "allowances", "usage_credit_hourly", "credit_grants"] {
        let lock = sqlx::AssertSqlSafe(format!("select from {held} for update"));
        sqlx::query(lock).execute(&mut *tx).await.expect("locked");
    }
    let so_far = world.store.overdrawn_credit_so_far(world.partner, subscription, at("2026-04-01T00:00:00Z"), now);
    let so_far = timeout(Duration::from_secs(20), so_far).await.expect("no lock is waited for").expect("an answer");
    tx.rollback().await.expect("rolled back");
    // Of 9 o'clock 5 were owed and 6 come back to the grant, which pays for 6 of the 12 at 10; of 9 at noon one has no grant.
    assert_eq!(so_far.iter().map(|one| one.units).collect::<Vec<_>>(), [6, 1]);
    assert_eq!(world.overdrawn(subscription, "2026-03-05T13:00:00Z").await, so_far);
    world.agrees().await;
}
