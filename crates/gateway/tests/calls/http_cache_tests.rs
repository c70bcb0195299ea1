//! The public tests for HTTP caches (`http-cache-tests` from npm) against a cached product.
//!
//! Their own program is the upstream and their own client calls us. It has no key, so a relay in front of the gateway
//! adds one to each request, each on a connection of its own, and changes nothing else. `cargo xtask check cache` installs the package and runs this.

use super::world::World;
use domain::{
    id::OperationId,
    policy::{Cache, OperationPolicy},
    product::Operation,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use uuid::Uuid;

/// Required tests that pass, of those that are not for browsers.
const AT_LEAST: usize = 150;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the npm package: cargo xtask check cache"]
async fn the_public_tests_for_caches_pass_but_for_those_that_the_report_explains() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../end2end/http-cache-tests");
    let package = folder.join("node_modules/http-cache-tests");
    let port = free_port().await;
    let _origin = origin(&package, port).await;
    let world = World::with(|directory, config| {
        config.deadlines.upstream_idle = Duration::from_secs(4);
        let product = &mut directory.products[0];
        product.upstream_url = format!("http://127.0.0.1:{port}");
        product.timeout_ms = 10_000;
        product.operations = operations();
        let default_fresh_seconds = 60;
        // The tests answer 502 to 504 and break off on purpose, many at once.
        product.policy.upstream.breaker.failures = 0;
        product.policy.cache = Some(Cache { public: true, default_fresh_seconds, ..Cache::default() });
        for code in ["config", "state"] {
            let policy = OperationPolicy { never_cached: true, ..OperationPolicy::default() };
            product.policy.operations.insert(code.to_owned(), policy);
        }
    })
    .await;
    let relay = relay(world.address, world.live.clone()).await;

    let list = node(&folder, "list.mjs", &[]).await;
    let base = format!("http://{relay}/payments");
    let results = node(&package, "cli.mjs", &[("npm_config_base", &base), ("npm_package_config_id", "")]).await;
    let results: BTreeMap<String, serde_json::Value> = serde_json::from_str(&results).expect("results as JSON");

    let mut suites: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let (mut failed, mut passed) = (BTreeMap::new(), 0);
    for line in list.lines() {
        let [suite, id, kind] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let result = results.get(id).unwrap_or_else(|| panic!("{id} did not run"));
        let counts = suites.entry((suite.to_owned(), kind.to_owned())).or_default();
        counts.1 += 1;
        if *result == true {
            counts.0 += 1;
            passed += usize::from(kind == "required" && suite != "surrogate-control");
        } else if kind == "required" && suite != "surrogate-control" {
            failed.insert(id, result);
        } else if kind != "check" {
            println!("{suite} {kind} {id}: {result}");
        }
    }
    let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((suite, kind), (passed, all)) in &suites {
        println!("| {suite} | {kind} | {passed} of {all} |");
        let sum = sums.entry(kind.as_str()).or_default();
        (sum.0, sum.1) = (sum.0 + passed, sum.1 + all);
    }
    println!("{sums:?}\nRequired tests that fail: {failed:#?}");
    let report = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-cache-tests.md");
    let report = std::fs::read_to_string(report).expect("docs/http-cache-tests.md");
    let explained: BTreeSet<&str> = report.split('`').collect();
    let unexplained: Vec<_> = failed.keys().filter(|id| !explained.contains(**id)).collect();
    assert!(passed >= AT_LEAST, "{passed} required tests pass");
    assert!(unexplained.is_empty(), "docs/http-cache-tests.md does not explain {unexplained:?}");
}

fn operations() -> Vec<Operation> {
    let mut operations =
        vec![operation(1, "config", "PUT", "/config/{id}"), operation(2, "state", "GET", "/state/{id}")];
    for method in ["GET", "POST", "PUT", "DELETE", "M-SEARCH"] {
        for path in ["/test/{id}", "/test/{id}/{file}"] {
            let number = 3 + operations.len() as u128;
            operations.push(operation(number, &format!("test-{number}"), method, path));
        }
    }
    operations
}

fn operation(number: u128, code: &str, method: &str, path: &str) -> Operation {
    Operation {
        id: OperationId(Uuid::from_u128(number)),
        code: code.to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        summary: String::new(),
        weight: 1,
        deprecated: false,
        removed: false,
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The tests' own upstream.
async fn origin(package: &Path, port: u16) -> Child {
    let child = Command::new("node")
        .arg("server/server.mjs")
        .current_dir(package)
        .env("npm_config_protocol", "http")
        .env("npm_config_port", port.to_string())
        .env("npm_config_pidfile", "/dev/null")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("node");
    for _ in 0..1_200 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return child;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the upstream did not start");
}

async fn node(folder: &Path, script: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("node");
    command.args(["--no-warnings", script]).current_dir(folder).envs(variables.iter().copied()).kill_on_drop(true);
    let output = command.output().await.expect("node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Adds the key to the one request of each connection.
async fn relay(gateway: SocketAddr, key: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let key = key.clone();
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(gateway).await.expect("the gateway");
                let mut byte = [0];
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") && client.read(&mut byte).await.is_ok_and(|read| read == 1) {
                    line.push(byte[0]);
                }
                line.extend_from_slice(format!("X-API-Key: {key}\r\nConnection: close\r\n").as_bytes());
                inner.write_all(&line).await.expect("sent");
                let _ = copy_bidirectional(&mut client, &mut inner).await;
            });
        }
    });
    address
}
