//! Changes of plan in the portal and the console: shown, confirmed, planned, taken back.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{plan::Approval, role::OperatorRole};
use store::{Actor, NewPlan};

async fn priced(portal: &Portal, code: &str, euros: i64, private: bool) {
    let plan = new_plan(code, "open-ledger", private, Approval::Automatic);
    let terms = domain::plan::PlanTerms { base_fee_micros: euros * 1_000_000, ..plan.terms };
    portal.store.create_plan(&NewPlan { terms, ..plan }, Actor::System, portal.now()).await.expect("a plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_goes_up_at_once_and_down_or_away_when_the_period_ends() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let store = &portal.store;
    priced(&portal, "large", 100, false).await;
    priced(&portal, "small", 10, false).await;
    priced(&portal, "secret", 100, true).await;
    let mut owner = portal.as_member(acme.owner).await;
    let on = async || store.subscription(acme.id).await.expect("answered").expect("a plan").plan_code;

    let shown = owner.get("/plan/change?to=large").await;
    assert!(shown.text.contains("At once") && shown.text.contains("Fee of the new plan"), "{}", shown.text);
    let blind = owner.post("/do/plan/choose", &[("plan", "large")]).await;
    assert!(blind.problems().contains("Look at what the change means"), "{}", blind.problems());
    assert_eq!(blind.location(), "/plan/change?to=large");
    let done = owner.post("/do/plan/choose", &[("plan", "large"), ("preview", &shown.hidden("preview"))]).await;
    assert!(done.problems().is_empty() && done.location() == "/plan", "{}", done.problems());
    assert_eq!(on().await, "large");
    let again = owner.post("/do/plan/choose", &[("plan", "large"), ("preview", &shown.hidden("preview"))]).await;
    assert!(!again.problems().is_empty(), "what was confirmed is not confirmed twice");
    assert_eq!(owner.get("/plan/change?to=secret").await.status, StatusCode::NOT_FOUND);

    let shown = owner.get("/plan/change?to=small").await;
    assert!(shown.text.contains("when the period ends"), "{}", shown.text);
    owner.post("/do/plan/choose", &[("plan", "small"), ("preview", &shown.hidden("preview"))]).await;
    let waits = store.scheduled_change(acme.id).await.expect("answered").expect("a change");
    let plan = owner.get("/plan").await.text;
    assert!(on().await == "large" && plan.contains("A change is planned") && plan.contains("/do/plan/keep"), "{plan}");
    let bolt = Company::found(&portal, "bolt").await;
    let theirs = portal.as_member(bolt.owner).await.post("/do/plan/keep", &[("change", &waits.id.to_string())]).await;
    assert!(!theirs.problems().is_empty());
    let kept = owner.post("/do/plan/keep", &[("change", &waits.id.to_string())]).await;
    assert!(kept.problems().is_empty(), "{}", kept.problems());
    assert!(store.scheduled_change(acme.id).await.expect("answered").is_none());

    let shown = owner.get("/plan/cancel").await;
    assert!(shown.text.contains("refused with 403"), "what happens to keys is said before: {}", shown.text);
    let ended = owner.post("/do/plan/cancel", &[("preview", &shown.hidden("preview"))]).await;
    assert!(ended.problems().is_empty(), "{}", ended.problems());
    let waits = store.scheduled_change(acme.id).await.expect("answered").expect("a change");
    assert!(waits.to.is_none());
    let told = store.all_mails(20).await.expect("mails");
    assert!(told[0].subject.starts_with("large ends on"), "{}", told[0].subject);
    let nobody = portal.as_member(bolt.owner).await.get("/plan").await;
    assert!(!nobody.text.contains("A change is planned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_it_means_and_says_when() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let store = &portal.store;
    priced(&portal, "secret", 100, true).await;
    let version =
        store.find_plan_by_code("secret").await.expect("answered").expect("a plan").versions[0].id.to_string();
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let page = format!("/console/partners/{}/plan?version={version}&when=period_end", acme.id);
    let shown = admin.get(&page).await;
    assert!(shown.text.contains("when the period ends"), "{}", shown.text);
    let partner = acme.id.to_string();
    let token = shown.hidden("preview");
    let fields = |when: &'static str| {
        [
            ("partner", partner.clone()),
            ("version", version.clone()),
            ("when", when.to_owned()),
            ("preview", token.clone()),
        ]
    };
    let send = async |admin: &mut crate::browser::Browser, when| {
        let fields = fields(when);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        admin.post("/do/console/partners/assign", &fields).await
    };
    let other = send(&mut admin, "at_once").await;
    assert!(!other.problems().is_empty(), "another time than was shown");
    let done = send(&mut admin, "period_end").await;
    assert!(done.problems().is_empty(), "{}", done.problems());
    let waits = store.scheduled_change(acme.id).await.expect("answered").expect("a change");
    assert!(admin.get(&format!("/console/partners/{partner}")).await.text.contains("A change is planned"));
    let kept =
        admin.post("/do/console/partners/keep-plan", &[("partner", &partner), ("change", &waits.id.to_string())]).await;
    assert!(kept.problems().is_empty(), "{}", kept.problems());
    let shown = admin.get(&format!("/console/partners/{partner}/plan?version=none&when=at_once")).await;
    let fields = [
        ("partner", partner.as_str()),
        ("version", "none"),
        ("when", "at_once"),
        ("preview", &shown.hidden("preview")),
    ];
    let ended = admin.post("/do/console/partners/assign", &fields).await;
    assert!(ended.problems().is_empty(), "{}", ended.problems());
    assert!(store.subscription(acme.id).await.expect("answered").is_none());
    let nothing = admin.get(&format!("/console/partners/{partner}/plan?version=nonsense")).await;
    assert!(nothing.status == StatusCode::OK && nothing.text.contains("Nothing to change"));
}
