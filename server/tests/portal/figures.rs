//! One number everywhere: what pages say about the same period.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{plan::Approval, role::OperatorRole};
use serde_json::json;
use store::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_of_plan_the_quota_counts_the_whole_period_and_the_bill_its_part() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    // One live unit, five minutes ago.
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut plan = new_plan("measured", "acme-ledger", true, Approval::Automatic);
    plan.terms.quota = serde_json::from_value(json!({ "units": 1_000, "beyond": "block" })).expect("a quota");
    let plan = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("changed");

    let mut owner = portal.as_member(acme.owner).await;
    let home = owner.get("/home").await.text;
    assert!(home.contains("Units since the change of plan"), "{home}");
    assert!(home.contains("1 of 1,000 units"), "{home}");
    assert!(owner.get("/usage").await.text.contains("1 of 1,000 units"));
    let operator = portal.operator(OperatorRole::Admin).await;
    let page = portal.as_operator(operator).await.get(&format!("/console/partners/{}", acme.id)).await;
    assert!(page.text.contains("Live units since the change of plan"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_period_is_offered_from_before_the_partner_existed() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let page = portal.as_member(acme.owner).await.get("/usage?period=2020-01-01T00:00:00Z").await;
    assert_eq!(page.status, StatusCode::OK);
    let periods = page.text.split("name=\"period\"").nth(1).and_then(|rest| rest.split("</select>").next());
    assert_eq!(periods.expect("a list of periods").matches("<option").count(), 1, "it was founded just now");
}
