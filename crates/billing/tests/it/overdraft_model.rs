//! Grants, calls, late calls, corrections, expiry, purchases, changes of plan and closed periods in any order, against a count of its own: of
//! every grant what is left, used, expired and void, what gateways may take, and of all units beyond grants that each is billed once, at the
//! price of its hour.

mod count;

use crate::{
    corrections::{asked, at, carry_out, draft},
    shop::{Shop, hours, terms},
};
use count::{Count, Given, PLANS, START, hour};
use domain::{
    allowance::Allowance,
    correction::Change,
    credit::{GrantKind, overdraft::Overdraft, package::CreditPackage},
    id::{PartnerId, PlanVersionId},
    key_text::Environment,
    money::Currency,
    plan::PlanTerms,
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;
use store::{Actor, NewCreditGrant, NewCreditPurchase, Void, leases::LeaseAsk};

/// Units below zero that a plan lends that has a price for them.
const LENDS: u64 = 1_000;

/// Numbers that follow each other by a rule of their own, so that a failure can be seen again.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn time(&mut self, most_minutes: u64) -> SignedDuration {
        SignedDuration::from_mins(1 + i64::try_from(self.below(most_minutes)).expect("small"))
    }
}

struct Play {
    shop: Shop,
    partner: PartnerId,
    plans: Vec<PlanVersionId>,
    count: Count,
    drawn: Drawn,
    now: Timestamp,
    bought: u32,
    taken_back: u32,
    /// Of the gateway's lease.
    turn: i64,
}

impl Play {
    async fn open(seed: u64) -> Self {
        let shop = Shop::open().await;
        let mut plans = Vec::new();
        for (number, (currency, price)) in PLANS.into_iter().enumerate() {
            let mut terms = PlanTerms { included_credit_micros: 0, currency, ..terms("invoice_items") };
            terms.admission.credit.required = true;
            let unit_price = price.map(|price| price.parse().expect("a decimal"));
            terms.admission.credit.overdraft = unit_price.map(|unit_price| Overdraft { units: LENDS, unit_price });
            plans.push(shop.plan(&format!("plan-{number}"), terms).await);
        }
        for currency in [Currency::Usd, Currency::Eur] {
            let package: CreditPackage =
                serde_json::from_value(json!({ "name": "Fifty", "units": 50, "currency": currency, "price": "5.00" }))
                    .expect("a package");
            let code = format!("fifty-{}", currency.code().to_lowercase());
            shop.store.put_credit_package((&code, None), &package, Actor::System, at(START)).await.expect("sold");
        }
        let partner = shop.partner("acme", plans[0], at(START)).await;
        let count = Count { plans: vec![(at(START), Timestamp::MAX, 0)], ..Count::default() };
        Self { shop, partner, plans, count, drawn: Drawn(seed), now: at(START), bought: 0, taken_back: 0, turn: 0 }
    }

    fn plan(&self) -> usize {
        self.count.plans.last().expect("one").2
    }

    async fn give(&mut self) {
        let later = self.drawn.below(3) == 0;
        let from = if later { self.now + self.drawn.time(600) } else { self.now };
        let ends = self.drawn.below(2) == 0;
        let expires_at = ends.then(|| from + hours(1) + self.drawn.time(6_000));
        let (kind, kind_rank) = [(GrantKind::Promotional, 0), (GrantKind::Compensation, 1), (GrantKind::Paid, 2)]
            [self.drawn.below(3) as usize];
        let priority = [50, 100][self.drawn.below(2) as usize];
        let units = 1 + self.drawn.below(200);
        let new = NewCreditGrant {
            kind,
            priority,
            effective_at: later.then_some(from),
            expires_at,
            ..NewCreditGrant::new(i64::try_from(units).expect("small"), "Given")
        };
        let id = self.shop.store.grant_credit(self.partner, &new, Actor::System, self.now).await.expect("granted").id;
        let until = expires_at.map_or(i64::MAX, |at| hour(at - SignedDuration::from_nanos(1)) + 1);
        self.count.given.push(Given::new(id, (priority, until, kind_rank, from), units, !later));
        if !later {
            self.count.pay();
        }
    }

    async fn buy(&mut self) {
        self.bought += 1;
        let code = format!("fifty-{}", PLANS[self.plan()].0.code().to_lowercase());
        let new = NewCreditPurchase { code, quantity: 1, reference: self.bought.to_string(), cost: None };
        let store = &self.shop.store;
        let before: Vec<_> =
            store.credit_grants(self.partner).await.expect("grants").iter().map(|grant| grant.id).collect();
        let purchase = store.buy_credit(self.partner, &new, Actor::System, self.now).await.expect("bought");
        store.mark_invoice_paid(self.partner, purchase.invoice, Actor::System, self.now).await.expect("paid");
        let after = store.credit_grants(self.partner).await.expect("grants");
        let id = after.iter().find(|grant| !before.contains(&grant.id)).expect("a grant").id;
        self.count.given.push(Given::new(id, (100, i64::MAX, 2, self.now), 50, true));
        self.count.pay();
    }

    /// A call of now, or one that is handed over late.
    async fn call(&mut self) {
        let late = if self.drawn.below(4) == 0 { self.drawn.time(3_000) } else { SignedDuration::ZERO };
        let made = (self.now - late).max(at(START));
        let units = 1 + self.drawn.below(120);
        self.shop.paid_by_credit(self.partner, (made, self.now), Environment::Live, &[(0, units, units)]).await;
        self.count.waiting.entry(hour(made)).or_default().1 += units;
        *self.count.calls.entry(hour(made)).or_default() += units;
    }

    /// Takes all calls of an hour back, one that no invoice has a unit of.
    async fn correct(&mut self) {
        if !self.billed().await.is_empty() {
            return;
        }
        let is_covered = |of: &&i64| **of < hour(self.now) && !self.count.beyond.contains_key(of);
        let of: Vec<i64> = self.count.calls.keys().filter(is_covered).copied().collect();
        if of.is_empty() {
            return;
        }
        let of = of[self.drawn.below(of.len() as u64) as usize];
        let now = self.now.to_string();
        let [from, until] = [of, of + 1].map(|of| (at(START) + hours(of)).to_string());
        let (id, _) = draft(&self.shop, self.partner, asked(Change::Void, &from, &until), &now).await;
        carry_out(&self.shop, id, &now).await;
        self.count.calls.remove(&of);
        self.count.waiting.insert(of, (true, 0));
        self.taken_back += 1;
        self.settle().await;
    }

    /// What a gateway gets that wants all there is; it gives it back.
    async fn lease(&mut self) {
        let of = Allowance::credit(self.partner);
        let ask = LeaseAsk { of, limit: None, need: 100_000, want: 100_000, returned: 0, turn: self.turn };
        let store = &self.shop.store;
        let got = store.exchange_units("gateway", ask, self.now).await.expect("an answer");
        let back = LeaseAsk { need: 0, want: 0, returned: got.granted, turn: got.turn, ..ask };
        self.turn = store.exchange_units("gateway", back, self.now).await.expect("an answer").turn;
        let billed: u64 = self.billed().await.values().sum();
        let count = &self.count;
        let left: u64 = count.given.iter().filter(|grant| grant.has_begun).map(|grant| grant.now[0]).sum();
        let waiting: u64 = count.waiting.values().map(|(_, units)| units).sum();
        let is_priced = |of: &i64| count.price(*of).is_some();
        let [priced, other] = [true, false].map(|priced| -> u64 {
            count.beyond.iter().filter(|(of, _)| is_priced(of) == priced).map(|(_, units)| units).sum()
        });
        let lends = PLANS[self.plan()].1.map_or(0, |_| LENDS).saturating_sub(priced - billed);
        assert_eq!(got.granted, (left + lends).saturating_sub(waiting + other), "what gateways may take");
    }

    async fn settle(&mut self) {
        let store = &self.shop.store;
        let own = store.open_subscription(self.partner).await.expect("an answer").expect("a plan").id;
        let told = store.overdrawn_credit_so_far(self.partner, own, self.now, self.now).await.expect("an answer");
        store.settle_credit(self.partner, self.now).await.expect("settled");
        self.count.book(hour(self.now), self.now);
        self.count.expire(self.now);
        let booked = store.overdrawn_credit(self.partner, own, self.now, self.now).await.expect("an answer");
        assert_eq!(told, booked, "the bill so far");
        self.lease().await;
    }

    async fn close(&mut self) {
        self.settle().await;
        self.shop.close(self.now).await;
    }

    async fn void(&mut self) {
        let live: Vec<_> = (0..self.count.given.len()).filter(|place| !self.count.given[*place].is_over).collect();
        if live.is_empty() {
            return;
        }
        let place = live[self.drawn.below(live.len() as u64) as usize];
        let id = self.count.given[place].id;
        let how = (Void::Kept, "A mistake");
        self.shop.store.void_credit_grant(self.partner, id, how, Actor::System, self.now).await.expect("void");
        self.count.book(hour(self.now) + 1, self.now);
        let grant = &mut self.count.given[place];
        (grant.has_begun, grant.is_over) = (true, true);
        grant.now[3] += std::mem::take(&mut grant.now[0]);
    }

    async fn change_plan(&mut self, next: usize) {
        if next == self.plan() {
            return;
        }
        let store = &self.shop.store;
        store.assign_plan_version(self.partner, self.plans[next], Actor::System, self.now).await.expect("changed");
        self.count.plans.last_mut().expect("one").1 = self.now;
        self.count.plans.push((self.now, Timestamp::MAX, next));
    }

    /// Goes far below zero, and on to a plan in another currency within the hour, which no invoice of that one's will bill.
    async fn leave_the_currency(&mut self) {
        if PLANS[self.plan()].1.is_none() {
            self.change_plan(1).await;
        }
        self.now = at(START) + hours(hour(self.now) + 2) + SignedDuration::from_mins(10);
        let units = 3_000;
        self.shop.paid_by_credit(self.partner, (self.now, self.now), Environment::Live, &[(0, units, units)]).await;
        self.count.waiting.entry(hour(self.now)).or_default().1 += units;
        *self.count.calls.entry(hour(self.now)).or_default() += units;
        self.now += SignedDuration::from_mins(10);
        self.change_plan(if self.plan() == 3 { 0 } else { 3 }).await;
    }

    async fn step(&mut self) {
        let most = [20, 400, 3_000][self.drawn.below(3) as usize];
        self.now += self.drawn.time(most);
        match self.drawn.below(18) {
            0..3 => self.give().await,
            3 => self.buy().await,
            4..10 => self.call().await,
            10..13 => self.settle().await,
            13 => self.void().await,
            14 => {
                let next = self.drawn.below(4) as usize;
                self.change_plan(next).await;
            }
            15..17 => self.correct().await,
            _ => self.close().await,
        }
    }

    /// Units of all invoices, by currency and price.
    async fn billed(&self) -> BTreeMap<(String, String), u64> {
        let store = &self.shop.store;
        let mut billed = BTreeMap::new();
        for invoice in store.invoices(self.partner).await.expect("invoices") {
            let (_, lines) = store.invoice(self.partner, invoice.id).await.expect("an invoice");
            for line in lines.into_iter().filter(|line| line.kind == LineKind::CreditOverdraft) {
                let price = line.amount.to_decimal() / Decimal::from(line.quantity);
                let key = (invoice.total.currency.code().to_owned(), price.normalize().to_string());
                *billed.entry(key).or_default() += line.quantity.unsigned_abs();
            }
        }
        billed
    }

    async fn compare(&self, told: &str) {
        let store = &self.shop.store;
        assert_eq!(store.check_all_credit().await.expect("checked"), [], "{told}");
        let held = store.credit_grants(self.partner).await.expect("grants");
        for grant in &self.count.given {
            let of = held.iter().find(|held| held.id == grant.id).expect("the grant");
            let expected = if grant.has_begun || grant.is_over { grant.now } else { [0; 4] };
            assert_eq!([of.left, of.used, of.expired, of.voided], expected, "{told}: {:?}", grant.rank);
            assert_eq!(grant.now.iter().sum::<u64>(), grant.units, "{told}");
        }
        let billed: u64 = self.billed().await.values().sum();
        let begun = self.count.given.iter().filter(|grant| grant.has_begun);
        let granted: u64 = begun.map(|grant| grant.now[0] + grant.now[1]).sum();
        let standing = store.credit(self.partner).await.expect("a standing");
        assert_eq!((standing.granted, standing.used), (granted + billed, self.count.served()), "{told}");
        let priced = self.count.beyond.iter().filter(|(of, _)| self.count.price(**of).is_some());
        assert_eq!(billed + standing.to_be_billed, priced.map(|(_, units)| units).sum::<u64>(), "{told}");
        let used: u64 = self.count.given.iter().map(|grant| grant.now[1]).sum();
        let waiting = self.count.waiting.values().map(|(_, units)| units);
        let other: u64 = self.count.beyond.values().chain(waiting).sum();
        assert_eq!(used + other, self.count.served(), "{told}: the count itself");
    }
}

#[tokio::test]
async fn in_whatever_order_things_happen_every_unit_has_one_grant_or_is_billed_once_at_its_hours_price() {
    let (mut all_billed, mut taken_back) = (BTreeMap::<(String, String), u64>::new(), 0);
    for seed in 1..=4_u64 {
        let mut play = Play::open(seed).await;
        for step in 0..70 {
            play.step().await;
            play.compare(&format!("seed {seed}, step {step}")).await;
        }
        play.leave_the_currency().await;
        for month in 1..=3 {
            play.now += hours(24 * 40);
            play.close().await;
            play.compare(&format!("seed {seed}, {month} closes later")).await;
        }
        let mut expected = BTreeMap::new();
        for (of, units) in &play.count.beyond {
            if let Some((currency, price)) = play.count.price(*of) {
                *expected.entry((currency.code().to_owned(), price.to_owned())).or_default() += units;
            }
        }
        assert_eq!(play.billed().await, expected, "seed {seed}");
        taken_back += play.taken_back;
        for (price, units) in expected {
            *all_billed.entry(price).or_default() += units;
        }
    }
    assert_eq!(all_billed.len(), 3, "each price is billed by some seed: {all_billed:?}");
    assert!(taken_back > 3, "{taken_back} corrections");
}
