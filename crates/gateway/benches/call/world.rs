//! A gateway with 1,000 partners' keys, limits in three windows and a quota, all too large to be reached.

use domain::{
    directory::{self, Directory},
    id::{AppId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId},
    key_text::{Environment, KeyKind, KeyText},
    limit::{Limit, Window},
    money::Currency,
    period::{Cycle, Interval},
    plan::{Collect, Grant, PlanTerms},
    product::{Operation, Product, Visibility},
    quota::{Beyond, Quota},
};
use gateway::{Gateway, GatewayConfig, Leases, Running, Secret, Snapshot, Spool, hash_key};
use jiff::Timestamp;
use std::{net::SocketAddr, sync::Arc};
use uuid::Uuid;

const PEPPER: [u8; 32] = [3; 32];
const KEYS: u128 = 1_000;

/// The keys' texts.
pub fn keys() -> Vec<String> {
    let mut state = 1_u64;
    let mut random = |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    };
    let key = |_| KeyText::generate(KeyKind::Gateway(Environment::Live), &mut random).expose().to_owned();
    (0..KEYS).map(key).collect()
}

/// Starts a gateway of one core, after that change of its directory and configuration.
pub fn start_with(
    upstream: SocketAddr,
    spool: Spool,
    name: &str,
    change: impl FnOnce(&mut Directory, &mut GatewayConfig),
) -> Running {
    let mut config = GatewayConfig::new(
        "127.0.0.1:0".parse().expect("an address"),
        format!("https://{name}.example"),
        Secret(PEPPER),
        Secret([4; 32]),
        spool,
    );
    config.cores = 1;
    let mut directory = directory(upstream);
    change(&mut directory, &mut config);
    let snapshot = Snapshot::compile(&directory, &|_| Ok(Vec::new()));
    assert_eq!(snapshot.problems(), []);
    let allowance = Leases::in_process();
    let running = Gateway::start(config, gateway::directory(snapshot), allowance, Arc::new(Timestamp::now));
    running.expect("a gateway")
}

fn directory(upstream: SocketAddr) -> Directory {
    let plan = PlanVersionId(Uuid::from_u128(1));
    let limit = |window| Limit { calls: 1_000_000_000, window };
    let terms = PlanTerms {
        currency: Currency::Usd,
        interval: Interval::Month,
        periods: Default::default(),
        products: vec![Grant { product: "payments".to_owned(), operations: None }],
        limits: vec![limit(Window::Second), limit(Window::Minute), limit(Window::Day)],
        quota: Some(Quota { units: 1_000_000_000, beyond: Beyond::Block }),
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
        collect: Collect::default(),
        changes: Default::default(),
        unpaid: None,
    };
    let operation = Operation {
        id: OperationId(Uuid::from_u128(2)),
        code: "get-item".to_owned(),
        method: "GET".to_owned(),
        path: "/items/{id}".to_owned(),
        summary: String::new(),
        weight: 1,
        deprecated: false,
        removed: false,
    };
    let product = Product {
        id: ProductId(Uuid::from_u128(3)),
        code: "payments".to_owned(),
        name: "Payments".to_owned(),
        route: "/payments".to_owned(),
        upstream_url: format!("http://{upstream}"),
        timeout_ms: 30_000,
        visibility: Visibility::Plan,
        invited: Vec::new(),
        policy: Default::default(),
        operations: vec![operation],
    };
    let anchor = "2026-01-01T00:00:00Z".parse().expect("a time");
    let cycle = Cycle { anchor, interval: Interval::Month, time_zone: "UTC".to_owned() };
    let partner = |number| directory::Partner {
        id: PartnerId(Uuid::from_u128(number)),
        suspended: false,
        unpaid: None,
        allocations: Vec::new(),
        bound: Vec::new(),
        subscription: Some(directory::Subscription {
            id: SubscriptionId(Uuid::from_u128(number)),
            plan_version: plan,
            cycle: cycle.clone(),
            counts_from: None,
            quota: None,
            trial_until: None,
            ends_at: None,
            kept: None,
        }),
    };
    let key = |(number, text): (u128, String)| directory::Key {
        id: KeyId(Uuid::from_u128(number)),
        hash: hash_key(&PEPPER, &text),
        partner: PartnerId(Uuid::from_u128(number)),
        app: AppId(Uuid::from_u128(number)),
        team: None,
        environment: Environment::Live,
        expires_at: None,
        kind: Default::default(),
        allowed_addresses: Vec::new(),
        scopes: Vec::new(),
        revoked_at: None,
    };
    let (plan_code, plan_name) = ("pro".to_owned(), "Pro".to_owned());
    Directory {
        version: 1,
        edition: Uuid::nil(),
        products: vec![product],
        headers: Vec::new(),
        secrets: Vec::new(),
        plans: vec![directory::PlanVersion { id: plan, plan_code, plan_name, version: 1, terms }],
        partners: (0..KEYS).map(partner).collect(),
        keys: (0..).zip(keys()).map(key).collect(),
    }
}
