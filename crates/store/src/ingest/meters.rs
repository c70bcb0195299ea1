//! What a batch counts for on meters besides units, merged in the same transaction as its events.
//!
//! However events are cut into batches, and in whatever order the batches of several lanes come, the rows are the same: see
//! migration 0022. A batch of which no event has a meter costs nothing here.

use super::signed;
use crate::time::Ts;
use domain::usage::{MeterKind, Metered, UsageEvent, whole_micros};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

const HOUR_MICROS: i64 = 3_600_000_000;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Group {
    partner: Uuid,
    hour: Timestamp,
    product: Uuid,
    meter: String,
    kind: &'static str,
    environment: &'static str,
    operation: Uuid,
    app: Uuid,
    key: Uuid,
    team: Uuid,
    member: Uuid,
    plan_version: Uuid,
    item: Vec<u8>,
}

struct Merged {
    events: i64,
    total: i128,
    maximum: i64,
    /// The last value: by when it was said, then by its place in the lane; of one event's by its size.
    latest: (Timestamp, i64, i64),
}

/// A gauge's level, by what it is the level of and when it was said.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    partner: Uuid,
    product: Uuid,
    meter: String,
    environment: &'static str,
    item: Vec<u8>,
    at: Timestamp,
    sequence: i64,
}

/// What events of a lane count for.
#[derive(Default)]
pub(super) struct Sums {
    merged: HashMap<Group, Merged>,
    levels: BTreeMap<Said, i64>,
}

impl Sums {
    pub(super) fn add<Text: AsRef<str>>(&mut self, sequence: u64, event: &UsageEvent<Text>) {
        for metered in &event.meters {
            let (sequence, quantity) = (signed(sequence), metered.quantity);
            let value = (micros(event.at), sequence, quantity);
            self.merged.entry(group(event, metered)).and_modify(|merged| merged.add(value)).or_insert(Merged {
                events: 1,
                total: i128::from(quantity),
                maximum: quantity,
                latest: value,
            });
            if metered.kind == MeterKind::Gauge {
                let level = self.levels.entry(said(event, metered, sequence)).or_insert(quantity);
                *level = (*level).max(quantity);
            }
        }
    }

    /// Adds them to those that Postgres has.
    pub(super) async fn merge(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        (node, lane): (&str, u16),
    ) -> Result<(), sqlx::Error> {
        if self.merged.is_empty() {
            return Ok(());
        }
        // In the order of their keys, as everywhere.
        let groups: BTreeMap<&Group, &Merged> = self.merged.iter().collect();
        merge_hours(tx, (node, lane), &groups).await?;
        add_levels(tx, (node, lane), &self.levels).await
    }
}

impl Merged {
    fn add(&mut self, value: (Timestamp, i64, i64)) {
        self.events += 1;
        self.total += i128::from(value.2);
        self.maximum = self.maximum.max(value.2);
        self.latest = self.latest.max(value);
    }
}

/// As Postgres keeps it.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(whole_micros(at)).unwrap_or(at)
}

/// A text column cannot hold NUL; an event is never refused for one.
fn code<Text: AsRef<str>>(metered: &Metered<Text>) -> String {
    metered.meter.as_ref().replace('\0', "\u{fffd}")
}

fn item<Text>(metered: &Metered<Text>) -> Vec<u8> {
    metered.item.map(Vec::from).unwrap_or_default()
}

fn group<Text: AsRef<str>>(event: &UsageEvent<Text>, metered: &Metered<Text>) -> Group {
    let at = whole_micros(event.at);
    Group {
        partner: event.partner.0,
        hour: Timestamp::from_microsecond(at - at.rem_euclid(HOUR_MICROS)).unwrap_or(event.at),
        product: event.product.map(|id| id.0).unwrap_or_default(),
        meter: code(metered),
        kind: metered.kind.code(),
        environment: event.environment.code(),
        operation: event.operation.map(|id| id.0).unwrap_or_default(),
        app: event.app.0,
        key: event.key.0,
        team: event.team.map(|id| id.0).unwrap_or_default(),
        member: event.member.map(|id| id.0).unwrap_or_default(),
        plan_version: event.plan_version.map(|id| id.0).unwrap_or_default(),
        item: item(metered),
    }
}

fn said<Text: AsRef<str>>(event: &UsageEvent<Text>, metered: &Metered<Text>, sequence: i64) -> Said {
    Said {
        partner: event.partner.0,
        product: event.product.map(|id| id.0).unwrap_or_default(),
        meter: code(metered),
        environment: event.environment.code(),
        item: item(metered),
        at: micros(event.at),
        sequence,
    }
}

async fn merge_hours(
    tx: &mut Transaction<'_, Postgres>,
    (node, lane): (&str, u16),
    groups: &BTreeMap<&Group, &Merged>,
) -> Result<(), sqlx::Error> {
    macro_rules! keys {
        ($field:ident) => {
            groups.keys().map(|group| group.$field).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "insert into usage_meter_hourly as held (partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id,
             team_id, member_id, plan_version_id, item, events, total, maximum, latest, latest_at, latest_sequence, latest_node,
             latest_lane)
         select partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, item, events, total::numeric, maximum, latest, latest_at, latest_sequence, $20, $21
         from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::uuid[],
             $9::uuid[], $10::uuid[], $11::uuid[], $12::uuid[], $13::bytea[], $14::bigint[], $15::text[], $16::bigint[],
             $17::bigint[], $18::timestamptz[], $19::bigint[])
             as new (partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
                 plan_version_id, item, events, total, maximum, latest, latest_at, latest_sequence)
         on conflict (partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, item)
         do update set
             events = held.events + excluded.events,
             total = held.total + excluded.total,
             maximum = greatest(held.maximum, excluded.maximum),
             (latest, latest_at, latest_node, latest_lane, latest_sequence) = (
                 select said.latest, said.at, said.node, said.lane, said.sequence
                 from (values (held.latest_at, held.latest_node, held.latest_lane, held.latest_sequence, held.latest),
                     (excluded.latest_at, excluded.latest_node, excluded.latest_lane, excluded.latest_sequence, excluded.latest))
                     as said (at, node, lane, sequence, latest)
                 order by said.at desc, said.node collate \"C\" desc, said.lane desc, said.sequence desc, said.latest desc limit 1
             )",
    )
    .bind(keys!(partner))
    .bind(groups.keys().map(|group| Ts(group.hour)).collect::<Vec<_>>())
    .bind(keys!(product))
    .bind(groups.keys().map(|group| group.meter.as_str()).collect::<Vec<_>>())
    .bind(keys!(kind))
    .bind(keys!(environment))
    .bind(keys!(operation))
    .bind(keys!(app))
    .bind(keys!(key))
    .bind(keys!(team))
    .bind(keys!(member))
    .bind(keys!(plan_version))
    .bind(groups.keys().map(|group| group.item.as_slice()).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| merged.events).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| merged.total.to_string()).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| merged.maximum).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| merged.latest.2).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| Ts(merged.latest.0)).collect::<Vec<_>>())
    .bind(groups.values().map(|merged| merged.latest.1).collect::<Vec<_>>())
    .bind(node)
    .bind(i32::from(lane))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Each is there once by its place in the log, whatever else happens.
async fn add_levels(
    tx: &mut Transaction<'_, Postgres>,
    (node, lane): (&str, u16),
    levels: &BTreeMap<Said, i64>,
) -> Result<(), sqlx::Error> {
    if levels.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into usage_gauge_levels as held (partner_id, product_id, meter, environment, item, at, sequence, level, node, lane)
         select new.*, $9, $10
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[], $7::bigint[], $8::bigint[]) as new
         on conflict (partner_id, product_id, meter, environment, item, at, node, lane, sequence)
             do update set level = greatest(held.level, excluded.level)",
    )
    .bind(levels.keys().map(|said| said.partner).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| said.product).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| said.meter.as_str()).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| said.environment).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| said.item.as_slice()).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| Ts(said.at)).collect::<Vec<_>>())
    .bind(levels.keys().map(|said| said.sequence).collect::<Vec<_>>())
    .bind(levels.values().copied().collect::<Vec<_>>())
    .bind(node)
    .bind(i32::from(lane))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
