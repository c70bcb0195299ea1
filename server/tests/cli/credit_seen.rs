//! A unit that a call has spent, and when it is seen: in the answer's header, over REST, and on the partner's page.

use crate::{
    DOCUMENT, answer_forever,
    installation::{Installation, get},
};
use app::{
    secrets::{Secrets, fill_random},
    session::{MEMBER, id_hash},
};
use domain::{
    key_text::{KeyKind, KeyText},
    role::MemberRole,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    array, fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};
use store::{Account, Actor, NewApiToken, NewCreditGrant, NewMember, SessionRow, test_db};
use tower_sessions::session::Id;

/// The bytes 0 to 31.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GRANTED: i64 = 1_000_000;
const CALLS: i64 = 20;
/// What is promised.
const PROMISED: Duration = Duration::from_secs(1);

const SETUP: &str = r#"
products:
  payments: { name: Payments, document: api.yaml, route: /payments, upstream_url: "http://127.0.0.1:UPSTREAM" }
plans:
  prepaid: { name: Prepaid, currency: EUR, products: [{ product: payments }], admission: { credit: { required: true } } }
partners:
  acme:
    name: Acme
    plan: prepaid
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } } }
"#;

/// Whole answer without its head.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Asks until it is so, and says how long that took.
fn until(since: Instant, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what} does not come");
        thread::sleep(Duration::from_millis(10));
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_unit_is_seen_in_the_header_over_rest_and_on_the_page() {
    let store = test_db::store().await;
    let options = store.options();
    let socket = options.get_socket().expect("a socket").display();
    let database = options.get_database().expect("a name");
    let url = format!("postgres://{}@localhost/{database}?host={socket}", options.get_username());
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = SETUP.replace("UPSTREAM", &upstream.local_addr().expect("an address").port().to_string());
    thread::spawn(move || answer_forever(&upstream));
    fs::write(folder.path().join("api.yaml"), DOCUMENT).expect("written");
    fs::write(folder.path().join("turnpike.yaml"), setup).expect("written");
    let installation =
        Installation::new(folder.path()).with(&[("DATABASE_URL", url.as_str()), ("TURNPIKE_SECRET", SECRET)]);
    let key = installation.apply(&folder.path().join("turnpike.yaml").display().to_string());

    let (now, system) = (Timestamp::now(), Actor::System);
    let partner = store.find_partner_by_code("acme").await.expect("an answer").expect("a partner").id;
    store.grant_credit(partner, &NewCreditGrant::new(GRANTED, "Welcome"), system, now).await.expect("granted");
    let owner = NewMember {
        email: "owner@acme.example".to_owned(),
        name: "Ona".to_owned(),
        role: MemberRole::Owner,
        password_hash: Some("$argon2id$none".to_owned()),
        verified: true,
    };
    let owner = store.create_member(partner, &owner, system, now).await.expect("a member");
    let session = Id(i128::from_le_bytes(*uuid::Uuid::new_v4().as_bytes()));
    let row = SessionRow {
        id_hash: id_hash(session),
        data: json!({ MEMBER: owner }),
        account: Some(Account::Member(owner)),
        expires_at: now + SignedDuration::from_hours(1),
    };
    assert!(store.create_session(&row, now).await.expect("a session"));
    let secrets = Secrets::from_master(array::from_fn(|place| u8::try_from(place).expect("a byte")));
    let token = KeyText::generate(KeyKind::Api, fill_random);
    let new = NewApiToken {
        name: "own".to_owned(),
        hash: secrets.hash_key(token.expose()),
        last_four: token.last_four().to_owned(),
        scopes: vec!["invoices:read".to_owned()],
        expires_at: None,
    };
    store.create_api_token(Some(partner), &new, system, now).await.expect("a token");

    let server = installation.serve();
    let call = || get(installation.gateway(), "/payments/payments", &format!("Authorization: Bearer {key}\r\n"));
    let balance = || {
        let headers = format!("Authorization: Bearer {}\r\n", token.expose());
        let (status, answer) = get(installation.portal(), "/api/credit", &headers);
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str::<Value>(body(&answer)).expect("JSON")["balance"].as_i64()
    };
    let page = |words: &str| {
        let (status, answer) = get(installation.portal(), "/credit", &format!("Cookie: __Host-session={session}\r\n"));
        assert_eq!(status, 200, "{answer}");
        answer.contains(words)
    };
    assert_eq!(balance(), Some(GRANTED));
    let (mut over_rest, mut on_page) = (Duration::ZERO, Duration::ZERO);
    for spent in 1..=CALLS {
        let (status, answer) = call();
        let answered = Instant::now();
        let left = GRANTED - spent;
        assert_eq!((status, header(&answer, "x-turnpike-credit-remaining")), (200, Some(left.to_string().as_str())));
        over_rest = over_rest.max(until(answered, "the balance", || balance() == Some(left)));
        let words = format!("999,{:03} units left", left % 1_000);
        on_page = on_page.max(until(answered, &words, || page(&words)));
    }
    println!(
        "a spent unit of {CALLS}: in the answer's own header, over REST after {} ms at most, on the page (asked for after that) after {} ms at \
         most; promised: {} ms",
        over_rest.as_millis(),
        on_page.as_millis(),
        PROMISED.as_millis(),
    );
    server.stop();
}
