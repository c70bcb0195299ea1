//! Sessions: how they begin, what they are worth, and when they end.

use crate::{
    browser::{Answer, Browser},
    portal::Portal,
};
use app::{passwords, session::id_hash};
use axum::http::StatusCode;
use domain::{
    id::{MemberId, PartnerId},
    role::{MemberRole, OperatorRole},
};
use jiff::SignedDuration;
use store::{Account, Actor, NewMember, NewPartner};
use tower_sessions::session::Id;

const EMAIL: &str = "ada@acme.example";
const PASSWORD: &str = "a violet toll gate";

/// A portal with one member who has a password, and an owner beside.
async fn portal_with_member() -> (Portal, PartnerId, MemberId) {
    let portal = Portal::open().await;
    let (store, now) = (&portal.store, portal.now());
    let new = NewPartner { code: None, name: "Acme".to_owned(), time_zone: "UTC".to_owned() };
    let partner = store.create_partner(&new, Actor::System, now).await.expect("a partner");
    let password_hash = passwords::hash(PASSWORD.to_owned()).await;
    let mut ids = Vec::new();
    for (email, role) in [("owner@acme.example", MemberRole::Owner), (EMAIL, MemberRole::Admin)] {
        let new = NewMember {
            email: email.to_owned(),
            name: "Ada".to_owned(),
            role,
            password_hash: password_hash.clone(),
            verified: true,
        };
        ids.push(store.create_member(partner, &new, Actor::System, now).await.expect("a member"));
    }
    (portal, partner, ids[1])
}

async fn sign_in(browser: &mut Browser) -> Answer {
    let answer = browser.post("/do/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/home"), "{:?}", answer.flash);
    answer
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.get("/home").await.status == StatusCode::OK
}

#[tokio::test]
async fn the_cookie_is_for_this_host_alone_and_no_script_reads_it() {
    let (portal, ..) = portal_with_member().await;
    let mut browser = portal.browser();
    let answer = sign_in(&mut browser).await;
    let line = answer.cookie("__Host-session").expect("a session cookie");
    let attributes: Vec<&str> = line.split("; ").skip(1).collect();
    for wanted in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&wanted), "{line}");
    }
    assert!(!line.to_lowercase().contains("domain="), "{line}");
    let answer = browser.post("/do/apps/create", &[("name", "Shop")]).await;
    let line = answer.cookie("__Host-flash").expect("a flash");
    for wanted in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(line.split("; ").any(|attribute| attribute == wanted), "{line}");
    }
}

#[tokio::test]
async fn a_visitor_who_does_not_sign_in_gets_no_cookie() {
    let (portal, ..) = portal_with_member().await;
    let mut browser = portal.browser();
    for path in ["/", "/sign-in", "/home", "/no/such/page"] {
        browser.get(path).await;
    }
    browser.post("/do/sign-in", &[("email", EMAIL), ("password", "not this one")]).await;
    assert_eq!(browser.session(), "");
}

#[tokio::test]
async fn signing_in_never_takes_over_an_id_that_was_there() {
    let (portal, ..) = portal_with_member().await;
    // One that somebody planted and that the database does not know, and one that is no id at all.
    for planted in [Id::default().to_string(), "planted".to_owned()] {
        let mut browser = portal.browser();
        browser.set_cookie("__Host-session", &planted);
        assert!(!is_in(&mut browser).await);
        browser.set_cookie("__Host-session", &planted);
        sign_in(&mut browser).await;
        assert_ne!(browser.session(), planted);
        let mut thief = portal.browser();
        thief.set_cookie("__Host-session", &planted);
        assert!(!is_in(&mut thief).await);
    }
}

#[tokio::test]
async fn each_sign_in_draws_a_new_id_and_ends_the_old_one() {
    let (portal, ..) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    let first = browser.session().to_owned();
    sign_in(&mut browser).await;
    assert_ne!(browser.session(), first);
    assert!(is_in(&mut browser).await);
    let mut old = portal.browser();
    old.set_cookie("__Host-session", &first);
    assert!(!is_in(&mut old).await);
}

#[tokio::test]
async fn a_session_lasts_twelve_hours_and_no_longer() {
    let (portal, _, member) = portal_with_member().await;
    let mut browser = portal.browser();
    let before = jiff::Timestamp::now();
    sign_in(&mut browser).await;
    let ends = async || {
        let sessions = portal.store.own_sessions(Account::Member(member), before).await.expect("sessions");
        sessions.first().expect("a session").expires_at
    };
    let first = ends().await;
    let life = first.duration_since(before);
    assert!(life.as_mins() <= 12 * 60 && life.as_mins() >= 12 * 60 - 1, "{life}");
    assert!(is_in(&mut browser).await);
    assert_eq!(ends().await, first, "reading a page makes it no longer");
    let account = Account::Member(member);
    let mut late = portal.with_session(account, SignedDuration::from_secs(6)).await;
    assert!(is_in(&mut late).await);
    tokio::time::sleep(std::time::Duration::from_millis(6_200)).await;
    assert!(!is_in(&mut late).await);
}

#[tokio::test]
async fn only_a_hash_of_the_id_is_kept() {
    let (portal, _, member) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    let sessions = portal.store.own_sessions(Account::Member(member), jiff::Timestamp::now()).await.expect("sessions");
    let id: Id = browser.session().parse().expect("an id");
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].id_hash, id_hash(id));
    let kept = format!("{sessions:?}");
    assert!(!kept.contains(browser.session()) && !kept.contains(&id.0.to_string()), "{kept}");
    // A copy of the table signs nobody in.
    let hash = sessions[0].id_hash;
    let mut thief = portal.browser();
    let (first, _) = hash.split_first_chunk::<16>().expect("sixteen bytes");
    thief.set_cookie("__Host-session", &Id(i128::from_le_bytes(*first)).to_string());
    assert!(!is_in(&mut thief).await);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let (portal, ..) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    let id = browser.session().to_owned();
    let answer = browser.post("/do/sign-out", &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/sign-in"));
    assert_eq!(browser.session(), "");
    browser.set_cookie("__Host-session", &id);
    assert!(!is_in(&mut browser).await);
}

#[tokio::test]
async fn sessions_end_with_the_right_to_have_them() {
    let (portal, partner, member) = portal_with_member().await;
    let (store, now) = (&portal.store, portal.now());
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    store.disable_member(partner, member, Actor::System, now).await.expect("disabled");
    assert!(!is_in(&mut browser).await, "disabled");
    store.enable_member(partner, member, Actor::System, now).await.expect("enabled");
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    assert!(is_in(&mut browser).await);
    store.remove_member(partner, member, Actor::System, now).await.expect("removed");
    assert!(!is_in(&mut browser).await, "removed");
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_with_the_next_request() {
    let (portal, partner, member) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    assert_eq!(browser.get("/tokens").await.status, StatusCode::OK);
    let viewer = MemberRole::Viewer;
    portal.store.change_role(partner, member, viewer, Actor::System, portal.now()).await.expect("changed");
    assert_eq!(browser.get("/tokens").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let (portal, _, member) = portal_with_member().await;
    let (mut here, mut there) = (portal.browser(), portal.browser());
    sign_in(&mut here).await;
    sign_in(&mut there).await;
    let before = here.session().to_owned();
    let wrong = [("current", "not this one"), ("new", "a crimson toll gate")];
    assert!(!here.post("/do/settings/password", &wrong).await.problems().is_empty());
    assert!(is_in(&mut there).await, "nothing was changed");
    let answer = here.post("/do/settings/password", &[("current", PASSWORD), ("new", "a crimson toll gate")]).await;
    assert!(answer.flash.notice.is_some(), "{:?}", answer.flash);
    assert_ne!(here.session(), before);
    assert!(is_in(&mut here).await && !is_in(&mut there).await);
    let mut old = portal.browser();
    old.set_cookie("__Host-session", &before);
    assert!(!is_in(&mut old).await, "the id before the change");
    let answer = portal.browser().post("/do/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert!(!answer.problems().is_empty(), "the old password");
    let sessions = portal.store.own_sessions(Account::Member(member), jiff::Timestamp::now()).await.expect("sessions");
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn an_operator_who_is_disabled_is_out() {
    let portal = Portal::open().await;
    let (admin, viewer) = (portal.operator(OperatorRole::Admin).await, portal.operator(OperatorRole::Viewer).await);
    let mut browser = portal.as_operator(viewer).await;
    assert_eq!(browser.get("/console").await.status, StatusCode::OK);
    let (actor, now) = (Actor::Operator(admin), portal.now());
    portal.store.disable_operator(viewer, actor, now).await.expect("disabled");
    let answer = browser.get("/console").await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/console/sign-in?next=/console"));
}

#[tokio::test]
async fn a_key_is_shown_on_one_page_once() {
    let (portal, partner, _) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    let app = browser.post("/do/apps/create", &[("name", "Shop")]).await.location().to_owned();
    browser.get(&app).await;
    let id = app.trim_start_matches("/apps/");
    let fields = [("app", id), ("name", "First"), ("environment", "live")];
    let answer = browser.post("/do/keys/create", &fields).await;
    let secret = answer.flash.secret.clone().expect("a key");
    let cookie = answer.cookie("__Host-flash").expect("a flash");
    let kept = browser.cookies["__Host-flash"].clone();
    assert!(!cookie.contains(&secret) && !answer.location().contains(&secret) && !answer.text.contains(&secret));
    // A file that the browser asks for by itself, and a page that is refused, take nothing away.
    browser.get("/apple-touch-icon.png").await;
    browser.get("/console").await;
    assert!(browser.get(&app).await.text.contains(&secret), "the next page shows it");
    assert!(!browser.get(&app).await.text.contains(&secret), "and the one after it does not");
    browser.set_cookie("__Host-flash", &kept);
    assert!(!browser.get(&app).await.text.contains(&secret), "nor does a copy of the cookie show it again");
    let keys = format!("{:?}", portal.store.keys(partner).await.expect("keys"));
    assert!(keys.contains("First") && !keys.contains(&secret));
}

#[tokio::test]
async fn a_flash_that_was_not_sealed_here_shows_nothing() {
    let (portal, ..) = portal_with_member().await;
    let mut browser = portal.browser();
    sign_in(&mut browser).await;
    browser.post("/do/apps/create", &[("name", "Shop")]).await;
    let sealed = browser.cookies["__Host-flash"].clone();
    let mut changed = sealed.clone().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    browser.set_cookie("__Host-flash", &String::from_utf8(changed).expect("a text"));
    assert!(!browser.get("/apps").await.text.contains("App created"));
    browser.set_cookie("__Host-flash", &sealed);
    assert!(browser.get("/apps").await.text.contains("App created"), "the one that was sealed here does");
}

#[tokio::test]
async fn after_signing_in_people_stay_on_this_site() {
    let (portal, ..) = portal_with_member().await;
    let elsewhere = [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
        "/x\r\nSet-Cookie: a=b",
        "",
    ];
    for next in elsewhere {
        let fields = [("email", EMAIL), ("password", PASSWORD), ("next", next)];
        let answer = portal.browser().post("/do/sign-in", &fields).await;
        assert_eq!(answer.location(), "/home", "{next:?}");
        let answer = portal.browser().post("/do/theme", &[("theme", "dark"), ("next", next)]).await;
        assert_eq!(answer.location(), "/", "{next:?}");
        let page = portal.browser().get(&format!("/sign-in?{}", crate::browser::encoded(&[("next", next)]))).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text.contains("evil.example"), "{next:?}: {}", page.text);
    }
    let fields = [("email", EMAIL), ("password", PASSWORD), ("next", "/usage?period=1")];
    assert_eq!(portal.browser().post("/do/sign-in", &fields).await.location(), "/usage?period=1");
    // Through the guard, with whatever the address held.
    let answer = portal.browser().get("/usage?period=1&x=//evil").await;
    assert_eq!(answer.location(), "/sign-in?next=/usage%3Fperiod%3D1%26x%3D//evil");
    let page = portal.browser().get("/sign-in?next=/usage%3Fperiod%3D1").await;
    assert!(page.text.contains("value=\"/usage?period=1\""), "{}", page.text);
}
