//! What takes a balance below zero is billed once, at its price, with the period of its hours; and then the balance is at zero again.

use crate::{
    corrections::{asked, at, carry_out, draft},
    shop::{GRACE, Shop, hours, terms},
};
use billing::{Closing, Wanted, close_due_periods, preview_change, project};
use domain::{
    correction::Change, credit::overdraft::Overdraft, id::PartnerId, key_text::Environment, money::Currency,
    plan::PlanTerms, plan_change::When, rating::LineKind,
};
use jiff::Timestamp;
use store::{Actor, NewCreditGrant, OrderedBy, Wish};

/// 49.00 a month, and calls that take prepaid units, of which so many may be missing at that price.
fn lending(units: u64, price: &str) -> PlanTerms {
    let mut terms = PlanTerms { included_credit_micros: 0, ..terms("invoice_items") };
    terms.admission.credit.required = true;
    terms.admission.credit.overdraft = Some(Overdraft { units, unit_price: price.parse().expect("a decimal") });
    terms
}

struct Lent {
    shop: Shop,
    partner: PartnerId,
}

impl Lent {
    async fn since(since: &str, terms: PlanTerms) -> Self {
        let shop = Shop::open().await;
        let plan = shop.plan("lending", terms).await;
        let partner = shop.partner("acme", plan, at(since)).await;
        Self { shop, partner }
    }

    async fn grant(&self, units: i64, now: Timestamp) {
        let new = NewCreditGrant::new(units, "Grant");
        self.shop.store.grant_credit(self.partner, &new, Actor::System, now).await.expect("granted");
    }

    /// A call that credit paid, handed over then.
    async fn call(&self, made: Timestamp, taken_in: Timestamp, units: u64) {
        self.shop.paid_by_credit(self.partner, (made, taken_in), Environment::Live, &[(1, units, units)]).await;
    }

    async fn settle(&self, now: Timestamp) {
        self.shop.store.settle_credit(self.partner, now).await.expect("settled");
        self.agrees().await;
    }

    async fn agrees(&self) {
        assert_eq!(self.shop.store.check_all_credit().await.expect("checked"), []);
    }

    async fn balance(&self) -> i64 {
        self.shop.store.credit(self.partner).await.expect("a standing").balance
    }

    async fn so_far(&self, now: Timestamp) -> String {
        let bill = project(&self.shop.store, self.partner, now).await.expect("projects").expect("a bill");
        bill.so_far.total.to_string()
    }

    /// Units and amounts of the newest invoice's lines about it, and its total.
    async fn billed(&self) -> (Vec<(i64, String)>, String) {
        let newest = self.shop.store.invoices(self.partner).await.expect("invoices").remove(0);
        let (invoice, lines) = self.shop.store.invoice(self.partner, newest.id).await.expect("an invoice");
        let lines = lines.into_iter().filter(|line| line.kind == LineKind::CreditOverdraft);
        (lines.map(|line| (line.quantity, line.amount.to_string())).collect(), invoice.total.to_string())
    }
}

fn line(units: i64, amount: &str) -> (i64, String) {
    (units, amount.to_owned())
}

#[tokio::test]
async fn units_beyond_all_grants_are_a_line_of_their_period_and_no_later_grant_pays_them_before() {
    let lent = Lent::since("2026-03-01T00:00:00Z", lending(40, "0.02")).await;
    lent.grant(100, at("2026-03-01T00:00:00Z")).await;
    lent.call(at("2026-03-05T10:30:00Z"), at("2026-03-05T10:30:01Z"), 130).await;
    assert_eq!(lent.so_far(at("2026-03-05T10:40:00Z")).await, "$49.60", "before the hour is booked");
    lent.settle(at("2026-03-05T11:00:00Z")).await;
    assert_eq!((lent.balance().await, lent.so_far(at("2026-03-05T11:00:00Z")).await), (-30, "$49.60".to_owned()));
    lent.grant(50, at("2026-03-06T00:00:00Z")).await;
    lent.settle(at("2026-03-07T00:00:00Z")).await;
    assert_eq!((lent.balance().await, lent.so_far(at("2026-03-07T00:00:00Z")).await), (20, "$49.60".to_owned()));
    lent.shop.close(at("2026-04-01T00:02:00Z")).await;
    assert_eq!(lent.billed().await, (vec![line(30, "$0.60")], "$49.60".to_owned()));
    lent.agrees().await;
    assert_eq!(lent.balance().await, 50);
    // Of the last hour of March, handed over when March was closed: the grants of that hour have 50.
    lent.call(at("2026-03-31T23:30:00Z"), at("2026-04-02T00:00:00Z"), 60).await;
    assert!(lent.shop.close(at("2026-04-03T00:00:00Z")).await.invoices.is_empty(), "no period is billed twice");
    lent.shop.close(at("2026-05-01T00:02:00Z")).await;
    assert_eq!(lent.billed().await.0, [line(10, "$0.20")]);
    assert_eq!(lent.balance().await, 0);
    lent.agrees().await;
    // A call that was billed so is taken back: what was paid for comes back as units.
    let new = asked(Change::Void, "2026-03-05T10:00:00Z", "2026-03-05T11:00:00Z");
    let (id, _) = draft(&lent.shop, lent.partner, new, "2026-05-02T00:00:00Z").await;
    carry_out(&lent.shop, id, "2026-05-02T00:00:00Z").await;
    lent.settle(at("2026-05-03T00:00:00Z")).await;
    assert_eq!(lent.balance().await, 130);
}

#[tokio::test]
async fn a_period_without_any_other_charge_is_billed_for_it_and_a_price_of_nothing_forgives_it() {
    for (price, amount) in [("0.015", "$0.11"), ("0", "$0.00")] {
        let free = PlanTerms { base_fee_micros: 0, price: Default::default(), ..lending(0, price) };
        let lent = Lent::since("2026-03-01T00:00:00Z", free).await;
        lent.call(at("2026-03-05T10:30:00Z"), at("2026-03-05T10:30:01Z"), 7).await;
        lent.shop.close(at("2026-04-01T00:02:00Z")).await;
        assert_eq!(lent.billed().await, (vec![line(7, amount)], amount.to_owned()));
        assert_eq!(lent.balance().await, 0);
        lent.agrees().await;
    }
}

#[tokio::test]
async fn an_hour_in_which_the_plan_changes_is_on_the_next_invoice_at_the_first_price_of_the_hour() {
    let unpriced = |mut terms: PlanTerms| {
        terms.admission.credit.overdraft = None;
        terms
    };
    let (cheap, dear) = (lending(40, "0.02"), PlanTerms { base_fee_micros: 99_000_000, ..lending(40, "0.03") });
    for (from, to, before, of_hour) in [
        (cheap.clone(), dear.clone(), vec![line(10, "$0.20")], "$0.10"),
        // Nobody leaves a price behind by another plan.
        (cheap.clone(), unpriced(dear.clone()), vec![line(10, "$0.20")], "$0.10"),
        (unpriced(cheap), dear, Vec::new(), "$0.15"),
    ] {
        let is_lending = from.admission.credit.overdraft.is_some();
        let lent = Lent::since("2026-03-01T00:00:00Z", from).await;
        let to = lent.shop.plan("other", to).await;
        if is_lending {
            lent.call(at("2026-03-11T09:30:00Z"), at("2026-03-11T09:30:01Z"), 10).await;
        }
        lent.call(at("2026-03-11T10:10:00Z"), at("2026-03-11T10:10:01Z"), 5).await;
        let now = at("2026-03-11T10:20:00Z");
        let wanted = Wanted { wish: Wish::Version(to), when: When::Usual, by: OrderedBy::Operator };
        let proposal = preview_change(&lent.shop.store, lent.partner, wanted, now).await.expect("a preview");
        lent.shop.store.assign_plan_version(lent.partner, to, Actor::System, now).await.expect("changed");
        lent.shop.close(now + hours(1)).await;
        let (lines, total) = lent.billed().await;
        assert_eq!((lines, Some(total)), (before, proposal.so_far.map(|money| money.to_string())));
        lent.shop.close(at("2026-04-01T00:02:00Z")).await;
        assert_eq!((lent.billed().await.0, lent.balance().await), (vec![line(5, of_hour)], 0));
        lent.agrees().await;
    }
}

#[tokio::test]
async fn an_hour_that_runs_when_its_period_is_closed_waits_for_what_may_pay_it() {
    for (granted, lines, left) in [(0, vec![line(5, "$0.10")], 0), (50, Vec::new(), 45)] {
        let lent = Lent::since("2026-03-01T10:20:00Z", lending(40, "0.02")).await;
        lent.call(at("2026-04-01T10:10:00Z"), at("2026-04-01T10:10:01Z"), 5).await;
        lent.shop.close(at("2026-04-01T10:22:00Z")).await;
        assert_eq!(lent.billed().await.0, Vec::new());
        if granted > 0 {
            lent.grant(granted, at("2026-04-01T10:40:00Z")).await;
        }
        lent.settle(at("2026-04-01T11:00:00Z")).await;
        lent.shop.close(at("2026-05-01T10:22:00Z")).await;
        assert_eq!((lent.billed().await.0, lent.balance().await), (lines, left));
        lent.agrees().await;
    }
}

impl Lent {
    /// What is closed then: whether an invoice is final, its total, and its units beyond all credit.
    async fn made(&self, now: &str) -> Vec<(bool, String, i64)> {
        let mut made = Vec::new();
        for id in self.shop.close(at(now)).await.invoices {
            let (invoice, lines) = self.shop.store.invoice(self.partner, id).await.expect("an invoice");
            let lines = lines.iter().filter(|line| line.kind == LineKind::CreditOverdraft);
            made.push((invoice.is_final, invoice.total.to_string(), lines.map(|line| line.quantity).sum()));
        }
        made
    }
}

#[tokio::test]
async fn units_beyond_all_credit_that_no_next_invoice_brings_are_on_one_final_invoice() {
    let lent = Lent::since("2026-03-01T00:00:00Z", lending(40, "0.02")).await;
    let euros = PlanTerms { currency: Currency::Eur, ..lending(40, "0.03") };
    let euros = lent.shop.plan("euros", euros).await;
    lent.shop.close(at("2026-04-01T00:02:00Z")).await;
    lent.call(at("2026-04-10T09:10:00Z"), at("2026-04-10T09:10:01Z"), 7).await;
    lent.call(at("2026-04-10T10:10:00Z"), at("2026-04-10T10:10:01Z"), 5).await;
    let change = at("2026-04-10T10:20:00Z");
    lent.shop.store.assign_plan_version(lent.partner, euros, Actor::System, change).await.expect("another plan");
    let units = |made: Vec<(bool, String, i64)>| made.iter().map(|(is_final, _, units)| (*is_final, *units)).collect();
    let last: Vec<_> = units(lent.made("2026-04-10T10:22:00Z").await);
    assert_eq!(last, [(false, 7)]);
    lent.settle(at("2026-04-10T11:00:00Z")).await;
    assert!(lent.made("2026-04-11T10:59:59Z").await.is_empty(), "others may follow");
    let now = at("2026-04-11T11:00:00Z");
    let closing = Closing { grace: GRACE, ingested_through: Some(now) };
    let close = || close_due_periods(&lent.shop.store, closing, now);
    let (one, other) = tokio::join!(close(), close());
    let made = [one, other].map(|report| report.expect("closes").invoices.len());
    assert_eq!(made.iter().sum::<usize>(), 1, "{made:?}");
    assert_eq!(lent.billed().await, (vec![line(5, "$0.10")], "$0.10".to_owned()));
    lent.agrees().await;
    // Late, of a month that was billed long ago.
    lent.call(at("2026-03-15T10:00:00Z"), at("2026-04-20T00:00:00Z"), 9).await;
    lent.call(at("2026-04-20T10:00:00Z"), at("2026-04-20T10:00:01Z"), 4).await;
    lent.settle(at("2026-04-20T11:00:00Z")).await;
    assert_eq!(lent.made("2026-04-21T11:00:00Z").await, [(true, "$0.18".to_owned(), 9)]);
    let own: Vec<_> = units(lent.made("2026-05-10T10:22:00Z").await);
    assert_eq!(own, [(false, 4)], "with nothing of what was owed in dollars");
    assert_eq!(lent.balance().await, 0);
    assert!(lent.made("2026-06-01T00:00:00Z").await.is_empty());
    lent.agrees().await;
}

/// Numbers that follow each other by a rule of their own, so that a failure can be seen again.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Months of grants, calls and late calls, against a count of a few lines: what is left after a month's grants pays first, late calls of
/// the month before have no part in the new grants, and the rest is billed.
#[tokio::test]
async fn whatever_is_granted_used_and_handed_over_late_every_unit_is_paid_once() {
    for seed in [3_u64, 17, 40, 41, 42] {
        let mut drawn = Drawn(seed);
        let lent = Lent::since("2026-01-01T00:00:00Z", lending(1_000, "0.007")).await;
        let (mut left, mut used, mut billed) = (0_u64, 0_u64, 0_u64);
        for month in 1..=6_i8 {
            let begin = jiff::civil::date(2026, month, 1).in_tz("UTC").expect("a day").timestamp();
            let late = if month > 1 { drawn.below(3) * drawn.below(300) } else { 0 };
            if late > 0 {
                lent.call(begin - hours(1), begin + hours(30), late).await;
            }
            let granted = drawn.below(2) * drawn.below(400);
            if granted > 0 {
                lent.grant(i64::try_from(granted).expect("small"), begin + hours(31)).await;
                // Late units that no grant had are owed by now, and the new grant is none of theirs.
                lent.settle(begin + hours(32)).await;
            }
            let mut calls = 0;
            for number in 0..drawn.below(6) {
                let units = 1 + drawn.below(120);
                let made = begin + hours(40 + i64::try_from(number * (1 + drawn.below(40))).expect("small"));
                lent.call(made, made + hours(1), units).await;
                if drawn.below(2) == 0 {
                    lent.settle(made + hours(2)).await;
                }
                calls += units;
            }
            let beyond_late = late.saturating_sub(left);
            left = left.saturating_sub(late) + granted;
            let expected = beyond_late + calls.saturating_sub(left);
            left = left.saturating_sub(calls);
            (used, billed) = (used + late + calls, billed + expected);
            let end = jiff::civil::date(2026, month + 1, 1).in_tz("UTC").expect("a day").timestamp();
            let told = lent.so_far(end - hours(1)).await;
            lent.shop.close(end + hours(1)).await;
            let (lines, total) = lent.billed().await;
            let units: i64 = lines.iter().map(|(units, _)| units).sum();
            assert_eq!((units.unsigned_abs(), total), (expected, told), "seed {seed}, month {month}");
            lent.agrees().await;
            assert_eq!(
                lent.balance().await.unsigned_abs(),
                left,
                "seed {seed}, month {month}: nothing is owed any more"
            );
        }
        let grants = lent.shop.store.credit_grants(lent.partner).await.expect("grants");
        assert_eq!(grants.iter().map(|grant| grant.used).sum::<u64>(), used, "seed {seed}: each unit has a grant");
        assert!(billed > 0, "seed {seed} bills nothing");
    }
}
