//! What Stripe credited on a threshold invoice that is void here is carried by the invoices after it, where nobody paid it and one comes.

use super::*;
use crate::{
    BilledAlready, Cut, NewInvoice, NewInvoiceLine,
    invoices::{
        self,
        tests::{Billed, billed},
    },
    subscriptions,
    test_db::{self, TestStore},
    thresholds,
};
use domain::{money::Currency, period::Period, plan::Collect, rating::LineKind};
use jiff::SignedDuration;
use std::time::Duration;

/// A threshold invoice over $100.00 that is void here.
struct VoidHere {
    store: TestStore,
    of: Billed,
    invoice: InvoiceId,
}

fn dollars(dollars: i64) -> Money {
    Money::new(Currency::Usd, dollars * 1_000_000)
}

fn month() -> Period {
    let start = test_db::world::now();
    Period { start, end: start + SignedDuration::from_hours(30 * 24) }
}

fn cut() -> Period {
    Period { end: month().start + SignedDuration::from_hours(24), ..month() }
}

/// An invoice with one line.
fn invoice(of: Billed, (kind, total): (LineKind, Money), threshold_number: u32) -> NewInvoice {
    let line = NewInvoiceLine {
        kind,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: "A line".to_owned(),
        quantity: 1,
        free: 0,
        prepaid: 0,
        amount: total,
        teams: Vec::new(),
    };
    NewInvoice {
        plan_version: of.version,
        time_zone: "UTC".to_owned(),
        collect: Collect::InvoiceItems,
        total,
        lines: vec![line],
        late: Vec::new(),
        in_advance: false,
        threshold_number,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    }
}

/// A credit note over $30.00, so much of which nobody had paid.
fn noted(unpaid: i64, returned: Returned) -> StripeReturn {
    StripeReturn {
        stripe_id: "cn_1".to_owned(),
        kind: ReturnKind::CreditNote,
        amount: dollars(30),
        unpaid: dollars(unpaid),
        returned,
        reason: String::new(),
    }
}

impl VoidHere {
    async fn new() -> Self {
        let store = test_db::store().await;
        let of = billed(&store).await[0];
        let new = invoice(of, (LineKind::BaseFee, dollars(100)), 1);
        let made = store.cut_at_threshold(of.partner, of.subscription, cut(), new, cut().end).await.expect("an answer");
        let Cut::Invoiced(invoice) = made else { panic!("{made:?}") };
        let void = store.set_invoice_status(of.partner, invoice, InvoiceStatus::Void, cut().end).await;
        assert!(void.expect("void"));
        Self { store, of, invoice }
    }

    async fn hears(&self, back: &StripeReturn) -> (ReturnState, bool, String) {
        let whose = (self.of.partner, self.invoice);
        let held = self.store.take_stripe_return(whose, back, cut().end).await.expect("an answer");
        (held.state, held.is_carried, held.problem)
    }

    /// Whoever closes the month, with an invoice that takes off what is carried, and has not committed it.
    async fn closing(&self) -> Transaction<'static, Postgres> {
        let mut tx = self.store.begin().await.expect("a transaction");
        let Billed { partner, subscription, .. } = self.of;
        subscriptions::hold(&mut tx, partner, subscription).await.expect("held");
        let before = thresholds::hold_before(&mut tx, partner, subscription, month().start).await.expect("held");
        let off: i64 = before.iter().map(|one| one.taken_off().micros).sum();
        let new = invoice(self.of, (LineKind::BilledBefore, Money::new(Currency::Usd, -off)), 0);
        let made = invoices::bill(&mut tx, partner, subscription, (month(), "Invoice"), new, month().end).await;
        let id = made.expect("billed");
        sqlx::query(
            "insert into billing_periods (partner_id, subscription_id, period_start, period_end, invoice_id, closed_at)
             values ($1, $2, $3, $4, $5, $4)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(month().start))
        .bind(Ts(month().end))
        .bind(id.0)
        .execute(&mut *tx)
        .await
        .expect("closed");
        tx
    }

    /// As a server of a version before has it, which carries nothing.
    async fn is_over_as_before(&self) {
        let over = sqlx::query("update stripe_returns set state = 'over', is_carried = false, problem = ''");
        over.execute(self.store.pool()).await.expect("over");
    }

    async fn is_settled(&self) -> bool {
        !self.store.all_partners_settled_returns(&["cn_1".to_owned()], &[]).await.expect("asked").is_empty()
    }

    /// Until somebody waits for a lock.
    async fn waits(&self) {
        for _ in 0..2_000 {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                 where not l.granted and a.datname = current_database()",
            )
            .fetch_one(self.store.pool())
            .await
            .expect("asked");
            if waiting > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody ever waited");
    }
}

#[tokio::test]
async fn only_what_nobody_paid_is_carried() {
    for (unpaid, state, carried) in
        [(30, ReturnState::Taken, true), (0, ReturnState::Over, false), (10, ReturnState::Undecided, false)]
    {
        let void = VoidHere::new().await;
        let heard = void.hears(&noted(unpaid, Returned::Back)).await;
        assert_eq!((heard.0, heard.1), (state, carried), "{unpaid}");
        assert_eq!(heard.2.contains("only $10.00 of it was not paid"), state == ReturnState::Undecided, "{heard:?}");
        let before = void.store.billed_before(void.of.partner, void.of.subscription, month().start).await;
        assert_eq!(before.expect("one")[0].credited, dollars(if carried { 30 } else { 0 }));
    }
}

#[tokio::test]
async fn what_does_not_count_after_all_while_the_period_is_closed_is_told() {
    let void = VoidHere::new().await;
    assert_eq!(void.hears(&noted(30, Returned::Back)).await, (ReturnState::Taken, true, String::new()));
    let closing = void.closing().await;
    let (store, whose) = (void.store.handle(), (void.of.partner, void.invoice));
    let heard =
        tokio::spawn(async move { store.take_stripe_return(whose, &noted(30, Returned::Kept), month().end).await });
    void.waits().await;
    closing.commit().await.expect("closed");
    let held = heard.await.expect("no panic").expect("an answer");
    assert!(held.is_carried && held.problem.ends_with("bill it anew"), "{held:?}");
}

#[tokio::test]
async fn what_a_version_before_left_is_carried_or_told_once_it_is_heard_of_again() {
    let void = VoidHere::new().await;
    void.hears(&noted(30, Returned::Back)).await;
    assert!(void.is_settled().await);
    void.is_over_as_before().await;
    assert!(!void.is_settled().await, "the comparison looks at it again");
    assert_eq!(void.hears(&noted(30, Returned::Back)).await, (ReturnState::Taken, true, String::new()));
    // What was paid stays as it is.
    void.is_over_as_before().await;
    assert_eq!(void.hears(&noted(0, Returned::Back)).await, (ReturnState::Over, false, String::new()));
    void.closing().await.commit().await.expect("closed");
    let (state, carried, problem) = void.hears(&noted(30, Returned::Back)).await;
    assert_eq!((state, carried), (ReturnState::Undecided, false));
    assert!(problem.contains("on that one"), "{problem}");
}

#[tokio::test]
async fn the_migration_has_the_comparison_look_at_what_nobody_carried() {
    let void = VoidHere::new().await;
    void.hears(&noted(30, Returned::Back)).await;
    let looked_at = async || {
        sqlx::raw_sql(include_str!("../../../../migrations/0087_returns_that_nobody_carried.sql"))
            .execute(void.store.pool())
            .await
            .expect("migrated");
        void.store.all_partners_stripe_returns_to_look_at(10).await.expect("a list").len()
    };
    assert_eq!(looked_at().await, 0, "it is carried");
    void.is_over_as_before().await;
    assert_eq!(looked_at().await, 1);
    assert_eq!(void.hears(&noted(30, Returned::Back)).await, (ReturnState::Taken, true, String::new()));
}
