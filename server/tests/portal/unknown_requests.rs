//! Requests with an Idempotency-Key whose outcome nobody knows, in the operators' console.

use crate::{
    browser::Browser,
    company::{Company, attempt, open_catalogue, unknown_request},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
    id::AttemptId,
    idempotency::{Key, Slot},
    key_text::Environment,
    role::OperatorRole,
};
use jiff::{SignedDuration, Timestamp};

const LIST: &str = "/console/unknown-requests";
const RESOLVE: &str = "/do/console/unknown-requests/resolve";

async fn console(portal: &Portal, role: OperatorRole) -> Browser {
    portal.as_operator(portal.operator(role).await).await
}

async fn slot(portal: &Portal, company: &Company, key: &str) -> Slot {
    Slot {
        partner: company.id,
        environment: Environment::Live,
        product: company.product,
        operation: portal.store.product(company.product).await.expect("a product").operations[0].id,
        key: Key::parse(key.as_bytes()).expect("a key"),
    }
}

/// Another one of the company's, under that key.
async fn another(portal: &Portal, company: &Company, key: &str, request_id: &str) -> AttemptId {
    unknown_request(&portal.store, &slot(portal, company, key).await, request_id, portal.now()).await
}

/// The attempts that a page lists, in its order.
fn listed(text: &str) -> Vec<String> {
    let links = text.split("href=\"/console/unknown-requests/").skip(1);
    links.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The address behind a page's "Next".
fn next(text: &str) -> Option<String> {
    let link = text.split("<a ").find(|link| link.contains("rel=\"next\""))?;
    Some(link.split("href=\"").nth(1)?.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_what_is_known_of_an_unknown_request_and_writes_down_what_became_of_it() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    let nothing = admin.get(LIST).await;
    assert!(nothing.text.contains("The outcome of every request is known"), "{}", nothing.text);
    assert!(!admin.get("/console").await.text.contains("Nobody knows what became"));
    let acme = Company::found(&portal, "acme").await;
    let bolt = Company::found(&portal, "bolt").await;
    assert!(admin.get("/console").await.text.contains("Nobody knows what became"));

    let all = admin.get(LIST).await.text;
    assert_eq!(listed(&all), [acme.attempt.to_string(), bolt.attempt.to_string()]);
    for (filter, found) in [
        (format!("partner={}", acme.id), vec![acme.attempt]),
        (format!("product={}", bolt.product), vec![bolt.attempt]),
        ("q=bolt-idempotency".to_owned(), vec![bolt.attempt]),
        ("q=acme-unknown&partner=".to_owned(), vec![acme.attempt]),
        (format!("q=acme-unknown&partner={}", bolt.id), vec![]),
    ] {
        let page = admin.get(&format!("{LIST}?{filter}")).await.text;
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(listed(&page), found, "{filter}");
        assert_eq!(page.contains("Nothing matches"), found.is_empty(), "{filter}");
    }
    for nonsense in ["?partner=x", "?after=x", "/x", &format!("/{}", AttemptId(uuid::Uuid::from_u128(7)))] {
        assert_eq!(admin.get(&format!("{LIST}{nonsense}")).await.status, StatusCode::NOT_FOUND, "{nonsense}");
    }

    let place = format!("{LIST}/{}", acme.attempt);
    let page = admin.get(&place).await;
    assert_eq!(page.status, StatusCode::OK);
    for known in
        ["acme-idempotency", "acme-unknown", "acme ledger", "acmeListEntries", "http://127.0.0.1:1", "not running"]
    {
        assert!(page.text.contains(known), "{known}: {}", page.text);
    }
    assert!(page.text.contains("Nothing was recorded of the call"), "{}", page.text);

    let attempt = acme.attempt.to_string();
    let answer = admin.post(RESOLVE, &[("attempt", attempt.as_str()), ("note", "Asked Bo")]).await;
    assert_eq!((answer.location(), answer.problems().as_str()), (&*place, "outcome: Choose what the API said\n"));
    assert!(admin.get(&place).await.text.contains("Asked Bo"), "what was typed is still there");
    let long = "x".repeat(501);
    let fields = [("attempt", attempt.as_str()), ("outcome", "not_carried_out"), ("note", long.as_str())];
    let answer = admin.post(RESOLVE, &fields).await;
    assert_eq!(answer.location(), place);
    assert!(answer.problems().starts_with("note: "), "{}", answer.problems());
    assert_eq!(listed(&admin.get(LIST).await.text).len(), 2, "nothing was changed");

    for (company, outcome, action) in [
        (&acme, "not_carried_out", "idempotency_key.not_carried_out"),
        (&bolt, "carried_out", "idempotency_key.carried_out"),
    ] {
        let attempt = company.attempt.to_string();
        let fields = [("attempt", attempt.as_str()), ("outcome", outcome), ("note", "Asked Bo")];
        let answer = admin.post(RESOLVE, &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, LIST));
        assert!(answer.flash.notice.is_some(), "{}", answer.problems());
        let audit = portal.store.audit_page(company.id, None, 50).await.expect("an audit trail").items;
        let entry = audit.iter().find(|entry| entry.action == action).expect("an entry");
        assert_eq!((entry.actor_kind.as_str(), entry.subject.as_str()), ("operator", attempt.as_str()));
        assert_eq!(entry.after.as_ref().map(|after| after["note"].clone()), Some("Asked Bo".into()));
        assert_eq!(admin.get(&format!("{LIST}/{attempt}")).await.status, StatusCode::NOT_FOUND);
        // Whoever was slower is told so, on a page that is there.
        let again = admin.post(RESOLVE, &fields).await;
        assert_eq!(again.location(), LIST);
        assert!(again.problems().contains("known by now"), "{}", again.problems());
        assert!(admin.get(LIST).await.text.contains("known by now"));
    }
    assert!(listed(&admin.get(LIST).await.text).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_recorded_names_its_api_key_and_what_the_partner_got() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let attempt = another(&portal, &acme, "recorded", &acme.request_id).await;
    let last_four = portal.store.key(acme.id, acme.key).await.expect("a key").last_four;
    let page = console(&portal, OperatorRole::Admin).await.get(&format!("{LIST}/{attempt}")).await.text;
    assert!(page.contains("acme key") && page.contains(&format!("…{last_four}")), "{page}");
    assert!(page.contains("acme app") && !page.contains("Nothing was recorded"), "{page}");
    assert!(!page.contains(&acme.key_text), "never the key itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_only_reads_sees_everything_but_the_form() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let place = format!("{LIST}/{}", acme.attempt);
    let shown = console(&portal, OperatorRole::Viewer).await.get(&place).await.text;
    assert!(shown.contains("acme-idempotency") && !shown.contains(RESOLVE), "{shown}");
    assert!(console(&portal, OperatorRole::Admin).await.get(&place).await.text.contains(RESOLVE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_may_still_wait_for_the_answer_is_named_as_such() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = console(&portal, OperatorRole::Admin).await;
    portal.store.heartbeat("one", Timestamp::now()).await.expect("heard of");
    let place = format!("{LIST}/{}", acme.attempt);
    let page = admin.get(&place).await.text;
    assert!(page.contains("heard of") && !page.contains("may still wait"), "it gave no answer, and is done: {page}");
    let overdue = overdue(&portal, &acme).await;
    let place = format!("{LIST}/{overdue}");
    assert!(admin.get(&place).await.text.contains("may still wait for the answer"));
    portal.store.sign_off("one").await.expect("signed off");
    let page = admin.get(&place).await.text;
    assert!(page.contains("not running") && !page.contains("may still wait"), "{page}");
}

/// A request of which its gateway never told what came of it.
async fn overdue(portal: &Portal, company: &Company) -> AttemptId {
    let (slot, now) = (slot(portal, company, "overdue").await, portal.now());
    let attempt = attempt("overdue", now - SignedDuration::from_secs(1));
    portal.store.begin_attempt(company.id, &slot, &attempt, now).await.expect("begun");
    portal.store.sweep_all_idempotency_keys(now).await.expect("swept");
    AttemptId(attempt.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_are_read_page_by_page_each_once_and_under_the_filter() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    Company::found(&portal, "bolt").await;
    let mut wanted = vec![acme.attempt.to_string()];
    for number in 0..120 {
        wanted.push(another(&portal, &acme, &format!("key-{number}"), "request").await.to_string());
    }
    let mut admin = console(&portal, OperatorRole::Viewer).await;
    let (mut place, mut seen, mut sizes) = (Some(format!("{LIST}?partner={}", acme.id)), Vec::new(), Vec::new());
    while let Some(address) = place {
        let page = admin.get(&address).await.text;
        assert!(page.contains("122 in all"), "{address}");
        sizes.push(listed(&page).len());
        seen.extend(listed(&page));
        place = next(&page);
    }
    assert_eq!((sizes, seen), (vec![50, 50, 21], wanted));
}
