//! A plan's terms: the form with a look at what they would cost, and what a partner reads of those it has.

use crate::{
    company::{Company, new_plan, new_product, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
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
    assert_eq!(after.versions[0].terms.base_fee_micros, 59_000_000);
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
    assert!(shown.status == StatusCode::OK && shown.text.contains("known-ledger"), "{}", shown.text);
    assert!(!shown.text.contains("quiet-ledger"), "{}", shown.text);
}
