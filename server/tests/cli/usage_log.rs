//! The usage log of a whole server: damage that stops one lane and nothing else, and a backlog that no call waits for.

use crate::{
    answer_forever,
    installation::{Installation, get, text},
};
use domain::{
    id::{AppId, KeyId, PartnerId},
    usage::{UsageEvent, wire},
};
use jiff::Timestamp;
use spool::{Options, Position, Reader, Writer};
use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Pay, version: "1" }
paths:
  /payments:
    get: { operationId: listPayments, responses: { "200": { description: ok } } }
"#;

/// A hard quota, whose units wait for what an earlier life of the node spent.
const SETUP: &str = r#"
products:
  payments: { name: Payments, document: api.yaml, route: /payments, upstream_url: "http://127.0.0.1:UPSTREAM" }
plans:
  starter:
    name: Starter
    currency: EUR
    products: [{ product: payments }]
    quota: { units: 1000, beyond: block }
partners:
  acme:
    name: Acme
    plan: starter
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } } }
"#;

/// An installation with one thread for calls, and the text of its key.
fn set_up(folder: &Path) -> (Installation, String) {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = SETUP.replace("UPSTREAM", &upstream.local_addr().expect("an address").port().to_string());
    thread::spawn(move || answer_forever(&upstream));
    fs::write(folder.join("api.yaml"), DOCUMENT).expect("written");
    fs::write(folder.join("turnpike.yaml"), setup).expect("written");
    let installation = Installation::new(folder).with(&[("TURNPIKE_GATEWAY_CORES", "1")]);
    let key = installation.apply(&folder.join("turnpike.yaml").display().to_string());
    (installation, key)
}

fn call(installation: &Installation, key: &str) -> u16 {
    get(installation.gateway(), "/payments/payments", &format!("X-API-Key: {key}\r\n")).0
}

/// Waits until the metrics hold that line.
fn until(installation: &Installation, line: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = get(installation.admin(), "/metrics", "").1;
        if shown.lines().any(|shown| shown == line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line} is not in:\n{shown}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn damage_stops_one_lane_until_somebody_skips_it_on_record_and_calls_are_served_all_the_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let (installation, key) = set_up(folder.path());
    let server = installation.serve();
    assert_eq!(call(&installation, &key), 200);
    until(&installation, "turnpike_events_shipped_total 1");
    server.stop();
    let log = folder.path().join("data/spool/0").join(format!("{:020}.log", 0));
    let mut file = fs::OpenOptions::new().append(true).open(log).expect("the lane");
    file.write_all(&[7; 60]).expect("written");

    let server = installation.serve();
    assert_eq!(call(&installation, &key), 200, "a quota is served: units are leased although a lane is damaged");
    until(&installation, "turnpike_spool_damaged{lane=\"0\"} 1");
    let listed = installation.run(&["spool", "list"]);
    let shown = text(&listed.stdout);
    assert!(shown.contains("stops at record 1, segment 0"), "{shown}");
    let wrong = installation.run(&["spool", "skip-damage", "7", "--note", "no such lane"]);
    assert!(!wrong.status.success());
    let skipped = installation.run(&["spool", "skip-damage", "0", "--note", "a test wrote it"]);
    assert!(text(&skipped.stdout).contains("At most 3 records are given up"), "{skipped:?}");
    until(&installation, "turnpike_events_shipped_total 1");
    until(&installation, "turnpike_spool_damaged{lane=\"0\"} 0");
    until(&installation, "turnpike_spool_backlog_records{lane=\"0\"} 0");
    let again = installation.run(&["spool", "skip-damage", "0", "--note", "twice"]);
    assert!(text(&again.stdout).contains("Nothing is damaged"), "{again:?}");
    server.stop();
}

#[test]
fn usage_that_was_changed_on_the_disk_under_right_checksums_is_found_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (installation, key) = set_up(folder.path());
    let server = installation.serve();
    for _ in 0..3 {
        assert_eq!(call(&installation, &key), 200);
    }
    until(&installation, "turnpike_events_shipped_total 3");
    server.stop();
    let spool = folder.path().join("data/spool");
    let whole = installation.run(&["verify"]);
    assert!(whole.status.success(), "{whole:?}");
    assert!(text(&whole.stdout).contains("lane 0: ok, 3 records from 0 to 3"), "{whole:?}");
    let offline = installation.run(&["verify", "--offline"]);
    assert!(offline.status.success() && !text(&offline.stdout).contains("events of"), "{offline:?}");
    let public = text(&installation.run(&["verify", "--show-public-key"]).stdout).trim().to_owned();
    let elsewhere = ["verify", "--spool", &spool.display().to_string(), "--public-key", &public].map(str::to_owned);
    assert!(installation.run(&elsewhere.each_ref().map(String::as_str)).status.success());

    // A log that was written anew, so that all of its checksums are right.
    let records = Reader::open(&spool, 0, Position::default()).and_then(|mut reader| reader.next_batch(9, 1 << 20));
    let mut forged = Writer::open(&folder.path().join("forged"), 0, Options::default()).expect("a writer");
    for record in records.expect("readable").records {
        let mut payload = record.payload.to_vec();
        if record.sequence == 1 {
            *payload.last_mut().expect("a payload") ^= 1;
        }
        forged.append(&payload).expect("appended");
    }
    let log = format!("0/{:020}.log", 0);
    fs::copy(folder.path().join("forged").join(&log), spool.join(&log)).expect("copied");
    let found = installation.run(&["verify"]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let node = fs::read_to_string(spool.join("node")).expect("a name");
    let named = format!("{} lane 0 records 0 to 2, segment 0 byte 0: among these", node.trim());
    assert!(text(&found.stdout).contains(&named), "{found:?}");
}

#[test]
fn a_start_with_a_long_backlog_serves_before_all_of_it_is_stored() {
    const EVENTS: u64 = 60_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (installation, key) = set_up(folder.path());
    let mut event = UsageEvent {
        method: "GET".to_owned(),
        path: "/payments".to_owned(),
        units: 1,
        bytes_out: 2,
        duration_us: 900,
        upstream_us: 800,
        ..UsageEvent::new(
            Timestamp::now(),
            PartnerId(Uuid::from_u128(9)),
            AppId(Uuid::from_u128(1)),
            KeyId(Uuid::from_u128(2)),
        )
    };
    let mut writer = Writer::open(&folder.path().join("data/spool"), 3, Options::default()).expect("a lane");
    let mut bytes = Vec::new();
    for number in 0..EVENTS {
        event.request_id = format!("req_{number}");
        bytes.clear();
        wire::encode(&event, &mut bytes);
        writer.gather(&bytes).expect("gathered");
    }
    writer.flush().expect("written");

    let server = installation.serve();
    let shown = get(installation.admin(), "/metrics", "").1;
    let stored = |shown: &str| -> u64 {
        let line = shown.lines().find_map(|line| line.strip_prefix("turnpike_events_shipped_total "));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    assert!(stored(&shown) < EVENTS, "the port was opened after all of it was stored");
    // A hard quota waits for it, as it does while Postgres is down.
    let deadline = Instant::now() + Duration::from_secs(180);
    while call(&installation, &key) != 200 {
        assert!(Instant::now() < deadline, "units are never leased");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(stored(&get(installation.admin(), "/metrics", "").1) >= EVENTS, "not before all of it is known");
    server.stop();
}
