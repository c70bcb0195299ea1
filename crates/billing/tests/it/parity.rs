//! Random plans that both can rate, with random usage: what the stand-in for Stripe bills by the prices that we have made there is to the
//! cent what our invoice says. It rates in arithmetic of its own; a run in which it rounds otherwise is found.

use crate::{
    shop::{Shop, hours, list},
    subscribed::{at, push},
};
use domain::plan::PlanTerms;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A generator with a known beginning.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Of up to seven decimals, and mostly small.
    fn price(&mut self) -> String {
        let decimals = self.below(8);
        let scale = 10_u64.pow(u32::try_from(decimals).expect("small"));
        let number = self.below(if decimals < 2 { 3 } else { 1_000 });
        match decimals {
            0 => number.to_string(),
            _ => format!(
                "{}.{:0width$}",
                number / scale,
                number % scale,
                width = usize::try_from(decimals).expect("small")
            ),
        }
    }

    /// Mostly a few, sometimes many.
    fn units(&mut self) -> u64 {
        let digits = self.below(7);
        self.below(10_u64.pow(u32::try_from(digits).expect("small")) + 2)
    }

    fn steps(&mut self) -> Value {
        let (mut steps, mut end) = (Vec::new(), 0);
        for _ in 0..self.below(4) {
            end += 1 + self.units();
            steps.push(json!({ "up_to": end, "unit_price": self.price() }));
        }
        steps.push(json!({ "unit_price": self.price() }));
        json!(steps)
    }

    fn terms(&mut self) -> PlanTerms {
        let price = match self.below(5) {
            0 => json!({ "model": "free" }),
            1 => json!({ "model": "per_unit", "included": self.below(2) * self.units(), "unit_price": self.price() }),
            2 => json!({ "model": "graduated", "steps": self.steps() }),
            3 => json!({ "model": "volume", "steps": self.steps() }),
            _ => json!({ "model": "package", "size": 1 + self.units(), "package_price": self.price() }),
        };
        let currency = ["USD", "EUR", "JPY"][usize::try_from(self.below(3)).expect("small")];
        let coin = if currency == "JPY" { 1_000_000 } else { 10_000 };
        let (fee, credit) = (self.below(2) * self.below(20_000) * coin, self.below(2) * self.below(5_000) * coin);
        let minimum = self.below(2) * self.below(9_000) * coin;
        let (mut discounts, mut commitment) = (Vec::new(), Value::Null);
        if self.below(3) == 0 {
            let on = ["everything", "base_fee", "usage"][usize::try_from(self.below(3)).expect("small")];
            discounts.push(json!({ "name": "Launch", "percent": format!("{}.5", self.below(99)), "on": on }));
        }
        if self.below(3) == 0 {
            let steps =
                json!([{ "up_to_micros": (1 + self.below(4_000)) * coin, "percent": "3" }, { "percent": "12.5" }]);
            commitment = json!({ "micros": (1 + self.below(9_000)) * coin, "discounts": steps });
        }
        let terms: PlanTerms = serde_json::from_value(json!({
            "currency": currency, "products": [{ "product": "payments" }], "price": price, "base_fee_micros": fee,
            "included_credit_micros": credit, "minimum_micros": minimum, "discounts": discounts, "commitment": commitment,
            "collect": "meter_events",
        }))
        .expect("terms");
        assert!(terms.problems().is_empty(), "{:?}", terms.problems());
        terms
    }
}

/// Our totals and Stripe's, in the smallest coin, of so many partners with a plan each; and how many of our invoices say that they differ.
async fn billed(seed: u64, partners: u64, rounding: &str) -> (Vec<(String, i64, i64)>, usize) {
    let shop = Shop::open().await;
    shop.control("rounding", json!(rounding)).await;
    let mut random = Random(seed);
    let since = shop.now().await;
    let mut all = Vec::new();
    for number in 0..partners {
        let terms = random.terms();
        let text = format!("{:?}", terms.price);
        let plan = shop.plan(&format!("plan-{number}"), terms).await;
        let partner = shop.partner(&format!("partner-{number}"), plan, since).await;
        let used = [(0, random.units()), (1, random.units()), (2, random.units())];
        shop.live(partner, since + hours(20), &used.map(|(operation, units)| (operation, units + 1))).await;
        all.push((partner, text));
    }
    push(&shop).await;
    push(&shop).await;
    let own = shop.store.subscription(all[0].0).await.expect("answered").expect("a plan");
    at(&shop, own.cycle().period_at(since).expect("a period").end + SignedDuration::from_mins(2)).await;
    let invoices = shop.close(shop.now().await).await.invoices.len();
    for _ in 0..3 {
        push(&shop).await;
        shop.advance(SignedDuration::from_mins(70)).await;
    }
    let state = shop.state().await;
    let (mut totals, mut told) = (Vec::new(), 0);
    for (partner, text) in all {
        let customer = list(&state, "customers")
            .iter()
            .find(|held| held["metadata"]["turnpike_partner"] == json!(partner.to_string()))
            .expect("a customer");
        let theirs: i64 = list(&state, "invoices")
            .iter()
            .filter(|held| held["customer"] == customer["id"] && held["billing_reason"] == "subscription_cycle")
            .filter_map(|held| held["total"].as_i64())
            .sum();
        let ours = shop.store.invoices(partner).await.expect("invoices");
        told += ours.iter().filter(|invoice| invoice.push_problem.is_some()).count();
        let total: i64 = ours.iter().filter_map(|invoice| invoice.total.minor_units()).sum();
        totals.push((text, total, theirs));
    }
    let by_items = list(&state, "invoices").iter().filter(|held| held["billing_reason"] == "manual").count();
    assert_eq!((by_items, invoices > 0), (0, true), "Stripe rates all of them");
    (totals, told)
}

#[tokio::test]
async fn random_plans_come_to_the_same_cent_at_stripe() {
    let (totals, told) = billed(20_261_122, 60, "half_up").await;
    for (price, ours, theirs) in &totals {
        assert_eq!(ours, theirs, "{price}");
    }
    assert_eq!(told, 0);
    assert!(totals.iter().filter(|(_, ours, _)| *ours > 0).count() > 30);
}

#[tokio::test]
async fn another_rounding_at_stripe_is_found() {
    let (totals, told) = billed(20_261_122, 60, "down").await;
    let differing = totals.iter().filter(|(_, ours, theirs)| ours != theirs).count();
    assert!(differing > 0);
    assert_eq!(told, differing, "each is told beside its invoice");
}
