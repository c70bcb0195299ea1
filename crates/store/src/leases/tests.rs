//! Blocks of units: never more than the limit, and nothing lost, whatever ends in between.

use super::*;
use crate::{
    Actor, NewCreditGrant, NewPlan, PlanMeta,
    ingest::{
        Position,
        tests::{at, event, partner, take_in},
    },
    test_db::{self, TestStore, world::World},
};
use domain::{id::PlanVersionId, plan::Approval};
use std::collections::HashMap;

fn period() -> Period {
    Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-04-01T00:00:00Z") }
}

fn quota() -> Allowance {
    Allowance::quota(partner(), period())
}

fn now() -> Timestamp {
    at("2026-03-02T00:00:00Z")
}

const fn ask(of: Allowance, limit: u64, need: u64, want: u64) -> LeaseAsk {
    LeaseAsk { of, limit: Some(limit), need, want, returned: 0, turn: 0 }
}

/// A call of that many units in the period, of which some were credit.
fn spent(units: u64, credits: u64) -> UsageEvent {
    UsageEvent { units, credits, period: Some(period()), ..event(at("2026-03-01T10:00:00Z"), "r") }
}

/// Taken by all nodes, and the sum of what each was granted and spent.
async fn sums(store: &TestStore, kind: Kind) -> (i64, i64, i64) {
    sqlx::query_as(
        "select (select coalesce(sum(taken), 0)::bigint from allowances where kind = $1),
             coalesce(sum(granted), 0)::bigint, coalesce(sum(spent), 0)::bigint from allowance_leases where kind = $1",
    )
    .bind(kind.code())
    .fetch_one(store.pool())
    .await
    .expect("sums")
}

#[tokio::test]
async fn blocks_of_racing_nodes_never_add_up_to_more_than_the_limit_and_reach_it() {
    let store = test_db::store().await;
    let mut nodes = Vec::new();
    for node in ["a", "b", "c"] {
        let store = store.handle();
        nodes.push(tokio::spawn(async move {
            let mut granted = 0;
            for turn in 0..60 {
                let asked = LeaseAsk { turn, ..ask(quota(), 100, 1, 7) };
                granted = store.exchange_units(node, asked, now()).await.expect("an answer").granted;
            }
            granted
        }));
    }
    let mut granted = 0;
    for node in nodes {
        granted += node.await.expect("no panic");
    }
    assert_eq!(granted, 100);
    assert_eq!(sums(&store, Kind::Quota).await, (100, 100, 0));
}

#[tokio::test]
async fn a_block_is_a_share_of_what_is_left_and_at_least_what_is_needed() {
    let store = test_db::store().await;
    for node in ["a", "b"] {
        store.heartbeat(node, now()).await.expect("heard");
    }
    let first = store.exchange_units("a", ask(quota(), 100, 1, 1_000), now()).await.expect("an answer");
    assert_eq!((first.granted, first.taken, first.limit), (25, 25, 100), "a quarter, for there are two nodes");
    let needed = store.exchange_units("b", ask(quota(), 100, 60, 60), now()).await.expect("an answer");
    assert_eq!((needed.granted, needed.taken), (60, 85));
    let rest = store.exchange_units("a", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
    assert_eq!((rest.granted, rest.taken), (40, 100), "what is left, where more is needed");
    assert!(store.read_leases("b", &[(quota(), Some(100))], now()).await.expect("an answer")[0].expect("known").wanted);
}

#[tokio::test]
async fn what_is_given_back_twice_or_too_late_is_given_back_once() {
    let store = test_db::store().await;
    let first = store.exchange_units("a", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
    let back = LeaseAsk { returned: 30, turn: first.turn, ..ask(quota(), 100, 0, 0) };
    assert_eq!(store.exchange_units("a", back, now()).await.expect("an answer").granted, 10);
    assert_eq!(store.exchange_units("a", back, now()).await.expect("an answer").granted, 10);
    assert_eq!(sums(&store, Kind::Quota).await, (10, 10, 0));
}

#[tokio::test]
async fn what_a_killed_node_held_and_did_not_spend_comes_back_at_its_next_start() {
    let store = test_db::store().await;
    store.exchange_units("a", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
    store.exchange_units("b", ask(quota(), 100, 60, 60), now()).await.expect("an answer");
    take_in(&store, "a", vec![spent(7, 0), spent(5, 0)]).await;
    assert_eq!(sums(&store, Kind::Quota).await, (100, 100, 12), "spending within the grant changes nothing else");
    let known = store.begin_leases("a", now(), Earlier::Stored).await.expect("begun");
    assert_eq!(known, [Known { of: quota(), base: 12, elsewhere: 60, limit: 0 }]);
    assert_eq!(sums(&store, Kind::Quota).await, (72, 72, 12));
    let again = store.exchange_units("b", ask(quota(), 100, 50, 50), now()).await.expect("an answer");
    assert_eq!((again.granted, again.taken), (88, 100));
}

#[tokio::test]
async fn where_it_is_not_known_what_an_earlier_life_spent_all_that_it_held_counts_as_used() {
    let store = test_db::store().await;
    store.exchange_units("a", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
    let this_life = UsageEvent { at: at("2026-03-02T01:00:00Z"), ..spent(4, 0) };
    take_in(&store, "a", vec![spent(7, 0), this_life]).await;
    let known = store.begin_leases("a", now(), Earlier::Hidden).await.expect("begun");
    assert_eq!(known, [Known { of: quota(), base: 36, elsewhere: 0, limit: 0 }]);
    assert_eq!(sums(&store, Kind::Quota).await, (40, 40, 11), "nothing is given back that was perhaps spent");
    // Once it is known, a later start gives it back.
    let known = store.begin_leases("a", now(), Earlier::Stored).await.expect("begun");
    assert_eq!(known, [Known { of: quota(), base: 7, elsewhere: 0, limit: 0 }]);
    assert_eq!(sums(&store, Kind::Quota).await, (11, 11, 11));
}

#[tokio::test]
async fn what_this_life_used_already_is_not_taken_for_an_earlier_ones() {
    let store = test_db::store().await;
    let later = UsageEvent { at: at("2026-03-03T00:00:00Z"), ..spent(4, 0) };
    take_in(&store, "a", vec![spent(7, 0), later]).await;
    let known = store.begin_leases("a", at("2026-03-02T12:00:00Z"), Earlier::Stored).await.expect("begun");
    assert_eq!(known, [Known { of: quota(), base: 7, elsewhere: 0, limit: 0 }]);
}

#[tokio::test]
async fn units_beyond_the_grants_are_counted_for_all() {
    let store = test_db::store().await;
    store.exchange_units("a", ask(quota(), 100, 10, 10), now()).await.expect("an answer");
    take_in(&store, "a", vec![spent(8, 0), spent(9, 0)]).await;
    assert_eq!(sums(&store, Kind::Quota).await, (17, 17, 17), "seven were overdraft");
    // A node that never took a block, because its plan does not refuse.
    take_in(&store, "b", vec![spent(50, 0)]).await;
    let left = store.exchange_units("a", ask(quota(), 100, 90, 90), now()).await.expect("an answer");
    assert_eq!((left.granted, left.taken), (50, 100));
}

#[tokio::test]
async fn usage_from_before_there_were_leases_is_counted_once() {
    let store = test_db::store().await;
    let before = UsageEvent { period: None, ..spent(30, 0) };
    let next_period = UsageEvent { at: at("2026-04-01T00:00:00Z"), ..before.clone() };
    take_in(&store, "old", vec![before, next_period]).await;
    take_in(&store, "a", vec![spent(5, 0)]).await;
    assert_eq!(sums(&store, Kind::Quota).await, (35, 5, 5));
    let granted = store.exchange_units("a", ask(quota(), 36, 10, 10), now()).await.expect("an answer");
    assert_eq!((granted.granted, granted.taken), (6, 36));
}

#[tokio::test]
async fn credit_is_taken_from_the_balance_and_quota_is_not_charged_with_it() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let of = Allowance::credit(world.partner);
    let grant = |units, reference: &str| NewCreditGrant {
        reference: Some(reference.to_owned()),
        ..NewCreditGrant::new(units, "Top-up")
    };
    for _ in 0..2 {
        store.grant_credit(world.partner, &grant(100, "pi_1"), Actor::System, world.now).await.expect("granted once");
    }
    let asked = LeaseAsk { limit: None, ..ask(of, 0, 70, 70) };
    let granted = store.exchange_units("a", asked, world.now).await.expect("an answer");
    assert_eq!((granted.granted, granted.taken, granted.limit), (70, 70, 100));
    let event = UsageEvent { partner: world.partner, ..spent(9, 6) };
    take_in(&store, "a", vec![event]).await;
    assert_eq!(sums(&store, Kind::Credit).await, (70, 70, 6));
    assert_eq!(sums(&store, Kind::Quota).await, (3, 3, 3));
    let standing = store.credit(world.partner).await.expect("a standing");
    assert_eq!((standing.granted, standing.used, standing.balance), (100, 6, 94));
    let known = store.begin_leases("b", world.now, Earlier::Stored).await.expect("begun");
    assert!(known.contains(&Known { of, base: 0, elsewhere: 70, limit: 100 }), "{known:?}");
    let too_much = store.grant_credit(world.partner, &grant(-31, "back"), Actor::System, world.now).await;
    assert!(matches!(too_much, Err(StoreError::Conflict { .. })), "{too_much:?}");
    store.grant_credit(world.partner, &grant(-30, "back"), Actor::System, world.now).await.expect("taken back");
    let nothing = store.exchange_units("b", LeaseAsk { need: 1, ..asked }, world.now).await.expect("an answer");
    assert_eq!((nothing.granted, nothing.limit), (0, 70));
}

#[tokio::test]
async fn a_node_that_never_comes_back_is_seen_and_released() {
    let store = test_db::store().await;
    store.heartbeat("gone", now()).await.expect("heard");
    store.exchange_units("gone", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
    take_in(&store, "gone", vec![spent(15, 0)]).await;
    let nodes = store.gateway_nodes().await.expect("nodes");
    assert_eq!((nodes.len(), nodes[0].node.as_str(), nodes[0].seen_at), (1, "gone", Some(now())));
    assert_eq!(nodes[0].quota, HeldByNode { partners: 1, units: 25 });
    assert_eq!(store.release_node("gone").await.expect("released"), 25);
    assert_eq!(sums(&store, Kind::Quota).await, (15, 15, 15));
    assert_eq!(store.forget_node("gone", None).await.expect("forgotten"), 0);
    assert_eq!(store.gateway_nodes().await.expect("nodes"), []);
}

#[tokio::test]
async fn ingests_and_exchanges_that_race_agree_in_the_end() {
    let store = test_db::store().await;
    let mut work = Vec::new();
    for (number, node) in ["a", "b", "c"].into_iter().enumerate() {
        let (ingest, exchange) = (store.handle(), store.handle());
        work.push(tokio::spawn(async move {
            let mut from = Position::default();
            for batch in 0..20 {
                let to = Position { byte_offset: from.byte_offset + 1, sequence: from.sequence + 3, ..from };
                let events: Vec<_> = (0..3).map(|n| spent(1 + n + batch % 2, 0)).collect();
                let lane = u16::try_from(number).expect("small");
                ingest
                    .ingest((node, lane, (0..).zip(events).collect::<Vec<_>>()), from, to, now())
                    .await
                    .expect("taken in");
                from = to;
            }
        }));
        work.push(tokio::spawn(async move {
            for turn in 0..20 {
                let asked = LeaseAsk { turn, returned: 2, ..ask(quota(), 10_000, 5, 9) };
                exchange.exchange_units(node, asked, now()).await.expect("an answer");
            }
        }));
    }
    for work in work {
        work.await.expect("no panic");
    }
    let (taken, granted, spent) = sums(&store, Kind::Quota).await;
    let stored: i64 =
        sqlx::query_scalar("select sum(units)::bigint from usage_hourly").fetch_one(store.pool()).await.expect("a sum");
    assert_eq!(taken, granted);
    assert_eq!(spent, stored);
    assert!(granted >= spent);
    let by_node: HashMap<String, i64> =
        sqlx::query_as::<_, (String, i64)>("select node, sum(units)::bigint from usage_events group by 1")
            .fetch_all(store.pool())
            .await
            .expect("sums")
            .into_iter()
            .collect();
    assert!(by_node.values().all(|units| *units == spent / 3), "{by_node:?}");
}

/// A gateway that had not heard of the change counted the first calls of a quarter for a month.
#[tokio::test]
async fn a_period_that_turns_out_to_be_longer_is_not_forgotten_when_the_shorter_is_over() {
    let long = Allowance::quota(partner(), Period { end: at("2026-06-01T00:00:00Z"), ..period() });
    let second_month = at("2026-04-10T00:00:00Z");
    for by_exchange in [true, false] {
        let store = test_db::store().await;
        store.exchange_units("a", ask(quota(), 100, 40, 40), now()).await.expect("an answer");
        let used = UsageEvent { period: Some(if by_exchange { period() } else { long.period }), ..spent(7, 0) };
        take_in(&store, "a", vec![used]).await;
        if by_exchange {
            store.exchange_units("a", LeaseAsk { turn: 1, ..ask(long, 100, 0, 0) }, now()).await.expect("an answer");
        }
        store.prune_allowances(second_month).await.expect("pruned");
        let known = store.begin_leases("a", second_month, Earlier::Stored).await.expect("begun");
        assert_eq!(known, [Known { of: long, base: 7, elsewhere: 0, limit: 0 }], "by an exchange: {by_exchange}");
    }
}

async fn plan(store: &TestStore, code: &str, terms: serde_json::Value) -> PlanVersionId {
    let meta = PlanMeta {
        name: code.to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    };
    let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    let plan = store.create_plan(&new, Actor::System, now()).await.expect("a plan");
    store.plan(plan).await.expect("a plan").versions[0].id
}

/// On a plan that lets the balance go so far below zero.
async fn with_overdraft(store: &TestStore, units: u64) -> PartnerId {
    let partner = World::new(store).await.partner;
    let terms = serde_json::json!({
        "currency": "USD", "products": [],
        "admission": { "credit": { "required": true, "overdraft": { "units": units, "unit_price": "0.01" } } },
    });
    let version = plan(store, "overdraft", terms).await;
    store.assign_plan_version(partner, version, Actor::System, now()).await.expect("a subscription");
    partner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_balance_goes_below_zero_to_the_last_unit_that_the_plan_lets_it_and_no_further() {
    let store = test_db::store().await;
    let partner = with_overdraft(&store, 40).await;
    store.grant_credit(partner, &NewCreditGrant::new(60, "Race"), Actor::System, now()).await.expect("granted");
    let of = Allowance::credit(partner);
    let mut nodes = Vec::new();
    for (number, node) in (1_u64..).zip(["a", "b", "c"]) {
        let store = store.handle();
        nodes.push(tokio::spawn(async move {
            let (mut granted, mut turn) = (0, 0);
            for step in 0..80_u64 {
                // Every third gives something back, and asks again later.
                let returned = if step % 3 == 2 { (step * number) % 4 } else { 0 };
                let ask = LeaseAsk { of, limit: None, need: step % 3, want: 1 + (step * number) % 9, returned, turn };
                let answer = store.exchange_units(node, ask, now()).await.expect("an answer");
                assert!(answer.taken <= 100 && answer.limit == 100, "{answer:?}");
                (granted, turn) = (answer.granted, answer.turn);
            }
            granted
        }));
    }
    let mut granted = 0;
    for node in nodes {
        granted += node.await.expect("no panic");
    }
    let standing = store.credit(partner).await.expect("a standing");
    assert_eq!((standing.balance, standing.overdraft), (60, 40));
    let rest = LeaseAsk { of, limit: None, need: 100, want: 100, returned: 0, turn: 0 };
    let last = store.exchange_units("d", rest, now()).await.expect("an answer");
    assert_eq!((last.granted + granted, last.taken), (100, 100), "the last unit is reached");
    let more = store.exchange_units("d", LeaseAsk { turn: last.turn, ..rest }, now()).await.expect("an answer");
    assert_eq!((more.granted, more.taken), (last.granted, 100));
    let seen = store.read_leases("d", &[(of, None)], now()).await.expect("an answer")[0].expect("known");
    let known = store.begin_leases("e", now(), Earlier::Stored).await.expect("begun");
    assert_eq!((seen.limit, known[0].limit), (100, 100));
}

#[tokio::test]
async fn a_plan_without_overdraft_ends_at_zero_at_once_when_it_follows_one_with() {
    let store = test_db::store().await;
    let partner = with_overdraft(&store, 40).await;
    let of = Allowance::credit(partner);
    let ask = LeaseAsk { of, limit: None, need: 5, want: 5, returned: 0, turn: 0 };
    let first = store.exchange_units("a", ask, now()).await.expect("an answer");
    assert_eq!((first.granted, first.limit), (5, 40));
    let terms =
        serde_json::json!({ "currency": "USD", "products": [], "admission": { "credit": { "required": true } } });
    let plain = plan(&store, "plain", terms).await;
    let later = at("2026-03-02T12:00:00Z");
    store.assign_plan_version(partner, plain, Actor::System, later).await.expect("a subscription");
    let next = store.exchange_units("a", LeaseAsk { turn: first.turn, ..ask }, later).await.expect("an answer");
    assert_eq!((next.granted, next.limit), (5, 0), "nothing more, and what is held was granted under the plan before");
}

#[tokio::test]
async fn nothing_is_lent_to_whoever_is_limited_for_an_unpaid_invoice() {
    let store = test_db::store().await;
    let terms = serde_json::json!({
        "currency": "USD", "products": [],
        "admission": { "credit": { "required": true, "overdraft": { "units": 40, "unit_price": "0.01" } } },
    });
    let owing = crate::invoices::tests::billed_on(&store, terms).await[0];
    crate::invoices::tests::close(&store, owing, 0, false).await.expect("an invoice");
    for (stage, units) in [("grace", 40), ("limited", 0), ("suspended", 0), ("grace", 40)] {
        sqlx::query(
            "insert into dunning (partner_id, stage, since, invoice_id) select partner_id, $2, now(), id from invoices where partner_id = $1
             on conflict (partner_id) do update set stage = excluded.stage",
        )
        .bind(owing.partner.0)
        .bind(stage)
        .execute(store.pool())
        .await
        .expect("in that stage");
        assert_eq!(store.credit(owing.partner).await.expect("a standing").overdraft, units, "{stage}");
    }
}
