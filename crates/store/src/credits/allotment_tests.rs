//! A plan's units are given once for each period, and what is left is carried over as the plan says.

use super::{tests::Credited, *};
use crate::{Actor, NewPlan, PlanMeta, ingest::tests::at};
use domain::{id::PlanVersionId, plan::Approval};
use serde_json::{Value, json};

impl Credited {
    async fn plan(&self, code: &str, allotment: Value) -> PlanVersionId {
        self.plan_with(code, json!({ "required": true, "allotment": allotment })).await
    }

    /// A plan with these rules about credit.
    pub(super) async fn plan_with(&self, code: &str, credit: Value) -> PlanVersionId {
        let meta = PlanMeta {
            name: code.to_owned(),
            summary: String::new(),
            position: 0,
            private: false,
            approval: Approval::Automatic,
        };
        let terms = json!({ "currency": "USD", "products": [], "admission": { "credit": credit } });
        let terms = serde_json::from_value(terms).expect("terms");
        let new = NewPlan { code: code.to_owned(), meta, terms };
        let plan = self.store.create_plan(&new, Actor::System, at("2026-01-01T00:00:00Z")).await.expect("a plan");
        self.store.plan(plan).await.expect("a plan").versions[0].id
    }

    pub(super) async fn on(&self, plan: PlanVersionId, since: &str) {
        self.store.assign_plan_version(self.partner, plan, Actor::System, at(since)).await.expect("on it");
    }

    /// What a run gives and carries over, and that it does so only while something is due.
    async fn renew(&self, now: &str) -> [u64; 2] {
        let due = self.store.all_partners_to_allot(at(now)).await.expect("asked");
        if due.is_empty() {
            return [0, 0];
        }
        assert_eq!(due, [self.partner]);
        let given = self.store.allot_credit(self.partner, at(now)).await.expect("allotted");
        let carried = self.store.carry_over_credit(self.partner, at(now), at(now)).await.expect("carried over");
        assert_eq!(self.store.all_partners_to_allot(at(now)).await.expect("asked"), []);
        self.agrees().await;
        [given, carried]
    }
}

#[tokio::test]
async fn each_period_gives_once_and_what_is_left_expires_with_it() {
    let world = Credited::new().await;
    let plan = world.plan("pro", json!({ "units": 1000 })).await;
    world.on(plan, "2026-01-31T00:00:00Z").await;
    for (now, given, balance) in [
        ("2026-01-31T00:00:00Z", 1000, 1000),
        ("2026-02-27T23:59:59Z", 0, 1000),
        ("2026-02-28T00:00:00Z", 1000, 1000),
        ("2026-03-30T23:59:59Z", 0, 1000),
        ("2026-03-31T00:00:00Z", 1000, 1000),
        // Nothing ran for three periods.
        ("2026-06-30T00:00:01Z", 3000, 1000),
    ] {
        assert_eq!(world.renew(now).await, [given, 0], "{now}");
        if !world.store.all_partners_credit_due(at(now)).await.expect("asked").is_empty() {
            world.settle(now).await;
        }
        assert_eq!(world.balance().await, balance, "{now}");
    }
    let grants = world.store.credit_grants(world.partner).await.expect("grants");
    assert_eq!(grants.len(), 6);
    assert_eq!(grants.iter().filter(|grant| grant.state == GrantState::Usable).count(), 1);
}

#[tokio::test]
async fn what_was_used_and_is_handed_over_late_is_not_carried_over() {
    let world = Credited::new().await;
    let plan = world.plan("pro", json!({ "units": 1000, "rollover": { "percent": 100 } })).await;
    world.on(plan, "2026-03-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-03-01T00:00:00Z").await, [1000, 0]);
    let carry = async |complete| {
        let now = at("2026-04-01T00:00:10Z");
        world.store.carry_over_credit(world.partner, at(complete), now).await.expect("an answer")
    };
    assert_eq!(carry("2026-03-31T23:59:00Z").await, 0, "a node has not handed over its last minute");
    world.call("late", "2026-03-31T23:30:00Z", 800).await;
    assert_eq!(carry("2026-04-01T00:00:00Z").await, 200);
    world.agrees().await;
}

#[tokio::test]
async fn a_plan_that_is_over_gives_nothing_before_its_change_is_made() {
    let world = Credited::new().await;
    let plan = world.plan("pro", json!({ "units": 1000 })).await;
    world.on(plan, "2026-03-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-03-01T00:00:00Z").await, [1000, 0]);
    sqlx::query(
        "insert into plan_changes (partner_id, id, subscription_id, effective_at, status, requested_at)
         select partner_id, gen_random_uuid(), id, '2026-04-01T00:00:00Z', 'scheduled', now() from subscriptions where partner_id = $1",
    )
    .bind(world.partner.0)
    .execute(world.store.pool())
    .await
    .expect("a change waits");
    let now = at("2026-04-01T00:00:01Z");
    assert_eq!(world.store.allot_credit(world.partner, now).await.expect("an answer"), 0);
    sqlx::query("delete from plan_changes").execute(world.store.pool()).await.expect("it is withdrawn");
    assert_eq!(world.store.allot_credit(world.partner, now).await.expect("an answer"), 1000);
}

#[tokio::test]
async fn runs_at_once_give_and_carry_over_once() {
    let world = Credited::new().await;
    let plan = world.plan("pro", json!({ "units": 1000, "rollover": { "percent": 50 } })).await;
    world.on(plan, "2026-03-01T00:00:00Z").await;
    for (now, balance) in [("2026-03-01T00:00:00Z", 1000_i64), ("2026-04-01T00:00:00Z", 1500)] {
        let mut work = Vec::new();
        for _ in 0..8 {
            let (store, partner) = (world.store.handle(), world.partner);
            work.push(tokio::spawn(async move {
                let given = store.allot_credit(partner, at(now)).await.expect("allotted");
                [given, store.carry_over_credit(partner, at(now), at(now)).await.expect("carried over")]
            }));
        }
        let mut sums = [0, 0];
        for work in work {
            let [given, carried] = work.await.expect("no panic");
            sums = [sums[0] + given, sums[1] + carried];
        }
        assert_eq!((sums[0] + sums[1], world.balance().await), (balance.unsigned_abs(), balance), "{now}");
        world.agrees().await;
    }
}

#[tokio::test]
async fn a_share_is_carried_over_up_to_its_cap_for_its_periods() {
    let world = Credited::new().await;
    let rollover = json!({ "percent": 50, "cap": 600, "periods": 2 });
    let plan = world.plan("pro", json!({ "units": 1000, "rollover": rollover })).await;
    world.on(plan, "2026-03-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-03-01T00:00:00Z").await, [1000, 0]);
    // 200 of them are used, and booked when the period is over: half of 800 is carried over.
    world.call("a", "2026-03-31T23:30:00Z", 200).await;
    assert_eq!(world.renew("2026-04-01T00:00:00Z").await, [1000, 400]);
    assert_eq!(world.balance().await, 1400);
    // Nothing is used in April: half of 1,000, but no more than the cap with the 400 that are there still.
    assert_eq!(world.renew("2026-05-01T00:00:00Z").await, [1000, 200]);
    assert_eq!(world.balance().await, 1600);
    // March's are over after two periods; April's have one more.
    assert_eq!(world.renew("2026-06-01T00:00:00Z").await, [1000, 400]);
    assert_eq!(world.balance().await, 1600);
    let carried = world.store.credit_grants(world.partner).await.expect("grants");
    let carried: Vec<_> = carried.iter().filter(|grant| grant.reason == "Carried over from pro").collect();
    let ends: Vec<_> = carried.iter().map(|grant| grant.expires_at.map(|at| at.to_string())).collect();
    assert_eq!(
        ends,
        ["2026-08-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-06-01T00:00:00Z"].map(|at| Some(at.to_owned()))
    );
}

#[tokio::test]
async fn a_change_of_plan_gives_the_difference_and_going_back_and_forth_gives_nothing() {
    let world = Credited::new().await;
    let (small, big) =
        (world.plan("small", json!({ "units": 1000 })).await, world.plan("big", json!({ "units": 5000 })).await);
    world.on(small, "2026-04-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-04-01T00:00:00Z").await, [1000, 0]);
    // Half of April: 500 + 2,500, of which 1,000 were given.
    world.on(big, "2026-04-16T00:00:00Z").await;
    assert_eq!(world.renew("2026-04-16T00:00:00Z").await, [2000, 0]);
    // Down again at once: of what was given for the rest of April nothing stays, but for the second that it was in force.
    for (plan, given, balance) in [(small, 0, 1001), (big, 1999, 3000), (small, 0, 1001), (big, 1999, 3000)] {
        world.on(plan, "2026-04-16T00:00:01Z").await;
        assert_eq!(world.renew("2026-04-16T00:00:01Z").await, [given, 0]);
        assert_eq!(world.balance().await, balance);
    }
    assert_eq!(world.renew("2026-05-01T00:00:00Z").await, [5000, 0]);
}

#[tokio::test]
async fn a_smaller_plan_takes_back_what_is_unused_and_neither_what_calls_used_nor_what_gateways_hold() {
    let world = Credited::new().await;
    let big = world.plan("big", json!({ "units": 6000 })).await;
    let none = world.plan("none", Value::Null).await;
    world.on(big, "2026-04-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-04-01T00:00:00Z").await, [6000, 0]);
    world.call("a", "2026-04-05T10:00:00Z", 3500).await;
    let now = at("2026-04-11T00:00:00Z");
    let of = domain::allowance::Allowance::credit(world.partner);
    let ask = crate::leases::LeaseAsk { of, limit: None, need: 500, want: 500, returned: 0, turn: 0 };
    world.store.exchange_units("b", ask, now).await.expect("an answer");
    // A third of April is 2,000: of the other 4,000 are 2,000 unused and at no gateway.
    world.on(none, "2026-04-11T00:00:00Z").await;
    assert_eq!(world.renew("2026-04-11T00:00:00Z").await, [0, 0]);
    assert_eq!(world.balance().await, 500);
    let grants = world.store.credit_grants(world.partner).await.expect("grants");
    assert_eq!((grants.len(), grants[0].voided), (1, 2000));
    // Up again gives what the plan has for the rest, less what was kept.
    world.on(big, "2026-04-21T00:00:00Z").await;
    assert_eq!(world.renew("2026-04-21T00:00:00Z").await, [0, 0]);
    assert_eq!(world.renew("2026-05-01T00:00:00Z").await, [6000, 0]);
}

#[tokio::test]
async fn nothing_is_carried_over_for_whoever_has_left() {
    let world = Credited::new().await;
    let plan = world.plan("pro", json!({ "units": 1000, "rollover": { "percent": 100 } })).await;
    world.on(plan, "2026-03-01T00:00:00Z").await;
    assert_eq!(world.renew("2026-03-01T00:00:00Z").await, [1000, 0]);
    let end = "update subscriptions set status = 'ended', ended_at = '2026-03-20T00:00:00Z'";
    sqlx::query(end).execute(world.store.pool()).await.expect("ended");
    assert_eq!(world.renew("2026-04-01T00:00:00Z").await, [0, 0]);
    assert_eq!(world.balance().await, 0);
}
