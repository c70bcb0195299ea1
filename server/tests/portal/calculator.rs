//! The calculator on the price list, as the server renders it: the engine's cents, the viewer's own numbers, and no name that
//! the viewer may not know.

use crate::{
    company::{Company, new_plan, new_product, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
    plan::{Approval, Grant, PlanTerms},
    product::Visibility,
    rating::{Used, price::Price, rate},
};
use store::{Actor, NewPlan};

/// The figure beside the plan of that code.
fn total(page: &str, plan: &str) -> String {
    let mark = format!("data-total=\"{plan}\"");
    let rest = page.split(&mark).nth(1).unwrap_or_else(|| panic!("no bill of {plan}: {page}"));
    let text = rest.split('>').nth(1).and_then(|rest| rest.split('<').next());
    text.expect("a figure").to_owned()
}

async fn sell(portal: &Portal, code: &str, product: &str, terms: serde_json::Value) -> PlanTerms {
    let plan = new_plan(code, product, false, Approval::Automatic);
    let mut whole = serde_json::to_value(&plan.terms).expect("terms");
    whole.as_object_mut().expect("a map").extend(terms.as_object().expect("a map").clone());
    let terms: PlanTerms = serde_json::from_value(whole).expect("terms");
    let new = NewPlan { terms: terms.clone(), ..plan };
    portal.store.create_plan(&new, Actor::System, portal.now()).await.expect("a plan");
    terms
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_calls_shows_what_the_engine_says() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let steps = serde_json::json!({ "price": { "model": "graduated", "steps": [
        { "up_to": 100_000, "unit_price": "0.01" }, { "up_to": 500_000, "unit_price": "0.008" }, { "unit_price": "0.005" },
    ] }, "base_fee_micros": 0 });
    let graduated = sell(&portal, "steps", "open-ledger", steps).await;
    let block = serde_json::json!({ "quota": { "units": 1_000, "beyond": "block" } });
    sell(&portal, "small", "open-ledger", block).await;
    let mut nobody = portal.browser();
    for calls in [0, 1, 100_000, 100_001, 650_000] {
        let page = nobody.get(&format!("/pricing?calls%5Bopen-ledger%2FopenListEntries%5D={calls}")).await;
        assert_eq!(page.status, StatusCode::OK);
        let (product, operation) = ("open-ledger".to_owned(), "openListEntries".to_owned());
        let rated = rate(&graduated, &[Used { product, operation, units: calls, prepaid: 0 }]).expect("a bill");
        assert_eq!(total(&page.text, "steps"), rated.total.to_string(), "{calls} calls");
        assert_eq!(total(&page.text, "small"), "€49.00");
        assert_eq!(page.text.contains("units more than its quota"), calls > 1_000);
    }
    let wrong = nobody.get("/pricing?calls%5Bopen-ledger%2FopenListEntries%5D=many").await.text;
    assert!(wrong.contains("A whole number, at most") && !wrong.contains("data-total"), "{wrong}");
    let huge = nobody.get("/pricing?calls%5Bopen-ledger%2FopenListEntries%5D=1000000000000").await.text;
    assert!(total(&huge, "steps").starts_with("€5,000,00"), "{huge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_begins_with_its_own_last_thirty_days_and_its_own_plan() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    // One live unit, five minutes ago.
    let acme = Company::found(&portal, "acme").await;
    let bolt = Company::found(&portal, "bolt").await;
    let page = portal.as_member(acme.owner).await.get("/pricing").await.text;
    assert!(page.contains("calls[acme-ledger/acmeListEntries]") && page.contains("in the last 30 days"), "{page}");
    assert_eq!(total(&page, "acme-only"), "€49.00");
    assert!(page.contains("Your plan") && page.contains("Not opened by this plan"), "{page}");
    let field = page.split("calls[acme-ledger/acmeListEntries]").find(|rest| rest.contains("value=\"1\""));
    assert!(field.is_some(), "{page}");
    let empty = portal.as_member(acme.owner).await.get("/pricing?empty=true").await.text;
    assert!(!empty.contains("in the last 30 days"), "{empty}");
    for mut other in [portal.as_member(bolt.owner).await, portal.browser()] {
        let text = other.get("/pricing?calls%5Bacme-ledger%2FacmeListEntries%5D=5").await.text.to_lowercase();
        assert!(!text.contains("acme"), "{text}");
    }
}

/// What leaves for the browser is data, so all of it counts, not only what is seen.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_priced_of_an_operation_that_the_partners_plan_closes_does_not_leave_the_server() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut product = new_product("twofold", Visibility::Plan, "http://127.0.0.1:1");
    let mut vault = product.operations[0].clone();
    (vault.code, vault.path, vault.summary) =
        ("openVault".to_owned(), "/vault".to_owned(), "Open the vault".to_owned());
    product.operations.push(vault);
    portal.store.create_product(&product, Actor::System, portal.now()).await.expect("a product");
    let cells = serde_json::json!({ "price": { "model": "matrix", "otherwise": "1", "cells": [
        { "product": "twofold-ledger", "operation": "openVault", "unit_price": "7.77" },
    ] } });
    let dear = sell(&portal, "dear", "twofold-ledger", cells).await;
    assert!(matches!(dear.price, Price::Matrix { .. }));
    let acme = Company::found(&portal, "acme").await;
    let plan = new_plan("half", "twofold-ledger", true, Approval::Automatic);
    let half = Grant { product: "twofold-ledger".to_owned(), operations: Some(vec!["twofoldListEntries".to_owned()]) };
    let terms = PlanTerms { products: vec![half], ..plan.terms };
    let plan = portal.store.create_plan(&NewPlan { terms, ..plan }, Actor::System, portal.now()).await.expect("a plan");
    let version = portal.store.plan(plan).await.expect("a plan").versions[0].id;
    portal.store.assign_plan_version(acme.id, version, Actor::System, portal.now()).await.expect("assigned");
    let page = portal.as_member(acme.owner).await.get("/pricing").await.text;
    let section = page.split("id=\"calculator\"").nth(1).and_then(|rest| rest.split("pricing-compare").next());
    let section = section.expect("a calculator");
    assert!(section.contains("twofoldListEntries") && !section.contains("penVault"), "{section}");
    assert!(!section.contains("7.77") && !section.contains("the vault"), "{section}");
}
