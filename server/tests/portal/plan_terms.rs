//! A plan's terms: the form with a look at what they would cost, and what a partner reads of those it has.

use crate::{
    company::{Company, new_plan, new_product, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
    period::Alignment,
    plan::{Approval, Grant, PlanTerms},
    product::Visibility,
    rating::{matrix::Cell, price::Price},
    role::OperatorRole,
};
use store::{Actor, NewPlan};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_looked_at_is_saved_with_all_of_its_form() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let id = portal.store.find_plan_by_code("starter").await.expect("answered").expect("a plan").id;
    let text = id.to_string();
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let fields = [
        ("plan[id]", text.as_str()),
        ("plan[preview]", "true"),
        ("plan[name]", "Starter renamed"),
        ("plan[summary]", "Another summary"),
        ("plan[position]", "7"),
        ("plan[approval]", "queue"),
        ("plan[private]", "true"),
        ("plan[currency]", "EUR"),
        ("plan[interval]", "month"),
        ("plan[periods]", "calendar"),
        ("plan[grace_days]", "14"),
        ("plan[base_fee]", "59.00"),
        ("plan[model]", "free"),
        ("plan[opens][open-ledger]", "all"),
    ];
    let looked = admin.post("/do/console/plans/save", &fields).await;
    let (page, draft) = looked.location().split_once("?terms=").expect("the page with the terms");
    assert_eq!(page, format!("/console/plans/{text}/impact"), "{}", looked.problems());
    let shown = admin.get(looked.location()).await;
    assert!(shown.status == StatusCode::OK && shown.text.contains("€59"), "{}", shown.text);
    let before = portal.store.plan(id).await.expect("a plan");
    assert_eq!((before.meta.name.as_str(), before.versions.len()), ("starter", 1), "a look changes nothing");

    let other = portal.store.find_plan_by_code("enterprise").await.expect("answered").expect("a plan").id.to_string();
    let elsewhere = admin.post("/do/console/plans/publish", &[("plan", &other), ("terms", draft)]).await;
    assert!(elsewhere.problems().contains("fill in the form again"), "{}", elsewhere.problems());
    let saved = admin.post("/do/console/plans/publish", &[("plan", &text), ("terms", draft)]).await;
    assert!(saved.flash.notice.is_some_and(|notice| notice.starts_with("Saved as a new version")));
    let after = portal.store.plan(id).await.expect("a plan");
    let meta = &after.meta;
    assert_eq!((meta.name.as_str(), meta.summary.as_str()), ("Starter renamed", "Another summary"));
    assert_eq!((meta.position, meta.approval, meta.private), (7, Approval::Queue, true));
    let terms = &after.versions[0].terms;
    assert_eq!((terms.base_fee_micros, terms.periods), (59_000_000, Alignment::Calendar));
    assert_eq!(terms.changes.grace_days, 14);
    let form = admin.get(&format!("/console/plans/{text}")).await;
    assert!(form.text.contains("plan[periods]"), "{}", form.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terms_before_a_change_name_no_product_that_the_partner_may_not_see() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    for name in ["quiet", "known"] {
        let visibility = if name == "quiet" { Visibility::Invitation } else { Visibility::Plan };
        let product = new_product(name, visibility, "http://127.0.0.1:1");
        store.create_product(&product, Actor::System, now).await.expect("a product");
    }
    let plan = new_plan("own", "open-ledger", true, Approval::Automatic);
    let codes = ["quiet-ledger", "known-ledger"];
    let cell =
        |code: &str| Cell { product: code.to_owned(), operation: None, unit_price: "0.5".parse().expect("a decimal") };
    let terms = PlanTerms {
        products: codes.map(|code| Grant { product: code.to_owned(), operations: None }).to_vec(),
        price: Price::Matrix {
            included: 0,
            cells: codes.map(cell).to_vec(),
            otherwise: "1".parse().expect("a decimal"),
        },
        ..plan.terms
    };
    let plan = store.create_plan(&NewPlan { terms, ..plan }, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("changed");
    let shown = portal.as_member(acme.owner).await.get("/plan/change?to=starter").await;
    assert!(shown.status == StatusCode::OK && shown.text.contains("known ledger"), "{}", shown.text);
    assert!(!shown.text.contains("quiet-ledger") && !shown.text.contains("quiet ledger"), "{}", shown.text);
}

/// A whole form of the console, with each price model that it has fields for.
#[tokio::test(flavor = "multi_thread")]
async fn prices_by_operation_of_meters_and_of_offers_are_entered_shown_again_and_told_beside_their_fields() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut product = new_product("metered", Visibility::Plan, "http://127.0.0.1:1");
    product.policy = serde_json::from_value(serde_json::json!({ "meters": { "paid": {
        "name": "Paid", "unit": "cent", "kind": "sum", "value": { "header": { "name": "X-Paid" } } } } }))
    .expect("a policy");
    portal.store.create_product(&product, Actor::System, portal.now()).await.expect("a product");
    let id = portal.store.find_plan_by_code("starter").await.expect("answered").expect("a plan").id;
    let text = id.to_string();
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let form = async |admin: &mut crate::browser::Browser, percent: &str| {
        let fields = [
            ("plan[id]", text.as_str()),
            ("plan[name]", "Starter"),
            ("plan[currency]", "EUR"),
            ("plan[interval]", "month"),
            ("plan[model]", "matrix"),
            ("plan[included_units]", "10"),
            ("plan[opens][metered-ledger]", "all"),
            ("plan[matrix][what][]", "metered-ledger/meteredListEntries"),
            ("plan[matrix][price][]", "0.02"),
            ("plan[matrix][what][]", "metered-ledger"),
            ("plan[matrix][price][]", "0.005"),
            ("plan[matrix][what][]", ""),
            ("plan[matrix][price][]", ""),
            ("plan[matrix][otherwise]", "0.001"),
            ("plan[meters][asked]", "true"),
            ("plan[meters][meter][]", "metered-ledger/paid"),
            ("plan[meters][model][]", "percentage"),
            ("plan[meters][included][]", ""),
            ("plan[meters][percent][]", percent),
            ("plan[meters][unit_value][]", "0.01"),
            ("plan[meters][fixed][]", "0.30"),
            ("plan[meters][cap][]", "500"),
            ("plan[offers][asked]", "true"),
            ("plan[offers][name][]", "Ramp"),
            ("plan[offers][periods][]", "3"),
            ("plan[offers][from][]", ""),
            ("plan[offers][until][]", ""),
            ("plan[offers][base_fee][]", ""),
            ("plan[offers][included][]", "100"),
            ("plan[offers][unit_price][]", "0.004"),
        ];
        admin.post("/do/console/plans/save", &fields).await
    };
    let refused = form(&mut admin, "101").await;
    assert!(refused.problems().contains("Percent are 0 to 100"), "{}", refused.problems());
    let shown = admin.get(refused.location()).await.text;
    // The link of the summary leads to the field, which has what was typed.
    assert!(
        shown.contains("#field-meters[0].price.percent") && shown.contains("id=\"field-meters[0].price.percent\""),
        "{shown}"
    );
    assert!(
        shown.contains("value=\"101\"") && shown.contains("value=\"metered-ledger/meteredListEntries\""),
        "{shown}"
    );

    let saved = form(&mut admin, "2.9").await;
    assert!(saved.problems().is_empty(), "{}", saved.problems());
    let terms = portal.store.plan(id).await.expect("a plan").versions[0].terms.clone();
    let told = serde_json::to_value(&terms).expect("written");
    let price = serde_json::json!({ "model": "matrix", "included": 10, "otherwise": "0.001", "cells": [
        { "product": "metered-ledger", "operation": "meteredListEntries", "unit_price": "0.02" },
        { "product": "metered-ledger", "unit_price": "0.005" } ] });
    let meters = serde_json::json!([{ "product": "metered-ledger", "meter": "paid", "price": { "model": "percentage",
        "included": 0, "unit_value": "0.01", "percent": "2.9", "fixed": "0.30", "cap": "500" } }]);
    let phases = serde_json::json!([{ "name": "Ramp", "periods": 3,
        "instead": { "price": { "model": "per_unit", "included": 100, "unit_price": "0.004" } } }]);
    assert_eq!((&told["price"], &told["meters"], &told["phases"]), (&price, &meters, &phases));
    // The form begins with all of it.
    let page = admin.get(&format!("/console/plans/{id}")).await.text;
    for value in ["0.02", "0.005", "0.001", "metered-ledger/paid", "2.9", "0.30", "500", "Ramp", "0.004"] {
        assert!(page.contains(&format!("value=\"{value}\"")), "{value} is missing: {page}");
    }
}
