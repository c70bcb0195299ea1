//! Phases and promotions as people see them: on the price list, in the calculator, on the plan's page, in a preview and in the console.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use domain::{
    plan::{Approval, PlanTerms},
    role::OperatorRole,
};
use jiff::{ToSpan, tz::TimeZone};
use serde_json::json;
use store::{Actor, NewPlan};

/// 99.00 a month; 49.00 in the first three, 29.00 in those that begin until in 40 days, and an offer that is over.
async fn sell(portal: &Portal) -> String {
    let today = portal.now().to_zoned(TimeZone::UTC).date();
    let day = |days: i32| today.checked_add(days.days()).expect("a day");
    let fee = |micros: i64| json!({ "base_fee_micros": micros });
    let more = json!({
        "base_fee_micros": 99_000_000, "price": { "model": "per_unit", "unit_price": "0.01" },
        "phases": [{ "name": "Ramp", "periods": 3, "instead": fee(49_000_000) }],
        "promotions": [
            { "name": "Launch offer", "until": day(40), "instead": fee(29_000_000) },
            { "name": "Autumn sale", "from": day(-90), "until": day(-60), "instead": { "minimum_micros": 0 } },
        ],
    });
    let plan = new_plan("growing", "open-ledger", false, Approval::Automatic);
    let mut whole = serde_json::to_value(&plan.terms).expect("terms");
    whole.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    let terms: PlanTerms = serde_json::from_value(whole).expect("terms");
    portal.store.create_plan(&NewPlan { terms, ..plan }, Actor::System, portal.now()).await.expect("a plan");
    domain::rating::offers::long_day(day(40))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_and_until_when_is_read_wherever_the_price_is() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let until = sell(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let promotion = format!("Launch offer until {until}: €29.00 a month");

    let visitor = portal.browser().get("/pricing").await.text;
    for words in ["Ramp, the first 3 months: €49.00 a month", promotion.as_str(), "once all offers are over"] {
        assert!(visitor.contains(words), "{words} is missing: {visitor}");
    }
    assert!(!visitor.contains("Autumn sale until"), "it is over");
    let bill = visitor.split("data-total=\"growing\"").nth(1).expect("a bill");
    assert!(bill.contains("€29.00") && bill.contains(&format!("Base fee, Launch offer until {until}")), "{bill}");

    let mut owner = portal.as_member(acme.owner).await;
    let shown = owner.get("/plan/change?to=growing").await;
    assert!(shown.text.contains(&promotion), "{}", shown.text);
    // The promotion, then one month or two of the ramp, then the list price.
    let fee = shown.text.split("Fee of the new plan").nth(1).expect("the fee");
    let later: Vec<_> = ["€29.00", "€49.00 a month", "€99.00 a month"].iter().map(|amount| fee.find(amount)).collect();
    assert!(later.iter().all(Option::is_some) && later.is_sorted(), "{later:?} {fee}");
    owner.post("/do/plan/choose", &[("plan", "growing"), ("preview", &shown.hidden("preview"))]).await;
    let own = owner.get("/plan").await.text;
    assert!(own.contains("Offers of your plan") && own.contains(&promotion), "{own}");

    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let id = portal.store.find_plan_by_code("growing").await.expect("answered").expect("a plan").id;
    let console = admin.get(&format!("/console/plans/{id}")).await.text;
    assert!(console.contains("Autumn sale") && console.contains("Phases and promotions"), "{console}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_console_keeps_offers_in_the_next_version() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    sell(&portal).await;
    let plan = portal.store.find_plan_by_code("growing").await.expect("answered").expect("a plan");
    let before = plan.newest().expect("a version").terms.clone();
    let id = plan.id.to_string();
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let fields = |collect: &'static str| {
        [
            ("plan[id]", id.as_str()),
            ("plan[name]", "Growing"),
            ("plan[approval]", "automatic"),
            ("plan[currency]", "EUR"),
            ("plan[interval]", "month"),
            ("plan[base_fee]", "109.00"),
            ("plan[model]", "per_unit"),
            ("plan[unit_price]", "0.01"),
            ("plan[opens][open-ledger]", "all"),
            ("plan[collect]", collect),
        ]
    };
    let saved = admin.post("/do/console/plans/save", &fields("invoice_items")).await;
    assert!(saved.problems().is_empty(), "{}", saved.problems());
    let after = portal.store.plan(plan.id).await.expect("a plan").versions[0].terms.clone();
    assert_eq!(after.base_fee_micros, 109_000_000);
    assert_eq!((after.phases, after.promotions), (before.phases, before.promotions));
    let by_stripe = admin.post("/do/console/plans/save", &fields("meter_events")).await;
    assert!(by_stripe.problems().is_empty(), "{}", by_stripe.problems());
}
