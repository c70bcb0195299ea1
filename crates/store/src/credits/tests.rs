//! Every unit has a grant or is owed, every balance is what its entries come to, and money follows units to the cent.

use super::*;
use crate::{
    Actor, LedgerAccount,
    ingest::tests::{at, event, take_in},
    leases::LeaseAsk,
    test_db::{self, TestStore, world::World},
};
use domain::{allowance::Allowance, money::Currency, period::Period, usage::UsageEvent};
use jiff::SignedDuration;
use sqlx::Executor as _;

pub(super) struct Credited {
    pub(super) store: TestStore,
    pub(super) partner: PartnerId,
}

impl Credited {
    pub(super) async fn new() -> Self {
        let store = test_db::store().await;
        let partner = World::new(&store).await.partner;
        Self { store, partner }
    }

    pub(super) async fn grant(&self, new: NewCreditGrant, now: &str) -> CreditGrantId {
        self.store.grant_credit(self.partner, &new, Actor::System, at(now)).await.expect("granted").id
    }

    /// A call that credit paid, taken in by a node of its own.
    pub(super) async fn call(&self, node: &str, when: &str, units: u64) {
        let when = at(when);
        let period = Period { start: when, end: when + SignedDuration::from_hours(24) };
        let call =
            UsageEvent { partner: self.partner, units, credits: units, period: Some(period), ..event(when, "r") };
        take_in(&self.store, node, vec![call]).await;
    }

    pub(super) async fn settle(&self, now: &str) {
        assert_eq!(self.store.all_partners_credit_due(at(now)).await.expect("asked"), [self.partner]);
        for _ in 0..2 {
            self.store.settle_credit(self.partner, at(now)).await.expect("settled");
        }
        assert_eq!(self.store.all_partners_credit_due(at(now)).await.expect("asked"), []);
        self.agrees().await;
    }

    pub(super) async fn agrees(&self) {
        assert_eq!(self.store.check_all_credit().await.expect("checked"), []);
    }

    /// Left, used, expired and void of a grant.
    pub(super) async fn stands(&self, id: CreditGrantId) -> [u64; 4] {
        let grants = self.store.credit_grants(self.partner).await.expect("grants");
        let grant = grants.iter().find(|grant| grant.id == id).expect("the grant");
        [grant.left, grant.used, grant.expired, grant.voided]
    }

    pub(super) async fn balance(&self) -> i64 {
        self.store.credit(self.partner).await.expect("a standing").balance
    }

    pub(super) async fn money(&self) -> Vec<(LedgerAccount, String)> {
        let balances = self.store.ledger_balances(self.partner).await.expect("balances");
        balances.into_iter().map(|(account, money)| (account, money.to_string())).collect()
    }
}

fn paid(units: i64, cents: i64, expires: Option<&str>) -> NewCreditGrant {
    NewCreditGrant {
        kind: GrantKind::Paid,
        cost: Some(Money::new(Currency::Usd, cents * 10_000)),
        expires_at: expires.map(at),
        ..NewCreditGrant::new(units, "Package")
    }
}

#[tokio::test]
async fn ten_million_credits_at_15_percent_off_half_used_and_expired() {
    let world = Credited::new().await;
    // 10,000,000 at 0.001 are 10,000.00; 15 % off: 8,500.00.
    let id = world.grant(paid(10_000_000, 850_000, Some("2026-06-01T00:00:00Z")), "2026-03-01T09:20:00Z").await;
    assert_eq!(
        world.money().await,
        [(LedgerAccount::Cash, "$8,500.00".to_owned()), (LedgerAccount::Credits, "−$8,500.00".to_owned()),]
    );
    for (number, units) in [1_234_567_u64, 765_433, 2_999_999, 1].into_iter().enumerate() {
        world.call(&format!("n{number}"), &format!("2026-03-0{}T10:15:00Z", number + 1), units).await;
    }
    world.settle("2026-03-10T00:00:00Z").await;
    assert_eq!(world.stands(id).await, [5_000_000, 5_000_000, 0, 0]);
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Cash, "$8,500.00".to_owned()),
            (LedgerAccount::Credits, "−$4,250.00".to_owned()),
            (LedgerAccount::Revenue, "−$4,250.00".to_owned()),
        ]
    );
    world.settle("2026-06-01T00:00:00Z").await;
    assert_eq!(world.stands(id).await, [0, 5_000_000, 5_000_000, 0]);
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, "−$4,250.00".to_owned()),
            (LedgerAccount::Cash, "$8,500.00".to_owned()),
            (LedgerAccount::Credits, "$0.00".to_owned()),
            (LedgerAccount::Revenue, "−$4,250.00".to_owned()),
        ]
    );
    let standing = world.store.credit(world.partner).await.expect("a standing");
    assert_eq!((standing.granted, standing.used, standing.balance), (5_000_000, 5_000_000, 0));
}

#[tokio::test]
async fn what_comes_late_was_used_before_it_expired_and_what_comes_after_is_owed_to_the_next_grant() {
    let world = Credited::new().await;
    let id = world.grant(paid(100, 300, Some("2026-03-05T12:00:00Z")), "2026-03-01T00:00:00Z").await;
    world.call("a", "2026-03-05T11:59:59Z", 30).await;
    world.settle("2026-03-05T12:00:00Z").await;
    assert_eq!((world.stands(id).await, world.balance().await), ([0, 30, 70, 0], 0));
    // Made before, handed over after; and made with units that its gateway held.
    world.call("b", "2026-03-05T11:00:00Z", 25).await;
    world.call("c", "2026-03-05T12:00:00Z", 5).await;
    world.settle("2026-03-05T13:00:00Z").await;
    assert_eq!((world.stands(id).await, world.balance().await), ([0, 55, 45, 0], -5));
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, "−$1.35".to_owned()),
            (LedgerAccount::Cash, "$3.00".to_owned()),
            (LedgerAccount::Credits, "$0.00".to_owned()),
            (LedgerAccount::Revenue, "−$1.65".to_owned()),
        ]
    );
    let next = world.grant(NewCreditGrant::new(12, "Sorry"), "2026-03-06T00:00:00Z").await;
    assert_eq!((world.stands(next).await, world.balance().await), ([7, 5, 0, 0], 7));
    world.agrees().await;
}

#[tokio::test]
async fn what_a_correction_takes_back_goes_where_it_came_from() {
    let world = Credited::new().await;
    let over = world.grant(paid(20, 200, Some("2026-03-02T00:00:00Z")), "2026-03-01T00:00:00Z").await;
    let live = world.grant(paid(20, 200, None), "2026-03-01T00:00:00Z").await;
    // 20 of the first, 20 of the second, and 5 of none.
    world.call("a", "2026-03-01T10:00:00Z", 45).await;
    world.settle("2026-03-03T00:00:00Z").await;
    assert_eq!(
        (world.stands(over).await, world.stands(live).await, world.balance().await),
        ([0, 20, 0, 0], [0, 20, 0, 0], -5)
    );
    for (less, of_over, of_live) in
        [(3, [0, 20, 0, 0], [0, 20, 0, 0]), (9, [0, 20, 0, 0], [7, 13, 0, 0]), (20, [0, 13, 7, 0], [20, 0, 0, 0])]
    {
        let statement = format!("update usage_credit_hourly set units = units - {less}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(world.store.pool()).await.expect("corrected");
        world.store.settle_credit(world.partner, at("2026-03-04T00:00:00Z")).await.expect("settled");
        assert_eq!((world.stands(over).await, world.stands(live).await), (of_over, of_live), "{less}");
        let due = world.store.all_partners_credit_due(at("2026-03-04T00:00:00Z")).await.expect("asked");
        assert_eq!(due, []);
    }
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, "−$0.70".to_owned()),
            (LedgerAccount::Cash, "$4.00".to_owned()),
            (LedgerAccount::Credits, "−$2.00".to_owned()),
            (LedgerAccount::Revenue, "−$1.30".to_owned()),
        ]
    );
}

#[tokio::test]
async fn what_is_paid_for_and_has_not_begun_is_in_the_ledger_when_it_ends() {
    let world = Credited::new().await;
    let later = |expires| NewCreditGrant { effective_at: Some(at("2026-04-01T00:00:00Z")), ..paid(20, 200, expires) };
    let waits = world.grant(later(None), "2026-03-01T00:00:00Z").await;
    let how = (Void::Refunded, "They changed their mind");
    assert!(
        world
            .store
            .void_credit_grant(world.partner, waits, how, Actor::System, at("2026-03-02T00:00:00Z"))
            .await
            .expect("void")
    );
    assert_eq!((world.stands(waits).await, world.balance().await), ([0, 0, 0, 20], 0));
    assert!(world.money().await.iter().all(|(_, money)| money == "$0.00"), "{:?}", world.money().await);
    // Nobody settled while it was usable.
    let missed = world.grant(later(Some("2026-04-02T00:00:00Z")), "2026-03-01T00:00:00Z").await;
    world.settle("2026-05-01T00:00:00Z").await;
    assert_eq!((world.stands(missed).await, world.balance().await), ([0, 0, 20, 0], 0));
    let breakage = world.money().await.into_iter().find(|(account, _)| *account == LedgerAccount::Breakage);
    assert_eq!(breakage, Some((LedgerAccount::Breakage, "−$2.00".to_owned())));
}

#[tokio::test]
async fn grants_begin_when_their_time_comes_and_burn_in_their_order() {
    let world = Credited::new().await;
    let plain = world.grant(NewCreditGrant::new(10, "Welcome"), "2026-03-01T00:00:00Z").await;
    let soon = NewCreditGrant { expires_at: Some(at("2026-03-09T23:30:00Z")), ..NewCreditGrant::new(10, "Spring") };
    let soon = world.grant(soon, "2026-03-01T00:00:00Z").await;
    let later = NewCreditGrant {
        effective_at: Some(at("2026-03-02T00:00:00Z")),
        priority: 1,
        ..NewCreditGrant::new(10, "First of all")
    };
    let later = world.grant(later, "2026-03-01T00:00:00Z").await;
    assert_eq!(world.balance().await, 20, "what is not usable yet is not in the balance");
    world.call("a", "2026-03-01T10:00:00Z", 4).await;
    world.settle("2026-03-02T00:00:00Z").await;
    assert_eq!(world.balance().await, 26);
    world.call("b", "2026-03-02T10:00:00Z", 12).await;
    world.settle("2026-03-02T11:00:00Z").await;
    let left = [world.stands(plain).await[0], world.stands(soon).await[0], world.stands(later).await[0]];
    assert_eq!(left, [10, 4, 0]);
    // 23:30 is told as the next full hour.
    let due = world.store.all_partners_credit_due(at("2026-03-09T23:59:59Z")).await.expect("asked");
    assert_eq!(due, []);
    world.settle("2026-03-10T00:00:00Z").await;
    assert_eq!((world.stands(soon).await, world.balance().await), ([0, 6, 4, 0], 10));
}

#[tokio::test]
async fn a_grant_is_taken_back_once_not_from_under_a_gateway_and_its_unused_share_is_paid_back() {
    let world = Credited::new().await;
    let now = at("2026-03-01T10:30:00Z");
    let id = world.grant(paid(300, 1_000, None), "2026-03-01T00:00:00Z").await;
    let ask = LeaseAsk { of: Allowance::credit(world.partner), limit: None, need: 50, want: 50, returned: 0, turn: 0 };
    let held = world.store.exchange_units("a", ask, now).await.expect("an answer");
    world.call("a", "2026-03-01T10:10:00Z", 20).await;
    let void =
        async |how| world.store.void_credit_grant(world.partner, id, (how, "A mistake"), Actor::System, now).await;
    assert!(matches!(void(Void::Refunded).await, Err(StoreError::Conflict { .. })), "30 units are at the gateway");
    let back = LeaseAsk { need: 0, want: 0, returned: 30, turn: held.turn, ..ask };
    world.store.exchange_units("a", back, now).await.expect("an answer");
    assert!(void(Void::Refunded).await.expect("taken back"));
    assert!(!void(Void::Refunded).await.expect("nothing more"));
    assert_eq!((world.stands(id).await, world.balance().await), ([0, 20, 0, 280], 0));
    // 20 of 300 are worth 0.666666; of the other 9.333334 whole cents are paid back.
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, "−$0.003334".to_owned()),
            (LedgerAccount::Cash, "$0.67".to_owned()),
            (LedgerAccount::Credits, "$0.00".to_owned()),
            (LedgerAccount::Revenue, "−$0.666666".to_owned()),
        ]
    );
    world.agrees().await;
}

#[tokio::test]
async fn the_database_refuses_to_change_what_is_booked_and_the_check_names_what_was_changed_beside_it() {
    let world = Credited::new().await;
    let id = world.grant(paid(100, 500, None), "2026-03-01T00:00:00Z").await;
    world.call("a", "2026-03-01T10:00:00Z", 40).await;
    world.settle("2026-03-01T11:00:00Z").await;
    for table in ["ledger_unit_entries", "ledger_entries", "ledger_transactions"] {
        for statement in [
            format!("update {table} set partner_id = partner_id"),
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
        ] {
            let refused = world.store.pool().execute(sqlx::AssertSqlSafe(statement.clone())).await;
            assert!(refused.is_err(), "{statement}");
        }
    }
    let mut tx = world.store.begin().await.expect("a transaction");
    let half = "insert into ledger_unit_entries (partner_id, transaction_id, position, account, grant_id, units)
         select partner_id, transaction_id, 99, 'available', grant_id, 1 from ledger_unit_entries where grant_id is not null limit 1";
    tx.execute(half).await.expect("looked at when it is committed");
    assert!(tx.commit().await.is_err(), "it does not sum to zero");
    world.agrees().await;
    // Controls: each kept number moved by hand is named, and made anew from the entries.
    for (moved, named) in [
        ("update credit_grants set left_units = left_units + 1, used_units = used_units - 1", "left, used"),
        ("update credit_balances set units = units + 1", "balance"),
        ("update allowances set taken = taken + 1", "used, by gateways"),
        ("update usage_credit_hourly set units = units + 1, settled = settled + 1", "used in the hour"),
        ("update credit_grants set cost_micros = cost_micros + 10000", "money owed"),
        (
            "insert into credit_owed (partner_id, hour, units) select partner_id, '2026-03-01T10:00:00Z', 1 from credit_balances",
            "owed of the hour",
        ),
    ] {
        world.store.pool().execute(moved).await.expect("moved");
        let found = world.store.check_all_credit().await.expect("checked");
        assert!(found.iter().any(|one| one.partner == world.partner && one.what.contains(named)), "{moved}: {found:?}");
        world.store.rebuild_all_credit().await.expect("rebuilt");
        match named {
            "left, used" | "balance" | "owed of the hour" => world.agrees().await,
            // Not made from the entries: put back.
            _ => {
                let back = moved.replace("+ 1", "- 1");
                world.store.pool().execute(sqlx::AssertSqlSafe(back)).await.expect("moved back");
                world.agrees().await;
            }
        }
    }
    assert_eq!(world.stands(id).await, [60, 40, 0, 0]);
}

#[tokio::test]
async fn grants_calls_and_settling_that_race_agree_in_the_end() {
    let world = Credited::new().await;
    let mut work = Vec::new();
    for number in 0..4_u32 {
        let (store, partner) = (world.store.handle(), world.partner);
        work.push(tokio::spawn(async move {
            for turn in 0..6 {
                let now = at("2026-03-01T12:00:00Z") + SignedDuration::from_mins(i64::from(turn) * 40);
                let new = NewCreditGrant {
                    reference: Some(format!("{number}-{turn}")),
                    expires_at: Some(now + SignedDuration::from_hours(1 + i64::from(number))),
                    ..NewCreditGrant::new(50, "Race")
                };
                for _ in 0..2 {
                    store.grant_credit(partner, &new, Actor::System, now).await.expect("granted once");
                }
                store.settle_credit(partner, now).await.expect("settled");
            }
        }));
    }
    for number in 0..12 {
        let when = at("2026-03-01T12:00:00Z") + SignedDuration::from_mins(number * 20);
        world.call(&format!("n{number}"), &when.to_string(), 30).await;
    }
    for work in work {
        work.await.expect("no panic");
    }
    world.store.settle_credit(world.partner, at("2026-03-02T12:00:00Z")).await.expect("settled");
    world.agrees().await;
    let grants = world.store.credit_grants(world.partner).await.expect("grants");
    assert_eq!(grants.len(), 24);
    assert!(grants.iter().all(|grant| grant.left == 0 && grant.used + grant.expired == 50), "{grants:?}");
    let used: u64 = grants.iter().map(|grant| grant.used).sum();
    assert_eq!(360 - i64::try_from(used).expect("small"), -world.balance().await, "the rest is owed");
}
