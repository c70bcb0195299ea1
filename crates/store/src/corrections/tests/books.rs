//! Random corrections and reverts, beside a list of what would have been counted.

use super::*;
use crate::usage::UsageFilter;

/// `SplitMix64`: repeatable, and good enough to choose by.
struct Random(u64);

impl Random {
    const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Within three days, often on an edge of an hour.
    fn instant(&mut self) -> Timestamp {
        let micros = match self.below(3) {
            0 => self.below(72) * 3_600_000_000,
            1 => self.below(72) * 3_600_000_000 + 3_599_999_999,
            _ => self.below(72 * 3_600_000_000),
        };
        at("2026-03-09T00:00:00Z") + SignedDuration::from_micros(i64::try_from(micros).expect("fits"))
    }
}

/// How an event counts by now.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    at: Timestamp,
    live: bool,
    calls: i64,
    units: i64,
    bytes: i64,
}

/// What was carried out: which entries it changed, as they were before.
struct Done {
    id: CorrectionId,
    before: Vec<(usize, Entry)>,
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    done: Vec<Done>,
}

impl Model {
    /// Notes a change; false where it changes nothing.
    fn change(&mut self, filter: &Filter, change: &Change) -> Vec<(usize, Entry)> {
        let mut before = Vec::new();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let chosen = filter.from.is_none_or(|from| from <= entry.at)
                && filter.to.is_none_or(|to| entry.at < to)
                && filter.environment.is_none_or(|of| (of == Environment::Live) == entry.live)
                && filter.request_id.as_ref().is_none_or(|id| *id == format!("r{place}"));
            let was = *entry;
            match change {
                Change::Void if chosen => (entry.calls, entry.units, entry.bytes) = (0, 0, 0),
                Change::SetUnits { units }
                    if chosen && entry.calls > 0 && (entry.units > 0 || filter.request_id.is_some()) =>
                {
                    entry.units = i64::try_from(*units).expect("fits");
                }
                _ => (),
            }
            if was != *entry {
                before.push((place, was));
            }
        }
        before
    }

    fn sums(&self, range: Period) -> (i64, i64, i64) {
        let within = self.entries.iter().filter(|entry| range.contains(entry.at));
        within.fold((0, 0, 0), |sum, entry| (sum.0 + entry.calls, sum.1 + entry.units, sum.2 + entry.bytes))
    }
}

fn call(random: &mut Random, number: usize) -> UsageEvent {
    let live = random.below(4) > 0;
    UsageEvent {
        environment: if live { Environment::Live } else { Environment::Test },
        units: if live { random.below(4) * 3 } else { 0 },
        bytes_in: random.below(100),
        bytes_out: 0,
        duration_us: [0, 999, 1_000, 1_001, 7_000_000][usize::try_from(random.below(5)).expect("a place")],
        ..event(random.instant(), &format!("r{number}"))
    }
}

fn chosen(random: &mut Random, events: usize) -> (Filter, Change) {
    let filter = match random.below(3) {
        0 => one(&format!("r{}", random.below(events as u64))),
        _ => {
            let (one, other) = (random.instant(), random.instant());
            let environment = (random.below(3) == 0).then_some(Environment::Live);
            let (from, to) = (one.min(other), one.max(other));
            Filter { from: Some(from), to: Some(to), environment, ..Filter::default() }
        }
    };
    let change = if random.below(2) == 0 { Change::Void } else { Change::SetUnits { units: random.below(9) } };
    (filter, change)
}

/// What the hourly roll-ups have, and what a plain count of the events gives, `with` corrections or without.
async fn differences(store: &TestStore, with: bool) -> i64 {
    sqlx::query_scalar(
        "with counted as (
             select partner_id, date_trunc('hour', at, 'UTC') as hour, environment, product_id, operation_id, app_id, key_id,
                 outcome, status / 100 as class, sum(calls) as calls, sum(units) as units, sum(bytes_in) as bytes_in,
                 sum(duration_us) as duration_us,
                 sum(calls) filter (where abs(duration_us) <= 1000) as quick
             from usage_events where $1 or kind <> 2 group by 1, 2, 3, 4, 5, 6, 7, 8, 9
         ), rolled as (
             select partner_id, hour, environment, product_id, operation_id, app_id, key_id, outcome,
                 status_class as class, sum(calls) as calls, sum(units) as units, sum(bytes_in) as bytes_in,
                 sum(duration_us) as duration_us, sum(durations[1]) as quick
             from usage_hourly group by 1, 2, 3, 4, 5, 6, 7, 8, 9
         )
         select count(*) from counted c full join rolled r using (partner_id, hour, environment, app_id, key_id, outcome, class)
         where (c.calls, c.units, c.bytes_in, c.duration_us, coalesce(c.quick, 0))
             is distinct from (r.calls, r.units, r.bytes_in, r.duration_us, r.quick)",
    )
    .bind(with)
    .fetch_one(store.pool())
    .await
    .expect("a count")
}

async fn agree(store: &TestStore, partner: PartnerId, model: &Model, random: &mut Random) {
    assert_eq!(differences(store, true).await, 0, "roll-ups equal a recount");
    for _ in 0..3 {
        let (one, other) = (random.instant(), random.instant());
        let range = Period { start: one.min(other), end: one.max(other) + SignedDuration::from_micros(1) };
        let totals = store.usage_totals(partner, range, &UsageFilter::default()).await.expect("totals");
        let told = [totals.calls, totals.units, totals.bytes_in].map(|sum| i64::try_from(sum).expect("fits"));
        assert_eq!((told[0], told[1], told[2]), model.sums(range), "{range:?}");
    }
    assert_eq!(findings(store).await, [], "reconciliation stays silent");
}

#[tokio::test]
async fn random_corrections_and_reverts_leave_all_sums_as_a_recount_has_them() {
    for seed in 0..3 {
        let store = test_db::store().await;
        let partner = World::new(&store).await.partner;
        let mut random = Random(seed);
        let events: Vec<UsageEvent> = (0..60).map(|number| call(&mut random, number)).collect();
        let entry = |event: &UsageEvent| Entry {
            at: event.at,
            live: event.environment == Environment::Live,
            calls: 1,
            units: i64::try_from(event.units).expect("fits"),
            bytes: i64::try_from(event.bytes_in).expect("fits"),
        };
        let mut model = Model { entries: events.iter().map(entry).collect(), ..Model::default() };
        let original = model.entries.clone();
        take_in(&store, partner, events).await;
        for round in 0..14 {
            if round == 5 {
                store.make_usage_days(now()).await.expect("made");
            }
            // The newest can always be taken back.
            if random.below(3) == 0
                && let Some(done) = model.done.pop()
            {
                assert!(revert(&store, partner, done.id).await.expect("reverted"));
                for (place, was) in done.before {
                    model.entries[place] = was;
                }
            } else {
                let (filter, change) = chosen(&mut random, original.len());
                let before = model.change(&filter, &change);
                let outcome = apply(&store, partner, &asked(change, filter)).await;
                match before.is_empty() {
                    true => drop(refused(outcome)),
                    false => model.done.push(Done { id: outcome.expect("applied"), before }),
                }
            }
            agree(&store, partner, &model, &mut random).await;
        }
        // The control: a recount that leaves the corrections out is another one.
        let changed = model.entries != original;
        assert_eq!(differences(&store, false).await > 0, changed, "seed {seed}");
        while let Some(done) = model.done.pop() {
            revert(&store, partner, done.id).await.expect("reverted");
        }
        model.entries = original;
        agree(&store, partner, &model, &mut random).await;
        store.make_usage_days(now()).await.expect("made");
        agree(&store, partner, &model, &mut random).await;
    }
}
