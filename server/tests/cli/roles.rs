//! An installation in several processes, each of which does its own part.

use crate::{
    DOCUMENT, SETUP, answer_forever,
    installation::{Installation, get},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};
use store::test_db;

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What is done once for the installation, and what each gateway does for itself.
const ONCE: [&str; 5] = ["close_periods", "drop_old_usage", "make_partitions", "make_usage_days", "sweep_sessions"];
const GATEWAYS: [&str; 4] = ["follow_directory", "purge_caches", "ship_spool", "tend_leases"];

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_and_a_gateway_are_two_processes_and_each_does_its_own_part() {
    let store = test_db::store().await;
    let options = store.options();
    let socket = options.get_socket().expect("a socket").display();
    let database = options.get_database().expect("a name");
    let url = format!("postgres://{}@localhost/{database}?host={socket}", options.get_username());
    let folder = tempfile::tempdir().expect("a folder");
    let part = |role: &str| {
        let home = folder.path().join(role);
        fs::create_dir(&home).expect("made");
        Installation::new(&home).with(&[
            ("DATABASE_URL", url.as_str()),
            ("TURNPIKE_SECRET", SECRET),
            ("TURNPIKE_ROLE", role),
        ])
    };
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = SETUP.replace("UPSTREAM", &upstream.local_addr().expect("an address").port().to_string());
    thread::spawn(move || answer_forever(&upstream));
    fs::write(folder.path().join("api.yaml"), DOCUMENT).expect("written");
    fs::write(folder.path().join("turnpike.yaml"), setup).expect("written");

    let (portal, gateway) = (part("portal"), part("gateway"));
    let key = portal.apply(&folder.path().join("turnpike.yaml").display().to_string());
    let (portal_process, gateway_process) = (portal.serve(), gateway.serve());
    let call = || get(gateway.gateway(), "/payments/payments", &format!("Authorization: Bearer {key}\r\n")).0;

    assert_eq!(get(portal.portal(), "/pricing", "").0, 200);
    assert_eq!(get(portal.portal(), "/api/openapi.json", "").0, 200);
    assert!(get(portal.admin(), "/ready", "").1.ends_with("ready\n"));
    assert!(TcpStream::connect(("127.0.0.1", portal.gateway())).is_err(), "it has no gateway");
    assert_eq!(call(), 200);
    assert!(TcpStream::connect(("127.0.0.1", gateway.portal())).is_err(), "it has no portal");

    // Every task has run once, and those that should not have had the time.
    let (once, many) = (BTreeSet::from(ONCE.map(ToOwned::to_owned)), BTreeSet::from(GATEWAYS.map(ToOwned::to_owned)));
    let began = Instant::now();
    let (portals, gateways) = loop {
        let (portals, gateways) = (tasks(portal.admin()), tasks(gateway.admin()));
        let all = portals.is_superset(&once) && gateways.is_superset(&many);
        if (all && began.elapsed() > Duration::from_secs(2)) || began.elapsed() > Duration::from_secs(60) {
            break (portals, gateways);
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(portals.is_superset(&once) && portals.is_disjoint(&many), "{portals:?}");
    assert!(gateways.is_superset(&many) && gateways.is_disjoint(&once), "{gateways:?}");

    portal_process.stop();
    assert_eq!(call(), 200, "no call needs the portal");
    gateway_process.stop();
}

/// The names of the tasks that ran.
fn tasks(admin: u16) -> BTreeSet<String> {
    let answer = get(admin, "/status", "").1;
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let status: Value = serde_json::from_str(body).expect("JSON");
    status["tasks"].as_object().expect("tasks").keys().cloned().collect()
}
