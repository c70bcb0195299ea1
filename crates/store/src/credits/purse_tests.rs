//! Units of a grant that names products are for their calls alone, from the grant to its end, and every book knows it.

use super::{tests::Credited, *};
use crate::{
    Actor, LedgerAccount,
    corrections::tests::{apply, asked, one, revert},
    ingest::tests::{at, event, take_in},
    leases::{Earlier, Known},
};
use domain::{
    allowance::Allowance,
    correction::Change,
    credit::{allocation::Holder, bound::Purse},
    id::{AllocationId, ProductId},
    money::Currency,
    period::Period,
    usage::{Allocated, UsageEvent},
};
use jiff::SignedDuration;
use uuid::Uuid;

const NOW: &str = "2026-03-01T09:20:00Z";
/// What [`event`]s are of.
const PAYMENTS: ProductId = ProductId(Uuid::from_u128(5));
const PAYOUTS: ProductId = ProductId(Uuid::from_u128(7));

/// A partner, and the products that there are.
async fn world() -> Credited {
    let world = Credited::new().await;
    for (id, code, name) in [(PAYMENTS, "payments", "Payments"), (PAYOUTS, "payouts", "Payouts")] {
        sqlx::query(
            "insert into products (id, code, name, route, upstream_url, visibility, document, created_at, updated_at)
             values ($1, $2, $3, '/' || $2, 'https://api.example', 'public', '{}', now(), now())",
        )
        .bind(id.0)
        .bind(code)
        .bind(name)
        .execute(world.store.pool())
        .await
        .expect("a product");
    }
    world
}

fn bound(units: i64, products: &[&str]) -> NewCreditGrant {
    let products = products.iter().map(|code| (*code).to_owned()).collect();
    NewCreditGrant { products, ..NewCreditGrant::new(units, "Bound") }
}

impl Credited {
    async fn purses(&self) -> Vec<BoundCredit> {
        self.store.bound_credit(self.partner).await.expect("purses")
    }

    /// The only one.
    async fn purse(&self) -> AllocationId {
        let purses = self.purses().await;
        assert_eq!(purses.len(), 1, "{purses:?}");
        purses[0].id
    }

    async fn left_bound(&self) -> u64 {
        self.store.credit(self.partner).await.expect("a standing").bound
    }

    /// What gateways are told.
    async fn purses_told(&self) -> Vec<Purse> {
        let directory = self.store.load_directory().await.expect("a directory");
        directory.partner(self.partner).expect("the partner").bound.clone()
    }

    async fn refused(&self, new: &NewCreditGrant) -> StoreError {
        self.store.grant_credit(self.partner, new, Actor::System, at(NOW)).await.expect_err("refused")
    }
}

#[tokio::test]
async fn what_is_for_some_products_is_not_common_and_gateways_hear_of_it() {
    let world = world().await;
    let common = world.grant(NewCreditGrant::new(40, "Welcome"), NOW).await;
    let grant = world.grant(bound(100, &["payouts", "payments", "payouts"]), NOW).await;
    let purse = world.purse().await;
    let standing = world.store.credit(world.partner).await.expect("a standing");
    assert_eq!((standing.granted, standing.balance, standing.allocated, standing.bound), (40, 40, 0, 100));
    assert_eq!(world.purses().await[0].words(), "Payments and Payouts");
    assert_eq!(world.purses_told().await, [Purse { id: purse, products: vec![PAYMENTS, PAYOUTS], first_end: None }]);
    assert_eq!(world.store.credit_allocations(world.partner).await.expect("all"), [], "no app or team has it");
    let all = world.exchange("a", Allowance::credit(world.partner), 1_000, (0, 0)).await;
    let own = world.exchange("a", world.of(purse), 1_000, (0, 0)).await;
    assert_eq!((all.granted, own.granted), (40, 100));
    let grants = world.store.credit_grants(world.partner).await.expect("grants");
    let codes: Vec<_> = grants[0].products.iter().map(|product| product.code.as_str()).collect();
    assert_eq!(
        (grants[0].id, codes, grants[0].left, grants[0].allocated),
        (grant, vec!["payments", "payouts"], 100, 0)
    );
    assert_eq!((grants[1].id, grants[1].bound_words()), (common, None));
    world.agrees().await;
}

#[tokio::test]
async fn grants_for_the_same_products_share_a_purse_and_are_used_in_the_burn_order() {
    let world = world().await;
    let later = world.grant(bound(30, &["payments"]), NOW).await;
    let soon = NewCreditGrant { expires_at: Some(at("2026-03-05T00:00:00Z")), ..bound(20, &["payments"]) };
    let soon = world.grant(soon, NOW).await;
    let common = world.grant(NewCreditGrant::new(50, "Welcome"), NOW).await;
    let purse = world.purse().await;
    assert_eq!(
        (world.left_bound().await, world.purses_told().await[0].first_end),
        (50, Some(at("2026-03-05T00:00:00Z")))
    );
    world.call_own("a", "2026-03-01T10:10:00Z", 15, Some((purse, 15))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(soon).await, world.stands(later).await), ([5, 15, 0, 0], [30, 0, 0, 0]));
    // Seven of the purse, of which two come from the next grant; and three that are common.
    world.call_own("b", "2026-03-01T11:10:00Z", 10, Some((purse, 7))).await;
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(soon).await, world.stands(later).await), ([0, 20, 0, 0], [28, 2, 0, 0]));
    assert_eq!((world.stands(common).await, world.balance().await, world.left_bound().await), ([47, 3, 0, 0], 47, 28));
    assert_eq!(world.purses_told().await[0].first_end, None, "what is left never expires");
}

#[tokio::test]
async fn one_that_begins_later_is_begun_by_whoever_comes_first_and_told_of_once_it_is() {
    let world = world().await;
    let waits = NewCreditGrant { effective_at: Some(at("2026-03-02T00:00:00Z")), ..bound(10, &["payments"]) };
    let grant = world.grant(waits, NOW).await;
    assert_eq!((world.purses().await, world.purses_told().await), (vec![], vec![]));
    // Another transaction begins it in passing, and gateways hear of it with the next booking.
    world.grant(NewCreditGrant::new(40, "Welcome"), NOW).await;
    world.allocate(Holder::App(world.app().await), 5, "2026-03-02T00:10:00Z").await;
    assert_eq!((world.left_bound().await, world.stands(grant).await), (10, [10, 0, 0, 0]));
    world.settle("2026-03-02T00:20:00Z").await;
    assert_eq!(world.purses_told().await.len(), 1);
    let version = world.store.directory_version().await.expect("a version");
    world.store.settle_credit(world.partner, at("2026-03-02T00:30:00Z")).await.expect("settled");
    assert_eq!(world.store.directory_version().await.expect("a version"), version, "nothing is told twice");
}

#[tokio::test]
async fn what_expires_or_is_taken_back_leaves_its_purse_and_the_money_follows() {
    let world = world().await;
    let sold = |units, cents: i64| NewCreditGrant {
        kind: GrantKind::Paid,
        cost: Some(Money::new(Currency::Usd, cents * 10_000)),
        ..bound(units, &["payments"])
    };
    let ends = NewCreditGrant { expires_at: Some(at("2026-03-01T12:00:00Z")), ..sold(20, 200) };
    let (ends, stays) = (world.grant(ends, NOW).await, world.grant(sold(50, 1_000), NOW).await);
    let purse = world.purse().await;
    world.call_own("a", "2026-03-01T10:10:00Z", 5, Some((purse, 5))).await;
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(ends).await, world.left_bound().await), ([0, 5, 15, 0], 50));
    // A gateway holds some: it is asked for them, and the rest stays.
    let held = world.exchange("a", world.of(purse), 10, (0, 0)).await;
    let void = async || {
        let how = (Void::Refunded, "Wrong");
        world.store.void_credit_grant(world.partner, stays, how, Actor::System, at("2026-03-01T12:10:00Z")).await
    };
    assert!(matches!(void().await, Err(StoreError::Conflict { field, .. }) if field == "units"));
    let seen = world.store.read_leases("a", &[(world.of(purse), None)], jiff::Timestamp::now()).await.expect("read");
    assert!(seen[0].is_some_and(|seen| seen.wanted), "its gateways are asked for it");
    world.exchange("a", world.of(purse), 0, (10, held.turn)).await;
    assert!(void().await.expect("taken back"));
    assert!(!void().await.expect("taken back before"));
    assert_eq!((world.stands(stays).await, world.left_bound().await), ([0, 0, 0, 50], 0));
    assert_eq!((world.purses().await, world.purses_told().await), (vec![], vec![]));
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, "−$1.50".to_owned()),
            (LedgerAccount::Cash, "$2.00".to_owned()),
            (LedgerAccount::Credits, "$0.00".to_owned()),
            (LedgerAccount::Revenue, "−$0.50".to_owned()),
        ]
    );
    world.agrees().await;
}

#[tokio::test]
async fn units_that_gateways_spend_after_their_grant_expired_are_common_ones_and_come_back_as_such() {
    let world = world().await;
    let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T11:00:00Z")), ..bound(20, &["payments"]) };
    let gift = world.grant(gift, NOW).await;
    let rest = world.grant(NewCreditGrant::new(50, "Rest"), NOW).await;
    let purse = world.purse().await;
    world.exchange("a", world.of(purse), 10, (0, 0)).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!(world.purses_told().await, [], "nothing more is spent of it");
    world.call_own("a", "2026-03-01T11:10:00Z", 10, Some((purse, 10))).await;
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(gift).await, world.stands(rest).await), ([0, 0, 20, 0], [40, 10, 0, 0]));
    apply(&world.store, world.partner, &asked(Change::Void, one("a"))).await.expect("corrected");
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(rest).await, world.balance().await), ([50, 0, 0, 0], 50));
}

#[tokio::test]
async fn what_a_correction_takes_back_is_for_the_same_products_again() {
    let world = world().await;
    let grant = world.grant(bound(12, &["payments"]), NOW).await;
    world.grant(NewCreditGrant::new(50, "Rest"), NOW).await;
    let purse = world.purse().await;
    world.call_own("a", "2026-03-01T10:10:00Z", 12, Some((purse, 12))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(grant).await, world.purses_told().await), ([0, 12, 0, 0], vec![]));
    let applied = apply(&world.store, world.partner, &asked(Change::Void, one("a"))).await.expect("corrected");
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(grant).await, world.left_bound().await, world.balance().await), ([12, 0, 0, 0], 12, 50));
    assert_eq!(world.purses_told().await.len(), 1, "it can be spent again");
    revert(&world.store, world.partner, applied).await.expect("reverted");
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(grant).await, world.left_bound().await, world.balance().await), ([0, 12, 0, 0], 0, 50));
}

#[tokio::test]
async fn it_is_given_once_and_what_cannot_be_is_refused_in_words() {
    let world = world().await;
    let new = NewCreditGrant { reference: Some("spring".to_owned()), ..bound(10, &["payments"]) };
    let first = world.grant(new.clone(), NOW).await;
    assert_eq!(world.grant(new.clone(), NOW).await, first);
    assert_eq!(world.left_bound().await, 10);
    let others = [bound(10, &[]), bound(10, &["payouts"]), bound(10, &["payments", "payouts"])];
    for other in others {
        let other = NewCreditGrant { reference: new.reference.clone(), ..other };
        assert!(matches!(world.refused(&other).await, StoreError::Conflict { field, .. } if field == "reference"));
    }
    let unknown = world.refused(&bound(10, &["payments", "cards"])).await;
    assert!(matches!(&unknown, StoreError::Invalid { field, .. } if field == "products"), "{unknown:?}");
    assert!(unknown.to_string().contains("cards"), "{unknown}");
    assert!(
        matches!(world.refused(&bound(-1, &["payments"])).await, StoreError::Invalid { field, .. } if field == "products")
    );
    let many: Vec<String> = (0..51).map(|number| format!("p{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(world.refused(&bound(1, &many)).await, StoreError::Invalid { field, .. } if field == "products"));
    // What is taken back of the partner is taken of what is common.
    assert!(matches!(world.refused(&NewCreditGrant::new(-1, "Back")).await, StoreError::Conflict { .. }));
}

/// What a server does that knows no purses, when a grant's time has come and when it is over.
const BEGUN: &str = "update credit_grants set usable_since = now(), left_units = units where purse_id is not null";
const COMMON: &str = "update credit_grants set left_units = left_units + 1, allocated_units = allocated_units - 1 where purse_id is not null";

#[tokio::test]
async fn a_server_that_knows_no_purses_makes_no_common_unit_of_theirs_and_sees_no_allocation() {
    let world = world().await;
    let waits = NewCreditGrant { effective_at: Some(at("2026-03-02T00:00:00Z")), ..bound(10, &["payments"]) };
    world.grant(waits, NOW).await;
    for statement in [BEGUN, COMMON] {
        let done = sqlx::query(statement).execute(world.store.pool()).await;
        assert!(done.expect_err("refused").to_string().contains("credit_grants_never_common_check"), "{statement}");
        world.store.settle_credit(world.partner, at("2026-03-02T00:00:00Z")).await.expect("begun");
    }
    let seen: i64 = sqlx::query_scalar("select count(*) from credit_allocations")
        .fetch_one(world.store.pool())
        .await
        .expect("seen");
    assert_eq!((seen, world.left_bound().await), (0, 10));
    world.agrees().await;
}

#[tokio::test]
async fn sums_beside_the_entries_are_made_again_and_another_products_use_is_found() {
    let world = world().await;
    let grant = world.grant(bound(100, &["payments"]), NOW).await;
    let purse = world.purse().await;
    world.call_own("a", "2026-03-01T10:10:00Z", 5, Some((purse, 5))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    for tampered in [
        "update credit_allocation_balances set units = units + 1",
        "update credit_allocation_parts set left_units = left_units + 1",
        "delete from credit_allocation_parts",
        "update credit_grants set used_units = used_units + 3, allocated_units = allocated_units - 3",
    ] {
        sqlx::query(tampered).execute(world.store.pool()).await.expect("tampered with");
        assert!(!world.store.check_all_credit().await.expect("checked").is_empty(), "{tampered}");
        assert!(world.store.rebuild_all_credit().await.expect("rebuilt") > 0);
        world.agrees().await;
    }
    assert_eq!((world.stands(grant).await, world.left_bound().await), ([95, 5, 0, 0], 95));
    // A gateway that knew no filter would record this.
    let when = at("2026-03-01T11:10:00Z");
    let other = UsageEvent {
        partner: world.partner,
        product: Some(PAYOUTS),
        credits: 1,
        allocated: Some(Allocated { allocation: purse, units: 1 }),
        period: Some(Period { start: when, end: when + SignedDuration::from_hours(24) }),
        ..event(when, "wrong")
    };
    take_in(&world.store, "b", vec![other]).await;
    let found = world.store.check_all_credit().await.expect("checked");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].what.contains("used by calls of product") && found[0].actual == "1", "{found:?}");
}

#[tokio::test]
async fn a_node_that_starts_again_knows_what_it_spent_of_a_purse() {
    let world = world().await;
    world.grant(bound(30, &["payments"]), NOW).await;
    world.grant(NewCreditGrant::new(70, "Rest"), NOW).await;
    let purse = world.of(world.purse().await);
    let common = Allowance::credit(world.partner);
    world.exchange("a", purse, 20, (0, 0)).await;
    world.exchange("a", common, 40, (0, 0)).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 9, Some((purse.allocation.expect("a purse"), 6))).await;
    let known = world.store.begin_leases("a", at("2026-03-01T11:00:00Z"), Earlier::Stored).await.expect("begun");
    for (of, base, limit) in [(purse, 6, 30), (common, 3, 70)] {
        assert!(known.contains(&Known { of, base, elsewhere: 0, limit }), "{known:?}");
    }
    world.agrees().await;
}

/// Grants, calls, gateways' exchanges and bookings at once, again and again: nothing is granted twice, and the books agree in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn grants_exchanges_calls_and_bookings_that_race_agree_in_the_end() {
    let world = std::sync::Arc::new(world().await);
    world.grant(bound(1, &["payments"]), NOW).await;
    let purse = world.purse().await;
    let mut work = Vec::new();
    for number in 0..3_u32 {
        let world = world.clone();
        work.push(tokio::spawn(async move {
            for turn in 0..6_u32 {
                let now = at("2026-03-01T12:00:00Z") + SignedDuration::from_mins(i64::from(turn) * 40);
                let products: &[&str] = if (turn + number) % 2 == 0 { &["payments"] } else { &["payments", "payouts"] };
                let new = NewCreditGrant {
                    reference: Some(format!("{number}-{turn}")),
                    expires_at: Some(now + SignedDuration::from_hours(1 + i64::from(number))),
                    ..bound(50, products)
                };
                for _ in 0..2 {
                    world.store.grant_credit(world.partner, &new, Actor::System, now).await.expect("granted once");
                }
                world.store.settle_credit(world.partner, now).await.expect("settled");
            }
        }));
    }
    let node = {
        let world = world.clone();
        tokio::spawn(async move {
            let mut held = (0, 0);
            for step in 0..60_u64 {
                let answer = world.exchange("x", world.of(purse), step % 5, (step % 4, held.1)).await;
                assert!(answer.granted <= 1 + 18 * 50, "{answer:?}");
                held = (answer.granted, answer.turn);
            }
        })
    };
    for number in 0..12 {
        let when = at("2026-03-01T12:00:00Z") + SignedDuration::from_mins(number * 20);
        world.call_own(&format!("n{number}"), &when.to_string(), 10, Some((purse, 10))).await;
    }
    for work in work {
        work.await.expect("no panic");
    }
    node.await.expect("no panic");
    world.store.release_node("x").await.expect("released");
    world.store.settle_credit(world.partner, at("2026-03-02T12:00:00Z")).await.expect("settled");
    world.agrees().await;
    let grants = world.store.credit_grants(world.partner).await.expect("grants");
    assert_eq!(grants.len(), 19, "each was given once");
    assert!(grants.iter().all(|grant| grant.left + grant.used + grant.expired == grant.units.unsigned_abs()));
    let used: u64 = grants.iter().map(|grant| grant.used).sum();
    assert_eq!(
        120 - i64::try_from(used).expect("small"),
        -world.balance().await,
        "what no purse had is owed of what is common"
    );
}

#[tokio::test]
async fn a_grant_that_is_asked_for_again_is_the_first_one_after_its_product_was_archived() {
    let world = world().await;
    let again = NewCreditGrant { reference: Some("spring".to_owned()), ..bound(100, &["payouts", "payments"]) };
    let first = world.grant(again.clone(), NOW).await;
    sqlx::query("update products set archived_at = now() where id = $1")
        .bind(PAYOUTS.0)
        .execute(world.store.pool())
        .await
        .expect("archived");
    assert_eq!(world.grant(again.clone(), NOW).await, first);
    assert_eq!(world.left_bound().await, 100);
    let other = NewCreditGrant { products: vec!["payments".to_owned()], ..again };
    assert!(matches!(world.refused(&other).await, StoreError::Conflict { .. }));
}

#[tokio::test]
async fn what_expired_while_something_else_was_booked_no_longer_orders_the_purses() {
    let world = world().await;
    let ends = NewCreditGrant { expires_at: Some(at("2026-03-02T00:00:00Z")), ..bound(10, &["payments"]) };
    world.grant(ends, NOW).await;
    world.grant(bound(20, &["payments"]), NOW).await;
    let due = async || world.store.all_partners_credit_due(at("2026-03-02T00:00:30Z")).await.expect("asked");
    let mut tx = world.store.begin().await.expect("a transaction");
    post::lock(&mut tx, world.partner).await.expect("locked");
    let mut grants = post::Held::all(&mut tx, world.partner).await.expect("grants");
    expiry::expire(&mut tx, world.partner, &mut grants, at("2026-03-02T00:00:00Z")).await.expect("booked");
    tx.commit().await.expect("kept");
    assert_eq!(world.purses_told().await[0].first_end, Some(at("2026-03-02T00:00:00Z")), "nobody told the gateways");
    assert_eq!(due().await, [world.partner]);
    world.store.settle_credit(world.partner, at("2026-03-02T00:00:30Z")).await.expect("booked");
    assert_eq!(world.purses_told().await[0].first_end, None);
    assert_eq!(due().await, []);
}
