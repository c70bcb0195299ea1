//! Bulk moves through forms: an operator looks and orders, a partner sees what differs and how to leave, the operator cancels.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use billing::{News, Recipient};
use domain::{plan::Approval, role::OperatorRole};
use store::Actor;

const ORDER: &str = "/do/console/plans/order-move";

fn order<'a>(plan: &'a str, to: &'a str, notice_days: &'a str, preview: &'a str) -> [(&'static str, &'a str); 5] {
    [("plan", plan), ("to", to), ("notice_days", notice_days), ("reason", "Costs rose"), ("preview", preview)]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_orders_what_was_shown_and_the_partner_sees_what_differs() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut versions = Vec::new();
    for (code, euros) in [("leaving", 49), ("coming", 77)] {
        let mut plan = new_plan(code, "open-ledger", false, Approval::Automatic);
        plan.terms.base_fee_micros = euros * 1_000_000;
        let plan = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
        versions.push((plan, store.plan(plan).await.expect("a plan").versions[0].id));
    }
    let [(from, had), (_, to)] = versions[..] else { panic!("two plans") };
    store.assign_plan_version(acme.id, had, Actor::System, now).await.expect("changed");
    let mut reader = portal.as_operator(portal.operator(OperatorRole::Viewer).await).await;
    let mut console = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let mut owner = portal.as_member(acme.owner).await;
    let mut viewer = portal.as_member(acme.viewer).await;

    let place = format!("/console/plans/{from}/moves");
    let page = console.get(&format!("/console/plans/{from}")).await.text;
    assert!(page.contains(&format!("href=\"{place}\"")), "it is reached by a link: {page}");
    let page = console.get(&place).await.text;
    assert!(page.contains("Plan a move") && !page.contains("order-move"), "{page}");
    let looked = |days: &str| format!("{place}?version=&to={to}&notice_days={days}&reason=Costs+rose");
    let wrong = console.get(&looked("0")).await.text;
    assert!(
        wrong.contains("1 to 366 days") && wrong.contains("Costs rose") && !wrong.contains("order-move"),
        "{wrong}"
    );
    let gone = format!("{place}?to=planver_00000000000000000000000000000001&notice_days=30");
    let gone = console.get(&gone).await;
    assert!(gone.status == StatusCode::OK && !gone.text.contains("order-move"), "{}", gone.text);
    let shown = console.get(&looked("30")).await;
    assert!(shown.text.contains(ORDER) && shown.text.contains("€77.00"), "{}", shown.text);
    let seen = reader.get(&looked("30")).await.text;
    assert!(seen.contains("€77.00") && !seen.contains("order-move"), "who reads does not order: {seen}");

    assert!(owner.get("/plan/move").await.text.contains("Nothing is planned"));
    let (plan, version) = (from.to_string(), to.to_string());
    // What no browser would send comes back as it was typed, each thing that is wrong said once.
    let odd = console.post(ORDER, &order(&plan, &version, "none", "")).await;
    assert_eq!(odd.location(), place);
    let page = console.get(&place).await.text;
    assert_eq!(page.matches("A notice is 1 to 366 days long").count(), 2, "above, and beside its field: {page}");
    for kept in ["value=\"none\"", "value=\"Costs rose\"", &format!("value=\"{to}\" selected")] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    // Somebody comes to the plan meanwhile: it is shown anew, with what was typed.
    let bolt = Company::found(&portal, "bolt").await;
    store.assign_plan_version(bolt.id, had, Actor::System, portal.now()).await.expect("changed");
    let refused = console.post(ORDER, &order(&plan, &version, "30", &shown.hidden("preview"))).await;
    assert!(refused.problems().contains("nothing was ordered"), "{}", refused.problems());
    assert!(store.plan_moves().await.expect("moves").is_empty());
    let shown = console.get(refused.location()).await;
    for words in ["nothing was ordered", "bolt", "acme", "value=\"Costs rose\"", ORDER] {
        assert!(shown.text.contains(words), "{words}: {}", shown.text);
    }
    let token = shown.hidden("preview");
    let fields = order(&plan, &version, "30", &token);
    let ordered = console.post(ORDER, &fields).await;
    assert!(ordered.problems().is_empty(), "{}", ordered.problems());
    let settings = portal.state.settings.clone();
    let letter = |to: &Recipient, news: &News| app::plan_letters::letter(&settings, to, news);
    assert!(billing::follow_moves(store, &letter, portal.now()).await.expect("told") > 0);
    let told = store.all_mails(50).await.expect("mails");
    let told = told.iter().find(|mail| mail.subject.starts_with("Your plan becomes coming")).expect("a mail");
    assert!(
        told.body_text.contains("Costs rose") && told.body_text.contains("another plan or none"),
        "{}",
        told.body_text
    );
    let twice = console.post(ORDER, &fields).await;
    assert!(twice.problems().contains("under way"), "{}", twice.problems());

    let page = owner.get("/plan").await.text;
    for words in ["A change is planned", "moves its partners off this plan", "Costs rose", "/plan/move", "/plan/cancel"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("/do/plan/keep"), "it cannot stay: {page}");
    let page = viewer.get("/plan").await.text;
    assert!(page.contains("moves its partners off this plan") && !page.contains("/plan/move"), "{page}");
    assert_eq!(viewer.get("/plan/move").await.status, StatusCode::FORBIDDEN);
    let page = owner.get("/plan/move").await.text;
    for words in ["€49.00", "€77.00", "Costs rose", "If you do nothing", "href=\"/plan/cancel\""] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let page = console.get(&place).await.text;
    assert!(page.contains("Under way") && page.contains("cancel-move"), "{page}");
    let id = store.plan_moves().await.expect("moves")[0].id.to_string();
    let fields = [("plan", plan.as_str()), ("plan_move", id.as_str())];
    assert!(reader.post("/do/console/plans/cancel-move", &fields).await.status != StatusCode::SEE_OTHER);
    let cancelled = console.post("/do/console/plans/cancel-move", &fields).await;
    let page = console.get(cancelled.location()).await.text;
    assert!(page.contains("the others stay") && page.contains("Ended"), "{page}");
    assert!(!owner.get("/plan").await.text.contains("A change is planned"));
    assert!(owner.get("/plan/move").await.text.contains("Nothing is planned"));
}
