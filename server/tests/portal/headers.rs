//! Headers of every answer (ASVS V3.4), and proper pages for what is refused.

use crate::{
    browser::Answer,
    company::{Company, open_catalogue},
    portal::Portal,
};
use app::access::{RULES, Who};
use axum::http::{Method, StatusCode};
use domain::role::OperatorRole;

/// What an answer of the portal lacks.
fn faults(answer: &Answer) -> Vec<String> {
    let wanted = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    let mut faults: Vec<String> = wanted
        .iter()
        .filter(|(name, value)| answer.header(name) != *value)
        .map(|(name, _)| format!("{name}: {}", answer.header(name)))
        .collect();
    let policy = answer.header("content-security-policy");
    let one = answer.headers.get_all("content-security-policy").iter().count() == 1;
    let strict = policy.contains("default-src 'none'")
        && policy.contains("frame-ancestors 'none'")
        && policy.contains("base-uri 'none'")
        && !policy.contains("unsafe-inline")
        && !policy.contains("'unsafe-eval'")
        && !policy.contains('*');
    if !one || !strict {
        faults.push(format!("policy: {policy}"));
    }
    faults
}

/// What a page lacks: the document around it, and a nonce on each of its scripts that is the policy's.
fn page_faults(answer: &Answer) -> Vec<String> {
    let mut faults = faults(answer);
    let policy = answer.header("content-security-policy");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default();
    if nonce.len() < 16 {
        faults.push(format!("no nonce: {policy}"));
    }
    let mut scripts = 0;
    for script in answer.text.split("<script").skip(1) {
        scripts += 1;
        let tag = script.split('>').next().unwrap_or_default();
        if !tag.contains(&format!("nonce=\"{nonce}\"")) {
            faults.push(format!("a script without the nonce: <script{tag}>"));
        }
    }
    let text = &answer.text;
    for needed in ["<!DOCTYPE html>", "href=\"/pkg/turnpike-2.css\"", "<html lang=\"en\"", "<title>"] {
        if !text.contains(needed) {
            faults.push(format!("no {needed}"));
        }
    }
    if scripts == 0 {
        faults.push("no script at all: the page is not whole".to_owned());
    }
    if text.matches("<h1").count() != 1 || text.matches("id=\"main\"").count() != 1 {
        faults.push("not one h1 and one #main".to_owned());
    }
    for (name, found) in
        [("style=", " style=\""), ("onclick=", " onclick="), ("<style", "<style"), ("javascript:", "=\"javascript:")]
    {
        if text.contains(found) {
            faults.push(format!("{name} in the page"));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_and_has_a_strict_policy() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let operator = portal.operator(OperatorRole::Admin).await;
    let mail = portal.store.all_mails(1).await.expect("mails").first().expect("a mail").id;
    let mut nobody = portal.browser();
    let mut member = portal.as_member(company.owner).await;
    let mut operator = portal.as_operator(operator).await;
    let (mut faults, mut seen) = (Vec::new(), 0);
    for rule in RULES.iter().filter(|rule| rule.method == "GET") {
        let (_, path) = crate::access_list::address(&format!("GET {}", rule.path), &company, mail);
        let browser = match rule.who {
            Who::Anyone | Who::Development => &mut nobody,
            Who::Operators | Who::OperatorAdmins | Who::DevelopmentOperators => &mut operator,
            _ => &mut member,
        };
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let is_page = answer.header("content-type").starts_with("text/html");
        seen += usize::from(is_page);
        let found = if is_page { page_faults(&answer) } else { self::faults(&answer) };
        faults.extend(found.into_iter().map(|fault| format!("{path}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 40, "{seen}");
}

#[tokio::test]
async fn what_is_refused_has_its_status_and_a_whole_page() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let mut viewer = portal.as_member(company.viewer).await;
    let refused = [
        (viewer.get("/tokens").await, StatusCode::FORBIDDEN, "Not allowed"),
        (viewer.get("/console").await, StatusCode::NOT_FOUND, "Not found"),
        (viewer.get("/no/such/page").await, StatusCode::NOT_FOUND, "Not found"),
        (viewer.get("/products/no-such-product").await, StatusCode::NOT_FOUND, "Not found"),
        (viewer.post("/do/keys/create", &[]).await, StatusCode::FORBIDDEN, "Not allowed"),
        (viewer.post("/do/settings/name", &[]).await, StatusCode::BAD_REQUEST, "The form could not be read"),
        (portal.browser().post("/do/settings/name", &[]).await, StatusCode::UNAUTHORIZED, "You are signed out"),
    ];
    for (answer, status, title) in refused {
        assert_eq!(answer.status, status, "{title}");
        assert_eq!(page_faults(&answer), Vec::<String>::new(), "{title}");
        assert!(answer.text.contains(&format!("<h1>{title}</h1>")), "{}", answer.text);
        assert!(answer.location().is_empty());
    }
    // A script gets the status alone.
    let answer = portal.browser().post_json("/do/try", &serde_json::json!({})).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::UNAUTHORIZED, ""));
}

#[tokio::test]
async fn redirects_refusals_and_files_have_the_headers_too() {
    let portal = Portal::open().await;
    let mut browser = portal.browser();
    let redirect = browser.get("/home").await;
    assert_eq!((redirect.status, redirect.location()), (StatusCode::SEE_OTHER, "/sign-in?next=/home"));
    let foreign = browser.post_from("/do/sign-in", &[("sec-fetch-site", "cross-site")], &[]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let form = browser.post("/do/theme", &[("theme", "dark")]).await;
    assert_eq!(form.status, StatusCode::SEE_OTHER);
    for answer in [redirect, foreign, form] {
        assert_eq!(faults(&answer), Vec::<String>::new());
    }
    let style = browser.get("/pkg/turnpike-2.css").await;
    assert_eq!(style.status, StatusCode::OK);
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(style.header("x-content-type-options"), "nosniff");
    for outside in ["/pkg/../favicon.svg", "/pkg/..%2ffavicon.svg", "/pkg/%2e%2e/favicon.svg", "/pkg/"] {
        assert!(!browser.get(outside).await.status.is_success(), "{outside}");
    }
}

#[tokio::test]
async fn each_answer_has_a_nonce_of_its_own() {
    let portal = Portal::open().await;
    let mut browser = portal.browser();
    let (first, second) = (browser.get("/sign-in").await, browser.get("/sign-in").await);
    assert_ne!(first.header("content-security-policy"), second.header("content-security-policy"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_and_signs_nobody_out() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let mut browser = portal.as_member(company.owner).await;
    assert_eq!(browser.get("/home").await.status, StatusCode::OK);
    portal.store.close().await;
    let answer = browser.get("/home").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("Not available at the moment"), "{}", answer.text);
    assert_eq!(page_faults(&answer), Vec::<String>::new());
    assert!(!browser.session().is_empty(), "the cookie stays for when it answers again");
}

#[tokio::test]
async fn a_page_may_be_asked_for_without_its_body() {
    let portal = Portal::open().await;
    let answer = portal.browser().send(Method::HEAD, "/sign-in", &[], String::new()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    let answer = portal.browser().send(Method::HEAD, "/home", &[], String::new()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}
