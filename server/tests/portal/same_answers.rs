//! Whether an address has an account is told by its mailbox and by nothing else.

use crate::{browser::Answer, portal::Portal};
use app::passwords;
use axum::http::StatusCode;
use domain::role::{MemberRole, OperatorRole};
use store::{Actor, NewMember, NewPartner};

const PASSWORD: &str = "a violet toll gate";

/// Two addresses of the same length: the first has an account.
const KNOWN: &str = "known.one@acme.example";
const UNKNOWN: &str = "nobody.at@acme.example";
/// Has an account and may not sign in.
const DISABLED: &str = "kicked.it@acme.example";
/// Was invited and has no password yet.
const INVITED: &str = "invited.x@acme.example";

async fn portal() -> Portal {
    let portal = Portal::open().await;
    let (store, now) = (&portal.store, portal.now());
    let new = NewPartner { code: None, name: "Acme".to_owned(), time_zone: "UTC".to_owned() };
    let partner = store.create_partner(&new, Actor::System, now).await.expect("a partner");
    let hash = passwords::hash(PASSWORD.to_owned()).await;
    for (email, role, password_hash) in [
        (KNOWN, MemberRole::Owner, hash.clone()),
        (DISABLED, MemberRole::Viewer, hash.clone()),
        (INVITED, MemberRole::Viewer, None),
    ] {
        let new = NewMember { email: email.to_owned(), name: "Ada".to_owned(), role, password_hash, verified: true };
        let id = store.create_member(partner, &new, Actor::System, now).await.expect("a member");
        if email == DISABLED {
            store.disable_member(partner, id, Actor::System, now).await.expect("disabled");
        }
    }
    portal
}

/// All that an answer shows to whoever sent the form: the address itself put aside, and the sealed flash opened.
fn shown(answer: &Answer, email: &str) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "set-cookie")
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")))
        .collect();
    headers.sort();
    let cookies: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| (cookie.to_str().expect("a text").split('=').next().unwrap_or_default().to_owned(), cookie.len()))
        .collect();
    format!("{} {} {headers:#?} {cookies:?} {:#?}", answer.status, answer.text, answer.flash).replace(email, "EMAIL")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_wrong_address_look_the_same() {
    let portal = portal().await;
    let operator = portal.operator(OperatorRole::Admin).await;
    let hash = passwords::hash(PASSWORD.to_owned()).await.expect("a hash");
    portal.store.set_operator_password(operator, &hash, None, portal.now()).await.expect("set");
    let operator = portal.store.find_operator(operator).await.expect("an answer").expect("an operator").email;
    let stranger = format!("Xdmin{}", operator.trim_start_matches("Admin"));
    assert_eq!(operator.len(), stranger.len(), "{operator}");
    for (path, tries) in [
        ("/do/sign-in", vec![(KNOWN, "not this one"), (UNKNOWN, PASSWORD), (DISABLED, PASSWORD), (INVITED, "")]),
        ("/do/console/sign-in", vec![(operator.as_str(), "not this one"), (&stranger, PASSWORD)]),
    ] {
        let mut seen = Vec::new();
        for (email, password) in tries {
            let mut browser = portal.browser();
            let answer = browser.post(path, &[("email", email), ("password", password)]).await;
            assert!(!answer.problems().is_empty(), "{email} signed in");
            let page = browser.get(answer.location()).await;
            seen.push((shown(&answer, email), page.text.replace(email, "EMAIL").len()));
        }
        for one in &seen {
            assert_eq!(*one, seen[0], "{path}");
        }
    }
    let answer = portal.browser().post("/do/sign-in", &[("email", KNOWN), ("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/home", "the right ones still work");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_up_with_a_known_address_looks_like_any_other() {
    let portal = portal().await;
    let mut seen = Vec::new();
    for email in [KNOWN, UNKNOWN, DISABLED, INVITED] {
        let mut browser = portal.browser();
        let fields = [("company", "Bolt"), ("name", "Bea"), ("email", email), ("password", "a crimson toll gate")];
        let answer = browser.post("/do/sign-up", &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/check-your-mail"));
        let page = browser.get(answer.location()).await;
        seen.push((shown(&answer, email), page.text.replace(email, "EMAIL").len()));
    }
    assert_eq!(seen[1..], [seen[0].clone(), seen[0].clone(), seen[0].clone()]);
    // The mailboxes tell, and the account that was there is as it was.
    let mails = portal.store.all_mails(10).await.expect("mails");
    let subject = |to: &str| mails.iter().find(|mail| mail.recipient == to).expect("a mail").subject.clone();
    assert_ne!(subject(KNOWN), subject(UNKNOWN));
    let answer = portal.browser().post("/do/sign-in", &[("email", KNOWN), ("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/home");
    let answer = portal.browser().post("/do/sign-in", &[("email", KNOWN), ("password", "a crimson toll gate")]).await;
    assert!(!answer.problems().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_new_password_tells_nothing() {
    let portal = portal().await;
    let mut seen = Vec::new();
    for email in [KNOWN, UNKNOWN, DISABLED, INVITED] {
        let mut browser = portal.browser();
        let answer = browser.post("/do/reset", &[("email", email)]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/check-your-mail"));
        let page = browser.get(answer.location()).await;
        seen.push((shown(&answer, email), page.text.replace(email, "EMAIL").len()));
    }
    assert_eq!(seen[1..], [seen[0].clone(), seen[0].clone(), seen[0].clone()]);
    let mails = portal.store.all_mails(10).await.expect("mails");
    assert!(mails.iter().any(|mail| mail.recipient == KNOWN));
    assert!(mails.iter().all(|mail| mail.recipient != UNKNOWN && mail.recipient != DISABLED));
}

/// A member belongs to one partner, so an invitation has to say that it cannot be sent; but nobody asks many times.
#[tokio::test(flavor = "multi_thread")]
async fn inviting_is_no_way_to_ask_who_has_an_account() {
    let portal = portal().await;
    crate::company::open_catalogue(&portal).await;
    let company = crate::company::Company::found(&portal, "bolt").await;
    let mut browser = portal.as_member(company.owner).await;
    let mut asked = 0;
    for _ in 0..60 {
        let answer = browser.post("/do/members/invite", &[("email", KNOWN), ("role", "viewer")]).await;
        assert!(answer.flash.notice.is_none() && !answer.problems().contains("Acme"), "{:?}", answer.flash);
        if answer.problems().contains("many invitations") {
            break;
        }
        asked += 1;
    }
    assert!(asked <= 50, "{asked}");
    let answer = browser.post("/do/members/invite", &[("email", UNKNOWN), ("role", "viewer")]).await;
    assert!(answer.problems().contains("many invitations"), "{:?}", answer.flash);
}
