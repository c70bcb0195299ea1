//! Closing sees what came since a bill's ground was read, and a ground leaves out nothing that there is.

use super::*;
use crate::{
    Actor, NewPlan, PlanMeta,
    invoices::tests::{Billed, billed, close},
    test_db::{self, TestStore, world::now},
};
use domain::plan::Approval;
use jiff::SignedDuration;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// The first period of [`close`].
fn first() -> Period {
    Period { start: now(), end: now() + SignedDuration::from_hours(30 * 24) }
}

async fn sql(store: &TestStore, statement: &str, of: Billed) {
    let subscription = store.open_subscriptions(of.partner).await.expect("subscriptions")[0].id;
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .bind(of.partner.0)
        .bind(subscription.0)
        .bind(Ts(first().start))
        .bind(Ts(first().end))
        .execute(store.pool())
        .await
        .expect("done");
}

async fn find(store: &TestStore, partner: Uuid, hour: Timestamp) {
    sqlx::query(
        "insert into reconciliation_findings (kind, partner_id, hour, meter, expected, actual, first_seen_at, last_seen_at)
         values ('hourly', $1, $2, 'units', 2, 1, $2, $2)",
    )
    .bind(partner)
    .bind(Ts(hour))
    .execute(store.pool())
    .await
    .expect("found");
}

#[tokio::test]
async fn what_was_found_since_a_stretch_was_compared_keeps_it_open() {
    let store = test_db::store().await;
    let all = billed(&store).await;
    let within = first().start + SignedDuration::from_hours(48);
    find(&store, all[0].partner.0, within).await;
    find(&store, all[1].partner.0, first().end).await;
    assert_eq!(close(&store, all[0], 0, false).await.expect("an answer"), Closed::Doubtful);
    // That of another partner, or of later hours, is nothing to wait for.
    for of in [all[1], all[2]] {
        assert!(matches!(close(&store, of, 0, false).await.expect("an answer"), Closed::Invoiced(_)));
    }
    // One of which nobody can say whose it is keeps all open, until somebody accepts it.
    find(&store, Uuid::nil(), within).await;
    assert_eq!(close(&store, all[3], 0, false).await.expect("an answer"), Closed::Doubtful);
    store.accept_findings("looked", Actor::System, now()).await.expect("accepted");
    for of in [all[0], all[3]] {
        assert!(matches!(close(&store, of, 0, false).await.expect("an answer"), Closed::Invoiced(_)));
    }
}

#[tokio::test]
async fn a_ground_names_what_else_may_be_on_the_bill_of_that_partner_alone() {
    let store = test_db::store().await;
    let all = billed(&store).await;
    let [none, late, unused, coupon, lends, cut, used_up, ..] = *all else { panic!("eight partners") };
    let adjustment =
        "insert into usage_adjustments (partner_id, sequence, source, id, subscription_id, period_start, period_end, at, units,
             received_at)
         values ($1, 1, 'crm', 'one', $2, $3, $4, $3, 5, $4)";
    sql(&store, adjustment, late).await;
    let fee = "with ended as (update subscriptions set status = 'ended', ended_at = $3::timestamptz + interval '1 day'
             where partner_id = $1 and id = $2)
         insert into advance_fees (partner_id, subscription_id, period_start, period_end, currency, fee_micros)
         values ($1, $2, $3, $4, 'USD', 1000000)";
    sql(&store, fee, unused).await;
    // A fee of a plan that goes on is used up.
    let fee = "insert into advance_fees (partner_id, subscription_id, period_start, period_end, currency, fee_micros)
         values ($1, $2, $3, $4, 'USD', 1000000)";
    sql(&store, fee, used_up).await;
    let spring = serde_json::from_value(json!({ "name": "Spring", "percent": "25" })).expect("a coupon");
    store.put_coupon("spring", &spring, Actor::System, now()).await.expect("saved");
    let by = crate::OrderedBy::Partner;
    store.redeem_coupon(coupon.partner, "spring", by, Actor::System, now()).await.expect("redeemed");
    let version = lending_plan(&store).await;
    sqlx::query("update subscriptions set plan_version_id = $2 where partner_id = $1")
        .bind(lends.partner.0)
        .bind(version.0)
        .execute(store.pool())
        .await
        .expect("moved");
    let Closed::Invoiced(invoice) = close(&store, cut, 0, false).await.expect("closed") else { panic!("an invoice") };
    store.make_threshold_invoice(invoice, 1).await;

    let mut stretches = Vec::new();
    for of in &all {
        let subscription = store.open_subscriptions(of.partner).await.expect("subscriptions")[0].id;
        stretches.push((of.partner, subscription, first()));
    }
    let grounds = store.bill_grounds(&stretches).await.expect("grounds");
    let beside = |of: Billed| {
        let place = all.iter().position(|one| one.partner == of.partner).expect("one of them");
        grounds[place].beside.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(beside(late), [Beside::LateUnits]);
    assert_eq!(beside(unused), [Beside::UnusedFees]);
    assert_eq!(beside(coupon), [Beside::Coupons]);
    assert_eq!(beside(lends), [Beside::Overdraft]);
    assert_eq!(beside(cut), [Beside::ThresholdInvoices]);
    for other in [none, used_up, all[7]] {
        assert_eq!(beside(other), []);
    }
    assert!(grounds.iter().all(|ground| ground.units.is_empty()));
}

async fn lending_plan(store: &Store) -> PlanVersionId {
    let credit = json!({ "required": true, "overdraft": { "units": 10, "unit_price": "0.02" } });
    let terms = json!({ "currency": "USD", "products": [], "admission": { "credit": credit } });
    let meta = PlanMeta {
        name: "Lending".to_owned(),
        summary: String::new(),
        position: 1,
        private: false,
        approval: Approval::Automatic,
    };
    let new = NewPlan { code: "lending".to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    let plan = store.create_plan(&new, Actor::System, now()).await.expect("a plan");
    store.plan(plan).await.expect("a plan").versions[0].id
}
