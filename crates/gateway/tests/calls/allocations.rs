//! Credit that an app or a team has for itself: its calls spend that, and nobody else does.

use super::{
    client::{request, send, until_units_come},
    world::{World, key_text, until},
};
use domain::{
    allowance::Allowance,
    credit::allocation::{Holder, Spend},
    directory::{Allocation, Directory, Key},
    id::{AllocationId, AppId, KeyId, TeamId},
    key_text::Environment,
    usage::{Allocated, Outcome},
};
use gateway::hash_key;
use http::Method;
use metrics_exporter_prometheus::PrometheusBuilder;
use uuid::Uuid;

const OWN: AllocationId = AllocationId(Uuid::from_u128(71));
const APP: AppId = AppId(Uuid::from_u128(51));
const OTHER_APP: AppId = AppId(Uuid::from_u128(52));
const TEAM: TeamId = TeamId(Uuid::from_u128(61));

/// A partner that pays with credit. The world's key is of an app that has some for itself, and `other` is another app's.
async fn prepaid(of: Holder, spend: Spend) -> (World, String) {
    let other = key_text(Environment::Live, 9);
    let hash = hash_key(&super::world::PEPPER, &other);
    let world = World::with(|directory: &mut Directory, _| {
        directory.plans[0].terms.admission.credit.required = true;
        directory.partners[0].allocations = vec![Allocation { id: OWN, of, spend }];
        directory.keys[0].team = Some(TEAM);
        let other =
            Key { id: KeyId(Uuid::from_u128(49)), hash, app: OTHER_APP, team: None, ..directory.keys[0].clone() };
        directory.keys.push(other);
    })
    .await;
    (world, other)
}

/// How many of so many calls at once are served, and how the others are answered.
async fn race(world: &World, key: &str, calls: usize) -> (usize, Vec<u16>) {
    let call = |_| {
        let (address, key) = (world.address, key.to_owned());
        tokio::spawn(async move { until_units_come(address, "/payments/items/1", &key).await.0 })
    };
    let (mut served, mut others) = (0, Vec::new());
    for call in (0..calls).map(call).collect::<Vec<_>>() {
        match call.await.expect("no panic") {
            200 => served += 1,
            status => others.push(status),
        }
    }
    (served, others)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_spends_what_it_has_for_itself_and_nothing_else() {
    let (world, other) = prepaid(Holder::App(APP), Spend::Only).await;
    world.exchange.add_credit(world.partner(), 50);
    world.exchange.add_allocated(world.partner(), OWN, 30);
    let (served, refused) = race(&world, &world.live, 100).await;
    assert_eq!((served, refused), (30, vec![402; 70]));
    let answer = world.get("/payments/items/1").await;
    assert_eq!((answer.status, answer.header("x-turnpike-credit-remaining")), (402, "0"));
    assert!(answer.body.contains("0 are left of those that its app has for itself"), "{}", answer.body);
    let (served, refused) = race(&world, &other, 100).await;
    assert_eq!((served, refused), (50, vec![402; 50]), "the others spend what is common, all of it and no more");
    assert_eq!(world.exchange.taken(Allowance::credit(world.partner())), 50);
    let served: Vec<_> = world.events().into_iter().filter(|event| event.outcome == Outcome::Served).collect();
    let own = Some(Allocated { allocation: OWN, units: 1 });
    assert_eq!(
        served.iter().filter(|event| event.app == APP && event.allocated == own && event.credits == 1).count(),
        30
    );
    assert_eq!(served.iter().filter(|event| event.app == OTHER_APP && event.allocated.is_none()).count(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_choice_lets_it_an_app_goes_on_with_what_is_common() {
    let (world, _) = prepaid(Holder::App(APP), Spend::First).await;
    world.exchange.add_credit(world.partner(), 20);
    world.exchange.add_allocated(world.partner(), OWN, 13);
    let (served, refused) = race(&world, &world.live, 10).await;
    assert_eq!((served, refused.len()), (10, 0));
    // A call of five takes the three that are left, and two more.
    let answer = world.get("/payments/heavy").await;
    assert_eq!((answer.status, answer.header("x-turnpike-credit-remaining")), (200, "18"));
    let heavy = world.events().into_iter().find(|event| event.units == 5).expect("the event");
    assert_eq!((heavy.credits, heavy.allocated), (5, Some(Allocated { allocation: OWN, units: 3 })));
    let (served, refused) = race(&world, &world.live, 30).await;
    assert_eq!((served, refused), (18, vec![402; 12]));
    let left = world.exchange.taken(Allowance::allocation(world.partner(), OWN));
    assert_eq!((left, world.exchange.taken(Allowance::credit(world.partner()))), (13, 20));
}

#[tokio::test]
async fn a_call_that_costs_more_than_was_held_never_overspends_an_allocation() {
    let (world, _) = prepaid(Holder::App(APP), Spend::Only).await;
    world.exchange.add_credit(world.partner(), 50);
    world.exchange.add_allocated(world.partner(), OWN, 4);
    let refused = world.get("/payments/heavy").await;
    assert_eq!(refused.status, 402);
    assert!(refused.body.contains("needs 5 units of credit, and 4 are left"), "{}", refused.body);
    assert_eq!(world.get("/payments/fail").await.status, 500);
    let (served, _) = race(&world, &world.live, 6).await;
    assert_eq!(served, 4, "what failed and what was refused took nothing");
    assert_eq!(world.exchange.taken(Allowance::credit(world.partner())), 0);
}

#[tokio::test]
async fn what_a_team_has_is_for_apps_that_have_nothing_of_their_own_and_ends_with_the_next_snapshot() {
    let (mut world, _) = prepaid(Holder::Team(TEAM), Spend::Only).await;
    world.exchange.add_credit(world.partner(), 5);
    world.exchange.add_allocated(world.partner(), OWN, 3);
    let (served, _) = race(&world, &world.live, 6).await;
    assert_eq!(served, 3);
    assert!(world.get("/payments/items/1").await.body.contains("that its team has for itself"));
    let apps_own = AllocationId(Uuid::from_u128(72));
    world.exchange.add_allocated(world.partner(), apps_own, 2);
    world.change(|directory| {
        directory.partners[0].allocations.push(Allocation { id: apps_own, of: Holder::App(APP), spend: Spend::Only });
    });
    let (served, _) = race(&world, &world.live, 6).await;
    assert_eq!(served, 2, "an app's own goes before its team's");
    world.change(|directory| directory.partners[0].allocations.clear());
    let (served, _) = race(&world, &world.live, 6).await;
    assert_eq!(served, 5, "without one it spends what is common");
}

#[tokio::test]
async fn idle_units_of_an_allocation_go_back_to_the_only_node_when_somebody_asks_for_them() {
    let (world, _) = prepaid(Holder::App(APP), Spend::Only).await;
    world.exchange.add_allocated(world.partner(), OWN, 400);
    let of = Allowance::allocation(world.partner(), OWN);
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &world.live)).await.status, 200);
    assert!(world.exchange.taken(of) > 1, "it holds a block");
    world.exchange.recall(of);
    world.allowance.tend(gateway::Clock::now(&*world.clock), true).await.expect("tended");
    until("the units", || world.exchange.taken(of) == 1).await;
}

#[tokio::test]
async fn calls_that_find_too_little_of_their_own_are_counted_and_those_of_what_is_common_are_not() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (world, other) = prepaid(Holder::App(APP), Spend::Only).await;
    world.exchange.add_allocated(world.partner(), OWN, 1);
    let call = async |key: &str| until_units_come(world.address, "/payments/items/1", key).await.0;
    let answers = [call(&world.live).await, call(&world.live).await, call(&world.live).await, call(&other).await];
    assert_eq!(answers, [200, 402, 402, 402]);
    let rendered = metrics.render();
    for (of, calls) in [("app", 2), ("team", 0)] {
        let series = format!("turnpike_gateway_allocation_exhausted_total{{of=\"{of}\"}} {calls}");
        assert!(rendered.contains(&series), "{series} is not in {rendered}");
    }
}
