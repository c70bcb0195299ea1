//! Messages to a real receiver, which answers well, badly, slowly or not at all, and the signature as somebody else checks it.

use super::*;
use crate::test_app;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{key_text::Environment, usage::UsageEvent};
use gateway::Reach;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::hmac as other_hmac;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};
use store::{
    Actor,
    hooks::NewHook,
    ingest::Position,
    test_db::{self, TestStore, world::World},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Takes,
    Says(u16),
    /// Takes it, and dies before it says so.
    TakesAndDies,
    /// Dies in the middle of the message.
    Dies,
    /// Reads it and says nothing.
    Stalls,
    /// Takes it, and says so when it is let go.
    Holds,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn events(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).expect("a batch")
    }
}

#[derive(Default)]
struct Desk {
    answers: VecDeque<Answer>,
    taken: Vec<Got>,
    lets_go: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A receiver at a port of its own.
pub(super) struct Receiver {
    pub url: String,
    desk: Arc<Mutex<Desk>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::secured(None).await
    }

    /// With TLS, where there is somebody to do it.
    async fn secured(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/in?x=1", listener.local_addr().expect("an address"));
        let desk = Arc::<Mutex<Desk>>::default();
        let shared = desk.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (desk, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    let answer = lock(&desk).answers.pop_front().unwrap_or(Answer::Takes);
                    if answer == Answer::Dies {
                        return;
                    }
                    let take = |request: http::Request<hyper::body::Incoming>| {
                        let desk = desk.clone();
                        async move {
                            let (parts, body) = request.into_parts();
                            let body = body.collect().await?.to_bytes();
                            let status = match answer {
                                Answer::Says(status) => StatusCode::from_u16(status).expect("a status"),
                                _ => StatusCode::NO_CONTENT,
                            };
                            if answer == Answer::Stalls {
                                std::future::pending::<()>().await;
                            }
                            if status.is_success() {
                                let body = String::from_utf8(body.to_vec()).expect("a text");
                                lock(&desk).taken.push(Got { headers: parts.headers, body });
                            }
                            while answer == Answer::Holds && !lock(&desk).lets_go {
                                tokio::time::sleep(Duration::from_millis(5)).await;
                            }
                            if answer == Answer::TakesAndDies {
                                std::future::pending::<()>().await;
                            }
                            let mut response = Response::new(Full::new(Bytes::new()));
                            *response.status_mut() = status;
                            Ok::<_, hyper::Error>(response)
                        }
                    };
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(take));
                    if answer == Answer::TakesAndDies {
                        // Until it has taken it.
                        let before = lock(&desk).taken.len();
                        let mut served = Box::pin(served);
                        loop {
                            tokio::select! {
                                _ = &mut served => return,
                                () = tokio::task::yield_now() => {}
                            }
                            if lock(&desk).taken.len() > before {
                                return;
                            }
                        }
                    }
                    let _ = served.await;
                });
            }
        });
        Self { url, desk, serving }
    }

    pub fn will(&self, answers: &[Answer]) {
        lock(&self.desk).answers.extend(answers);
    }

    pub fn taken(&self) -> Vec<Got> {
        lock(&self.desk).taken.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(desk: &Mutex<Desk>) -> std::sync::MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Bench {
    store: TestStore,
    world: World,
    sender: Sender,
    taken_in: u64,
}

impl Bench {
    async fn new(reach: Reach) -> Self {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let state = test_app::state(&store);
        let client = Client::new(reach, PATIENCE).expect("TLS");
        let sender = Sender { store: store.handle(), secrets: state.secrets, clock: state.clock, client };
        Self { store, world, sender, taken_in: 0 }
    }

    /// A hook, and its secret as its receiver has it.
    async fn hook(&self, url: &str) -> (Hook, String) {
        let id = hooks::new_id();
        let (secret, sealed_secret) = hooks::new_secret(&self.sender.secrets, id);
        let new = NewHook { id, partner: None, url: url.to_owned(), sealed_secret };
        self.store.create_hook(&new, Actor::System, self.sender.clock.now()).await.expect("a hook");
        (self.hook_of(id).await, secret)
    }

    async fn hook_of(&self, id: domain::id::HookId) -> Hook {
        self.store.hook_of_any_partner(id, self.sender.clock.now()).await.expect("the hook")
    }

    async fn use_some(&mut self, calls: u64) {
        self.use_paths(calls, "/payments").await;
    }

    async fn use_paths(&mut self, calls: u64, path: &str) {
        let first = self.taken_in;
        let event = |number: u64| UsageEvent {
            request_id: format!("call-{number}"),
            path: path.to_owned(),
            ..test_app::event(self.world.partner, Environment::Live, 1, self.world.now)
        };
        let events = (first..first + calls).map(|number| (number, event(number))).collect();
        let place = |sequence: u64| Position { segment: 0, byte_offset: sequence, sequence };
        let now = self.sender.clock.now();
        self.store.ingest(("a", 0, events), place(first), place(first + calls), now).await.expect("taken in");
        self.taken_in += calls;
    }

    /// One turn, whenever the hook is due.
    async fn turn(&self, hook: &Hook) -> Hook {
        let due = Hook { next_try_at: None, ..self.hook_of(hook.id).await };
        self.sender.serve(&due).await.expect("noted");
        self.hook_of(hook.id).await
    }
}

fn call_numbers(got: &[Got]) -> Vec<String> {
    let calls = got.iter().flat_map(Got::events);
    calls.map(|event| event["data"]["request_id"].as_str().expect("an id").to_owned()).collect()
}

/// What a receiver has that takes each event once, by its source and id, in the order in which they first came.
fn once(got: &[Got]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut order = Vec::new();
    for event in got.iter().flat_map(Got::events) {
        let key = format!("{} {}", event["source"], event["id"]);
        if seen.insert(key, ()).is_none() {
            order.push(event["data"]["request_id"].as_str().expect("an id").to_owned());
        }
    }
    order
}

fn all_calls(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("call-{number}")).collect()
}

#[tokio::test]
async fn a_receiver_gets_every_event_once_and_in_order_though_it_fails_and_dies_between() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, _) = bench.hook(&receiver.url).await;
    bench.use_some(1_203).await;
    receiver.will(&[Answer::Says(500), Answer::Dies, Answer::TakesAndDies, Answer::Takes, Answer::Says(302)]);
    let mut failures = Vec::new();
    for _ in 0..4 {
        let after = bench.turn(&hook).await;
        if after.failures > 0 {
            assert!(after.next_try_at.is_some_and(|at| at > bench.sender.clock.now()), "later, not at once");
            failures.push((after.failures, after.message));
        }
    }
    let (counts, messages): (Vec<u32>, Vec<String>) = failures.into_iter().unzip();
    assert_eq!(counts, [1, 2, 3, 1], "{messages:?}");
    assert!(messages[0].contains("500") && messages[1].contains("connection"), "{messages:?}");
    assert!(messages[3].contains("redirects are not followed"), "{messages:?}");
    bench.use_some(7).await;
    let after = bench.turn(&hook).await;
    assert_eq!((after.failures, after.message.as_str(), after.delivered), (0, "", 1_210));
    let got = receiver.taken();
    assert_eq!(once(&got), all_calls(1_210));
    // The one that died had taken its message: the same message came again, under the same id.
    assert_eq!(call_numbers(&got).len(), 1_210 + 500);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    assert_eq!(got[0].body, got[1].body);
    assert_eq!(got[2].events().len(), 500, "no more than that in one");
    assert_eq!(bench.turn(&hook).await.delivered, 1_210, "nothing more to get");
    assert_eq!(receiver.taken().len(), got.len());
}

#[tokio::test]
async fn a_hook_that_is_deleted_or_paused_within_a_turn_gets_nothing_after_the_message_that_is_on_its_way() {
    let mut bench = Bench::new(Reach::Private).await;
    let now = bench.sender.clock.now();
    for is_deleted in [true, false] {
        let receiver = Receiver::start().await;
        let (hook, _) = bench.hook(&receiver.url).await;
        bench.use_some(1_200).await;
        receiver.will(&[Answer::Holds]);
        let (sender, served) = (bench.sender.clone(), hook.clone());
        let turn = tokio::spawn(async move { sender.serve(&served).await });
        let reached = async {
            while receiver.taken().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the first message");
        if is_deleted {
            bench.store.delete_hook(hook.id, Actor::System, now).await.expect("deleted");
        } else {
            bench.store.set_hook_state(hook.id, false, Actor::System, now).await.expect("paused");
        }
        lock(&receiver.desk).lets_go = true;
        turn.await.expect("a turn").expect("noted");
        assert_eq!(call_numbers(&receiver.taken()).len(), 500, "deleted: {is_deleted}");
        if !is_deleted {
            assert_eq!(bench.hook_of(hook.id).await.delivered, 500);
            bench.store.set_hook_state(hook.id, true, Actor::System, now).await.expect("resumed");
            bench.turn(&hook).await;
            let got = call_numbers(&receiver.taken());
            assert_eq!((got.len(), once(&receiver.taken()).len()), (1_200, 1_200), "it goes on where it was");
        }
    }
}

#[tokio::test]
async fn a_hook_whose_events_cannot_be_read_fails_for_all_to_see_and_goes_on_once_they_can() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, _) = bench.hook(&receiver.url).await;
    bench.use_some(3).await;
    bench.store.hide_usage_events(true).await;
    let [claimed] = bench.sender.claim().await.expect("claimed").try_into().expect("one");
    bench.sender.serve(&claimed).await.expect_err("there is nothing to read");
    let after = bench.hook_of(hook.id).await;
    assert_eq!((after.failures, after.delivered), (1, 0));
    assert!(after.message.contains("cannot be read; see the log"), "{}", after.message);
    let [waits] = bench.store.hooks_waiting().await.expect("an answer").try_into().expect("one");
    assert!(waits.since.is_some(), "the alert sees it");
    bench.store.hide_usage_events(false).await;
    let due = after.next_try_at.expect("a time");
    assert!(due > after.failing_since.expect("a time"));
    let [claimed] = bench.store.claim_hooks(due, due).await.expect("claimed").try_into().expect("it was let go");
    let after = bench.turn(&claimed).await;
    assert_eq!((after.failures, after.message.as_str(), after.delivered), (0, "", 3));
    assert_eq!(once(&receiver.taken()), all_calls(3));
    // A failure without anything left to deliver is over by the next look, not counted towards five days.
    bench.store.note_hook_failure(hook.id, "it is ours", false, due, due).await.expect("noted");
    let after = bench.turn(&hook).await;
    assert_eq!((after.failures, after.failing_since, after.delivered), (0, None, 3));
}

#[tokio::test]
async fn a_message_is_a_batch_of_cloud_events_that_both_secrets_sign_while_one_is_replaced() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, first) = bench.hook(&receiver.url).await;
    bench.use_some(2).await;
    bench.turn(&hook).await;
    let (second, sealed) = hooks::new_secret(&bench.sender.secrets, hook.id);
    let now = bench.sender.clock.now();
    bench.store.rotate_hook_secret(hook.id, &sealed, Actor::System, now).await.expect("rotated");
    bench.use_some(1).await;
    bench.turn(&hook).await;
    let [before, both] = receiver.taken().try_into().expect("two messages");
    assert_eq!(before.header("content-type"), "application/cloudevents-batch+json; charset=utf-8");
    assert!(before.headers["host"].to_str().is_ok_and(|host| host.starts_with("127.0.0.1:")));
    let event = before.events()[0].clone();
    assert_eq!((&event["specversion"], &event["data"]["units"]), (&json!("1.0"), &json!(1)), "{event}");
    let mut left = String::new();
    for (message, secrets) in [(&before, vec![&first]), (&both, vec![&first, &second])] {
        for secret in &secrets {
            assert!(is_believed(message, secret), "{message:?}");
            let changed = Got { body: format!("{} ", message.body), ..message.clone() };
            assert!(!is_believed(&changed, secret), "a changed body");
        }
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: BTreeMap<&str, &str> = names.into_iter().map(|name| (name, message.header(name))).collect();
        left += &format!("{}\n", json!({"secrets": secrets, "headers": headers, "body": message.body}));
    }
    // For the library of Standard Webhooks (end2end/hook-referee).
    if let Some(folder) = std::env::var_os("TURNPIKE_HOOKS_OUT").map(std::path::PathBuf::from) {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("messages.jsonl"), left).expect("written");
    }
    assert!(!is_believed(&before, &second), "it was made later");
    let stranger = hooks::new_secret(&bench.sender.secrets, hook.id).0;
    assert!(!is_believed(&both, &stranger));
    assert_eq!(both.header("webhook-signature").split(' ').count(), 2);
    let later = now + SignedDuration::from_hours(25);
    let alone = bench.store.hook_of_any_partner(hook.id, later).await.expect("the hook");
    assert_eq!(alone.sealed_previous, None, "after a day the new one is alone");
    let shown = format!("{hook:?}{alone:?}");
    assert!(!shown.contains("sealed") && !shown.contains("whsec"), "{shown}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_and_gets_the_same_later() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, _) = bench.hook(&receiver.url).await;
    bench.use_some(3).await;
    receiver.will(&[Answer::Stalls]);
    let patient = bench.sender.client.clone();
    bench.sender.client = Client::new(Reach::Private, Duration::from_millis(500)).expect("TLS");
    let after = bench.turn(&hook).await;
    assert_eq!((after.failures, after.delivered), (1, 0), "{}", after.message);
    assert!(after.message.contains("no whole answer within 500 ms"), "{}", after.message);
    bench.sender.client = patient;
    let after = bench.turn(&hook).await;
    assert_eq!((after.failures, after.delivered, once(&receiver.taken())), (0, 3, all_calls(3)));
}

/// As the specification of Standard Webhooks says, with other libraries than the sender's.
fn is_believed(message: &Got, secret: &str) -> bool {
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    let key = other_hmac::Key::new(other_hmac::HMAC_SHA256, &decode(secret.strip_prefix("whsec_").expect("a prefix")));
    let signed = [message.header("webhook-id"), message.header("webhook-timestamp"), &message.body].join(".");
    let versions = message.header("webhook-signature").split(' ').filter_map(|one| one.strip_prefix("v1,"));
    versions.map(decode).any(|signature| other_hmac::verify(&key, signed.as_bytes(), &signature).is_ok())
}

#[tokio::test]
async fn nobody_is_sent_to_where_only_this_machine_can_go() {
    let mut bench = Bench::new(Reach::Public).await;
    let receiver = Receiver::start().await;
    let port = receiver.url.trim_start_matches("http://127.0.0.1:").split('/').next().expect("a port").to_owned();
    bench.use_some(1).await;
    for (url, why) in [
        (receiver.url.clone(), "http:// is for private networks"),
        (format!("https://127.0.0.1:{port}/"), "leads to an address that may not be reached"),
        (format!("https://localhost:{port}/"), "leads to an address that may not be reached"),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), "may not be reached"),
        ("https://169.254.169.254/latest/meta-data/".to_owned(), "may not be reached"),
        ("https://2130706433/".to_owned(), "may not be reached"),
        ("https://127.0.0.1:8443/".to_owned(), "may not be reached"),
        ("https://127.0.0.1:25/".to_owned(), "not to port 25"),
        ("https://localhost:80/".to_owned(), "not to port 80"),
        ("https://127.0.0.1:1023/".to_owned(), "not to port 1023"),
    ] {
        let (hook, _) = bench.hook(&url).await;
        bench.use_some(1).await;
        let after = bench.turn(&hook).await;
        assert!(after.message.contains(why) || after.message.contains("leads nowhere"), "{url}: {}", after.message);
        assert!(!after.message.contains("127.0.0.1"), "{}", after.message);
        assert_eq!(after.delivered, 0, "{url}");
    }
    let private = Bench::new(Reach::Private).await;
    let (hook, _) = private.hook("http://169.254.169.254/latest/meta-data/").await;
    private.store.ask_hook_test(hook.id, private.sender.clock.now()).await.expect("asked");
    let after = private.turn(&hook).await;
    assert!(after.test_result.contains("may not be reached"), "{}", after.test_result);
    assert_eq!(receiver.taken().len(), 0);
}

#[tokio::test]
async fn a_test_says_what_the_receiver_did_and_moves_nothing() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, secret) = bench.hook(&receiver.url).await;
    let now = bench.sender.clock.now();
    bench.store.set_hook_state(hook.id, false, Actor::System, now).await.expect("paused");
    bench.use_some(3).await;
    for (answer, says) in
        [(Answer::Takes, "It was taken"), (Answer::Says(404), "it answered 404"), (Answer::Dies, "connection")]
    {
        receiver.will(&[answer]);
        bench.store.ask_hook_test(hook.id, now).await.expect("asked");
        let claimed = bench.sender.claim().await.expect("claimed");
        assert_eq!(claimed.len(), 1, "a paused hook is tested too");
        bench.sender.serve(&claimed[0]).await.expect("noted");
        let after = bench.hook_of(hook.id).await;
        assert!(after.test_result.contains(says), "{answer:?}: {}", after.test_result);
        assert!(!after.test_asked && after.delivered == 0 && after.failures == 0);
    }
    let [message] = receiver.taken().try_into().expect("one that was taken");
    assert_eq!(message.events()[0]["type"], "io.turnpike.test.v1");
    assert!(is_believed(&message, &secret));
    bench.store.set_hook_state(hook.id, true, Actor::System, now).await.expect("resumed");
    assert_eq!(bench.turn(&hook).await.delivered, 3, "it goes on where it was");
}

#[tokio::test]
async fn a_message_stays_within_its_size_and_a_receiver_that_is_gone_ends_the_hook() {
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, _) = bench.hook(&receiver.url).await;
    bench.use_paths(300, &format!("/{}", "x".repeat(10_000))).await;
    bench.turn(&hook).await;
    let got = receiver.taken();
    assert_eq!(once(&got), all_calls(300));
    assert!(got.len() > 1 && got.iter().all(|message| message.body.len() <= MOST_BYTES + 2), "{}", got.len());
    receiver.will(&[Answer::Says(410)]);
    bench.use_some(1).await;
    let after = bench.turn(&hook).await;
    assert_eq!((after.state, after.delivered), (HookState::Disabled, 300));
    assert_eq!(bench.sender.claim().await.expect("an answer").len(), 0);
}

#[test]
fn pauses_grow_are_never_longer_than_an_hour_and_a_quarter_and_differ() {
    for (failures, shortest, longest) in [(0, 3, 7), (1, 7, 13), (4, 60, 101), (30, 2_700, 4_500)] {
        let pauses: Vec<_> = (0..50).map(|_| pause(failures)).collect();
        assert!(pauses.iter().all(|pause| (shortest..=longest).contains(&pause.as_secs())), "{failures}: {pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "all the same");
    }
}

#[tokio::test]
async fn over_tls_a_message_goes_to_whom_a_trusted_certificate_names_and_to_nobody_else() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    let receiver = Receiver::secured(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let secure = receiver.url.replace("http://", "https://");
    let mut bench = Bench::new(Reach::Private).await;
    let (named, _) = bench.hook(&secure.replace("127.0.0.1", "localhost")).await;
    let (unnamed, _) = bench.hook(&secure).await;
    bench.use_some(3).await;
    // Nobody trusts a certificate that only we have made.
    let after = bench.turn(&named).await;
    assert!(after.failures == 1 && after.message.contains("TLS failed"), "{}", after.message);
    bench.sender.client = Client::trusting(roots, Reach::Private, PATIENCE).expect("TLS");
    let after = bench.turn(&unnamed).await;
    assert!(after.failures == 1 && after.message.contains("TLS failed"), "{}", after.message);
    assert_eq!(receiver.taken().len(), 0);
    let after = bench.turn(&named).await;
    assert_eq!((after.failures, after.delivered, after.message.as_str()), (0, 3, ""));
    assert_eq!(call_numbers(&receiver.taken()), all_calls(3));
}

#[tokio::test]
async fn a_correction_is_delivered_as_what_it_changes_of_an_event_that_was_delivered_before() {
    use domain::correction::{Change, Filter, NewCorrection};
    let mut bench = Bench::new(Reach::Private).await;
    let receiver = Receiver::start().await;
    let (hook, _) = bench.hook(&receiver.url).await;
    bench.use_some(2).await;
    bench.turn(&hook).await;
    let (store, now) = (&bench.store, bench.sender.clock.now());
    let filter = Filter { request_id: Some("call-1".to_owned()), ..Filter::default() };
    let new = NewCorrection { change: Change::Void, filter, reason: "Twice".to_owned() };
    let by = (false, Actor::System);
    let id = billing::draft_correction(store, bench.world.partner, new, by, now).await.expect("drafted");
    let seen = store.correction_of_any_partner(id).await.expect("there").hash;
    let approval = store::corrections::Approval { seen, four_eyes: false };
    billing::approve_correction(store, id, approval, Actor::System, now).await.expect("approved");
    assert!(billing::apply_correction(store, id, by, now).await.expect("applied"));
    for _ in 0..2 {
        assert_eq!(bench.turn(&hook).await.delivered, 3, "once");
    }
    let got = receiver.taken();
    let (call, told) = (&got[0].events()[1], &got[1].events()[0]);
    assert_eq!(told["type"], later::CORRECTION);
    assert_eq!((&told["source"], &told["subject"]), (&json!("turnpike:corrections"), &call["subject"]));
    let data = &told["data"];
    assert_eq!(data["of"], json!({"source": call["source"], "id": call["id"]}));
    let figures = ["calls", "units", "bytes_out"].map(|name| data[name].as_i64().expect("a number"));
    assert_eq!(figures, [-1, -1, -2]);
    assert_eq!(
        (&data["step"], &data["reason"], &data["period_was_closed"]),
        (&json!("apply"), &json!("Twice"), &json!(false))
    );
}
