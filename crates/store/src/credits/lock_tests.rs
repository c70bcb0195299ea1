//! Whoever moves credit and its allocations waits for others and never for each other, and holds nobody up who changes the directory.

use super::{purchase_tests::shop, tests::Credited, *};
use crate::{
    Actor, PagePaid, PagePayment, StoreError,
    corrections::tests::{apply, asked, one},
    ingest::{
        Position,
        tests::{at, event, take_in},
    },
    test_db::world::World,
};
use domain::{
    correction::Change,
    credit::allocation::{Holder, Spend},
    id::AllocationId,
    period::Period,
    usage::{Allocated, UsageEvent},
};
use sqlx::{Postgres, Transaction};
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

const NOW: &str = "2026-03-01T09:20:00Z";

const ALLOWANCE: &str = "select from allowances where partner_id = $1 and kind = 'credit' for update";
const SUMS: &str = "select from usage_credit_hourly where partner_id = $1 for update";

type Work = JoinHandle<Result<(), StoreError>>;
type Begin<'a> = Box<dyn FnOnce() -> Work + 'a>;

impl Credited {
    /// Rows that somebody else has locked, until that is rolled back.
    async fn hold(&self, statement: &'static str, of: Uuid) -> Transaction<'static, Postgres> {
        let mut tx = self.store.begin().await.expect("a transaction");
        assert!(sqlx::query(statement).bind(of).execute(&mut *tx).await.expect("held").rows_affected() > 0);
        tx
    }

    /// Until so many connections wait for somebody's locks.
    async fn wait_for(&self, waiting: i64) {
        for _ in 0..2_000 {
            let now: i64 = sqlx::query_scalar(
                "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                 where not l.granted and a.datname = current_database()",
            )
            .fetch_one(self.store.pool())
            .await
            .expect("asked");
            if now == waiting {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{waiting} connections never waited");
    }

    /// Voids the call `a`.
    fn void_it(&self) -> Work {
        let (store, partner) = (self.store.handle(), self.partner);
        tokio::spawn(async move { apply(&store, partner, &asked(Change::Void, one("a"))).await.map(|_| ()) })
    }

    fn settle_it(&self) -> Work {
        let (store, partner) = (self.store.handle(), self.partner);
        tokio::spawn(async move { store.settle_credit(partner, at("2026-03-01T11:00:00Z")).await })
    }

    /// A call of ten units of March's quota, six of which an allocation pays.
    fn mixed(&self, when: &str, name: &str, allocation: AllocationId) -> UsageEvent {
        let period = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-04-01T00:00:00Z") };
        UsageEvent {
            partner: self.partner,
            units: 10,
            credits: 6,
            allocated: Some(Allocated { allocation, units: 6 }),
            period: Some(period),
            ..event(at(when), name)
        }
    }

    /// A gateway's call of the next day, handed over.
    fn hand_over(&self, allocation: AllocationId) -> Work {
        let (store, call) = (self.store.handle(), self.mixed("2026-03-02T10:10:00Z", "b", allocation));
        tokio::spawn(async move {
            let to = Position { segment: 1, byte_offset: 9, sequence: 1 };
            // Soon enough to be of no closed period: else it waits before it takes anything.
            let now = at("2026-03-02T10:11:00Z");
            let taken = store.ingest(("b", 0, vec![(0, call)]), Position::default(), to, now).await;
            taken.map(|_| ()).map_err(|error| match error {
                crate::ingest::IngestError::Store(error) => error,
                crate::ingest::IngestError::Moved { .. } => StoreError::NotFound,
            })
        })
    }

    /// Both wait, in that order, for whoever holds `held`; and both are done when that is let go of.
    async fn race(
        &self,
        held: Transaction<'static, Postgres>,
        first: impl FnOnce() -> Work,
        second: impl FnOnce() -> Work,
    ) {
        let first = first();
        self.wait_for(1).await;
        let second = second();
        self.wait_for(2).await;
        held.rollback().await.expect("let go of");
        for work in [first, second] {
            work.await.expect("no panic").expect("no deadlock");
        }
    }
}

#[tokio::test]
async fn corrections_and_bookings_lock_what_gateways_take_from_in_one_order() {
    for correction_is_first in [true, false] {
        let world = Credited::new().await;
        world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
        let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
        world.call_own("a", "2026-03-01T10:10:00Z", 10, Some((id, 6))).await;
        world.settle("2026-03-01T11:00:00Z").await;
        let held = world.hold(ALLOWANCE, world.partner.0).await;
        if correction_is_first {
            world.race(held, || world.void_it(), || world.settle_it()).await;
        } else {
            world.race(held, || world.settle_it(), || world.void_it()).await;
        }
        world.store.settle_credit(world.partner, at("2026-03-01T12:00:00Z")).await.expect("settled");
        assert_eq!((world.own(id).await.left, world.balance().await), (30, 70));
        world.agrees().await;
    }
}

#[tokio::test]
async fn corrections_lock_quotas_together_with_credit_as_gateways_do() {
    for correction_is_first in [true, false] {
        let world = Credited::new().await;
        world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
        let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
        take_in(&world.store, "a", vec![world.mixed("2026-03-01T10:10:00Z", "a", id)]).await;
        world.settle("2026-03-01T11:00:00Z").await;
        let held = world.hold(ALLOWANCE, id.0).await;
        if correction_is_first {
            world.race(held, || world.void_it(), || world.hand_over(id)).await;
        } else {
            world.race(held, || world.hand_over(id), || world.void_it()).await;
        }
        world.store.settle_credit(world.partner, at("2026-03-02T12:00:00Z")).await.expect("settled");
        assert_eq!((world.own(id).await.left, world.balance().await), (24, 70));
        world.agrees().await;
    }
}

#[tokio::test]
async fn others_change_the_directory_while_a_backlog_is_booked() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let (store, partner, app) = (world.store.handle(), world.partner, world.app().await);
    let team = store.create_team(partner, "Payments", Actor::System, at(NOW)).await.expect("made");
    let of_app = world.allocate(Holder::App(app), 30, NOW).await;
    let allocate = |of, units, spend| {
        let (store, new) = (store.clone(), NewCreditAllocation { of, units, spend, reference: None });
        tokio::spawn(async move { store.allocate_credit(partner, &new, Actor::System, at(NOW)).await.map(|_| ()) })
    };
    let give_back = {
        let store = store.clone();
        move || {
            tokio::spawn(async move {
                let all = GiveBackCredit { units: None, reference: None };
                store.give_back_credit(partner, of_app, &all, Actor::System, at(NOW)).await.map(|_| ())
            })
        }
    };
    let archive = {
        let store = store.clone();
        move || tokio::spawn(async move { store.archive_app(partner, app, Actor::System, at(NOW)).await })
    };
    let moves: [(&str, Begin<'_>); 5] = [
        ("made", Box::new(|| allocate(Holder::Team(team), 10, Spend::Only))),
        ("chosen", Box::new(|| allocate(Holder::App(app), 0, Spend::First))),
        ("returned", Box::new(give_back)),
        ("again", Box::new(|| allocate(Holder::App(app), 5, Spend::Only))),
        ("archived", Box::new(archive)),
    ];
    for (name, work) in moves {
        // There is something to book.
        world.call_own(name, "2026-03-01T09:10:00Z", 1, None).await;
        let held = world.hold(SUMS, partner.0).await;
        let work = work();
        world.wait_for(1).await;
        let other = tokio::time::timeout(Duration::from_secs(5), World::named(&world.store, name)).await;
        held.rollback().await.expect("let go of");
        work.await.expect("no panic").expect("moved");
        assert!(other.is_ok(), "{name}: others waited for it");
    }
    let open: Vec<_> = world.store.credit_allocations(partner).await.expect("all");
    assert_eq!(open.iter().map(|one| (one.of, one.left)).collect::<Vec<_>>(), [(Holder::Team(team), 10)]);
    world.agrees().await;
}

#[tokio::test]
async fn a_page_for_units_that_is_paid_holds_up_no_numbers_while_it_waits_for_the_balance() {
    let world = shop().await;
    let now = at("2026-03-01T00:00:00Z");
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let new = NewCreditPurchase { code: "million".to_owned(), quantity: 1, reference: "a".to_owned(), cost: None };
    let page = world.store.open_credit_checkout(world.partner, &new, Actor::System, now).await.expect("opened").id;
    // As whoever closes a period with an overdraft: the balance, and then the number of its invoice.
    let mut closing = world.hold("select from credit_balances where partner_id = $1 for update", world.partner.0).await;
    let (store, partner) = (world.store.handle(), world.partner);
    let paid = tokio::spawn(async move {
        let payment = PagePayment { invoice: Some("in_1"), intent: Some("pi_1"), tax: None };
        store.complete_credit_checkout(partner, page, payment, &|_| Vec::new(), now).await
    });
    world.wait_for(1).await;
    let number = sqlx::query_scalar::<_, i64>("select next_document_number('invoice')").fetch_one(&mut *closing).await;
    drop(closing.rollback().await);
    let paid = paid.await.expect("no panic");
    assert!(matches!(paid, Ok(PagePaid::Now(_))), "{paid:?}");
    number.expect("no deadlock");
}
