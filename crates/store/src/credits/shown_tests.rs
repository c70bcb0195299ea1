//! What an allocation paid is told with the call, is compared with the events, and is counted for whoever runs the installation.

use super::{purchase_tests::shop, tests::Credited, *};
use crate::{
    corrections::tests::{apply, asked, one},
    ingest::tests::at,
    reconcile::{Finding, Kind},
    trace::TracedAllocation,
    usage::RequestFilter,
};
use domain::{correction::Change, credit::allocation::Holder, id::AllocationId, period::Period};

const NOW: &str = "2026-03-01T09:20:00Z";

/// With an app that has 30 units for itself, 6 of which paid for the call `a` of 10.
async fn called(world: Credited) -> (Credited, AllocationId) {
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    let id = world.allocate(Holder::App(world.app().await), 30, NOW).await;
    world.call_own("a", "2026-03-01T10:10:00Z", 10, Some((id, 6))).await;
    (world, id)
}

fn day() -> Period {
    Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") }
}

impl Credited {
    async fn compared(&self) -> Vec<Finding> {
        let done = self.store.reconcile_all(day(), &[Kind::Hourly], at("2026-03-01T14:00:00Z")).await;
        done.expect("compared").findings
    }
}

#[tokio::test]
async fn a_call_says_whose_credit_paid_for_it() {
    let (world, id) = called(Credited::new().await).await;
    world.call_own("b", "2026-03-01T10:20:00Z", 5, None).await;
    let app = world.store.apps(world.partner).await.expect("apps").swap_remove(0).app;
    let traced = world.store.all_partners_trace("a", None).await.expect("traced");
    let own = TracedAllocation { id, of: Some(Holder::App(app.id)), name: app.name, units: 6 };
    assert_eq!((traced[0].credits, traced[0].allocation.as_ref()), (10, Some(&own)));
    let traced = world.store.all_partners_trace("b", None).await.expect("traced");
    assert_eq!((traced[0].credits, traced[0].allocation.as_ref()), (5, None));
    let log = world.store.request_log(world.partner, day(), &RequestFilter::default(), None, 10).await.expect("a page");
    let paid: Vec<_> = log.requests.iter().map(|call| (call.credits, call.allocated)).collect();
    assert_eq!(paid, [(5, None), (10, Some((id, 6)))]);
}

#[tokio::test]
async fn what_allocations_paid_is_compared_with_the_events() {
    let (world, _) = called(Credited::new().await).await;
    assert_eq!(world.compared().await, []);
    apply(&world.store, world.partner, &asked(Change::SetUnits { units: 4 }, one("a"))).await.expect("corrected");
    assert_eq!(world.compared().await, []);
    for (tampered, expected, actual) in [
        ("update usage_allocated_hourly set units = units + 1", "4", "5"),
        ("update usage_events set allocated = allocated + 2 where kind = 0", "6", "5"),
    ] {
        sqlx::query(tampered).execute(world.store.pool()).await.expect("tampered with");
        let found: Vec<_> = world.compared().await;
        let found: Vec<_> =
            found.iter().map(|one| [&one.meter, &one.expected, &one.actual].map(String::as_str)).collect();
        assert_eq!(found, [["allocated", expected, actual]], "{tampered}");
    }
}

/// No event says it: the period's figures stand.
#[tokio::test]
async fn what_is_taken_back_of_a_closed_period_is_compared_with_the_correction() {
    let (world, id) = called(shop().await).await;
    world.store.close_as_the_version_before(world.partner, day().end).await.expect("closed");
    apply(&world.store, world.partner, &asked(Change::SetUnits { units: 4 }, one("a"))).await.expect("corrected");
    assert_eq!(world.compared().await, []);
    world.settle("2026-03-02T12:00:00Z").await;
    assert_eq!(world.own(id).await.left, 26);
}

#[tokio::test]
async fn what_is_allocated_and_used_up_is_counted() {
    let (world, id) = called(Credited::new().await).await;
    let counted = async || world.store.all_partners_allocated_credit().await.expect("counted");
    assert_eq!(counted().await, AllocatedCredit { left: 24, used_up: 0 });
    world.exchange("c", world.of(id), 10, (0, 0)).await;
    assert_eq!(counted().await.left, 24, "what gateways hold is left");
    world.call_own("d", "2026-03-01T10:30:00Z", 24, Some((id, 24))).await;
    assert_eq!(counted().await, AllocatedCredit { left: 0, used_up: 1 });
    world.back(id, None, NOW).await;
    assert_eq!(counted().await, AllocatedCredit::default());
}
