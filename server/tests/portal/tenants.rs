//! One partner tries what belongs to another, by every identifier that an address or a form takes.
//!
//! The answer for something of another partner has to be the same as for something that never existed.

use crate::{
    browser::{Answer, Browser},
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use uuid::Uuid;

/// What an answer tells, without what the asker sent and what is drawn anew for each answer.
fn told(answer: &Answer, sent: &str) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "set-cookie" && *name != "content-security-policy")
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")))
        .collect();
    headers.sort();
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.len()).collect();
    let policy = answer.header("content-security-policy");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("no nonce");
    format!("{}\n{headers:#?}\n{:#?}\n{}\n{cookies:?}", answer.status, answer.flash, answer.text)
        .replace(sent, "SENT")
        .replace(nonce, "NONCE")
}

async fn pair() -> (Portal, Company, Company) {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (acme, bolt) = (Company::found(&portal, "acme").await, Company::found(&portal, "bolt").await);
    (portal, acme, bolt)
}

/// An identifier like this one that nothing has.
fn nothing_like(id: &str) -> String {
    if let (true, Some((rest, node))) = (id.matches('.').count() >= 3, id.rsplit_once('.')) {
        // A place in the log: the same moment, on another node.
        return format!("{rest}.{}", "z".repeat(node.len()));
    }
    let fresh = Uuid::now_v7();
    for fresh in [fresh.hyphenated().to_string(), fresh.simple().to_string()] {
        if let Some((kind, _)) = id.len().checked_sub(fresh.len()).and_then(|at| id.split_at_checked(at))
            && Uuid::parse_str(&id[kind.len()..]).is_ok()
        {
            return format!("{kind}{fresh}");
        }
    }
    id.chars().rev().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_partners_is_not_there() {
    let (portal, acme, bolt) = pair().await;
    let mut owner = portal.as_member(acme.owner).await;
    let mut stranger = portal.as_member(bolt.owner).await;
    let named = [
        ("/apps/{}", acme.app.to_string()),
        ("/requests/{}", acme.place.to_string()),
        ("/invoices/{}", acme.invoice.to_string()),
        ("/invoices/{}/lines/0", acme.invoice.to_string()),
        ("/invoices/{}/lines.csv", acme.invoice.to_string()),
        ("/invoices/{}/teams.csv", acme.invoice.to_string()),
        ("/invoices/{}/invoice.json", acme.invoice.to_string()),
        ("/invoices/{}/invoice.pdf", acme.invoice.to_string()),
        ("/credit-notes/{}/credit-note.pdf", acme.credit_note.to_string()),
        ("/team/{}/remove", acme.viewer.to_string()),
        ("/products/{}", acme.product_code.clone()),
        ("/products/{}/openapi.json", acme.product_code.clone()),
        ("/products/{}/openapi.yaml", acme.product_code.clone()),
        ("/products/{}/acmeListEntries", acme.product_code.clone()),
        ("/products/bolt-ledger/{}", acme.operation.clone()),
    ];
    for (path, id) in named {
        let address = path.replace("{}", &id);
        if !path.contains("bolt") {
            assert_eq!(owner.get(&address).await.status, StatusCode::OK, "{address}");
        }
        let theirs = stranger.get(&address).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{address}");
        let random = nothing_like(&id);
        let nobodys = stranger.get(&path.replace("{}", &random)).await;
        assert_eq!(told(&theirs, &id), told(&nobodys, &random), "{address}");
        assert!(!theirs.text.to_lowercase().contains("acme"), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_searches_find_nothing_of_another_partner() {
    let (portal, acme, bolt) = pair().await;
    let mut owner = portal.as_member(acme.owner).await;
    let mut stranger = portal.as_member(bolt.owner).await;
    let (app, key, place) = (acme.app.to_string(), acme.key.to_string(), acme.place.to_string());
    let first = owner.get("/requests").await;
    assert!(first.text.contains(&place) && first.text.contains("acme app"), "{}", first.text);
    for (name, value) in [("app", app.as_str()), ("key", &key), ("request", &acme.request_id), ("after", &place)] {
        let address = format!("/requests?span=month&{name}={value}");
        if name != "after" {
            assert!(owner.get(&address).await.text.contains(&place), "{address}");
        }
        let answer = stranger.get(&address).await;
        assert_eq!(answer.status, StatusCode::OK);
        // What the filter holds stands in the form; nothing else of it may.
        assert!(!answer.text.replace(value, "").contains("acme"), "{address}: {}", answer.text);
    }
    for path in
        ["/home", "/usage", "/plan", "/team", "/tokens", "/invoices", "/apps", "/settings", "/products", "/usage.csv"]
    {
        let own = owner.get(path).await;
        assert_eq!(own.status, StatusCode::OK, "{path}");
        assert!(own.text.to_lowercase().contains("acme"), "the owner sees their own: {path}\n{}", own.text);
        let page = stranger.get(path).await;
        assert!(!page.text.to_lowercase().contains("acme"), "{path}: {}", page.text);
        assert!(page.text.to_lowercase().contains("bolt"), "{path}");
    }
}

/// A form, its fields, and which of them names something of another partner.
type Attempt<'a> = (&'a str, Vec<(&'a str, String)>, &'a str);

fn attempts<'a>(acme: &Company, bolt: &Company) -> Vec<Attempt<'a>> {
    let (app, key, viewer) = (acme.app.to_string(), acme.key.to_string(), acme.viewer.to_string());
    vec![
        ("/do/apps/rename", vec![("app", app.clone()), ("name", "Mine".to_owned())], "app"),
        ("/do/apps/archive", vec![("app", app.clone())], "app"),
        (
            "/do/keys/create",
            vec![("app", app.clone()), ("name", "Mine".to_owned()), ("environment", "live".to_owned())],
            "app",
        ),
        (
            "/do/keys/rotate",
            vec![("app", bolt.app.to_string()), ("key", key.clone()), ("overlap", "0".to_owned())],
            "key",
        ),
        ("/do/keys/revoke", vec![("app", bolt.app.to_string()), ("key", key)], "key"),
        ("/do/members/role", vec![("member", viewer.clone()), ("role", "owner".to_owned())], "member"),
        ("/do/members/withdraw", vec![("member", acme.invited.to_string())], "member"),
        ("/do/members/invite-again", vec![("member", acme.invited.to_string())], "member"),
        ("/do/members/remove", vec![("member", viewer), ("password", "wrong".to_owned())], "member"),
        ("/do/plan/withdraw", vec![("subscription", acme.requested.to_string())], "subscription"),
        ("/do/plan/choose", vec![("plan", "acme-only".to_owned())], "plan"),
        ("/do/tokens/revoke", vec![("token", acme.token.to_string())], "token"),
    ]
}

async fn send(browser: &mut Browser, path: &str, fields: &[(&str, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(path, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_change_nothing_of_another_partner_and_tell_nothing() {
    let (portal, acme, bolt) = pair().await;
    let mut stranger = portal.as_member(bolt.owner).await;
    let (before, mails) = (acme.fingerprint(&portal).await, portal.store.all_mails(100).await.expect("mails").len());
    for (path, fields, names) in attempts(&acme, &bolt) {
        let theirs = send(&mut stranger, path, &fields).await;
        assert_eq!(theirs.status, StatusCode::SEE_OTHER, "{path}");
        assert!(!theirs.problems().is_empty() && theirs.flash.notice.is_none(), "{path}: {:?}", theirs.flash);
        assert_eq!(theirs.flash.secret, None, "{path}");
        let id = fields.iter().find(|(name, _)| *name == names).expect("a field").1.clone();
        let random = nothing_like(&id);
        let swapped: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, if *name == names { random.clone() } else { value.clone() }))
            .collect();
        let nobodys = send(&mut stranger, path, &swapped).await;
        assert_eq!(told(&theirs, &id), told(&nobodys, &random), "{path}");
        assert_eq!(acme.fingerprint(&portal).await, before, "{path} changed something");
    }
    assert_eq!(portal.store.all_mails(100).await.expect("mails").len(), mails, "a mail was sent");
}

/// The same forms from the partner itself do something: the attempts above fail for the right reason.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_forms_work_for_the_partner_itself() {
    let (portal, acme, bolt) = pair().await;
    let mut owner = portal.as_member(acme.owner).await;
    let mut order = attempts(&acme, &bolt);
    // What ends something goes last; removing asks for a password, and private plans are not for choosing.
    order.retain(|(path, ..)| !matches!(*path, "/do/members/remove" | "/do/plan/choose"));
    order.sort_by_key(|(path, ..)| {
        ["rename", "create", "again", "rotate", "revoke", "archive", "withdraw"]
            .iter()
            .position(|word| path.ends_with(word))
    });
    for (path, fields, _) in order {
        let before = acme.fingerprint(&portal).await;
        let answer = send(&mut owner, path, &fields).await;
        assert!(answer.problems().is_empty() && answer.flash.notice.is_some(), "{path}: {:?}", answer.flash);
        assert_ne!(acme.fingerprint(&portal).await, before, "{path} changed nothing");
    }
}

#[tokio::test]
async fn nobody_ends_the_session_of_somebody_else() {
    let (portal, acme, bolt) = pair().await;
    let mut owner = portal.as_member(acme.owner).await;
    let mut stranger = portal.as_member(bolt.owner).await;
    let sessions = portal.store.own_sessions(store::Account::Member(acme.owner), jiff::Timestamp::now()).await;
    let hash = sessions.expect("sessions").first().expect("a session").id_hash;
    let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    stranger.post("/do/settings/end-session", &[("session", &name)]).await;
    stranger.post("/do/settings/end-other-sessions", &[]).await;
    assert_eq!(owner.get("/home").await.status, StatusCode::OK);
    owner.post("/do/settings/end-session", &[("session", &name)]).await;
    assert_eq!(owner.get("/home").await.status, StatusCode::SEE_OTHER, "its owner can");
}
