//! Units from an exchange: shared by nodes, short for a while, out of reach.

use super::{
    client::{request, send, until_units_come},
    counting::refusals,
    world::{PATIENCE, PEPPER, TRY_KEY, World, compile, events_once_in, limits, quota},
};
use domain::{
    allowance::Allowance,
    credit::overdraft::Overdraft,
    limit::Window,
    policy::{AllowanceOutage, Counting},
    quota::Beyond,
    refusal::Code,
    usage::Outcome,
};
use gateway::{Answer, Ask, Exchange, Gateway, GatewayConfig, Granted, Leases, Running, Secret, Spool};
use http::Method;
use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A second gateway with the same exchange. A snapshot belongs to one gateway, so it has its own.
async fn second(world: &World) -> (Running, Arc<Leases>, TempDir) {
    second_with(world, Arc::new(world.exchange.node(1))).await
}

async fn second_with(world: &World, exchange: Arc<dyn Exchange>) -> (Running, Arc<Leases>, TempDir) {
    let second = starting(world, exchange).await;
    second.1.begin(Vec::new());
    second
}

/// One that does not know yet what was used before it.
async fn starting(world: &World, exchange: Arc<dyn Exchange>) -> (Running, Arc<Leases>, TempDir) {
    let spool = tempfile::tempdir().expect("a directory");
    let free = "127.0.0.1:0".parse().expect("an address");
    let mut config = GatewayConfig::new(free, String::new(), Secret(PEPPER), Secret(TRY_KEY), Spool::at(spool.path()));
    config.cores = 1;
    config.late = Duration::from_secs(3_600);
    let leases = Leases::new(exchange);
    let gateway =
        Gateway::start(config, gateway::directory(compile(&world.directory)), leases.clone(), world.clock.clone());
    (gateway.expect("a gateway"), leases, spool)
}

/// An exchange that takes every question and answers none, as a Postgres that hangs.
struct Silent;

impl Exchange for Silent {
    fn exchange(&self, _ask: Ask) -> Answer<Granted> {
        Box::pin(pending())
    }

    fn give_back(&self, _asks: Vec<Ask>) -> Answer<Vec<Granted>> {
        Box::pin(pending())
    }

    fn read(&self, _of: Vec<(Allowance, Option<u64>)>) -> Answer<Vec<Option<Granted>>> {
        Box::pin(pending())
    }
}

/// A world whose partner pays each unit beyond the quota, where there is one, with credit.
async fn prepaid(units: Option<u64>) -> World {
    World::with(|directory, _| {
        let terms = &mut directory.plans[0].terms;
        terms.admission.credit.required = true;
        if let Some(units) = units {
            quota(terms, units, Beyond::Block);
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_serve_exactly_the_units_of_a_quota() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
    })
    .await;
    let (other, _leases, _spool) = second(&world).await;
    let calls: Vec<_> = (0..1000)
        .map(|call| {
            let address = if call % 2 == 0 { world.address } else { other.address() };
            let key = world.live.clone();
            tokio::spawn(async move { until_units_come(address, "/payments/items/1", &key).await })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        match call.await.expect("no panic") {
            (200, _) => served += 1,
            (status, _) => assert_eq!(status, 429),
        }
    }
    assert_eq!((served, world.upstream.seen().len()), (100, 100));
    assert_eq!(world.exchange.taken(Allowance::quota(world.partner(), world.period())), 100);
    assert!(world.exchange.exchanges() < 100, "{} exchanges for a thousand calls", world.exchange.exchanges());
}

/// A world of 100 units in which one call an hour is taken, and a call beyond that costs seven.
async fn with_priced_refusals() -> World {
    World::with(|directory, _| {
        let refusals = refusals(&["limit-exceeded"], 7);
        directory.products[0].policy.counting = Counting { refusals, ..Counting::default() };
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
        limits(&mut directory.plans[0].terms, &[(1, Window::Hour)]);
    })
    .await
}

#[tokio::test]
async fn right_after_a_start_a_refusal_with_a_price_waits_until_its_units_are_known() {
    let world = with_priced_refusals().await;
    let (gateway, leases, _spool) = starting(&world, Arc::new(world.exchange.node(1))).await;
    leases.expect();
    let ask = || {
        let call = send(gateway.address(), request(Method::GET, "/payments/items/1", &world.live));
        tokio::spawn(call)
    };
    let calls = [ask(), ask(), ask()];
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(calls.iter().all(|call| !call.is_finished()), "all of them wait");
    leases.begin(Vec::new());
    let mut costs = Vec::new();
    for call in calls {
        let answer = call.await.expect("no panic");
        costs.push((answer.status, answer.header("x-turnpike-units").to_owned()));
    }
    costs.sort();
    assert_eq!(costs, [(200, "1".to_owned()), (429, "7".to_owned()), (429, "7".to_owned())]);
    assert_eq!(world.exchange.taken(Allowance::quota(world.partner(), world.period())).min(15), 15);
}

#[tokio::test]
async fn a_refusal_whose_client_does_not_wait_for_its_price_is_recorded_once_and_free() {
    let world = with_priced_refusals().await;
    let (gateway, leases, spool) = starting(&world, Arc::new(Silent)).await;
    leases.begin(Vec::new());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(gateway.address()).await.expect("connected");
        let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", world.live);
        client.write_all(head.as_bytes()).await.expect("sent");
        clients.push(client);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(clients);
    let events = events_once_in(spool.path(), 3).await;
    let refused = events.iter().filter(|event| event.outcome == Outcome::Refused(Code::LimitExceeded));
    assert_eq!(refused.map(|event| (event.status, event.units)).collect::<Vec<_>>(), [(429, 0), (429, 0)]);
}

#[tokio::test]
async fn what_a_node_holds_goes_at_its_next_look_to_the_one_that_found_nothing() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 40, Beyond::Block)).await;
    let (other, leases, _spool) = second(&world).await;
    let ask = || send(other.address(), request(Method::GET, "/payments/items/1", &world.live));
    assert_eq!(ask().await.status, 200);
    let mut served = 1;
    while world.get("/payments/items/1").await.status == 200 {
        served += 1;
    }
    assert!(served < 40, "the other holds a block");
    // The other was called a moment ago, and gives back what no call of its own has taken at its next look.
    leases.tend(gateway::Clock::now(&*world.clock), false).await.expect("tended");
    let began = Instant::now();
    while served < 40 && began.elapsed() < PATIENCE {
        match world.get("/payments/items/1").await.status {
            200 => served += 1,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    assert_eq!((served, world.get("/payments/items/1").await.status), (40, 429));
}

#[tokio::test]
async fn what_a_gateway_that_ends_did_not_spend_goes_back() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 1_000, Beyond::Block)).await;
    let of = Allowance::quota(world.partner(), world.period());
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    assert!(world.exchange.taken(of) > 3);
    world.allowance.close().await.expect("closed");
    assert_eq!(world.exchange.taken(of), 3);
    assert_eq!(world.get("/payments/items/1").await.header("x-ratelimit-remaining"), "996", "and it can go on");
}

#[tokio::test]
async fn while_nobody_answers_only_what_is_held_is_spent() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 12, Beyond::Block)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    world.exchange.set_down(true);
    let mut served = 1;
    let refused = loop {
        let answer = world.get("/payments/items/1").await;
        if answer.status != 200 {
            break answer;
        }
        served += 1;
    };
    assert_eq!((refused.status, refused.code()), (503, "allowance-unavailable".to_owned()));
    assert!((1..12).contains(&served), "{served} of a block");
    world.exchange.set_down(false);
    // A call finds out sooner or later, those after it are served.
    let began = Instant::now();
    while served < 12 && began.elapsed() < PATIENCE {
        match world.get("/payments/items/1").await.status {
            200 => served += 1,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    let events = world.events();
    assert_eq!(events.iter().map(|event| event.units).sum::<u64>(), 12, "{served}");
}

#[tokio::test]
async fn a_product_that_stays_open_serves_a_bounded_overdraft() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 4, Beyond::Block);
        directory.products[0].policy.allowance_outage = AllowanceOutage::Open { overdraft_units: 7 };
    })
    .await;
    world.exchange.set_down(true);
    let mut served = 0;
    for _ in 0..12 {
        let answer = world.get("/payments/items/1").await;
        match answer.status {
            200 => served += 1,
            _ => assert_eq!(answer.code(), "allowance-unavailable"),
        }
    }
    assert_eq!(served, 7);
    assert_eq!(world.allowance.used(world.partner(), world.period()), 7);
    // A call that fails gives its overdraft back.
    assert_eq!(world.get("/payments/fail").await.status, 503);
}

#[tokio::test]
async fn credit_pays_each_unit_and_nothing_is_served_without() {
    let world = prepaid(None).await;
    assert_eq!(world.get("/payments/items/1").await.code(), "credit-exhausted");
    world.exchange.add_credit(world.partner(), 7);
    let began = Instant::now();
    let mut first = world.get("/payments/heavy").await;
    while first.status == 402 && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        first = world.get("/payments/heavy").await;
    }
    assert_eq!((first.status, first.header("x-turnpike-credit-remaining")), (200, "2"));
    let refused = world.get("/payments/heavy").await;
    assert_eq!((refused.status, refused.code()), (402, "credit-exhausted".to_owned()));
    assert_eq!(world.get("/payments/fail").await.status, 500, "which costs nothing");
    assert_eq!(world.get("/payments/items/1").await.header("x-turnpike-credit-remaining"), "1");
    let test = send(world.address, request(Method::GET, "/payments/heavy", &world.test)).await;
    assert_eq!((test.status, test.header("x-turnpike-credit-remaining")), (200, ""), "a test call uses none");
    let credits: u64 = world.events().iter().map(|event| event.credits).sum();
    assert_eq!(credits, 6);
}

/// The gateway's own clock ends the trial, and the same call takes credit from then on.
#[tokio::test]
async fn what_a_trial_makes_free_takes_no_credit_until_the_instant_that_it_ends() {
    for (free, is_free) in [("everything", true), ("usage", true), ("base_fee", false)] {
        let world = World::with(|directory, _| {
            let terms = &mut directory.plans[0].terms;
            terms.admission.credit.required = true;
            terms.trial = serde_json::from_str(&format!(r#"{{"days":14,"free":"{free}"}}"#)).ok();
            let subscription = directory.partners[0].subscription.as_mut().expect("a subscription");
            let until = "2026-11-25T09:30:00Z".parse().expect("a time");
            subscription.trial_until = Some(until);
            subscription.cycle.anchor = until;
        })
        .await;
        let tried = world.get("/payments/items/1").await;
        let expected = if is_free { 200 } else { 402 };
        assert_eq!(tried.status, expected, "{free}");
        world.exchange.add_credit(world.partner(), 7);
        world.clock.set("2026-11-25T09:29:59Z");
        if is_free {
            assert_eq!(world.get("/payments/heavy").await.header("x-turnpike-credit-remaining"), "", "{free}");
            let spent: u64 = world.events().iter().map(|event| event.credits).sum();
            assert_eq!(spent, 0, "{free}");
        }
        world.clock.set("2026-11-25T09:30:00Z");
        let began = Instant::now();
        let mut paid = world.get("/payments/heavy").await;
        while paid.status == 402 && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            paid = world.get("/payments/heavy").await;
        }
        assert_eq!((paid.status, paid.header("x-turnpike-credit-remaining")), (200, "2"), "{free}");
    }
}

#[tokio::test]
async fn a_balance_may_go_below_zero_as_far_as_the_plan_says_and_the_headers_tell_it() {
    let world = World::with(|directory, _| {
        let credit = &mut directory.plans[0].terms.admission.credit;
        credit.required = true;
        credit.overdraft = Some(Overdraft { units: 6, unit_price: "0.01".parse().expect("a decimal") });
    })
    .await;
    // The exchange knows the plan's overdraft: four units were bought.
    world.exchange.add_credit(world.partner(), 4 + 6);
    let said = |answer: &super::client::Answer| {
        let header = |name| answer.header(name).to_owned();
        (answer.status, header("x-turnpike-credit-remaining"), header("x-turnpike-credit-floor"))
    };
    let first = world.get("/payments/heavy").await;
    assert_eq!(said(&first), (200, "-1".to_owned(), "-6".to_owned()));
    let last = world.get("/payments/heavy").await;
    assert_eq!(said(&last), (200, "-6".to_owned(), "-6".to_owned()));
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code()), (402, "credit-exhausted".to_owned()));
    assert!(refused.body.contains("0 are left before the balance is 6 below zero"), "{}", refused.body);
}

#[tokio::test]
async fn credit_pays_what_is_beyond_the_quota_also_within_one_call() {
    let world = prepaid(Some(8)).await;
    world.exchange.add_credit(world.partner(), 4);
    assert_eq!(world.get("/payments/heavy").await.header("x-turnpike-credit-remaining"), "", "it is asked for now");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let both = world.get("/payments/heavy").await;
    assert_eq!((both.status, both.header("x-turnpike-credit-remaining")), (200, "2"));
    assert_eq!(world.get("/payments/heavy").await.code(), "credit-exhausted");
    let paid: Vec<_> = world.events_once(3).await.iter().map(|event| (event.units, event.credits)).collect();
    assert!(paid.contains(&(5, 0)) && paid.contains(&(5, 2)) && paid.contains(&(0, 0)), "{paid:?}");
}

#[tokio::test]
async fn a_smaller_quota_is_in_force_at_once_and_what_is_held_beyond_it_goes_back() {
    let mut world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 1_000, Beyond::Block)).await;
    for _ in 0..5 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    world.change(|directory| quota(&mut directory.plans[0].terms, 7, Beyond::Block));
    assert_eq!(world.get("/payments/items/1").await.header("x-ratelimit-remaining"), "1");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
    assert_eq!(world.exchange.taken(Allowance::quota(world.partner(), world.period())), 7);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_call_waits_for_units_is_recorded_once_and_uses_no_limit() {
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 10, Beyond::Block);
        limits(&mut directory.plans[0].terms, &[(5, Window::Minute)]);
    })
    .await;
    let (other, _leases, spool) = second_with(&world, Arc::new(Silent)).await;
    let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let mut stream = TcpStream::connect(other.address()).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(stream);
    let events = events_once_in(spool.path(), 1).await;
    assert_eq!((events[0].outcome, events[0].status, events[0].units), (Outcome::ClientGone, 499, 0));
    let refused = send(other.address(), request(Method::GET, "/payments/items/1", &world.live)).await;
    assert_eq!((refused.status, refused.code()), (503, "allowance-unavailable".to_owned()));
    assert_eq!(refused.header("x-ratelimit-remaining"), "5", "neither call is counted");
    let events = events_once_in(spool.path(), 2).await;
    assert_eq!(events.iter().filter(|event| event.outcome == Outcome::Refused(Code::AllowanceUnavailable)).count(), 1);
}

#[tokio::test]
async fn while_the_exchange_hangs_the_first_calls_wait_a_moment_and_the_others_not_at_all() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 10, Beyond::Block)).await;
    let (other, _leases, _spool) = second_with(&world, Arc::new(Silent)).await;
    let ask = || async {
        let begin = Instant::now();
        let answer = send(other.address(), request(Method::GET, "/payments/items/1", &world.live)).await;
        assert_eq!((answer.status, answer.code()), (503, "allowance-unavailable".to_owned()));
        begin.elapsed()
    };
    let (first, late) = tokio::join!(ask(), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        ask().await
    });
    assert!(first > Duration::from_millis(900), "it was worth a try: {first:?}");
    assert!(late < first, "the same exchange ends both waits: {late:?}");
    // One asks again now and then whether it is back, and no call waits for that.
    let mut waited = Duration::ZERO;
    for _ in 0..20 {
        waited += ask().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(waited < Duration::from_secs(10), "as if half of them had waited: {waited:?}");
}
