//! What an operator sees and does of what Stripe holds otherwise than we.

use crate::{
    browser::Browser,
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::role::OperatorRole;
use store::stripe_drift::{Drift, DriftKind};

const LIST: &str = "/console/stripe-drift";

fn drift(company: &Company, kind: DriftKind, field: &str, theirs: &str) -> Drift {
    let is_customer = kind == DriftKind::Customer;
    Drift {
        kind,
        object: if is_customer { company.id.to_string() } else { "turnpike_starter_1_payments".to_owned() },
        field: field.to_owned(),
        partner: is_customer.then_some(company.id),
        stripe_id: "cus_1".to_owned(),
        ours: "Acme".to_owned(),
        theirs: theirs.to_owned(),
    }
}

async fn console(portal: &Portal, role: OperatorRole) -> Browser {
    portal.as_operator(portal.operator(role).await).await
}

/// The differences that a page lets somebody accept.
fn open(text: &str) -> Vec<String> {
    let forms = text.split("action=\"/do/console/stripe-drift/accept\"").skip(1);
    forms
        .filter_map(|form| form.split("name=\"drift\" value=\"").nth(1)?.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_both_values_and_accepts_one_and_has_the_other_written() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    assert!(admin.get(LIST).await.text.contains("Stripe is not set up"));
    assert!(admin.get("/console").await.text.contains(&format!("href=\"{LIST}\"")), "a link leads there");
    let now = portal.now();
    let found = [
        drift(&acme, DriftKind::Customer, "name", "<b>Akme"),
        drift(&acme, DriftKind::Price, "tiers", ""),
        drift(&acme, DriftKind::Customer, "only", "also cus_2"),
    ];
    portal.store.keep_stripe_drift(&found, 9, now, now).await.expect("kept");
    let page = admin.get(LIST).await.text;
    assert!(page.contains("&lt;b&gt;Akme") && !page.contains("<b>Akme"), "what Stripe says is never markup");
    assert!(page.contains("another price with the same lookup key"), "{page}");
    assert_eq!(open(&page).len(), 3);
    assert_eq!(page.matches("action=\"/do/console/stripe-drift/write\"").count(), 2, "not of what cannot be written");
    assert!(admin.get("/console").await.text.contains("Stripe holds other values than we"));
    let own = admin.get(&format!("{LIST}?kind=customer&partner={}", acme.id)).await.text;
    assert_eq!(open(&own).len(), 2);
    assert!(admin.get(&format!("{LIST}?state=accepted")).await.text.contains("Stripe is not set up"));
    for nonsense in ["?state=x", "?kind=x", "?partner=x", "?after=x"] {
        assert_eq!(admin.get(&format!("{LIST}{nonsense}")).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }

    let id = open(&admin.get(&format!("{LIST}?kind=price")).await.text).remove(0);
    let answer = admin.post("/do/console/stripe-drift/accept", &[("drift", id.as_str()), ("note", "  ")]).await;
    assert!(answer.problems().starts_with("note: "), "{}", answer.problems());
    let answer =
        admin.post("/do/console/stripe-drift/accept", &[("drift", id.as_str()), ("note", "By contract")]).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    assert!(admin.get(&format!("{LIST}?state=accepted")).await.text.contains("By contract"));
    let fields = [("drift", id.as_str())];
    let answer = admin.post("/do/console/stripe-drift/write", &fields).await;
    assert!(answer.flash.notice.is_some(), "what was accepted can still be written: {}", answer.problems());
    assert!(admin.post("/do/console/stripe-drift/write", &fields).await.problems().contains("somebody was faster"));
    assert_eq!(portal.store.asked_stripe_drift().await.expect("asked").len(), 1);
    let answer = admin.post("/do/console/stripe-drift/compare", &[]).await;
    assert!(answer.problems().contains("not set up"), "{}", answer.problems());

    let mut viewer = console(&portal, OperatorRole::Viewer).await;
    let page = viewer.get(LIST).await.text;
    assert!(page.contains("Akme") && !page.contains("/do/console/stripe-drift"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_paid_back_is_sent_again_and_nothing_else_that_went_back() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    let money = |field: &str, theirs: &str| Drift {
        partner: Some(acme.id),
        object: field.to_owned(),
        ..drift(&acme, DriftKind::Invoice, field, theirs)
    };
    let failed = money("refund", "re_1 failed: expired or canceled card");
    let now = portal.now();
    let found = [failed.clone(), money("du_1", "A dispute is open")];
    portal.store.keep_stripe_drift(&found, 9, now, now).await.expect("kept");
    let page = admin.get(&format!("{LIST}?kind=invoice")).await.text;
    assert!(page.contains("expired or canceled card") && page.contains("A dispute is open"), "{page}");
    assert_eq!((page.matches(">Send again<").count(), page.matches(">Write ours<").count()), (1, 0), "{page}");
    let form = page.split("action=\"/do/console/stripe-drift/write\"").nth(1).expect("a form");
    let id = form.split("name=\"drift\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value");
    let answer = admin.post("/do/console/stripe-drift/write", &[("drift", id)]).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    let asked = portal.store.asked_stripe_drift().await.expect("asked");
    assert_eq!(asked.into_iter().map(|(drift, _)| drift).collect::<Vec<_>>(), [failed]);
}
