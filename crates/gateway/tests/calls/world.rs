//! One sentence to stand up a world: an upstream, a directory, a gateway in front of it.

use super::{
    client::{self, Answer},
    upstream::Upstream,
};
use domain::{
    directory::{self, Directory, ProductSecret, UpstreamHeader},
    id::{AppId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId},
    key_text::{Environment, KeyKind, KeyText},
    limit::{Limit, Window},
    money::Currency,
    period::{Cycle, Interval, Period},
    plan::{Grant, PlanTerms},
    product::{Operation, Product, Visibility},
    quota::{Beyond, Quota},
    usage::{UsageEvent, wire},
};
use gateway::{Clock, Gateway, GatewayConfig, InProcess, Leases, Running, Sealed, Secret, Snapshot, Spool, hash_key};
use http::Method;
use jiff::Timestamp;
use spool::{Position, Reader};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;

/// When a world begins, by its gateway's clock.
pub const AT: &str = "2026-11-20T12:00:00Z";
pub const PEPPER: [u8; 32] = [3; 32];
pub const TRY_KEY: [u8; 32] = [4; 32];

/// How long a test waits for what must come; it only ends what never does.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub upstream: Upstream,
    pub directory: Directory,
    pub snapshots: gateway::Directory,
    pub allowance: Arc<Leases>,
    pub exchange: InProcess,
    pub spool: TempDir,
    pub gateway: Option<Running>,
    pub address: SocketAddr,
    /// A live key of the partner, and a test key.
    pub live: String,
    pub test: String,
    pub clock: Arc<TestClock>,
}

/// A clock that a test moves.
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub fn set(&self, now: &str) {
        *self.0.lock().expect("no panic") = now.parse().expect("a time");
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no panic")
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    /// A world whose directory and configuration the function changes first.
    pub async fn with(change: impl FnOnce(&mut Directory, &mut GatewayConfig)) -> Self {
        let upstream = Upstream::start().await;
        let spool = tempfile::tempdir().expect("a directory");
        let (live, test) = (key_text(Environment::Live, 1), key_text(Environment::Test, 2));
        let mut directory = directory(upstream.address, &[(&live, Environment::Live), (&test, Environment::Test)]);
        let mut config = GatewayConfig::new(
            "127.0.0.1:0".parse().expect("an address"),
            "https://portal.example".to_owned(),
            Secret(PEPPER),
            Secret(TRY_KEY),
            Spool::at(spool.path()),
        );
        config.cores = 2;
        // A machine that runs many tests at once is late, and no test is about that.
        config.late = Duration::from_secs(3_600);
        change(&mut directory, &mut config);
        let snapshots = gateway::directory(compile(&directory));
        let exchange = InProcess::default();
        let allowance = Leases::new(Arc::new(exchange.clone()));
        allowance.begin(Vec::new());
        let clock = Arc::new(TestClock(Mutex::new(AT.parse().expect("a time"))));
        let gateway = Gateway::start(config, snapshots.clone(), allowance.clone(), clock.clone()).expect("a gateway");
        let address = gateway.address();
        Self {
            upstream,
            directory,
            snapshots,
            allowance,
            exchange,
            spool,
            gateway: Some(gateway),
            address,
            live,
            test,
            clock,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        client::send(self.address, client::request(method, path, &self.live)).await
    }

    /// Changes the directory as an operator would, while the gateway runs.
    pub fn change(&mut self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.directory);
        self.directory.version += 1;
        self.snapshots.store(Arc::new(compile(&self.directory)));
    }

    /// What the spool holds now.
    pub fn events(&self) -> Vec<UsageEvent> {
        events(self.spool.path())
    }

    /// What the spool holds once it holds that many.
    pub async fn events_once(&self, count: usize) -> Vec<UsageEvent> {
        events_once_in(self.spool.path(), count).await
    }

    /// Waits until that many requests have come to the upstream.
    pub async fn forwarded(&self, count: usize) {
        until("the request at the upstream", || self.upstream.seen().len() >= count).await;
    }

    /// Waits until that many hanging requests were given up at the upstream.
    pub async fn cancelled(&self, count: usize) {
        until("the end of the work at the upstream", || self.upstream.cancelled.load(Ordering::SeqCst) >= count).await;
    }

    pub fn partner(&self) -> PartnerId {
        PartnerId(Uuid::from_u128(1))
    }

    pub fn period(&self) -> Period {
        let subscription = self.directory.partners[0].subscription.as_ref().expect("a subscription");
        subscription.cycle.period_at(self.clock.now()).expect("a period")
    }
}

pub fn compile(directory: &Directory) -> Snapshot {
    let snapshot = Snapshot::compile(directory, &|sealed| {
        let (Sealed::Header(UpstreamHeader { sealed_value, .. }) | Sealed::Secret(ProductSecret { sealed_value, .. })) =
            sealed;
        Ok(sealed_value.iter().map(|byte| byte ^ 0x55).collect())
    });
    assert_eq!(snapshot.problems(), []);
    snapshot
}

pub fn key_text(environment: Environment, seed: u8) -> String {
    let mut next = seed;
    let random = |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(37).wrapping_add(11);
            *byte = next;
        }
    };
    KeyText::generate(KeyKind::Gateway(environment), random).expose().to_owned()
}

pub fn limits(terms: &mut PlanTerms, limits: &[(u32, Window)]) {
    terms.limits = limits.iter().map(|(calls, window)| Limit { calls: *calls, window: *window }).collect();
}

pub fn quota(terms: &mut PlanTerms, units: u64, beyond: Beyond) {
    terms.quota = Some(Quota { units, beyond });
}

/// Waits until it is so; `what` says what never came.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a gateway's spool holds once it holds that many.
pub async fn events_once_in(dir: &Path, count: usize) -> Vec<UsageEvent> {
    let began = Instant::now();
    loop {
        let events = events(dir);
        if events.len() >= count || began.elapsed() > PATIENCE {
            assert_eq!(events.len(), count, "{events:#?}");
            return events;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn events(dir: &Path) -> Vec<UsageEvent> {
    let mut events = Vec::new();
    for lane in spool::lanes(dir).expect("lanes") {
        let mut reader = Reader::open(dir, lane, Position::default()).expect("a reader");
        let batch = reader.next_batch(usize::MAX, usize::MAX).expect("records");
        events.extend(batch.records.iter().map(|record| wire::decode(&record.payload).expect("an event")));
    }
    events
}

fn directory(upstream: SocketAddr, keys: &[(&String, Environment)]) -> Directory {
    let partner = PartnerId(Uuid::from_u128(1));
    let plan = PlanVersionId(Uuid::from_u128(21));
    let granted = |code: &str, operations: Option<&[&str]>| Grant {
        product: code.to_owned(),
        operations: operations.map(|codes| codes.iter().map(|code| (*code).to_owned()).collect()),
    };
    let terms = PlanTerms {
        currency: Currency::Usd,
        interval: Interval::Month,
        periods: Default::default(),
        products: vec![
            granted("payments", None),
            granted("partly", Some(&["open"])),
            granted("invited", None),
            granted("uninvited", None),
        ],
        limits: Vec::new(),
        quota: None,
        base_fee_micros: 0,
        fee_due: Default::default(),
        price: domain::rating::price::Price::default(),
        meters: Vec::new(),
        minimum_micros: 0,
        discounts: Vec::new(),
        phases: Vec::new(),
        promotions: Vec::new(),
        offered: Default::default(),
        commitment: None,
        trial: None,
        invoice_threshold_micros: None,
        included_credit_micros: 0,
        features: Vec::new(),
        opens_features: Vec::new(),
        admission: Default::default(),
        collect: domain::plan::Collect::default(),
        changes: Default::default(),
        unpaid: None,
    };
    let url = format!("http://{upstream}");
    let mut products = vec![
        product(1, "payments", "/payments", &format!("{url}/base"), Visibility::Plan),
        product(2, "hidden", "/hidden", &url, Visibility::Plan),
        product(3, "public", "/public", &url, Visibility::Public),
        product(4, "invited", "/invited", &url, Visibility::Invitation),
        product(5, "uninvited", "/uninvited", &url, Visibility::Invitation),
        product(6, "partly", "/payments/v2", &url, Visibility::Plan),
    ];
    products[3].invited = vec![partner];
    products[5].operations = vec![
        operation(601, "open", "GET", "/open", 1),
        operation(602, "closed", "GET", "/closed", 1),
        operation(603, "close-open", "DELETE", "/open", 1),
        operation(604, "only-closed", "POST", "/secret", 1),
    ];
    Directory {
        version: 1,
        edition: Uuid::nil(),
        headers: vec![UpstreamHeader {
            product: products[0].id,
            name: "x-upstream-key".to_owned(),
            sealed_value: b"for the upstream only".iter().map(|byte| byte ^ 0x55).collect(),
        }],
        products,
        secrets: Vec::new(),
        plans: vec![directory::PlanVersion {
            id: plan,
            plan_code: "starter".to_owned(),
            plan_name: "Starter".to_owned(),
            version: 1,
            terms,
        }],
        partners: vec![directory::Partner {
            id: partner,
            suspended: false,
            unpaid: None,
            allocations: Vec::new(),
            bound: Vec::new(),
            subscription: Some(directory::Subscription {
                id: SubscriptionId(Uuid::from_u128(31)),
                plan_version: plan,
                cycle: Cycle {
                    anchor: "2026-11-01T00:00:00Z".parse().expect("a time"),
                    interval: Interval::Month,
                    time_zone: "Europe/Zurich".to_owned(),
                },
                counts_from: None,
                quota: None,
                trial_until: None,
                ends_at: None,
                kept: None,
            }),
        }],
        keys: (41..)
            .zip(keys)
            .map(|(number, (text, environment))| directory::Key {
                id: KeyId(Uuid::from_u128(number)),
                hash: hash_key(&PEPPER, text),
                partner,
                app: AppId(Uuid::from_u128(51)),
                team: None,
                environment: *environment,
                expires_at: None,
                kind: Default::default(),
                allowed_addresses: Vec::new(),
                scopes: Vec::new(),
                revoked_at: None,
            })
            .collect(),
    }
}

fn product(number: u128, code: &str, route: &str, upstream_url: &str, visibility: Visibility) -> Product {
    let paths = [
        ("GET", "/hang", 1),
        ("GET", "/fail", 1),
        ("GET", "/missing-item", 1),
        ("GET", "/empty", 1),
        ("GET", "/unchanged", 1),
        ("POST", "/echo", 1),
        ("POST", "/count", 1),
        ("POST", "/sink", 1),
        ("GET", "/drip", 1),
        ("GET", "/stall", 1),
        ("GET", "/break", 1),
        ("GET", "/flow", 1),
        ("GET", "/trailers", 1),
        ("GET", "/hop-by-hop", 1),
        ("GET", "/items/{id}", 1),
        ("GET", "/heavy", 5),
        ("GET", "/free", 0),
        ("GET", "/", 1),
        ("DELETE", "/items/{id}", 1),
        ("GET", "/priced", 1),
    ];
    let operations = (number * 100..).zip(paths);
    Product {
        id: ProductId(Uuid::from_u128(number)),
        code: code.to_owned(),
        name: code.to_owned(),
        route: route.to_owned(),
        upstream_url: upstream_url.to_owned(),
        // Longer than any pause of a busy machine. A test of the timeout sets a shorter one.
        timeout_ms: 60_000,
        visibility,
        invited: Vec::new(),
        policy: Default::default(),
        operations: operations
            .map(|(id, (method, path, weight))| operation(id, &format!("op-{id}"), method, path, weight))
            .collect(),
    }
}

fn operation(number: u128, code: &str, method: &str, path: &str, weight: u32) -> Operation {
    Operation {
        id: OperationId(Uuid::from_u128(number)),
        code: code.to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        summary: String::new(),
        weight,
        deprecated: false,
        removed: false,
    }
}
