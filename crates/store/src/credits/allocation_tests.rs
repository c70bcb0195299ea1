//! What one app or team has for itself nobody else spends, and nobody spends more than there is; what comes back is for all.

use super::{tests::Credited, *};
use crate::{
    Actor,
    ingest::tests::{at, event, take_in},
    leases::{Earlier, Known, LeaseAsk, Leased},
};
use domain::{
    allowance::Allowance,
    credit::allocation::{Holder, Spend},
    directory::Allocation,
    id::{AllocationId, AppId},
    period::Period,
    usage::{Allocated, UsageEvent},
};
use jiff::SignedDuration;

const NOW: &str = "2026-03-01T09:20:00Z";

impl Credited {
    pub(super) async fn app(&self) -> AppId {
        self.store.apps(self.partner).await.expect("apps")[0].app.id
    }

    pub(super) async fn allocate(&self, of: Holder, units: u64, now: &str) -> AllocationId {
        let new = NewCreditAllocation { of, units, spend: Spend::Only, reference: None };
        self.store.allocate_credit(self.partner, &new, Actor::System, at(now)).await.expect("allocated").id
    }

    pub(super) async fn back(&self, id: AllocationId, units: Option<u64>, now: &str) -> CreditAllocation {
        let asked = GiveBackCredit { units, reference: None };
        self.store.give_back_credit(self.partner, id, &asked, Actor::System, at(now)).await.expect("given back")
    }

    pub(super) async fn own(&self, id: AllocationId) -> CreditAllocation {
        self.store.credit_allocation(self.partner, id).await.expect("the allocation")
    }

    pub(super) fn of(&self, allocation: AllocationId) -> Allowance {
        Allowance::allocation(self.partner, allocation)
    }

    /// The node asks for units, gives some back, or both.
    pub(super) async fn exchange(&self, node: &str, of: Allowance, need: u64, (returned, turn): (u64, i64)) -> Leased {
        let ask = LeaseAsk { of, limit: None, need, want: need, returned, turn };
        self.store.exchange_units(node, ask, at(NOW)).await.expect("an answer")
    }

    /// A call of so many units, some of them the allocation's, taken in by a node of its own.
    pub(super) async fn call_own(&self, node: &str, when: &str, units: u64, own: Option<(AllocationId, u64)>) {
        let when = at(when);
        let period = Period { start: when, end: when + SignedDuration::from_hours(24) };
        let allocated = own.map(|(allocation, units)| Allocated { allocation, units });
        let call = UsageEvent {
            partner: self.partner,
            units,
            credits: units,
            allocated,
            period: Some(period),
            ..event(when, node)
        };
        take_in(&self.store, node, vec![call]).await;
    }
}

#[tokio::test]
async fn what_is_allocated_is_for_its_holder_alone_until_it_is_given_back() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    let (own, common) = (world.of(id), Allowance::credit(world.partner));
    world.agrees().await;
    let standing = world.store.credit(world.partner).await.expect("a standing");
    assert_eq!((standing.balance, standing.allocated), (70, 30));
    let all = world.exchange("a", common, 100, (0, 0)).await;
    assert_eq!((all.granted, all.limit), (70, 70), "the others cannot have it");
    let mine = world.exchange("b", own, 100, (0, 0)).await;
    assert_eq!((mine.granted, mine.limit), (30, 30), "and its holder has no more");
    world.exchange("b", own, 0, (10, mine.turn)).await;
    world.back(id, Some(10), NOW).await;
    let more = world.exchange("a", common, 30, (0, all.turn)).await;
    assert_eq!((more.granted, more.limit), (80, 80), "at once for all");
    world.agrees().await;
    let own = world.own(id).await;
    assert_eq!((own.units, own.used, own.left, own.returning), (20, 0, 20, 0));
    let refused = NewCreditAllocation { of: own.of, units: 1, spend: Spend::Only, reference: None };
    let refused = world.store.allocate_credit(world.partner, &refused, Actor::System, at(NOW)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { field, .. }) if field == "units"), "gateways hold all of it");
}

/// R28's: on three nodes, with blocks that come back, with units that are allocated and given back meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nodes_that_race_are_granted_exactly_what_there_is_in_all_and_in_each_allocation() {
    let world = std::sync::Arc::new(Credited::new().await);
    world.grant(NewCreditGrant::new(200, "Race"), NOW).await;
    let team = world.store.create_team(world.partner, "Payments", Actor::System, at(NOW)).await.expect("made");
    let (app, team) = (Holder::App(world.app().await), Holder::Team(team));
    let ids = [world.allocate(app, 40, NOW).await, world.allocate(team, 30, NOW).await];
    let holders = [world.of(ids[0]), world.of(ids[1]), Allowance::credit(world.partner)];
    let mut nodes = Vec::new();
    for (number, node) in (1_u64..).zip(["a", "b", "c"]) {
        let world = world.clone();
        nodes.push(tokio::spawn(async move {
            let mut held = [(0, 0); 3];
            for step in 0..60_u64 {
                for (place, of) in holders.into_iter().enumerate() {
                    let returned = if step % 3 == 2 { (step * number) % 4 } else { 0 };
                    let answer = world.exchange(node, of, (step + number) % 5, (returned, held[place].1)).await;
                    assert!(answer.taken <= 200 && answer.granted <= 200, "{answer:?}");
                    held[place] = (answer.granted, answer.turn);
                }
            }
            held.map(|(granted, _)| granted)
        }));
    }
    let mover = {
        let world = world.clone();
        tokio::spawn(async move {
            let mut moved = 0;
            for step in 0..40_u64 {
                let (id, of) = if step % 2 == 0 { (ids[0], app) } else { (ids[1], team) };
                if step % 3 == 0 {
                    let asked = GiveBackCredit { units: Some(1 + step % 4), reference: None };
                    let given = world.store.give_back_credit(world.partner, id, &asked, Actor::System, at(NOW)).await;
                    moved += u32::from(given.is_ok());
                } else {
                    let new = NewCreditAllocation { of, units: 1 + step % 5, spend: Spend::Only, reference: None };
                    let given = world.store.allocate_credit(world.partner, &new, Actor::System, at(NOW)).await;
                    moved += u32::from(given.is_ok());
                }
            }
            moved
        })
    };
    let mut granted = [0; 3];
    for node in nodes {
        for (sum, part) in granted.iter_mut().zip(node.await.expect("no panic")) {
            *sum += part;
        }
    }
    assert!(mover.await.expect("no panic") > 0, "some were moved meanwhile");
    world.store.settle_credit(world.partner, at(NOW)).await.expect("settled");
    world.agrees().await;
    let mut all = 0;
    for (place, of) in holders.into_iter().enumerate() {
        let last = world.exchange("d", of, 1_000, (0, 0)).await;
        let returning = match of.allocation {
            Some(id) => world.own(id).await.returning,
            None => 0,
        };
        assert_eq!(last.taken, last.limit + returning, "its last unit is reached, and no further");
        assert_eq!(last.granted + granted[place], last.taken);
        all += last.taken;
    }
    assert_eq!(all, 200);
}

/// Control: where what is allocated is not left out of what is common, more is granted than there is, and the race above sees it.
#[tokio::test]
async fn without_two_balances_more_is_granted_than_there_is() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Race"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    sqlx::query(
        "create or replace function credit_spendable(of_holder uuid) returns bigint language sql stable as $$
             select coalesce((select a.units from credit_allocation_balances a where a.allocation_id = of_holder),
                 (select b.units + coalesce((select sum(a.units) from credit_allocation_balances a
                     where a.partner_id = b.partner_id), 0) from credit_balances b where b.partner_id = of_holder))::bigint
         $$",
    )
    .execute(world.store.pool())
    .await
    .expect("as if there were one");
    let own = world.exchange("a", world.of(id), 1_000, (0, 0)).await;
    let common = world.exchange("b", Allowance::credit(world.partner), 1_000, (0, 0)).await;
    assert_eq!(own.granted + common.granted, 130);
}

#[tokio::test]
async fn calls_burn_the_allocations_own_parts_of_grants_and_money_follows() {
    let world = Credited::new().await;
    let sold = NewCreditGrant {
        kind: GrantKind::Paid,
        cost: Some(Money::new(domain::money::Currency::Usd, 10_000_000)),
        ..NewCreditGrant::new(100, "Package")
    };
    let gift = NewCreditGrant { expires_at: Some(at("2026-03-02T00:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
    let (sold, gift) = (world.grant(sold, NOW).await, world.grant(gift, NOW).await);
    // What expires first goes first: all of the gift, and 10 that were sold.
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 5, Some((id, 5))).await;
    world.call_own("b", "2026-03-01T10:20:00Z", 7, None).await;
    world.settle("2026-03-01T11:00:00Z").await;
    assert_eq!((world.stands(sold).await, world.stands(gift).await), ([93, 7, 0, 0], [15, 5, 0, 0]));
    // Half from each: the allocation's choice lets its calls go on.
    world.call_own("c", "2026-03-01T11:10:00Z", 40, Some((id, 12))).await;
    world.settle("2026-03-01T12:00:00Z").await;
    assert_eq!((world.stands(sold).await, world.stands(gift).await), ([65, 35, 0, 0], [3, 17, 0, 0]));
    let own = world.own(id).await;
    assert_eq!((own.units, own.used, own.left), (30, 17, 13));
    assert_eq!(world.balance().await, 55);
    let money = world.money().await;
    assert!(money.contains(&(crate::LedgerAccount::Revenue, "−$3.50".to_owned())), "{money:?}");
    // What is left of the gift expires in the allocation; what was sold goes back.
    world.settle("2026-03-02T00:00:00Z").await;
    assert_eq!(world.stands(gift).await, [0, 17, 3, 0]);
    assert_eq!(world.own(id).await.left, 10);
    // A call of before that comes late uses of it what had expired: then less of it expired.
    world.call_own("d", "2026-03-01T23:10:00Z", 2, Some((id, 2))).await;
    world.settle("2026-03-02T01:00:00Z").await;
    assert_eq!(world.stands(gift).await, [0, 19, 1, 0]);
    let own = world.back(id, None, "2026-03-02T01:10:00Z").await;
    assert_eq!((own.left, own.ended_at.is_some()), (0, true));
    assert_eq!(world.balance().await, 65);
    world.agrees().await;
}

#[tokio::test]
async fn what_gateways_hold_comes_back_when_they_let_go_and_is_granted_to_nobody_meanwhile() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 50, NOW).await;
    let held = world.exchange("a", world.of(id), 20, (0, 0)).await;
    let own = world.back(id, Some(45), NOW).await;
    assert_eq!((own.units, own.left, own.returning), (20, 20, 15));
    assert_eq!(world.balance().await, 80);
    world.agrees().await;
    let seen = world.store.read_leases("a", &[(world.of(id), None)], jiff::Timestamp::now()).await.expect("an answer");
    assert!(seen[0].is_some_and(|seen| seen.wanted), "its gateways are asked for it");
    let more = world.exchange("b", world.of(id), 20, (0, 0)).await;
    assert_eq!((more.granted, more.limit), (0, 5));
    let asked = GiveBackCredit { units: Some(6), reference: None };
    let too_many = world.store.give_back_credit(world.partner, id, &asked, Actor::System, at(NOW)).await;
    assert!(matches!(too_many, Err(StoreError::Conflict { .. })), "5 are left that were not asked back");
    // Three of them are used after all, and the rest comes.
    world.call_own("a", "2026-03-01T09:30:00Z", 3, Some((id, 3))).await;
    world.exchange("a", world.of(id), 0, (17, held.turn)).await;
    world.settle("2026-03-01T10:00:00Z").await;
    let own = world.own(id).await;
    assert_eq!((own.units, own.used, own.left, own.returning), (5, 3, 2, 0));
    assert_eq!(world.balance().await, 95);
    // Of one that has ended all comes, whenever it does.
    let held = world.exchange("b", world.of(id), 2, (0, more.turn)).await;
    let own = world.back(id, None, NOW).await;
    assert_eq!((own.left, own.returning, own.ended_at.is_some()), (2, 2, true));
    let again = world.back(id, None, NOW).await;
    assert_eq!(again, own, "a second time changes nothing");
    world.exchange("b", world.of(id), 0, (2, held.turn)).await;
    world.settle("2026-03-01T10:00:00Z").await;
    assert_eq!((world.own(id).await.left, world.balance().await), (0, 97));
    assert_eq!(world.store.credit_allocations(world.partner).await.expect("all"), []);
}

#[tokio::test]
async fn what_was_asked_back_and_used_instead_is_not_taken_of_what_is_allocated_later() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let id = world.allocate(of, 10, NOW).await;
    world.exchange("a", world.of(id), 10, (0, 0)).await;
    assert_eq!(world.back(id, Some(10), NOW).await.returning, 10);
    world.call_own("a", "2026-03-01T09:30:00Z", 10, Some((id, 10))).await;
    world.allocate(of, 20, NOW).await;
    world.store.settle_credit(world.partner, at("2026-03-01T10:00:00Z")).await.expect("settled");
    let own = world.own(id).await;
    assert_eq!((own.left, own.returning), (20, 0));
    world.agrees().await;
}

#[tokio::test]
async fn an_archived_app_gives_its_units_back_by_itself() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let app = world.app().await;
    let id = world.allocate(Holder::App(app), 60, NOW).await;
    world.store.archive_app(world.partner, app, Actor::System, at(NOW)).await.expect("archived");
    assert_eq!((world.own(id).await.ended_at, world.balance().await), (Some(at(NOW)), 100));
    world.agrees().await;
    let new = NewCreditAllocation { of: Holder::App(app), units: 1, spend: Spend::Only, reference: None };
    let refused = world.store.allocate_credit(world.partner, &new, Actor::System, at(NOW)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { field, .. }) if field == "of"));
}

#[tokio::test]
async fn sums_beside_the_entries_are_compared_and_made_again() {
    let world = Credited::new().await;
    let grant = world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 5, Some((id, 5))).await;
    world.settle("2026-03-01T11:00:00Z").await;
    for tampered in [
        "update credit_allocation_balances set units = units + 1",
        "update credit_allocation_parts set left_units = left_units + 1",
        "delete from credit_allocation_parts",
        "update credit_grants set left_units = left_units + 3, allocated_units = allocated_units - 3",
        "update credit_balances set units = units - 1",
    ] {
        sqlx::query(tampered).execute(world.store.pool()).await.expect("tampered with");
        assert!(!world.store.check_all_credit().await.expect("checked").is_empty(), "{tampered}");
        assert!(world.store.rebuild_all_credit().await.expect("rebuilt") > 0);
        world.agrees().await;
    }
    let tampered = "update allowances set taken = taken + 1 where partner_id in (select id from credit_allocations)";
    sqlx::query(tampered).execute(world.store.pool()).await.expect("tampered with");
    let found = world.store.check_all_credit().await.expect("checked");
    assert_eq!(
        found.iter().map(|one| one.what.clone()).collect::<Vec<_>>(),
        [format!("allocation {}: used, by gateways", id.0)]
    );
    assert_eq!(world.stands(grant).await, [95, 5, 0, 0]);
}

#[tokio::test]
async fn a_grant_of_which_some_is_allocated_is_not_taken_back() {
    let world = Credited::new().await;
    let grant = world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    let void = async || {
        world.store.void_credit_grant(world.partner, grant, (Void::Kept, "Wrong"), Actor::System, at(NOW)).await
    };
    assert!(matches!(void().await, Err(StoreError::Conflict { .. })));
    world.back(id, Some(30), NOW).await;
    assert!(void().await.expect("taken back"));
    world.agrees().await;
}

#[tokio::test]
async fn a_node_that_starts_again_knows_what_it_spent_of_what() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    let (own, common) = (world.of(id), Allowance::credit(world.partner));
    world.exchange("a", own, 20, (0, 0)).await;
    world.exchange("a", common, 40, (0, 0)).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 9, Some((id, 6))).await;
    let known = world.store.begin_leases("a", at("2026-03-01T11:00:00Z"), Earlier::Stored).await.expect("begun");
    let of_credit: Vec<_> =
        known.into_iter().filter(|known| known.of.kind == domain::allowance::Kind::Credit).collect();
    let is = |of, base, limit| Known { of, base, elsewhere: 0, limit };
    assert_eq!(of_credit.len(), 2);
    assert!(of_credit.contains(&is(own, 6, 30)) && of_credit.contains(&is(common, 3, 70)), "{of_credit:?}");
    // What this life has used is not of an earlier one.
    let known = world.store.begin_leases("a", at("2026-03-01T10:00:00Z"), Earlier::Stored).await.expect("begun");
    assert!(known.contains(&is(own, 0, 30)) && known.contains(&is(common, 0, 70)), "{known:?}");
    world.agrees().await;
}

#[tokio::test]
async fn gateways_hear_of_allocations_and_not_of_each_unit_that_is_moved() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let of = Holder::App(world.app().await);
    let version = async || world.store.directory_version().await.expect("a version");
    let listed = async || {
        let directory = world.store.load_directory().await.expect("a directory");
        directory.partner(world.partner).expect("the partner").allocations.clone()
    };
    let before = version().await;
    let id = world.allocate(of, 30, NOW).await;
    let made = version().await;
    assert!(made > before);
    assert_eq!(listed().await, [Allocation { id, of, spend: Spend::Only }]);
    let changes = world.store.directory_changes(before).await.expect("read").expect("listed");
    assert_eq!(changes.partners, [world.partner]);
    world.allocate(of, 5, NOW).await;
    world.back(id, Some(7), NOW).await;
    assert_eq!(version().await, made);
    let new = NewCreditAllocation { of, units: 0, spend: Spend::First, reference: None };
    world.store.allocate_credit(world.partner, &new, Actor::System, at(NOW)).await.expect("changed");
    assert_eq!(listed().await, [Allocation { id, of, spend: Spend::First }]);
    world.back(id, None, NOW).await;
    assert_eq!(listed().await, []);
}
