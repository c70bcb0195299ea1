//! What was measured besides units, asked as [`super::query`] asks for usage: a range cut into windows, broken down and filtered.
//!
//! Whole hours (UTC) come from what is summed up, the rest of a range from the raw events, so that every number is exact by event
//! time. Different values are told apart over the whole window, whatever hours they came in. A gauge's level holds from when it was
//! said until the next one, over the window's edges, too; before the first one it is zero.

use super::{
    Dimension, Group, MOST_ROWS, UsageQuery,
    query::{code_of, id_of, name_of, windows},
    source::{Detail, Ranges, used},
};
use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::{
    id::{PartnerId, ProductId},
    period::Period,
    usage::MeterKind,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterQuery<'a> {
    /// Meters know nothing of outcomes and statuses.
    pub usage: UsageQuery<'a>,
    /// The code of one; all of them where it is not said.
    pub meter: Option<&'a str>,
    /// Levels hold until now, and not beyond.
    pub now: Timestamp,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterAnswer {
    /// All windows that the range touches, each cut where the range is.
    pub windows: Vec<Period>,
    /// Window by window, and in each by product and meter. What was not measured is left out.
    pub rows: Vec<MeterRow>,
}

/// One meter in one window, and a value of each dimension that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterRow {
    /// Its place in [`MeterAnswer::windows`].
    pub window: usize,
    /// `None` where the events named no product.
    pub product: Option<ProductId>,
    /// Empty where there is none.
    pub product_code: String,
    /// As the product is called now; empty where there is none.
    pub product_name: String,
    pub meter: String,
    /// For people, as the product's policy has it now; the code where it has no such meter any more.
    pub name: String,
    pub unit: String,
    pub kind: MeterKind,
    /// In the order of [`UsageQuery::by`].
    pub groups: Vec<Group>,
    /// In whole units of the meter; a gauge's average level over the window, rounded.
    pub quantity: i64,
    /// Of a gauge: what `quantity` is the average of, as level times seconds.
    pub level_seconds: Option<i64>,
    /// Calls that were measured.
    pub events: u64,
}

const SUMMED: &str = concat!(
    "with upkeep as materialized (
         select * from usage_upkeep
     ), edges as (
         select * from unnest($8::int[], $9::timestamptz[], $10::timestamptz[]) as asked (part, first, past)
     ), hours as (
         select part, first, past, null::text as environment
             from unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) as asked (part, first, past)
         union all
         select part, first, past, null from unnest($5::int[], $6::timestamptz[], $7::timestamptz[]) as asked (part, first, past)
         union all
         select part, first, past, 'live' from edges, upkeep where first < live_from
         union all
         select part, first, past, 'test' from edges, upkeep where first < test_from
     ), used as (
         select part, partner_id, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, null::text as outcome, null::smallint as status_class, item, events, total, maximum, latest,
             latest_at, latest_node, latest_lane, latest_sequence
         from (
             select s.part, row_of_hour.* from hours s cross join lateral (
                 select * from usage_meter_hourly u
                 where u.partner_id = $1 and u.hour >= s.first and u.hour < s.past and u.hour >= $22 and u.hour < $23
                     and (s.environment is null or u.environment = s.environment)
                     and ($12::text is null or u.environment = $12)
                     and ($13::uuid is null or u.product_id = $13) and ($14::uuid is null or u.operation_id = $14)
                     and ($15::uuid is null or u.app_id = $15) and ($16::uuid is null or u.key_id = $16)
                     and ($17::uuid is null or u.team_id = $17) and ($18::uuid is null or u.member_id = $18)
                     and ($19::uuid is null or u.plan_version_id = $19)
                     and ($31::text is null or u.meter = $31) and u.kind <> 'gauge'
                 offset 0
             ) as row_of_hour
         ) as by_hour
         union all
         select part, partner_id, coalesce(product_id, '00000000-0000-0000-0000-000000000000'), said.meter, said.kind, environment,
             coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), app_id, key_id,
             coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
             coalesce(member_id, '00000000-0000-0000-0000-000000000000'),
             coalesce(plan_version_id, '00000000-0000-0000-0000-000000000000'), null, null, said.item, 1, said.quantity,
             said.quantity, said.quantity, at, node, lane, sequence
         from upkeep, (
             select s.part, event.* from edges s cross join lateral (
                 select * from usage_events e
                 where e.partner_id = $1 and e.at >= s.first and e.at < s.past and e.meters is not null
                     and (e.at >= $24 and e.at < $25 or e.at >= $26 and e.at < $27)
                     and ($12::text is null or e.environment = $12)
                     and ($13::uuid is null or e.product_id = $13) and ($14::uuid is null or e.operation_id = $14)
                     and ($15::uuid is null or e.app_id = $15) and ($16::uuid is null or e.key_id = $16)
                     and ($17::uuid is null or e.team_id = $17) and ($18::uuid is null or e.member_id = $18)
                     and ($19::uuid is null or e.plan_version_id = $19)
                 offset 0
             ) as event
         ) as raw cross join lateral usage_meters(raw.meters) as said
         where at >= case environment when 'live' then live_from else test_from end
             and ($31::text is null or said.meter = $31) and said.kind <> 'gauge'
     )
     select grouped.*, coalesce(p.code, '') as product_code, coalesce(p.name, '') as product_name,
         coalesce(p.policy -> 'meters' -> meter ->> 'name', meter) as name, coalesce(p.policy -> 'meters' -> meter ->> 'unit', '') as unit, ",
    name_of!("$28", "1"),
    ", ",
    name_of!("$29", "2"),
    " from (
         select part, product_id, meter, kind, ",
    id_of!("$28"),
    " as id_1, ",
    code_of!("$28"),
    " as code_1, ",
    id_of!("$29"),
    " as id_2, ",
    code_of!("$29"),
    " as code_2, sum(events)::bigint as events,
             greatest(least(case kind
                 when 'sum' then sum(total)
                 when 'maximum' then max(maximum)
                 when 'latest' then (array_agg(latest order by latest_at desc, latest_node collate \"C\" desc, latest_lane desc,
                     latest_sequence desc, latest desc) filter (where kind = 'latest'))[1]
                 else count(distinct item) filter (where kind = 'unique')
             end, 9223372036854775807), -9223372036854775808)::bigint as quantity
         from used group by part, product_id, meter, kind, id_1, code_1, id_2, code_2
         order by part, product_id, meter, kind, events desc, id_1, code_1, id_2, code_2 limit $30
     ) as grouped left join products p on p.id = grouped.product_id",
);

/// `with recursive`: what the partner ever had a level of, found one after the other in the index, however many levels there are of each.
macro_rules! things {
    () => {
        "with recursive every as (
             (select product_id, meter, environment, item from usage_gauge_levels where partner_id = $1
              order by product_id, meter, environment, item limit 1)
             union all
             select next.* from every e cross join lateral (
                 select l.product_id, l.meter, l.environment, l.item from usage_gauge_levels l
                 where l.partner_id = $1
                     and (l.product_id, l.meter, l.environment, l.item) > (e.product_id, e.meter, e.environment, e.item)
                 order by l.product_id, l.meter, l.environment, l.item limit 1
             ) as next
         )"
    };
}

/// Those of them that are asked for: 1 for each, up to `$5` of them.
const THINGS: &str = concat!(
    things!(),
    "select count(*) as things from (
         select from every where ($2::text is null or environment = $2) and ($3::uuid is null or product_id = $3)
             and ($4::text is null or meter = $4) limit $5
     ) as few"
);

/// Each level by how long it held in each window.
const LEVELS: &str = concat!(
    things!(),
    ", asked as (
         select * from unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) as asked (part, first, past)
     ), things as materialized (
         select product_id, meter, environment, item from every
         where ($5::text is null or environment = $5) and ($6::uuid is null or product_id = $6) and ($7::text is null or meter = $7)
     ), held as (
         select a.part, a.first, a.past, t.product_id, t.meter, t.environment, t.item, said.*
         from asked a cross join things t cross join lateral (
             (select a.first as since, l.at, l.node, l.lane, l.sequence, l.level from usage_gauge_levels l
              where l.partner_id = $1 and l.product_id = t.product_id and l.meter = t.meter and l.environment = t.environment
                  and l.item = t.item and l.at < a.first
              order by l.at desc, l.node desc, l.lane desc, l.sequence desc limit 1)
             union all
             (select l.at as since, l.at, l.node, l.lane, l.sequence, l.level from usage_gauge_levels l
              where l.partner_id = $1 and l.product_id = t.product_id and l.meter = t.meter and l.environment = t.environment
                  and l.item = t.item and l.at >= a.first and l.at < a.past)
         ) as said
     ), lasting as (
         select *, lead(since, 1, past) over (partition by part, product_id, meter, environment, item
             order by since, at, node, lane, sequence) as until
         from held
     )
     select part, product_id, meter, environment, count(*) filter (where at >= first) as events,
         (extract(epoch from max(past) - min(first)) * 1000000)::bigint as micros,
         trunc(sum(level * extract(epoch from until - since) * 1000000))::text as level_micros,
         coalesce((select p.code from products p where p.id = product_id), '') as product_code,
         coalesce((select p.name from products p where p.id = product_id), '') as product_name,
         coalesce((select p.policy -> 'meters' -> meter ->> 'name' from products p where p.id = product_id), meter) as name,
         coalesce((select p.policy -> 'meters' -> meter ->> 'unit' from products p where p.id = product_id), '') as unit
     from lasting group by part, product_id, meter, environment
     order by part, product_id, meter, environment limit $8"
);

/// Things times windows that one answer looks at; each takes some ten microseconds.
const MOST_LEVELS: usize = 1_000_000;

impl Store {
    /// What the partner's calls counted for on meters. A gauge is broken down and filtered by product and environment only: asked
    /// otherwise the answer has none.
    ///
    /// # Errors
    /// The time zone is not known, there are more than two dimensions or one that meters do not have, or the answer would be too
    /// long.
    pub async fn metered(&self, partner: PartnerId, query: &MeterQuery<'_>) -> Result<MeterAnswer, StoreError> {
        let usage = &query.usage;
        let unknown = |dimension: &&Dimension| {
            matches!(dimension, Dimension::Outcome | Dimension::StatusClass | Dimension::Partner)
        };
        if let Some(dimension) = usage.by.iter().find(unknown) {
            return Err(StoreError::invalid("by", format!("Meters are not told by {}", dimension.code())));
        }
        if usage.filter.outcome.is_some() || usage.filter.status_class.is_some() {
            return Err(StoreError::invalid("", "Meters are not told by outcome or status"));
        }
        let [first, second] = match *usage.by {
            [] => [None, None],
            [one] => [Some(one), None],
            [one, other] => [Some(one), Some(other)],
            _ => return Err(StoreError::invalid("by", "Name at most two dimensions")),
        };
        let windows = windows(usage)?;
        let most = MOST_ROWS as i64 + 1;
        let mut tx = self.one_planned_instant().await?;
        let summed = used(SUMMED, Some(partner), Ranges::new(&windows), &usage.filter, Detail::Full)
            .bind(first.map(Dimension::code))
            .bind(second.map(Dimension::code))
            .bind(most)
            .bind(query.meter)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let mut rows = summed.iter().map(|row| read(row, first, second)).collect::<Result<Vec<_>, _>>()?;
        rows.extend(self.levels(partner, query, &windows, most).await?);
        if rows.len() > MOST_ROWS {
            return Err(StoreError::invalid(
                "by",
                "The answer would be too long: ask for a shorter range or filter it",
            ));
        }
        // By what people see; within that as the statements put them.
        rows.sort_by(|one, other| {
            let key = |row: &MeterRow| (row.window, row.product_code.clone(), row.meter.clone(), row.kind);
            key(one).cmp(&key(other))
        });
        Ok(MeterAnswer { windows, rows })
    }

    async fn levels(
        &self,
        partner: PartnerId,
        query: &MeterQuery<'_>,
        windows: &[Period],
        most: i64,
    ) -> Result<Vec<MeterRow>, StoreError> {
        let UsageQuery { by, filter, .. } = query.usage;
        let is_whole = filter.operation.is_none()
            && filter.app.is_none()
            && filter.key.is_none()
            && filter.team.is_none()
            && filter.member.is_none()
            && filter.plan_version.is_none()
            && by.iter().all(|dimension| matches!(dimension, Dimension::Product | Dimension::Environment));
        let begun = || (0_i32..).zip(windows).filter(|(_, window)| window.start < window.end.min(query.now));
        if !is_whole || begun().next().is_none() {
            return Ok(Vec::new());
        }
        self.few_enough(partner, query, begun().count()).await?;
        let rows = sqlx::query(LEVELS)
            .bind(partner.0)
            .bind(begun().map(|(part, _)| part).collect::<Vec<_>>())
            .bind(begun().map(|(_, window)| Ts(window.start)).collect::<Vec<_>>())
            .bind(begun().map(|(_, window)| Ts(window.end.min(query.now))).collect::<Vec<_>>())
            .bind(filter.environment.map(|environment| environment.code()))
            .bind(filter.product.map(|id| id.0))
            .bind(query.meter)
            .bind(most)
            .fetch_all(self.pool())
            .await?;
        // Environments that nobody asked to be told apart are added up.
        let mut held: BTreeMap<Place, (MeterRow, Level)> = BTreeMap::new();
        for row in &rows {
            let (level, found) = (Level::read(row)?, level_row(row, by)?);
            let part: i32 = row.try_get("part")?;
            let groups = found.groups.iter().map(|group| group.code.clone()).collect();
            let product = found.product.map(|product| product.0).unwrap_or_default();
            match held.entry((part, product, found.meter.clone(), groups)) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert((found, level));
                }
                std::collections::btree_map::Entry::Occupied(mut place) => {
                    let (row, sum) = place.get_mut();
                    row.events += found.events;
                    sum.level_micros = sum.level_micros.saturating_add(level.level_micros);
                }
            }
        }
        Ok(held.into_values().map(|(row, level)| level.told(row)).collect())
    }
}

impl Store {
    /// Refuses what would look at more levels than a request can wait for.
    async fn few_enough(&self, partner: PartnerId, query: &MeterQuery<'_>, windows: usize) -> Result<(), StoreError> {
        let most = MOST_LEVELS / windows.max(1);
        if windows <= 1 {
            return Ok(());
        }
        let filter = query.usage.filter;
        let row = sqlx::query(THINGS)
            .bind(partner.0)
            .bind(filter.environment.map(|environment| environment.code()))
            .bind(filter.product.map(|id| id.0))
            .bind(query.meter)
            .bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_one(self.pool())
            .await?;
        if row.count("things")? <= most as u64 {
            return Ok(());
        }
        let message = format!(
            "Levels of more than {most} things in {windows} windows are too many for one answer: ask for longer windows, a shorter range, or \
             one meter"
        );
        Err(StoreError::invalid("window", message))
    }
}

/// Window, product, meter and codes of groups.
type Place = (i32, Uuid, String, Vec<String>);

/// How much of a level there was in a window, and for how long.
struct Level {
    /// Level times microseconds.
    level_micros: i128,
    micros: i128,
}

impl Level {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let micros: i64 = row.try_get("micros")?;
        let level_micros: String = row.try_get("level_micros")?;
        let level_micros = level_micros.parse().map_err(|error| unreadable("level_micros", error))?;
        Ok(Self { level_micros, micros: i128::from(micros).max(1) })
    }

    fn told(&self, row: MeterRow) -> MeterRow {
        let narrow = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        // Half a unit is rounded up: levels are not negative.
        let average = (self.level_micros.saturating_mul(2).saturating_add(self.micros)).div_euclid(self.micros * 2);
        MeterRow { quantity: narrow(average), level_seconds: Some(narrow(self.level_micros / 1_000_000)), ..row }
    }
}

fn level_row(row: &PgRow, by: &[Dimension]) -> Result<MeterRow, sqlx::Error> {
    let product: Uuid = row.try_get("product_id")?;
    let product_code: String = row.try_get("product_code")?;
    let group = |dimension: &Dimension| {
        Ok(match dimension {
            Dimension::Product => Group {
                id: Some(product).filter(|id| !id.is_nil()),
                code: product_code.clone(),
                name: row.try_get("product_name")?,
            },
            _ => {
                let environment: String = row.try_get("environment")?;
                Group { id: None, code: environment.clone(), name: environment }
            }
        })
    };
    Ok(MeterRow {
        window: usize::try_from(row.try_get::<i32, _>("part")?).unwrap_or_default(),
        product: (!product.is_nil()).then_some(ProductId(product)),
        groups: by.iter().map(group).collect::<Result<_, sqlx::Error>>()?,
        product_code,
        product_name: row.try_get("product_name")?,
        meter: row.try_get("meter")?,
        name: row.try_get("name")?,
        unit: row.try_get("unit")?,
        kind: MeterKind::Gauge,
        quantity: 0,
        level_seconds: None,
        events: row.count("events")?,
    })
}

fn read(row: &PgRow, first: Option<Dimension>, second: Option<Dimension>) -> Result<MeterRow, sqlx::Error> {
    let mut groups = Vec::with_capacity(2);
    for (asked, id, code, name) in [(first, "id_1", "code_of_1", "name_1"), (second, "id_2", "code_of_2", "name_2")] {
        if asked.is_some() {
            let id: Option<Uuid> = row.try_get(id)?;
            groups.push(Group { id: id.filter(|id| !id.is_nil()), code: row.try_get(code)?, name: row.try_get(name)? });
        }
    }
    let product: Uuid = row.try_get("product_id")?;
    let kind: &str = row.try_get("kind")?;
    Ok(MeterRow {
        window: usize::try_from(row.try_get::<i32, _>("part")?).unwrap_or_default(),
        product: (!product.is_nil()).then_some(ProductId(product)),
        product_code: row.try_get("product_code")?,
        product_name: row.try_get("product_name")?,
        meter: row.try_get("meter")?,
        name: row.try_get("name")?,
        unit: row.try_get("unit")?,
        kind: MeterKind::from_code(kind).ok_or_else(|| unreadable("kind", "the kind is not known"))?,
        groups,
        quantity: row.try_get("quantity")?,
        level_seconds: None,
        events: row.count("events")?,
    })
}

#[cfg(test)]
mod tests;
