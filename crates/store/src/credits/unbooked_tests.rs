//! What cannot be booked as it was counted is a finding that an operator sees, once, with what was to be booked and what was.

use super::{tests::Credited, *};
use crate::{
    Actor,
    ingest::tests::at,
    reconcile::{Finding, Kind},
    usage::MissingReason,
};
use domain::{credit::allocation::Holder, id::AllocationId, period::Period};

const NOW: &str = "2026-03-01T09:20:00Z";
const LATER: &str = "2026-03-01T13:00:00Z";

impl Credited {
    async fn tampered(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.store.pool()).await.expect(statement);
    }

    /// Books what is due twice, and compares what can be compared: what is open is what was noted, and nothing else.
    async fn open(&self) -> Vec<Finding> {
        let day = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
        for _ in 0..2 {
            self.store.settle_credit(self.partner, at("2026-03-01T12:00:00Z")).await.expect("settled");
        }
        let noted = self.store.all_open_findings(10).await.expect("findings");
        self.store.reconcile_all(day, &[Kind::Credit], at(LATER)).await.expect("compared");
        let open = self.store.all_open_findings(10).await.expect("findings");
        assert_eq!(open, noted);
        open
    }

    fn unbooked(&self, hour: &str, meter: &str, place: String, [expected, actual]: [&str; 2]) -> Finding {
        Finding {
            kind: Kind::Credit,
            partner: Some(self.partner),
            hour: at(hour),
            meter: meter.to_owned(),
            lane: None,
            place,
            expected: expected.to_owned(),
            actual: actual.to_owned(),
        }
    }

    /// Units of an app that a gateway holds while they expire, and spends afterwards.
    async fn held_over(&self) -> AllocationId {
        let gift = NewCreditGrant { expires_at: Some(at("2026-03-01T10:00:00Z")), ..NewCreditGrant::new(20, "Gift") };
        self.grant(gift, NOW).await;
        let id = self.allocate(Holder::App(self.app().await), 20, NOW).await;
        self.grant(NewCreditGrant::new(50, "Rest"), NOW).await;
        self.exchange("a", self.of(id), 8, (0, 0)).await;
        self.settle("2026-03-01T10:00:00Z").await;
        self.call_own("a", "2026-03-01T10:10:00Z", 8, Some((id, 8))).await;
        id
    }
}

#[tokio::test]
async fn more_that_comes_back_than_was_ever_booked_is_a_finding_until_somebody_accepts_it() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    world.call("a", "2026-03-01T10:10:00Z", 4).await;
    assert_eq!(world.open().await, []);
    world.tampered("update usage_credit_hourly set units = units - 9").await;
    let found = [world.unbooked("2026-03-01T10:00:00Z", "used", String::new(), ["-5", "0"])];
    assert_eq!(world.open().await, found);
    let day = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
    let doubt = world.store.doubt(world.partner, day).await.expect("asked");
    assert_eq!(doubt.as_ref(), found.first(), "an invoice waits for it");
    world.store.accept_findings("Looked at", Actor::System, at(LATER)).await.expect("accepted");
    assert_eq!(world.open().await, [], "once is enough");
}

#[tokio::test]
async fn an_entry_that_is_missing_is_found_by_comparing_and_is_no_missing_usage() {
    let world = Credited::new().await;
    world.grant(NewCreditGrant::new(100, "Welcome"), NOW).await;
    world.call("a", "2026-03-01T10:10:00Z", 4).await;
    world.settle("2026-03-01T11:00:00Z").await;
    world.tampered("update usage_credit_hourly set units = units + 3, settled = settled + 3").await;
    let day = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
    let compare = async |now| world.store.reconcile_all(day, &[Kind::Credit], at(now)).await.expect("compared");
    let found = compare(LATER).await;
    assert_eq!(found.findings, [world.unbooked("2026-03-01T10:00:00Z", "used", String::new(), ["7", "4"])]);
    assert_eq!(found.compared, 1);
    let known = world.store.completeness(world.partner, day, at(LATER)).await.expect("asked");
    let unaccounted = known.missing.iter().any(|missing| missing.reason == MissingReason::Unaccounted);
    assert!(!unaccounted, "{known:?}");
    world.tampered("update usage_credit_hourly set units = units - 3, settled = settled - 3").await;
    assert_eq!(compare("2026-03-01T14:00:00Z").await.findings, []);
    assert_eq!(world.store.all_open_findings(10).await.expect("findings"), [], "it resolves by itself");
}

#[tokio::test]
async fn what_gateways_took_and_cannot_be_moved_is_a_finding_with_both_amounts() {
    let world = Credited::new().await;
    let id = world.held_over().await;
    // 8 are to be moved to what is common, and 3 are there.
    world.tampered("update allowances set taken = 3 where partner_id in (select id from credit_allocations)").await;
    let place = format!("allocation {id}");
    let found = [world.unbooked("2026-03-01T10:00:00Z", "taken", place.clone(), ["-8", "-3"])];
    assert_eq!(world.open().await, found);
    // More of the same hour is added to it.
    world.call_own("b", "2026-03-01T10:20:00Z", 2, Some((id, 2))).await;
    world.tampered("update allowances set taken = 1 where partner_id in (select id from credit_allocations)").await;
    let found = [world.unbooked("2026-03-01T10:00:00Z", "taken", place, ["-10", "-4"])];
    assert_eq!(world.open().await, found);
}

/// Control: what can be moved raises nothing.
#[tokio::test]
async fn what_can_be_moved_is_no_finding() {
    let world = Credited::new().await;
    world.held_over().await;
    assert_eq!(world.open().await, []);
    world.agrees().await;
}
