//! Grants, calls, late calls, expiry, purchases, changes of plan and closed periods in any order, against a count of its own: of every grant
//! what is left, used, expired and void, and of all units beyond them that each is billed once, at the price of its hour.

use crate::{
    corrections::at,
    shop::{Shop, hours, terms},
};
use domain::{
    credit::{GrantKind, overdraft::Overdraft, package::CreditPackage},
    id::{CreditGrantId, PartnerId, PlanVersionId},
    key_text::Environment,
    money::Currency,
    plan::PlanTerms,
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;
use store::{Actor, NewCreditGrant, NewCreditPurchase, Void};

const START: &str = "2026-01-01T00:00:00Z";
/// Currency, and what a unit beyond all credit costs, where it is billed.
type Price = (Currency, &'static str);
const PLANS: [(Currency, Option<&str>); 4] = [
    (Currency::Usd, Some("0.02")),
    (Currency::Usd, Some("0.03")),
    (Currency::Usd, None),
    (Currency::Eur, Some("0.05")),
];

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

/// Whole hours since the start.
fn hour(of: Timestamp) -> i64 {
    of.duration_since(at(START)).as_secs().div_euclid(3_600)
}

struct Given {
    id: CreditGrantId,
    /// Priority, last hour, rank of the kind, beginning: who comes first is used first.
    rank: (u8, i64, u8, Timestamp),
    from: Timestamp,
    /// The first hour that is not its own any more.
    until: i64,
    units: u64,
    /// Left, used, expired, void.
    now: [u64; 4],
    has_begun: bool,
    is_over: bool,
}

impl Given {
    fn is_of(&self, at: i64) -> bool {
        self.has_begun && hour(self.from) <= at && at < self.until
    }

    fn use_up(&mut self, wanted: &mut u64) {
        for place in [0, 2] {
            let part = self.now[place].min(*wanted);
            self.now[place] -= part;
            self.now[1] += part;
            *wanted -= part;
        }
    }
}

/// The count.
#[derive(Default)]
struct Count {
    given: Vec<Given>,
    /// Calls that are not booked, by hour.
    waiting: BTreeMap<i64, u64>,
    /// Units that no grant had, by hour.
    beyond: BTreeMap<i64, u64>,
    /// From when to when which plan was in force.
    plans: Vec<(Timestamp, Timestamp, usize)>,
    served: u64,
}

impl Count {
    fn price(&self, of: i64) -> Option<Price> {
        let (begins, ends) = (at(START) + hours(of), at(START) + hours(of + 1));
        let of_hour = self.plans.iter().filter(|(from, until, _)| *from < ends && *until > begins && until > from);
        of_hour.filter_map(|(.., plan)| PLANS[*plan].1.map(|price| (PLANS[*plan].0, price))).next()
    }

    fn in_order(&mut self) -> Vec<&mut Given> {
        let mut all: Vec<_> = self.given.iter_mut().filter(|grant| grant.has_begun).collect();
        all.sort_by_key(|grant| grant.rank);
        all
    }

    /// Books calls of hours before that one.
    fn book(&mut self, before: i64, now: Timestamp) {
        self.given
            .iter_mut()
            .filter(|grant| grant.from <= now && !grant.is_over)
            .for_each(|grant| grant.has_begun = true);
        let later = self.waiting.split_off(&before);
        for (of, mut units) in std::mem::replace(&mut self.waiting, later) {
            for grant in self.in_order() {
                if grant.is_of(of) {
                    grant.use_up(&mut units);
                }
            }
            *self.beyond.entry(of).or_default() += units;
        }
        self.pay();
    }

    /// Lets grants pay for what went beyond those of its hour.
    fn pay(&mut self) {
        let mut beyond = std::mem::take(&mut self.beyond);
        for (of, units) in &mut beyond {
            let is_billed = self.price(*of).is_some();
            for grant in self.in_order() {
                if grant.is_of(*of) || !is_billed && !grant.is_over && grant.until > *of {
                    grant.use_up(units);
                }
            }
        }
        beyond.retain(|_, units| *units > 0);
        self.beyond = beyond;
    }

    fn expire(&mut self, now: Timestamp) {
        let over = |grant: &&mut Given| !grant.is_over && grant.until <= hour(now);
        for grant in self.given.iter_mut().filter(over) {
            grant.now[2] += std::mem::take(&mut grant.now[0]);
            grant.is_over = true;
        }
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
}

impl Play {
    async fn open(seed: u64) -> Self {
        let shop = Shop::open().await;
        let mut plans = Vec::new();
        for (number, (currency, price)) in PLANS.into_iter().enumerate() {
            let mut terms = PlanTerms { included_credit_micros: 0, currency, ..terms("invoice_items") };
            terms.admission.credit.required = true;
            let unit_price = price.map(|price| price.parse().expect("a decimal"));
            terms.admission.credit.overdraft = unit_price.map(|unit_price| Overdraft { units: 1_000, unit_price });
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
        Self { shop, partner, plans, count, drawn: Drawn(seed), now: at(START), bought: 0 }
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
        self.count.given.push(Given {
            id,
            rank: (priority, until, kind_rank, from),
            from,
            until,
            units,
            now: [units, 0, 0, 0],
            has_begun: !later,
            is_over: false,
        });
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
        let rank = (100, i64::MAX, 2, self.now);
        let (from, until, now) = (self.now, i64::MAX, [50, 0, 0, 0]);
        self.count.given.push(Given { id, rank, from, until, units: 50, now, has_begun: true, is_over: false });
        self.count.pay();
    }

    /// A call of now, or one that is handed over late.
    async fn call(&mut self) {
        let late = if self.drawn.below(4) == 0 { self.drawn.time(3_000) } else { SignedDuration::ZERO };
        let made = (self.now - late).max(at(START));
        let units = 1 + self.drawn.below(120);
        self.shop.paid_by_credit(self.partner, (made, self.now), Environment::Live, &[(0, units, units)]).await;
        *self.count.waiting.entry(hour(made)).or_default() += units;
        self.count.served += units;
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

    async fn change_plan(&mut self) {
        let next = self.drawn.below(4) as usize;
        if next == self.plan() {
            return;
        }
        let store = &self.shop.store;
        store.assign_plan_version(self.partner, self.plans[next], Actor::System, self.now).await.expect("changed");
        self.count.plans.last_mut().expect("one").1 = self.now;
        self.count.plans.push((self.now, Timestamp::MAX, next));
    }

    async fn step(&mut self) {
        let most = [20, 400, 3_000][self.drawn.below(3) as usize];
        self.now += self.drawn.time(most);
        match self.drawn.below(16) {
            0..3 => self.give().await,
            3 => self.buy().await,
            4..10 => self.call().await,
            10..13 => self.settle().await,
            13 => self.void().await,
            14 => self.change_plan().await,
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
        assert_eq!((standing.granted, standing.used), (granted + billed, self.count.served), "{told}");
        let priced = self.count.beyond.iter().filter(|(of, _)| self.count.price(**of).is_some());
        assert_eq!(billed + standing.to_be_billed, priced.map(|(_, units)| units).sum::<u64>(), "{told}");
        let used: u64 = self.count.given.iter().map(|grant| grant.now[1]).sum();
        let other: u64 = self.count.beyond.values().chain(self.count.waiting.values()).sum();
        assert_eq!(used + other, self.count.served, "{told}: the count itself");
    }
}

#[tokio::test]
async fn in_whatever_order_things_happen_every_unit_has_one_grant_or_is_billed_once_at_its_hours_price() {
    let mut all_billed = BTreeMap::<(String, String), u64>::new();
    for seed in 1..=4_u64 {
        let mut play = Play::open(seed).await;
        for step in 0..70 {
            play.step().await;
            play.compare(&format!("seed {seed}, step {step}")).await;
        }
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
        for (price, units) in expected {
            *all_billed.entry(price).or_default() += units;
        }
    }
    assert_eq!(all_billed.len(), 3, "each price is billed by some seed: {all_billed:?}");
}
