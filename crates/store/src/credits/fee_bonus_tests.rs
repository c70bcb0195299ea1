//! A bonus for a fee in advance is given once, when the fee is paid and not before, and what is unused goes back with the fee.

use super::{fee_bonus, tests::Credited, *};
use crate::{
    Actor, BilledAlready, InvoiceStatus, LedgerAccount, NewInvoice, NewInvoiceLine, NewPlan, OrderedBy, PlanMeta, Wish,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    ingest::tests::at,
    leases::LeaseAsk,
    stripe_returns::{ReturnKind, Returned, StripeReturn},
};
use domain::{
    allowance::Allowance,
    credit::allocation::Holder,
    id::{InvoiceId, PlanVersionId},
    money::Currency,
    period::Period,
    plan::{Approval, Collect},
    rating::LineKind,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

const BEGAN: &str = "2026-03-01T00:00:00Z";
const PAID: &str = "2026-03-05T12:00:00Z";
const END: &str = "2027-03-01T00:00:00Z";
/// 1,200.00 a year.
const FEE: i64 = 1_200_000_000;

fn fee() -> Money {
    Money::new(Currency::Usd, FEE)
}

impl Credited {
    async fn yearly(&self, code: &str, bonus: Value) -> PlanVersionId {
        let terms = json!({
            "currency": "USD", "interval": "year", "products": [], "base_fee_micros": FEE, "fee_due": "advance",
            "admission": { "credit": { "required": true, "fee_bonus": bonus } },
        });
        let meta = PlanMeta {
            name: code.to_owned(),
            summary: String::new(),
            position: 0,
            private: false,
            approval: Approval::Automatic,
        };
        let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
        let plan = self.store.create_plan(&new, Actor::System, at("2026-01-01T00:00:00Z")).await.expect("a plan");
        self.store.plan(plan).await.expect("a plan").versions[0].id
    }

    /// Bills the fee that is due, in advance; by `end` at the latest.
    async fn bill(&self, now: &str) -> InvoiceId {
        let due = self.store.all_partners_fees_due(at(now)).await.expect("asked").pop().expect("a fee");
        let whole = due.cycle.period_at(due.from).expect("a period");
        let part = Period { start: due.from, ..whole };
        let line = NewInvoiceLine {
            kind: LineKind::BaseFee,
            product: None,
            operation: None,
            meter: None,
            calls: None,
            description: "Base fee, in advance".to_owned(),
            quantity: 1,
            free: 0,
            prepaid: 0,
            amount: fee(),
            teams: Vec::new(),
        };
        let invoice = NewInvoice {
            plan_version: due.plan_version,
            time_zone: "UTC".to_owned(),
            collect: Collect::InvoiceItems,
            total: fee(),
            lines: vec![line],
            late: Vec::new(),
            in_advance: true,
            threshold_number: 0,
            billed_before: BilledAlready::default(),
            given_back: Vec::new(),
            overdrawn: Vec::new(),
            coupons: None,
        };
        let billed = self.store.bill_fee_in_advance(&due, part, (fee(), Some(invoice)), at(now)).await;
        billed.expect("billed").expect("an invoice")
    }

    /// On a yearly plan with this bonus, whose fee is billed.
    async fn billed(bonus: Value) -> (Self, InvoiceId) {
        let world = Self::new().await;
        let plan = world.yearly("yearly", bonus).await;
        world.on(plan, BEGAN).await;
        let invoice = world.bill(BEGAN).await;
        (world, invoice)
    }

    async fn becomes(&self, invoice: InvoiceId, status: InvoiceStatus, now: &str) -> bool {
        self.store.set_invoice_status(self.partner, invoice, status, at(now)).await.expect("an answer")
    }

    async fn bonuses(&self) -> Vec<CreditGrant> {
        self.store.credit_grants(self.partner).await.expect("grants")
    }

    /// What a run of the task takes back.
    async fn tidy(&self, now: &str) -> u64 {
        let due = self.store.all_partners_fee_bonuses_due(at(now)).await.expect("asked");
        if due.is_empty() {
            return 0;
        }
        assert_eq!(due, [self.partner]);
        let back = self.store.settle_fee_bonuses(self.partner, at(now)).await.expect("settled");
        self.agrees().await;
        back
    }

    async fn credited(&self, invoice: InvoiceId, dollars: i64, paid: bool, now: &str) {
        let amount = Money::new(Currency::Usd, dollars * 1_000_000);
        let lines = vec![NewCreditLine { invoice_position: None, amount }];
        let reason = "They leave".to_owned();
        let payback = if paid { Payback::Outside } else { Payback::Refund };
        let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
        let id =
            self.store.draft_credit_note(self.partner, &new, false, Actor::System, at(now)).await.expect("a draft");
        let issue = Issue { seen_paid: paid, four_eyes: false };
        assert!(self.store.issue_credit_note(self.partner, id, issue, Actor::System, at(now)).await.expect("issued"));
    }
}

#[tokio::test]
async fn a_bonus_is_there_when_the_fee_is_paid_and_expires_with_what_was_paid() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    assert!(world.bonuses().await.is_empty() && world.balance().await == 0);
    for status in [InvoiceStatus::Sent, InvoiceStatus::Uncollectible] {
        assert!(world.becomes(invoice, status, BEGAN).await);
        assert!(world.bonuses().await.is_empty(), "{status}");
        assert_eq!(world.tidy(BEGAN).await, 0);
    }
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    let all = world.bonuses().await;
    let [bonus] = &all[..] else { panic!("{all:?}") };
    assert_eq!((bonus.kind, bonus.units, bonus.expires_at), (GrantKind::Promotional, 10_000, Some(at(END))));
    assert_eq!((bonus.reason.as_str(), bonus.effective_at), ("Bonus for the fee of yearly", at(PAID)));
    assert_eq!(world.balance().await, 10_000);
    // Nobody paid for it by itself: the fee alone is in the money.
    let fee = |sum: &str| sum.to_owned();
    let money = [(LedgerAccount::Cash, fee("$1,200.00")), (LedgerAccount::Revenue, fee("−$1,200.00"))];
    let of_fee = world.money().await.into_iter().filter(|(account, _)| *account != LedgerAccount::Receivable);
    assert_eq!(of_fee.collect::<Vec<_>>(), money);
    world.call("a", "2026-03-06T10:15:00Z", 1_000).await;
    world.settle("2026-03-07T00:00:00Z").await;
    world.settle(END).await;
    assert_eq!(world.stands(bonus.id).await, [0, 1_000, 9_000, 0]);
    let of_fee = world.money().await.into_iter().filter(|(account, _)| *account != LedgerAccount::Receivable);
    assert_eq!(of_fee.collect::<Vec<_>>(), money, "neither use nor expiry is revenue");
}

#[tokio::test]
async fn days_run_from_the_payment_on_and_who_pays_when_it_is_over_has_nothing() {
    let (world, invoice) = Credited::billed(json!({ "units": 10, "valid_days": 30 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    assert_eq!(world.bonuses().await[0].expires_at, Some(at("2026-04-04T12:00:00Z")));
    let (world, invoice) = Credited::billed(json!({ "units": 10 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Paid, END).await);
    assert!(world.bonuses().await.is_empty());
    assert_eq!(world.tidy(END).await, 0);
}

/// As webhooks come: at two servers, and again.
#[tokio::test(flavor = "multi_thread")]
async fn however_often_and_wherever_it_is_told_that_the_fee_is_paid_the_bonus_is_given_once() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    let mut told = Vec::new();
    for _ in 0..8 {
        let (store, partner) = (world.store.handle(), world.partner);
        told.push(tokio::spawn(async move {
            let moved = store.set_invoice_status(partner, invoice, InvoiceStatus::Paid, at(PAID)).await;
            moved.expect("an answer")
        }));
    }
    let mut moved = 0;
    for one in told {
        moved += u32::from(one.await.expect("no panic"));
    }
    assert_eq!((moved, world.bonuses().await.len(), world.balance().await), (1, 1, 10_000));
    assert!(!world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    // Nor does what holds by itself: the note of the fee's invoice is decided once.
    let mut told = Vec::new();
    for _ in 0..4 {
        let (store, partner) = (world.store.handle(), world.partner);
        told.push(tokio::spawn(async move {
            let mut tx = store.begin().await.expect("a transaction");
            fee_bonus::open(&mut tx, partner, invoice, at(PAID)).await.expect("an answer");
            tx.commit().await.expect("committed");
        }));
    }
    for one in told {
        one.await.expect("no panic");
    }
    assert_eq!((world.bonuses().await.len(), world.balance().await), (1, 10_000));
    assert_eq!(world.tidy(PAID).await, 0);
    world.agrees().await;

    // The control: where nothing says that it is decided, who hears of the payment again gives it again.
    let undecided = sqlx::query("update fee_bonuses set decided_at = null, grant_id = null");
    undecided.execute(world.store.pool()).await.expect("undecided");
    let mut tx = world.store.begin().await.expect("a transaction");
    fee_bonus::open(&mut tx, world.partner, invoice, at(PAID)).await.expect("an answer");
    tx.commit().await.expect("committed");
    assert_eq!((world.bonuses().await.len(), world.balance().await), (2, 20_000));
}

#[tokio::test]
async fn what_a_server_of_the_version_before_did_not_give_is_given_once() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    sqlx::query("update invoices set status = 'paid'").execute(world.store.pool()).await.expect("paid");
    assert_eq!(world.store.all_partners_fee_bonuses_due(at(PAID)).await.expect("asked"), [world.partner]);
    world.tidy(PAID).await;
    assert_eq!(world.balance().await, 10_000);
    assert!(world.store.all_partners_fee_bonuses_due(at(PAID)).await.expect("asked").is_empty());
    assert!(!world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    assert_eq!(world.balance().await, 10_000);
}

#[tokio::test]
async fn what_is_unused_goes_back_when_all_of_the_fee_is_refunded_and_not_before() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    let bonus = world.bonuses().await[0].id;
    world.call("a", "2026-03-06T10:15:00Z", 1_000).await;
    world.credited(invoice, 400, true, "2026-03-06T11:30:00Z").await;
    assert_eq!(world.balance().await, 9_000, "a part of the fee takes nothing back");
    world.credited(invoice, 800, true, "2026-03-06T12:30:00Z").await;
    assert_eq!((world.stands(bonus).await, world.balance().await), ([0, 1_000, 0, 9_000], 0));
    world.agrees().await;
    assert_eq!(world.tidy("2026-03-06T12:30:05Z").await, 0);
    assert!(world.money().await.iter().all(|(account, _)| *account != LedgerAccount::Breakage));
}

#[tokio::test]
async fn a_charge_back_takes_it_back_once() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    let mut back = StripeReturn {
        stripe_id: "du_1".to_owned(),
        kind: ReturnKind::Dispute,
        amount: fee(),
        returned: Returned::Open,
        unpaid: Money::zero(Currency::Usd),
        reason: String::new(),
    };
    let whose = (world.partner, invoice);
    world.store.take_stripe_return(whose, &back, at(PAID)).await.expect("noted");
    assert_eq!(world.balance().await, 10_000, "it is not decided");
    back.returned = Returned::Back;
    for _ in 0..2 {
        world.store.take_stripe_return(whose, &back, at("2026-03-09T00:00:00Z")).await.expect("taken");
        assert_eq!(world.balance().await, 0);
    }
    let bonus = world.bonuses().await[0].id;
    assert_eq!(world.stands(bonus).await, [0, 0, 0, 10_000]);
    world.agrees().await;
}

#[tokio::test]
async fn what_was_allocated_and_what_gateways_held_goes_back_as_they_let_go_of_it() {
    let (world, invoice) = Credited::billed(json!({ "units": 1_000 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    let bonus = world.bonuses().await[0].id;
    let app = world.app().await;
    world.allocate(Holder::App(app), 200, PAID).await;
    let ask =
        LeaseAsk { of: Allowance::credit(world.partner), limit: None, need: 300, want: 300, returned: 0, turn: 0 };
    let held = world.store.exchange_units("a", ask, at(PAID)).await.expect("an answer");
    world.credited(invoice, 1_200, true, "2026-03-06T12:30:00Z").await;
    assert_eq!(world.stands(bonus).await, [300, 0, 0, 700]);
    assert_eq!(world.tidy("2026-03-06T12:30:05Z").await, 0, "a gateway holds the rest");
    let back = LeaseAsk { need: 0, want: 0, returned: 300, turn: held.turn, ..ask };
    world.store.exchange_units("a", back, at(PAID)).await.expect("an answer");
    assert_eq!(world.tidy("2026-03-06T12:30:10Z").await, 300);
    assert_eq!((world.stands(bonus).await, world.balance().await), ([0, 0, 0, 1_000], 0));
    assert!(world.store.all_partners_fee_bonuses_due(at(END)).await.expect("asked").is_empty());
}

#[tokio::test]
async fn nobody_has_a_bonus_for_a_fee_that_is_void_or_was_credited_before() {
    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    assert!(world.becomes(invoice, InvoiceStatus::Void, PAID).await);
    assert!(!world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    assert!(world.bonuses().await.is_empty());
    assert_eq!(world.tidy(PAID).await, 0);

    let (world, invoice) = Credited::billed(json!({ "units": 10_000 })).await;
    world.credited(invoice, 1_200, false, PAID).await;
    // Stripe has nothing to collect, and calls it paid.
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    assert!(world.bonuses().await.is_empty());
    assert_eq!(world.tidy(PAID).await, 0);
}

#[tokio::test]
async fn the_share_for_what_the_plan_does_not_run_goes_back_as_it_was_shown() {
    let (world, invoice) = Credited::billed(json!({ "units": 1_000 })).await;
    let other = world.yearly("other", json!({ "units": 730 })).await;
    // A hundred of 365 days: 273.97…, rounded up, stay.
    let leaves = at(BEGAN) + SignedDuration::from_hours(100 * 24);
    assert!(world.becomes(invoice, InvoiceStatus::Paid, PAID).await);
    world.call("a", "2026-03-06T10:15:00Z", 600).await;
    let wish = Wish::Version(other);
    let ground = world.store.change_ground(world.partner, wish, OrderedBy::Operator).await.expect("a ground");
    let shown = ground.preview(domain::plan_change::When::AtOnce, leaves).expect("a preview");
    assert_eq!((shown.bonus_back, shown.bonus_first), (726, 530));
    let later = ground.preview(domain::plan_change::When::PeriodEnd, leaves).expect("a preview");
    assert_eq!((later.bonus_back, later.bonus_first), (0, 730), "what was paid for is over by then");
    world.store.assign_plan_version(world.partner, other, Actor::System, leaves).await.expect("another plan");
    let bonus = world.bonuses().await[0].id;
    assert_eq!(world.tidy("2026-06-09T00:00:05Z").await, 400, "so many are unused");
    assert_eq!((world.stands(bonus).await, world.balance().await), ([0, 600, 0, 400], 0));
    assert_eq!(world.tidy("2026-06-09T00:00:10Z").await, 0);

    // The same, where the fee is paid when the plan has ended: the share of what it ran, and nothing goes back of that.
    let (world, invoice) = Credited::billed(json!({ "units": 1_000 })).await;
    let other = world.yearly("other", Value::Null).await;
    world.store.assign_plan_version(world.partner, other, Actor::System, leaves).await.expect("another plan");
    assert!(world.becomes(invoice, InvoiceStatus::Paid, "2026-06-10T00:00:00Z").await);
    assert_eq!((world.balance().await, world.tidy("2026-06-10T00:00:05Z").await), (274, 0));
}
