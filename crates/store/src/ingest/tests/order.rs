//! Any order, duplication and delay of batches: what lanes bring gives the same sums.

use super::*;
use jiff::SignedDuration;

pub(super) const LANES: [(&str, u16); 3] = [("a", 0), ("a", 1), ("b", 0)];
/// Events of each lane.
pub(super) const EVENTS: u64 = 60;

/// `SplitMix64`: repeatable, and good enough to choose by.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Over three days, of some keys, operations, outcomes and costs.
pub(super) fn lane(random: &mut Random) -> Vec<UsageEvent> {
    let outcomes = [Outcome::Served, Outcome::Cached, Outcome::UpstreamFailed, Outcome::Refused(Code::ALL[0])];
    let one = |_| {
        let second = i64::try_from(random.below(3 * 86_400)).expect("seconds");
        UsageEvent {
            key: KeyId(Uuid::from_u128(3 + u128::from(random.below(3)))),
            operation: Some(OperationId(Uuid::from_u128(6 + u128::from(random.below(2))))),
            outcome: outcomes[usize::try_from(random.below(4)).expect("a place")],
            units: random.below(9),
            duration_us: random.below(3_000_000),
            meters: meters::some(random),
            ..event(at("2026-02-27T10:00:00Z") + SignedDuration::from_secs(second), "r")
        }
    };
    (0..EVENTS).map(one).collect()
}

/// The position before that event.
fn before(sequence: u64) -> Position {
    Position { segment: sequence / 16, byte_offset: 200 * (sequence % 16), sequence }
}

pub(super) async fn bring(
    store: &Store,
    lane: usize,
    events: &[UsageEvent],
    (from, to): (u64, u64),
) -> Result<Ingested, IngestError> {
    let (node, number) = LANES[lane];
    let batch = (from..to).zip(events[usize::try_from(from).expect("a place")..].iter().cloned()).collect::<Vec<_>>();
    store.ingest((node, number, batch), before(from), before(to), at("2026-03-03T00:00:00Z")).await
}

/// All sums by the hour, and each event once by its place, as text.
async fn books(store: &TestStore) -> (Vec<String>, Vec<String>) {
    let read = async |query: &'static str| -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(store.pool()).await.expect("rows")
    };
    (
        read(
            "select h::text from usage_hourly h union all select m::text from usage_meter_hourly m
              union all select l::text from usage_gauge_levels l order by 1",
        )
        .await,
        read("select (node, lane, sequence, at, units)::text from usage_events order by 1").await,
    )
}

#[tokio::test]
async fn any_order_duplication_and_delay_of_batches_from_several_lanes_gives_the_same_sums() {
    for seed in 0..4 {
        let mut random = Random(seed);
        let lanes: Vec<_> = LANES.iter().map(|_| lane(&mut random)).collect();
        let straight = test_db::store().await;
        for (number, events) in lanes.iter().enumerate() {
            bring(&straight, number, events, (0, EVENTS)).await.expect("taken in");
        }

        let other = test_db::store().await;
        assert!(bring_in_disorder(&other, &lanes, &mut random, seed).await > 0, "seed {seed} put nothing out of order");
        assert_eq!(books(&other).await, books(&straight).await, "seed {seed}");
    }
}

/// Batches of all lanes, some twice and some too early; how many of them were refused.
pub(super) async fn bring_in_disorder(other: &Store, lanes: &[Vec<UsageEvent>], random: &mut Random, seed: u64) -> u32 {
    let (mut stands, mut refused) = ([0_u64; LANES.len()], 0);
    {
        while stands.iter().any(|stands| *stands < EVENTS) {
            let number = usize::try_from(random.below(LANES.len() as u64)).expect("a lane");
            // A batch may begin where the lane stands, or be one that came before, or one whose time has not come.
            let from = match random.below(3) {
                0 => random.below(EVENTS),
                _ => stands[number].min(EVENTS - 1),
            };
            let to = from + 1 + random.below(EVENTS - from);
            match bring(other, number, &lanes[number], (from, to)).await {
                Ok(_) => {
                    assert_eq!(from, stands[number], "seed {seed}: only the next batch is taken in");
                    stands[number] = to;
                }
                Err(IngestError::Moved { stands_at }) => {
                    assert_eq!(stands_at.sequence, stands[number], "seed {seed}");
                    refused += 1;
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
    }
    refused
}
