//! What is billed in arrears is what the ledger has as owed at that very moment, once, and what is billed stays as it is.

use super::{tests::Credited, *};
use crate::{
    BilledAlready, Closed, InvoiceLine, LedgerAccount, NewInvoice, NewInvoiceLine, Overdrawn, ingest::tests::at,
};
use domain::{id::SubscriptionId, period::Period, plan::Collect, rating::LineKind};
use serde_json::json;

const MARCH: [&str; 2] = ["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"];

async fn lent() -> (Credited, SubscriptionId) {
    lent_units(40).await
}

/// A partner on a plan with an overdraft of so many units since March, and its subscription.
pub(super) async fn lent_units(units: u64) -> (Credited, SubscriptionId) {
    let world = Credited::new().await;
    let credit = json!({ "required": true, "overdraft": { "units": units, "unit_price": "0.02" } });
    let plan = world.plan_with("lending", credit).await;
    world.on(plan, MARCH[0]).await;
    let subscription = world.store.open_subscription(world.partner).await.expect("an answer").expect("a plan").id;
    (world, subscription)
}

impl Credited {
    pub(super) async fn overdrawn(&self, subscription: SubscriptionId, now: &str) -> Vec<Overdrawn> {
        self.store.overdrawn_credit(self.partner, subscription, at(MARCH[1]), at(now)).await.expect("an answer")
    }

    /// Closes March with an invoice for so many units that credit paid, and what was seen beyond it.
    async fn close(&self, subscription: SubscriptionId, used: i64, overdrawn: Vec<Overdrawn>) -> Closed {
        let own = self.store.open_subscription(self.partner).await.expect("an answer").expect("a plan");
        let line = |kind, quantity: i64, prepaid, cents: i64| NewInvoiceLine {
            kind,
            product: None,
            operation: None,
            meter: None,
            calls: None,
            description: "Line".to_owned(),
            quantity,
            free: 0,
            prepaid,
            amount: Money::new(domain::money::Currency::Usd, cents * 10_000),
            teams: Vec::new(),
        };
        let beyond: u64 = overdrawn.iter().map(|one| one.units).sum();
        let beyond = i64::try_from(beyond).expect("small");
        let mut lines = vec![line(LineKind::Usage, used, used.unsigned_abs(), 0)];
        if beyond > 0 {
            lines.push(line(LineKind::CreditOverdraft, beyond, 0, 2 * beyond));
        }
        let invoice = NewInvoice {
            plan_version: own.plan_version,
            time_zone: "UTC".to_owned(),
            collect: Collect::InvoiceItems,
            total: Money::new(domain::money::Currency::Usd, 20_000 * beyond),
            lines,
            late: Vec::new(),
            in_advance: false,
            threshold_number: 0,
            billed_before: BilledAlready::default(),
            given_back: Vec::new(),
            coupons: None,
            overdrawn,
        };
        let mark = self.store.outside_mark(self.partner).await.expect("a mark");
        let march = Period { start: at(MARCH[0]), end: at(MARCH[1]) };
        let made = (Some(invoice), mark);
        self.store.close_billing_period(self.partner, subscription, march, made, at(MARCH[1])).await.expect("an answer")
    }
}

#[tokio::test]
async fn an_invoice_that_knows_other_units_than_are_owed_is_not_written() {
    let (world, subscription) = lent().await;
    world.grant(NewCreditGrant::new(10, "Ten"), MARCH[0]).await;
    world.call("a", "2026-03-05T10:00:00Z", 17).await;
    let seen = world.overdrawn(subscription, "2026-03-05T12:00:00Z").await;
    assert_eq!(seen.iter().map(|one| one.units).collect::<Vec<_>>(), [7]);
    world.call("b", "2026-03-06T10:00:00Z", 5).await;
    for stale in [Vec::new(), seen.clone()] {
        assert_eq!(world.close(subscription, 22, stale).await, Closed::Changed);
    }
    let now = world.overdrawn(subscription, MARCH[1]).await;
    assert_eq!(
        now.iter().map(|one| (one.units, one.unit_price.to_string())).collect::<Vec<_>>(),
        [(7, "0.02".to_owned()), (5, "0.02".to_owned())]
    );
    let Closed::Invoiced(invoice) = world.close(subscription, 22, now.clone()).await else { panic!("not billed") };
    assert_eq!(world.close(subscription, 22, now).await, Closed::Already);
    assert_eq!(world.overdrawn(subscription, MARCH[1]).await, [], "it is owed no more");
    world.agrees().await;
    assert_eq!(world.balance().await, 0);
    // The invoice has the money; the grant waits for none.
    assert_eq!(
        world.money().await,
        [(LedgerAccount::Receivable, "$0.24".to_owned()), (LedgerAccount::Revenue, "−$0.24".to_owned())]
    );
    let (_, lines): (_, Vec<InvoiceLine>) = world.store.invoice(world.partner, invoice).await.expect("an invoice");
    assert_eq!(lines.iter().filter(|line| line.kind == LineKind::CreditOverdraft).count(), 1);
    for statement in ["update credit_overdraft_bills set units = 1", "delete from credit_overdraft_bills"] {
        assert!(sqlx::query(statement).execute(world.store.pool()).await.is_err(), "{statement}");
    }
    // Control: a line that has another number is named by the check.
    for (statement, named) in [
        ("alter table credit_overdraft_bills disable trigger all", ""),
        ("update credit_overdraft_bills set units = units - 1", "units beyond all credit"),
    ] {
        sqlx::query(statement).execute(world.store.pool()).await.expect("done");
        let found = world.store.check_all_credit().await.expect("checked");
        assert_eq!(found.iter().any(|one| one.what.contains(named)), !named.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn of_those_who_close_at_once_one_bills_while_grants_and_settling_go_on() {
    for round in 0..4 {
        let (world, subscription) = lent().await;
        world.call("a", "2026-03-05T10:00:00Z", 30).await;
        let seen = world.overdrawn(subscription, MARCH[1]).await;
        let (closes, work) = tokio::join!(
            async {
                tokio::join!(world.close(subscription, 30, seen.clone()), world.close(subscription, 30, seen.clone()))
            },
            async {
                for number in 0..5 {
                    world.grant(NewCreditGrant::new(10, "More"), "2026-04-01T00:00:00Z").await;
                    let now = at("2026-04-01T01:00:00Z") + jiff::SignedDuration::from_hours(number);
                    world.store.settle_credit(world.partner, now).await.expect("settled");
                }
            }
        );
        let () = work;
        let billed = [closes.0, closes.1].iter().filter(|closed| matches!(closed, Closed::Invoiced(_))).count();
        assert_eq!(billed, 1, "round {round}: {closes:?}");
        assert_eq!(world.balance().await, 50, "round {round}");
        world.agrees().await;
    }
}
