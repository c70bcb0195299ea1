//! The origin check: a form that another site sends in somebody's name changes nothing.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use app::access::{RULES, Who};
use axum::http::StatusCode;
use domain::role::OperatorRole;

/// What browsers send with a form of another site; older ones only the origin.
const FOREIGN: [&[(&str, &str)]; 7] = [
    &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
    &[("origin", "http://evil.localhost:3000"), ("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "cross-site")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://localhost:3000.evil.example")],
    &[("origin", "http://localhost:3001")],
];

#[tokio::test(flavor = "multi_thread")]
async fn no_form_is_taken_from_another_site() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let operator = portal.operator(OperatorRole::Admin).await;
    let mut member = portal.as_member(company.owner).await;
    let mut console = portal.as_operator(operator).await;
    let ids = [
        ("app", company.app.to_string()),
        ("key", company.key.to_string()),
        ("member", company.viewer.to_string()),
        ("token", company.token.to_string()),
        ("subscription", company.requested.to_string()),
        ("partner", company.id.to_string()),
        ("product", company.product.to_string()),
        ("plan", company.plan.to_string()),
        ("attempt", company.attempt.to_string()),
        ("outcome", "not_carried_out".to_owned()),
        ("name", "Evil".to_owned()),
        ("own_name", "Evil".to_owned()),
        ("company", "Evil".to_owned()),
        ("email", "evil@evil.example".to_owned()),
        ("password", "a violet toll gate".to_owned()),
        ("role", "owner".to_owned()),
        ("environment", "live".to_owned()),
        ("overlap", "0".to_owned()),
        ("time_zone", "UTC".to_owned()),
        ("seconds", "3600".to_owned()),
        ("theme", "dark".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = ids.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let before = company.fingerprint(&portal).await;
    let audit =
        || async { format!("{:?}", portal.store.all_audit_page(None, 200).await.expect("an audit trail").items) };
    let all = audit().await;
    let mails = portal.store.all_mails(100).await.expect("mails").len();
    let mut forms = 0;
    for rule in RULES.iter().filter(|rule| rule.method == "POST") {
        forms += 1;
        for headers in FOREIGN {
            let browser = match rule.who {
                Who::Operators | Who::OperatorAdmins | Who::DevelopmentOperators => &mut console,
                _ => &mut member,
            };
            let answer = browser.post_from(rule.path, headers, &fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {headers:?}", rule.path);
            assert!(answer.headers.get("set-cookie").is_none(), "{}", rule.path);
        }
    }
    assert!(forms > 40, "{forms}");
    assert_eq!(company.fingerprint(&portal).await, before);
    assert_eq!(audit().await, all);
    assert_eq!(portal.store.all_mails(100).await.expect("mails").len(), mails);
    assert_eq!(member.get("/home").await.status, StatusCode::OK, "nobody was signed out");
    // The same form from here is taken.
    let answer = member.post("/do/apps/rename", &fields).await;
    assert!(answer.flash.notice.is_some(), "{:?}", answer.flash);
    assert_ne!(company.fingerprint(&portal).await, before);
}

#[tokio::test]
async fn a_link_from_another_site_opens_pages_only() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let mut member = portal.as_member(company.owner).await;
    let before = company.fingerprint(&portal).await;
    for rule in RULES.iter().filter(|rule| rule.method == "POST") {
        let path = format!("{}?app={}&key={}&name=Evil", rule.path, company.app, company.key);
        assert_eq!(member.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(company.fingerprint(&portal).await, before);
    assert_eq!(member.get("/home").await.status, StatusCode::OK);
}
