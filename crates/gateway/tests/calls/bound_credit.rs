//! Credit that only calls of some products spend: they do, in the written order, and no other call ever does.

use super::{
    client::until_units_come,
    cost::cost,
    world::{World, quota, until},
};
use domain::{
    allowance::Allowance,
    credit::{
        allocation::{Holder, Spend},
        bound::{Paid, Purse, pay},
    },
    directory::{Allocation, Directory},
    id::{AllocationId, AppId, ProductId},
    policy::Cost,
    quota::Beyond,
    usage::{Allocated, Outcome, UsageEvent},
};
use std::time::Duration;
use uuid::Uuid;

const APP: AppId = AppId(Uuid::from_u128(51));
const PAYMENTS: ProductId = ProductId(Uuid::from_u128(1));
const INVITED: ProductId = ProductId(Uuid::from_u128(4));

fn id(number: u128) -> AllocationId {
    AllocationId(Uuid::from_u128(70 + number))
}

fn purse(number: u128, products: &[ProductId], first_end: Option<&str>) -> Purse {
    let first_end = first_end.map(|end| end.parse().expect("a time"));
    Purse { id: id(number), products: products.to_vec(), first_end }
}

/// A partner that pays with credit, some of it for calls of some products.
async fn prepaid(bound: Vec<Purse>, own: Option<Spend>) -> World {
    World::with(|directory: &mut Directory, _| {
        directory.plans[0].terms.admission.credit.required = true;
        directory.partners[0].bound = bound;
        let own = own.map(|spend| Allocation { id: id(0), of: Holder::App(APP), spend });
        directory.partners[0].allocations = own.into_iter().collect();
    })
    .await
}

/// How a call is answered, and its event.
async fn call(world: &World, path: &str) -> (u16, UsageEvent) {
    loop {
        let answer = world.get(path).await;
        if answer.status == 503 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        let id = answer.header("x-request-id");
        let event = world.events().into_iter().find(|event| event.request_id == id);
        return (answer.status, event.expect("its event"));
    }
}

/// Asks again and again, for as long as it may take.
async fn soon(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: never");
}

fn race(world: &World, path: &'static str, calls: usize) -> Vec<tokio::task::JoinHandle<u16>> {
    let (address, key) = (world.address, world.live.clone());
    (0..calls)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { until_units_come(address, path, &key).await.0 })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_two_products_that_race_spend_what_is_theirs_and_no_unit_of_the_others() {
    let world = prepaid(vec![purse(1, &[PAYMENTS], None)], None).await;
    world.exchange.add_credit(world.partner(), 20);
    world.exchange.add_allocated(world.partner(), id(1), 30);
    let work = [race(&world, "/payments/items/1", 60), race(&world, "/invited/items/1", 60)];
    let mut served = [0_usize; 2];
    for (served, work) in served.iter_mut().zip(work) {
        for call in work {
            match call.await.expect("no panic") {
                200 => *served += 1,
                status => assert_eq!(status, 402),
            }
        }
    }
    assert_eq!(served[0] + served[1], 50, "all of it and no more: {served:?}");
    assert!(served[1] <= 20, "{served:?}");
    let own = Some(Allocated { allocation: id(1), units: 1 });
    let served: Vec<_> = world.events().into_iter().filter(|event| event.outcome == Outcome::Served).collect();
    let bound: Vec<_> = served.iter().filter(|event| event.allocated.is_some()).collect();
    assert!(bound.iter().all(|event| event.product == Some(PAYMENTS) && event.allocated == own));
    assert_eq!(bound.len(), 30);
    let taken = |of| world.exchange.taken(of);
    assert_eq!(taken(Allowance::allocation(world.partner(), id(1))), 30);
    assert_eq!(taken(Allowance::credit(world.partner())), 20);
}

#[tokio::test]
async fn its_own_goes_first_then_what_expires_sooner_then_what_is_common() {
    let later = purse(1, &[PAYMENTS], Some("2027-01-01T00:00:00Z"));
    let sooner = purse(2, &[PAYMENTS, INVITED], Some("2026-12-01T00:00:00Z"));
    let other = purse(3, &[INVITED], Some("2026-11-21T00:00:00Z"));
    let world = prepaid(vec![later, sooner, other], Some(Spend::First)).await;
    for number in 0..4 {
        world.exchange.add_allocated(world.partner(), id(number), 2);
    }
    world.exchange.add_credit(world.partner(), 2);
    let mut paid = Vec::new();
    for _ in 0..9 {
        let (status, event) = call(&world, "/payments/items/1").await;
        paid.push((status, event.allocated.map(|own| own.allocation)));
    }
    let by = |number| (200, Some(id(number)));
    let common = (200, None);
    assert_eq!(paid, [by(0), by(0), by(2), by(2), by(1), by(1), common, common, (402, None)]);
    assert_eq!(world.exchange.taken(Allowance::allocation(world.partner(), id(3))), 0, "it is for other calls");
    let (status, event) = call(&world, "/invited/items/1").await;
    assert_eq!((status, event.allocated), (200, Some(Allocated { allocation: id(3), units: 1 })));
}

#[tokio::test]
async fn the_answer_says_what_calls_of_its_product_may_spend() {
    let world = prepaid(vec![purse(1, &[PAYMENTS], None)], None).await;
    world.exchange.add_credit(world.partner(), 20);
    world.exchange.add_allocated(world.partner(), id(1), 30);
    let said = async |path: &str| {
        call(&world, path).await;
        let answer = world.get(path).await;
        let header = |name: &str| answer.header(name).to_owned();
        (answer.status, header("x-turnpike-credit-remaining"), header("x-turnpike-credit-bound"))
    };
    assert_eq!(said("/invited/items/1").await, (200, "18".to_owned(), String::new()));
    assert_eq!(said("/payments/items/1").await, (200, "46".to_owned(), "28".to_owned()));
}

#[tokio::test]
async fn a_call_that_turns_out_dearer_than_the_quota_takes_of_a_purse_that_has_something() {
    let world = World::with(|directory: &mut Directory, _| {
        cost(directory, "/priced", Cost::Header { name: "X-Units".to_owned(), reserve: 5 });
        quota(&mut directory.plans[0].terms, 10, Beyond::Block);
        directory.plans[0].terms.admission.credit.required = true;
        directory.partners[0].bound =
            vec![purse(1, &[PAYMENTS], Some("2026-12-01T00:00:00Z")), purse(2, &[PAYMENTS], None)];
    })
    .await;
    world.exchange.add_allocated(world.partner(), id(2), 100);
    soon("what is left is known", async || {
        let answer = world.get("/payments/priced?0").await;
        answer.header("x-turnpike-credit-remaining") == "100"
    })
    .await;
    let (status, event) = call(&world, "/payments/priced?5").await;
    assert_eq!((status, event.units, event.credits), (200, 5, 0), "the quota has them");
    let (status, event) = call(&world, "/payments/priced?30").await;
    assert_eq!((status, event.units, event.credits), (200, 30, 25));
    assert_eq!(
        event.allocated,
        Some(Allocated { allocation: id(2), units: 25 }),
        "and not of the purse that is used up"
    );
    assert_eq!(world.exchange.taken(Allowance::credit(world.partner())), 0, "nothing is owed");
}

#[tokio::test]
async fn what_others_spend_of_what_is_common_is_seen_by_calls_that_a_purse_pays() {
    let world = prepaid(vec![purse(1, &[PAYMENTS], None)], None).await;
    world.exchange.add_allocated(world.partner(), id(1), 1_000);
    let left =
        async || world.get("/payments/items/1").await.header("x-turnpike-credit-remaining").parse().unwrap_or(0_u64);
    soon("what is left is known", async || left().await > 900).await;
    world.exchange.add_credit(world.partner(), 5_000);
    soon("what was bought", async || {
        world.allowance.tend(gateway::Clock::now(&*world.clock), true).await.expect("tended");
        left().await > 5_000
    })
    .await;
}

#[tokio::test]
async fn an_app_that_may_spend_only_its_own_spends_no_other() {
    let world = prepaid(vec![purse(1, &[PAYMENTS], None)], Some(Spend::Only)).await;
    world.exchange.add_allocated(world.partner(), id(0), 1);
    world.exchange.add_allocated(world.partner(), id(1), 30);
    let answers = [call(&world, "/payments/items/1").await.0, call(&world, "/payments/items/1").await.0];
    assert_eq!(answers, [200, 402]);
    assert_eq!(world.exchange.taken(Allowance::allocation(world.partner(), id(1))), 0);
}

#[tokio::test]
async fn what_no_snapshot_names_any_more_goes_back_and_a_failed_call_takes_nothing() {
    let mut world = prepaid(vec![purse(1, &[PAYMENTS], None)], None).await;
    world.exchange.add_allocated(world.partner(), id(1), 300);
    world.exchange.add_credit(world.partner(), 5);
    let of = Allowance::allocation(world.partner(), id(1));
    let (status, event) = call(&world, "/payments/fail").await;
    assert_eq!((status, event.credits, event.allocated), (500, 0, None));
    assert_eq!(call(&world, "/payments/items/1").await.1.credits, 1);
    world.change(|directory| directory.partners[0].bound.clear());
    assert_eq!(call(&world, "/payments/items/1").await.1.allocated, None, "it spends what is common");
    world.exchange.recall(of);
    world.allowance.tend(gateway::Clock::now(&*world.clock), true).await.expect("tended");
    until("the units", || world.exchange.taken(of) == 1).await;
}

/// Calls of one and of five units, of two products, one after the other: each is paid as the rule says, to the unit.
#[tokio::test]
async fn every_call_is_paid_as_the_written_rule_says() {
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..4 {
        let products: [&[ProductId]; 3] = [&[PAYMENTS], &[INVITED], &[PAYMENTS, INVITED]];
        let mut purses: Vec<(Purse, u64)> = (1..=3_u128)
            .map(|number| {
                let end = format!("2027-0{}-01T00:00:00Z", 1 + random(9));
                let of = products[usize::try_from(random(3)).expect("small")];
                (purse(number, of, (random(3) > 0).then_some(end.as_str())), random(14))
            })
            .collect();
        let mut common = random(20);
        let world = prepaid(purses.iter().map(|(purse, _)| purse.clone()).collect(), None).await;
        world.exchange.add_credit(world.partner(), common);
        for (purse, units) in &purses {
            world.exchange.add_allocated(world.partner(), purse.id, *units);
        }
        purses.sort_by_key(|(purse, _)| purse.place());
        for step in 0..30 {
            let (product, route) = if random(2) == 0 { (PAYMENTS, "payments") } else { (INVITED, "invited") };
            let (units, path) = if random(3) == 0 { (5, "heavy") } else { (1, "items/1") };
            let places: Vec<usize> = (0..purses.len()).filter(|place| purses[*place].0.pays_for(product)).collect();
            let left: Vec<u64> = places.iter().map(|place| purses[*place].1).collect();
            let expected = pay(&left, common, units);
            let (status, event) = call(&world, &format!("/{route}/{path}")).await;
            let told = format!("step {step}, {units} of {route}, {purses:?}, {common} common");
            let Some(Paid { purse, common: from_common }) = expected else {
                assert_eq!(status, 402, "{told}");
                continue;
            };
            let from = purse.map(|(place, part)| (places[place], part));
            let own = from.map(|(place, units)| Allocated { allocation: purses[place].0.id, units });
            assert_eq!((status, event.credits, event.allocated), (200, units, own), "{told}");
            common -= from_common;
            if let Some((place, part)) = from {
                purses[place].1 -= part;
            }
        }
    }
}
