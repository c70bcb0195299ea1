//! What an operator sees and does of usage that two places do not say the same of, and of what was told from outside.

use crate::{
    browser::Browser,
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
    id::TokenId,
    key_text::Environment,
    role::OperatorRole,
    usage::{cloud_event::TYPE, outside},
};
use jiff::SignedDuration;
use serde_json::json;
use store::{
    Actor,
    outside::{Teller, Told},
    reconcile::{Kind, ToldLane, ToldTally, hours_before},
};
use uuid::Uuid;

const LIST: &str = "/console/reconciliation";
const ACCEPT: &str = "/do/console/reconciliation/accept";

async fn console(portal: &Portal, role: OperatorRole) -> Browser {
    portal.as_operator(portal.operator(role).await).await
}

/// The company's gateway says that it served a call in each of so many hours, of which nothing is stored.
async fn lose_calls(portal: &Portal, company: &Company, hours: i64) {
    let (store, now) = (&portal.store, portal.now());
    let range = hours_before(now, SignedDuration::from_hours(hours));
    let tally = |hour: i64| ToldTally {
        partner: company.id,
        hour: range.start + SignedDuration::from_hours(hour),
        environment: Environment::Live,
        part: 0,
        calls: 7,
        units: 5,
    };
    let tallies = (0..hours).map(tally).collect();
    let told = ToldLane { lane: 0, epoch: 0, first: 0, through: 1, told: 0, tallies };
    store.tell_tallies(company.name, &[told], now).await.expect("told");
    // Without the hour that runs: the call that is stored is in it, or in the one before.
    let compared = domain::period::Period { start: range.start, end: range.start + SignedDuration::from_hours(hours) };
    store.reconcile_all(compared, &Kind::ALL, now).await.expect("compared");
}

/// The findings that a page lets somebody accept.
fn open(text: &str) -> Vec<String> {
    let fields = text.split("name=\"finding\" value=\"").skip(1);
    fields.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The address behind a page's "Next".
fn next(text: &str) -> Option<String> {
    let link = text.split("<a ").find(|link| link.contains("rel=\"next\""))?;
    Some(link.split("href=\"").nth(1)?.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_what_differs_where_it_matters_and_accepts_it_with_a_reason() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    let before = admin.get(LIST).await.text;
    assert!(before.contains("Nothing was compared yet"), "{before}");
    let partner = format!("/console/partners/{}", acme.id);
    let places = ["/console", "/console/invoices", &partner];
    for place in places {
        assert!(!admin.get(place).await.text.contains(&format!("href=\"{LIST}\">Look at")), "{place}");
    }
    let answer = admin.post("/do/console/reconciliation/run", &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, LIST));
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while portal.store.last_reconciliation().await.expect("an answer").is_none() {
        assert!(std::time::Instant::now() < limit, "it never ran");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(admin.get(LIST).await.text.contains("All places say the same"));

    lose_calls(&portal, &acme, 3).await;
    for place in places {
        let text = admin.get(place).await.text;
        assert!(text.contains("href=\"/console/reconciliation"), "{place}");
        assert!(text.contains("wait"), "{place}: {text}");
    }
    let page = admin.get(LIST).await.text;
    let found = open(&page);
    // Of an hour with a stored call other numbers differ, and in each hour calls and units.
    assert_eq!(found.len(), 6, "{page}");
    assert!(page.contains("Gateway and events: calls") && page.contains("acme"), "{page}");
    let own = admin.get(&format!("{LIST}?partner={}&kind=gateway", acme.id)).await.text;
    assert_eq!(open(&own).len(), 6);
    for filter in ["?kind=daily", "?state=resolved", "?state=accepted"] {
        let page = admin.get(&format!("{LIST}{filter}")).await.text;
        assert!(page.contains("Nothing matches") && open(&page).is_empty(), "{filter}: {page}");
    }
    for nonsense in ["?state=x", "?kind=x", "?partner=x", "?after=x"] {
        assert_eq!(admin.get(&format!("{LIST}{nonsense}")).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }

    let [first, ..] = found.as_slice() else { panic!("no finding") };
    let answer = admin.post(ACCEPT, &[("finding", first.as_str()), ("note", "  ")]).await;
    assert!(answer.problems().starts_with("note: "), "{}", answer.problems());
    let fields = [("finding", first.as_str()), ("note", "The disk of gateway 3")];
    let answer = admin.post(ACCEPT, &fields).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    assert_eq!(open(&admin.get(LIST).await.text).len(), 5);
    let accepted = admin.get(&format!("{LIST}?state=accepted")).await.text;
    assert!(accepted.contains("The disk of gateway 3"), "{accepted}");
    let audit = portal.store.audit_page(acme.id, None, 50).await.expect("an audit trail").items;
    let entry = audit.iter().find(|entry| entry.action == "usage.accept_drift").expect("an entry");
    assert_eq!((entry.actor_kind.as_str(), &entry.subject), ("operator", first));
    assert_eq!(entry.after.as_ref().map(|after| after["note"].clone()), Some("The disk of gateway 3".into()));
    let again = admin.post(ACCEPT, &fields).await;
    assert!(again.problems().contains("somebody was faster"), "{}", again.problems());
    portal.store.accept_findings("all of them", Actor::System, portal.now()).await.expect("accepted");
    assert!(!admin.get("/console").await.text.contains("do not say the same"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_sees_the_findings_and_no_button_and_very_many_come_page_by_page() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    lose_calls(&portal, &acme, 60).await;
    let mut viewer = console(&portal, OperatorRole::Viewer).await;
    let page = viewer.get(LIST).await.text;
    assert!(page.contains("Gateway and events") && open(&page).is_empty(), "{page}");
    assert!(!page.contains("/do/console/reconciliation"), "{page}");
    let mut admin = console(&portal, OperatorRole::Admin).await;
    let (mut place, mut seen, mut sizes) = (Some(LIST.to_owned()), Vec::new(), Vec::new());
    while let Some(address) = place {
        let page = admin.get(&address).await.text;
        sizes.push(open(&page).len());
        seen.extend(open(&page));
        place = next(&page);
    }
    seen.sort();
    seen.dedup();
    assert_eq!((sizes, seen.len()), (vec![50, 50, 20], 120));
}

#[tokio::test(flavor = "multi_thread")]
async fn contradicting_and_late_events_are_listed_and_a_contradiction_is_marked_as_looked_at() {
    const CONFLICTS: &str = "/console/conflicts";
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    assert!(admin.get(CONFLICTS).await.text.contains("No event contradicts another"));
    assert!(admin.get("/console/late-usage").await.text.contains("Nothing came late"));
    let (store, now) = (&portal.store, portal.now());
    let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
    let event = |id: &str, units: u64, at: jiff::Timestamp| {
        let event = json!({"specversion": "1.0", "type": TYPE, "source": "job", "id": id, "time": at.to_string(), "data": {"units": units}});
        outside::read(&event).expect("an event")
    };
    // The company's first period, which began 40 days ago, is closed.
    let late = event("late-one", 33, now - SignedDuration::from_hours(24 * 35));
    let (first, other) = (event("<b>twice", 5, now), event("<b>twice", 8, now));
    let told = store.take_in_outside(acme.id, teller, &[first, other, late], now).await.expect("taken in");
    assert!(matches!(told.as_slice(), [Told::Accepted, Told::Conflict, Told::Late(_)]), "{told:?}");

    let page = admin.get("/console/late-usage").await.text;
    assert!(page.contains("late-one") && page.contains("33") && page.contains("Waits for the next"), "{page}");
    assert!(admin.get("/console/late-usage?state=billed").await.text.contains("Nothing matches"));
    assert!(admin.get("/console").await.text.contains("1 event that nobody has looked at"));
    let page = admin.get(CONFLICTS).await.text;
    assert!(page.contains("5 units") && page.contains("8 units") && page.contains("&lt;b&gt;twice"), "{page}");
    assert!(!page.contains("<b>twice"), "what outsiders say is never markup");
    let conflict = page.split("name=\"conflict\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let conflict = conflict.expect("a form").to_owned();
    let fields = [("conflict", conflict.as_str()), ("note", "The job ran twice")];
    let answer = admin.post("/do/console/conflicts/resolve", &fields).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    assert!(admin.get(CONFLICTS).await.text.contains("No event contradicts another"));
    let done = admin.get(&format!("{CONFLICTS}?state=resolved&partner={}", acme.id)).await.text;
    assert!(done.contains("The job ran twice") && done.contains("Looked at"), "{done}");
    assert!(admin.post("/do/console/conflicts/resolve", &fields).await.problems().contains("somebody was faster"));
    for nonsense in ["/console/conflicts?state=x", "/console/late-usage?partner=x", "/console/late-usage?after=x"] {
        assert_eq!(admin.get(nonsense).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }
}
