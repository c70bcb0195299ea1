//! What coupons took off late usage before that was noted is read from the lines of it, and is not there again.

use crate::{
    late::{event, tell},
    shop::{Shop, days, terms},
};
use domain::{id::PartnerId, plan::PlanTerms};
use jiff::Timestamp;
use serde_json::json;
use std::collections::HashMap;
use store::{Actor, NewPartner, OrderedBy, test_db::world};

/// 1 June in Auckland, and not yet elsewhere.
const START: &str = "2026-05-31T13:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

struct Quiet {
    shop: Shop,
    partner: PartnerId,
}

impl Quiet {
    /// A partner in Auckland with nothing used in June, which pays 0.005 for each unit, and has as much off as the coupons say.
    async fn open(coupons: &[(&str, &str, &str)]) -> Self {
        let shop = Shop::open().await;
        let usage = PlanTerms { base_fee_micros: 0, included_credit_micros: 0, ..terms("invoice_items") };
        let plan = shop.plan("pro", usage).await;
        let new = NewPartner { code: None, name: "acme".to_owned(), time_zone: "Pacific/Auckland".to_owned() };
        let partner = shop.store.create_partner(&new, Actor::System, world::now()).await.expect("a partner");
        shop.store.assign_plan_version(partner, plan, Actor::System, at(START)).await.expect("a subscription");
        for (code, name, amount) in coupons {
            let coupon = json!({ "name": name, "amount": amount, "currency": "USD" });
            let coupon = serde_json::from_value(coupon).expect("a coupon");
            shop.store.put_coupon(code, &coupon, Actor::System, at(START)).await.expect("saved");
            shop.store
                .redeem_coupon(partner, code, OrderedBy::Operator, Actor::System, at(START))
                .await
                .expect("redeemed");
        }
        shop.close(at("2026-07-01T01:00:00Z")).await;
        Self { shop, partner }
    }

    /// The total of the invoice that late units of June are on.
    async fn billed(&self, number: &str, units: u64, when: &str) -> String {
        let late = event(number, "2026-06-12T00:00:00Z", "read", units);
        tell(&self.shop, self.partner, &[late], when).await;
        let [invoice] = self.shop.close(at(when) + days(31)).await.invoices[..] else { panic!("not one invoice") };
        self.shop.store.invoice(self.partner, invoice).await.expect("an invoice").0.total.to_string()
    }

    async fn noted(&self) -> HashMap<String, i64> {
        let store = &self.shop.store;
        let own = store.subscription(self.partner).await.expect("asked").expect("a plan").id;
        store.coupons_of_late_usage(self.partner, own, at(START)).await.expect("asked")
    }
}

#[tokio::test]
async fn late_units_have_what_earlier_ones_left_though_that_was_noted_nowhere() {
    let quiet = Quiet::open(&[("sorry", "Sorry", "20")]).await;
    // 1,000 are free.
    assert_eq!(quiet.billed("1", 4_000, "2026-07-02T00:00:00Z").await, "$0.00");
    let noted = quiet.noted().await;
    assert_eq!(noted, HashMap::from([("sorry".to_owned(), 15_000_000)]));
    quiet.shop.store.note_coupons_of_late_usage_before().await;
    assert_eq!(quiet.noted().await, noted, "what is noted already is noted once");
    quiet.shop.store.forget_coupons_of_late_usage().await;
    assert_eq!(quiet.noted().await, HashMap::new());
    quiet.shop.store.note_coupons_of_late_usage_before().await;
    assert_eq!(quiet.noted().await, noted);
    assert_eq!(quiet.billed("2", 2_000, "2026-08-02T00:00:00Z").await, "$5.00");
    assert_eq!(quiet.noted().await["sorry"], 20_000_000);
}

#[tokio::test]
async fn a_line_that_can_be_read_in_two_ways_is_left_alone() {
    let quiet = Quiet::open(&[("one", "Sorry", "5"), ("two", "Sorry", "5"), ("three", "Thanks, again", "2")]).await;
    assert_eq!(quiet.billed("1", 4_000, "2026-07-02T00:00:00Z").await, "$3.00");
    quiet.shop.store.forget_coupons_of_late_usage().await;
    quiet.shop.store.note_coupons_of_late_usage_before().await;
    assert_eq!(quiet.noted().await, HashMap::from([("three".to_owned(), 2_000_000)]));
}
