//! Hourly roll-ups and the keys' last use, merged in the same transaction as the events that they sum up.
//!
//! Rows are written in the order of their keys, so that two lanes that touch the same rows wait for each other instead of
//! blocking each other for good. Days that were made already are marked, so that they are made again (see [`super::days`]).

use super::{days, signed};
use crate::time::Ts;
use domain::usage::{UsageEvent, whole_micros};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use sqlx::{Postgres, Transaction};
use std::{collections::BTreeMap, fmt::Write as _};
use uuid::Uuid;

const HOUR_MICROS: i64 = 3_600_000_000;

/// The longest duration that each slot but the last counts, in microseconds.
pub(crate) const SLOTS_US: [u64; 12] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000];

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Group {
    partner: Uuid,
    hour: Timestamp,
    environment: &'static str,
    product: Uuid,
    operation: Uuid,
    app: Uuid,
    key: Uuid,
    team: Uuid,
    member: Uuid,
    plan_version: Uuid,
    outcome: &'static str,
    status_class: i16,
}

#[derive(Default)]
struct Sums {
    calls: i64,
    units: i64,
    bytes_in: i64,
    bytes_out: i64,
    duration_us: i64,
    durations: [i64; 13],
    /// When the latest of the calls was made.
    latest: Timestamp,
}

/// What events add to the roll-ups. There are far fewer groups than events: they are sorted, and looked at for the last use, only once they
/// are summed up.
#[derive(Default)]
pub(crate) struct Hours(FxHashMap<Group, Sums>);

impl Hours {
    pub(crate) fn add<Text>(&mut self, event: &UsageEvent<Text>) {
        self.0.entry(group(event)).or_default().add(event);
    }

    /// Adds them to those that Postgres has.
    pub(crate) async fn merge(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
        let groups: BTreeMap<&Group, &Sums> = self.0.iter().collect();
        let mut last_used: BTreeMap<(Uuid, Uuid), Timestamp> = BTreeMap::new();
        for (group, sums) in &groups {
            let last = last_used.entry((group.partner, group.key)).or_insert(sums.latest);
            *last = (*last).max(sums.latest);
        }
        merge_hours(tx, &groups).await?;
        days::mark(tx, groups.keys().map(|group| (group.partner, group.hour))).await?;
        merge_last_used(tx, &last_used).await
    }
}

fn group<Text>(event: &UsageEvent<Text>) -> Group {
    let micros = whole_micros(event.at);
    let hour = Timestamp::from_microsecond(micros - micros.rem_euclid(HOUR_MICROS)).unwrap_or(event.at);
    Group {
        partner: event.partner.0,
        hour,
        environment: event.environment.code(),
        product: event.product.map(|id| id.0).unwrap_or_default(),
        operation: event.operation.map(|id| id.0).unwrap_or_default(),
        app: event.app.0,
        key: event.key.0,
        team: event.team.map(|id| id.0).unwrap_or_default(),
        member: event.member.map(|id| id.0).unwrap_or_default(),
        plan_version: event.plan_version.map(|id| id.0).unwrap_or_default(),
        outcome: event.outcome.code(),
        status_class: i16::try_from(event.status / 100).unwrap_or(0),
    }
}

impl Sums {
    fn add<Text>(&mut self, event: &UsageEvent<Text>) {
        self.latest = if self.calls == 0 { event.at } else { self.latest.max(event.at) };
        self.calls += 1;
        for (sum, count) in [
            (&mut self.units, event.units),
            (&mut self.bytes_in, event.bytes_in),
            (&mut self.bytes_out, event.bytes_out),
            (&mut self.duration_us, event.duration_us),
        ] {
            *sum = sum.saturating_add(signed(count));
        }
        let slot = SLOTS_US.iter().position(|longest| event.duration_us <= *longest).unwrap_or(SLOTS_US.len());
        if let Some(calls) = self.durations.get_mut(slot) {
            *calls += 1;
        }
    }
}

async fn merge_hours(tx: &mut Transaction<'_, Postgres>, groups: &BTreeMap<&Group, &Sums>) -> Result<(), sqlx::Error> {
    macro_rules! keys {
        ($field:ident) => {
            groups.keys().map(|group| group.$field).collect::<Vec<_>>()
        };
    }
    macro_rules! sums {
        ($field:ident) => {
            groups.values().map(|sums| sums.$field).collect::<Vec<_>>()
        };
    }
    let durations: Vec<String> = groups.values().map(|sums| array_text(&sums.durations)).collect();
    sqlx::query(
        "insert into usage_hourly as held (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id,
             member_id, plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, durations)
         select partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, durations::bigint[]
         from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
             $9::uuid[], $10::uuid[], $11::text[], $12::smallint[], $13::bigint[], $14::bigint[], $15::bigint[],
             $16::bigint[], $17::bigint[], $18::text[])
             as new (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id,
                 plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, durations)
         on conflict (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, outcome, status_class)
         do update set
             calls = held.calls + excluded.calls,
             units = held.units + excluded.units,
             bytes_in = held.bytes_in + excluded.bytes_in,
             bytes_out = held.bytes_out + excluded.bytes_out,
             duration_us = held.duration_us + excluded.duration_us,
             durations = (
                 select array_agg(one + other order by slot)
                 from unnest(held.durations, excluded.durations) with ordinality as both_arrays (one, other, slot)
             )",
    )
    .bind(keys!(partner))
    .bind(groups.keys().map(|group| Ts(group.hour)).collect::<Vec<_>>())
    .bind(keys!(environment))
    .bind(keys!(product))
    .bind(keys!(operation))
    .bind(keys!(app))
    .bind(keys!(key))
    .bind(keys!(team))
    .bind(keys!(member))
    .bind(keys!(plan_version))
    .bind(keys!(outcome))
    .bind(keys!(status_class))
    .bind(sums!(calls))
    .bind(sums!(units))
    .bind(sums!(bytes_in))
    .bind(sums!(bytes_out))
    .bind(sums!(duration_us))
    .bind(durations)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn array_text(counts: &[i64]) -> String {
    let mut text = String::with_capacity(2 * counts.len() + 8);
    text.push('{');
    for (place, count) in counts.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        let _ = write!(text, "{count}");
    }
    text.push('}');
    text
}

async fn merge_last_used(
    tx: &mut Transaction<'_, Postgres>,
    last_used: &BTreeMap<(Uuid, Uuid), Timestamp>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into key_last_used as held (partner_id, key_id, at)
         select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
         on conflict (partner_id, key_id) do update set at = greatest(held.at, excluded.at)",
    )
    .bind(last_used.keys().map(|(partner, _)| *partner).collect::<Vec<_>>())
    .bind(last_used.keys().map(|(_, key)| *key).collect::<Vec<_>>())
    .bind(last_used.values().map(|at| Ts(*at)).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
