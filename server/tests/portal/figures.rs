//! One number everywhere: what pages say about the same period.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{plan::Approval, role::OperatorRole};
use serde_json::json;
use store::{Actor, NewCreditGrant};

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

#[tokio::test(flavor = "multi_thread")]
async fn members_see_what_credit_is_left_where_their_plan_spends_some() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut owner = portal.as_member(acme.owner).await;
    assert!(!owner.get("/home").await.text.contains("Prepaid units"), "the plan spends none");
    let mut plan = new_plan("prepaid", "acme-ledger", true, Approval::Automatic);
    plan.terms.admission.credit.required = true;
    plan.terms.quota = serde_json::from_value(json!({ "units": 2, "beyond": "block" })).expect("a quota");
    let plan = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("changed");
    assert!(owner.get("/home").await.text.contains("there are none yet: ask Toll"));
    let grant = NewCreditGrant::new(1_240, "Bought");
    store.grant_credit(acme.id, &grant, Actor::System, now).await.expect("granted");
    for page in ["/home", "/plan"] {
        let text = owner.get(page).await.text;
        assert!(text.contains("0 of 1,240 units") && text.contains("1,240 units left."), "{page}: {text}");
    }
    // Not "are refused", as beyond any other quota that blocks.
    assert!(owner.get("/home").await.text.contains("Calls beyond it take prepaid credit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_a_gateway_keeps_to_itself_is_said_to_be_missing_on_both_usage_pages_and_in_the_file() {
    const SAID: &str = "Some usage is missing here";
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut owner = portal.as_member(acme.owner).await;
    let mut operator = portal.as_operator(portal.operator(OperatorRole::Viewer).await).await;
    // The company's call came through a node of its name.
    store.caught_up("acme", 0, now).await.expect("noted");
    for (page, browser) in [("/usage", &mut owner), ("/console/usage", &mut operator)] {
        let text = browser.get(page).await.text;
        assert!(!text.contains(SAID) && !text.contains("chart-hatch"), "{page}: {text}");
    }

    let silent = now - jiff::SignedDuration::from_hours(24 * 3);
    store.caught_up("lost-node", 0, silent).await.expect("noted");
    let page = owner.get("/usage").await.text;
    assert!(page.contains(SAID) && page.contains("has not handed over its calls since"), "{page}");
    assert!(page.contains("Hatched: usage is missing") && page.contains("chart-hatch"), "{page}");
    assert!(page.contains("(incomplete)") && page.contains("no data"), "in the table, too: {page}");
    assert!(!page.contains("lost-node"), "partners have nothing to do with our machines");
    let page = operator.get("/console/usage").await.text;
    assert!(page.contains(SAID) && page.contains("Gateway lost-node has not handed over"), "{page}");
    let file = owner.get("/usage.csv").await.text;
    assert!(file.lines().next().is_some_and(|head| head.ends_with(",complete")), "{file}");
    assert!(file.lines().skip(1).all(|row| row.ends_with(",false")) && file.lines().count() > 1, "{file}");
    // A partner without a call sees no empty page that looks like nothing used.
    let quiet = Company::found(&portal, "quiet").await;
    let mut member = portal.as_member(quiet.owner).await;
    let test_calls = member.get("/usage?environment=test").await.text;
    assert!(test_calls.contains(SAID) && !test_calls.contains("There were no calls"), "{test_calls}");
    let file = member.get("/usage.csv?environment=test").await.text;
    assert_eq!(file.lines().count(), 2, "one row that says that it is not complete: {file}");

    store.forget_node("lost-node", None).await.expect("forgotten");
    let page = owner.get("/usage").await.text;
    assert!(!page.contains(SAID) && !page.contains("chart-hatch"), "{page}");
}
