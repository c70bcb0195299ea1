//! Numbers of invoices follow each other without a hole, whatever is rolled back.

use crate::{
    Actor, BilledAlready, NewInvoice, NewInvoiceLine, NewPlan, PlanMeta, Store, StoreError,
    billing_periods::Closed,
    test_db::{self, world::World},
};
use domain::{
    id::{PartnerId, PlanVersionId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
    plan::{Approval, Collect},
    rating::LineKind,
};
use jiff::SignedDuration;
use serde_json::json;

const PARTNERS: usize = 8;
const PERIODS: i64 = 6;

#[derive(Clone, Copy)]
pub(crate) struct Billed {
    pub partner: PartnerId,
    pub version: PlanVersionId,
    pub subscription: SubscriptionId,
}

pub(crate) async fn billed(store: &Store) -> Vec<Billed> {
    billed_on(store, json!({ "currency": "USD", "products": [] })).await
}

/// Partners on a plan with these terms.
pub(crate) async fn billed_on(store: &Store, terms: serde_json::Value) -> Vec<Billed> {
    let meta = PlanMeta {
        name: "Growth".to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    };
    let terms = serde_json::from_value(terms).expect("terms");
    let now = test_db::world::now();
    let new = NewPlan { code: "growth".to_owned(), meta, terms };
    let plan = store.create_plan(&new, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    let mut all = Vec::new();
    for number in 0..PARTNERS {
        let partner = World::named(store, &format!("partner-{number}")).await.partner;
        store.assign_plan_version(partner, version, Actor::System, now).await.expect("a subscription");
        let subscription = store.open_subscription(partner).await.expect("an answer").expect("a subscription").id;
        all.push(Billed { partner, version, subscription });
    }
    all
}

/// Closes one of its periods; where it `fails`, after the invoice was written: it names late units that there are not.
pub(crate) async fn close(store: &Store, of: Billed, period: i64, fails: bool) -> Result<Closed, StoreError> {
    let month = SignedDuration::from_hours(30 * 24);
    let start = test_db::world::now() + month * i32::try_from(period).unwrap_or(0);
    let range = Period { start, end: start + month };
    let total = Money::new(Currency::Usd, 49_000_000);
    let line = NewInvoiceLine {
        kind: LineKind::BaseFee,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: "Base fee".to_owned(),
        quantity: 1,
        free: 0,
        prepaid: 0,
        amount: total,
        teams: Vec::new(),
    };
    let invoice = NewInvoice {
        plan_version: of.version,
        time_zone: "UTC".to_owned(),
        collect: Collect::InvoiceItems,
        total,
        lines: vec![line],
        late: if fails { vec![1] } else { Vec::new() },
        in_advance: false,
        threshold_number: 0,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    };
    let mark = store.outside_mark(of.partner).await?;
    store.close_billing_period(of.partner, of.subscription, range, (Some(invoice), mark), range.end).await
}

async fn numbers(store: &Store) -> Vec<i64> {
    sqlx::query_scalar("select number from invoices order by number").fetch_all(store.pool()).await.expect("numbers")
}

/// Every partner's periods, all partners at once; each is tried in vain first.
async fn race(store: &Store, all: &[Billed], periods: std::ops::Range<i64>) {
    let runs: Vec<_> = all
        .iter()
        .map(|of| {
            let (store, of, periods) = (store.clone(), *of, periods.clone());
            tokio::spawn(async move {
                for period in periods {
                    close(&store, of, period, true).await.expect_err("there are no such late units");
                    let closed = close(&store, of, period, false).await.expect("closed");
                    assert!(matches!(closed, Closed::Invoiced(_)), "{closed:?}");
                }
            })
        })
        .collect();
    for run in runs {
        run.await.expect("ran");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_and_rolled_back_closings_leave_no_hole() {
    let store = test_db::store().await;
    let all = billed(&store).await;
    race(&store, &all, 0..PERIODS).await;
    let given = PERIODS * PARTNERS as i64;
    assert_eq!(numbers(&store).await, (1..=given).collect::<Vec<_>>());

    // The control: with an identity, as it was before, what is rolled back leaves a hole.
    let before = format!(
        "alter table invoices alter column number drop default;
         alter table invoices alter column number add generated always as identity (start with {})",
        given + 1
    );
    for statement in before.split(';') {
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(store.pool()).await.expect("changed");
    }
    race(&store, &all[..1], PERIODS..PERIODS + 2).await;
    assert_ne!(numbers(&store).await, (1..=given + 2).collect::<Vec<_>>());
}
