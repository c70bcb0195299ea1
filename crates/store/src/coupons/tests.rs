//! A coupon is redeemed by as many partners as it says and once by each, however many come at once.

use super::*;
use crate::{
    NewPlan, OrderedBy, PlanMeta,
    test_db::{
        self, TestStore,
        world::{World, now},
    },
};
use domain::{id::PartnerId, plan::Approval};
use serde_json::Value;
use tokio::task::JoinSet;

fn coupon(text: Value) -> Coupon {
    serde_json::from_value(text).expect("a coupon")
}

async fn put(store: &Store, code: &str, text: Value) {
    store.put_coupon(code, &coupon(text), Actor::System, now()).await.expect("saved");
}

async fn redeem(store: &Store, partner: PartnerId, code: &str) -> Result<RedeemedCoupon, StoreError> {
    store.redeem_coupon(partner, code, OrderedBy::Partner, Actor::System, now()).await
}

fn refusal(answer: Result<RedeemedCoupon, StoreError>) -> String {
    match answer.expect_err("refused") {
        StoreError::Conflict { message, .. } | StoreError::Invalid { message, .. } => message,
        error => panic!("{error}"),
    }
}

async fn on_plan(store: &Store, partner: PartnerId, code: &str, terms: Value) {
    let meta = PlanMeta {
        name: code.to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    };
    let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    let plan = store.create_plan(&new, Actor::System, now()).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(partner, version, Actor::System, now()).await.expect("on it");
}

/// Without the row that each of them holds, or the count in it, more than ten are through.
#[tokio::test]
async fn of_forty_at_once_the_ten_that_it_allows_redeem_it() {
    let store = test_db::store().await;
    put(&store, "spring", json!({"name": "Spring", "percent": "25", "max_redemptions": 10})).await;
    let mut partners = Vec::new();
    for number in 0..40 {
        partners.push(World::named(&store, &format!("p{number}")).await.partner);
    }
    let mut racing = JoinSet::new();
    for partner in partners.clone() {
        let store: Store = (*store).clone();
        racing.spawn(async move { redeem(&store, partner, " SPRING ").await });
    }
    let (mut redeemed, mut full) = (0, 0);
    while let Some(answer) = racing.join_next().await {
        match answer.expect("no panic") {
            Ok(_) => redeemed += 1,
            Err(StoreError::Conflict { message, .. }) if message.contains("as often as it may be") => full += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((redeemed, full), (10, 30));
    let line = store.coupons().await.expect("coupons").remove(0);
    assert_eq!(line.redemptions, 10);
    let mut held = 0;
    for partner in partners {
        held += store.redeemed_coupons(partner, now()).await.expect("coupons").len();
    }
    assert_eq!(held, 10);
}

#[tokio::test]
async fn a_partner_redeems_it_once_however_often_it_asks_at_once() {
    let store = test_db::store().await;
    put(&store, "spring", json!({"name": "Spring", "percent": "25"})).await;
    let partner = World::new(&store).await.partner;
    let mut racing = JoinSet::new();
    for _ in 0..10 {
        let store: Store = (*store).clone();
        racing.spawn(async move { redeem(&store, partner, "spring").await.is_ok() });
    }
    assert_eq!(racing.join_all().await.into_iter().filter(|redeemed| *redeemed).count(), 1);
    assert_eq!(store.coupons().await.expect("coupons")[0].redemptions, 1);
}

/// Neither waits for what the other holds and then for what it wants.
#[tokio::test]
async fn it_is_changed_while_partners_redeem_it() {
    let store = test_db::store().await;
    put(&store, "spring", json!({"name": "Spring", "percent": "25"})).await;
    let mut racing = JoinSet::new();
    for number in 0..40 {
        let partner = World::named(&store, &format!("p{number}")).await.partner;
        let redeeming: Store = (*store).clone();
        racing.spawn(async move { redeem(&redeeming, partner, "spring").await.map(|_| ()) });
        let saving: Store = (*store).clone();
        let changed = coupon(json!({"name": format!("Spring {number}"), "percent": "25"}));
        racing.spawn(async move { saving.put_coupon("spring", &changed, Actor::System, now()).await });
    }
    while let Some(answer) = racing.join_next().await {
        answer.expect("no panic").expect("no deadlock");
    }
    assert_eq!(store.coupons().await.expect("coupons")[0].redemptions, 40);
}

/// The log says of one that it is new, and of the others what was there before.
#[tokio::test]
async fn of_those_who_put_a_new_one_at_once_one_adds_it() {
    let store = test_db::store().await;
    let mut racing = JoinSet::new();
    for number in 0..8 {
        let saving: Store = (*store).clone();
        let new = coupon(json!({"name": format!("Spring {number}"), "percent": "25"}));
        racing.spawn(async move { saving.put_coupon("spring", &new, Actor::System, now()).await });
    }
    racing.join_all().await.into_iter().for_each(|answer| answer.expect("saved"));
    let log = store.all_audit_page(None, 50).await.expect("the log");
    assert_eq!(log.items.iter().filter(|entry| entry.before.is_none()).count(), 1);
    assert_eq!(log.items.len(), 8);
}

async fn shop() -> (TestStore, PartnerId) {
    let store = test_db::store().await;
    let partner = World::new(&store).await.partner;
    on_plan(&store, partner, "pro", json!({"currency": "USD", "products": []})).await;
    (store, partner)
}

#[tokio::test]
async fn what_cannot_be_redeemed_says_why() {
    let (store, partner) = shop().await;
    put(&store, "gone", json!({"name": "Gone", "percent": "5", "withdrawn": true})).await;
    put(&store, "late", json!({"name": "Late", "percent": "5", "redeem_until": now()})).await;
    put(&store, "euros", json!({"name": "Euros", "amount": "5", "currency": "EUR"})).await;
    put(&store, "pro-only", json!({"name": "Pro", "percent": "5", "plans": ["pro"]})).await;
    assert_eq!(refusal(redeem(&store, partner, "nothing").await), "There is no coupon of this code");
    for code in ["gone", "late"] {
        assert_eq!(refusal(redeem(&store, partner, code).await), "This coupon can no longer be redeemed");
    }
    assert_eq!(refusal(redeem(&store, partner, "euros").await), "This coupon is not for your plan");
    redeem(&store, partner, "pro-only").await.expect("redeemed");
    assert!(refusal(redeem(&store, partner, "pro-only").await).contains("once for each partner"));
    // An operator gives what is for a plan to come.
    let given = store.redeem_coupon(partner, "euros", OrderedBy::Operator, Actor::System, now()).await;
    assert_eq!(given.expect("given").redeemed_by, OrderedBy::Operator);
    for number in 0..8 {
        let code = format!("more-{number}");
        put(&store, &code, json!({"name": code, "percent": "5"})).await;
        redeem(&store, partner, &code).await.expect("redeemed");
    }
    put(&store, "eleventh", json!({"name": "Eleventh", "percent": "5"})).await;
    assert!(refusal(redeem(&store, partner, "eleventh").await).contains("ten coupons"));
    store.take_coupon_back(partner, "pro-only", Actor::System, now()).await.expect("taken back");
    redeem(&store, partner, "eleventh").await.expect("there is room");
    assert!(refusal(redeem(&store, partner, "pro-only").await).contains("once for each partner"));
    let again = store.take_coupon_back(partner, "pro-only", Actor::System, now()).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_change_is_for_redemptions_to_come_and_allows_no_fewer_than_there_were() {
    let (store, partner) = shop().await;
    put(&store, "spring", json!({"name": "Spring", "percent": "25"})).await;
    redeem(&store, partner, "spring").await.expect("redeemed");
    let other = World::named(&store, "bolt").await.partner;
    redeem(&store, other, "spring").await.expect("redeemed");
    put(&store, "spring", json!({"name": "Summer", "percent": "5"})).await;
    let held = store.redeemed_coupons(partner, now()).await.expect("coupons").remove(0);
    assert_eq!(held.coupon.name, "Spring");
    let fewer = coupon(json!({"name": "Summer", "percent": "5", "max_redemptions": 1}));
    let refused = store.put_coupon("spring", &fewer, Actor::System, now()).await.expect_err("refused");
    assert!(refused.to_string().contains("2 partners have redeemed it"), "{refused}");
    let unknown = coupon(json!({"name": "Summer", "percent": "5", "plans": ["gold"]}));
    let refused = store.put_coupon("spring", &unknown, Actor::System, now()).await.expect_err("refused");
    assert!(refused.to_string().contains("gold"), "{refused}");
    let log = store.all_audit_page(None, 50).await.expect("the log");
    let actions: Vec<_> = log.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "coupon.redeem").count(), 2);
    assert_eq!(actions.iter().filter(|action| **action == "coupon.save").count(), 2);
}
