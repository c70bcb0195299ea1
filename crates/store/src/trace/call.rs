//! Calls as they are stored, with their hour and their seal.

use super::{TracedAllocation, TracedCall};
use crate::{
    StoreError, credits,
    ingest::{StoredSeal, signed},
    row::{ReadRow as _, unreadable},
    time::Ts,
    usage::Place,
};
use domain::id::{AllocationId, OperationId, PartnerId, ProductId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// `usage_events.kind` of what others told us.
const TOLD: i16 = 1;

macro_rules! calls {
    ($rest:literal) => {
        concat!(
            "select e.partner_id, coalesce(p.code, p.name, '') as partner_code, e.at, e.kind, e.source, e.node, e.lane, e.sequence, e.environment,
                 e.method, e.path, e.status, e.outcome, e.units, e.credits, e.allocation_id, e.allocated, al.app_id as own_app,
                 al.team_id as own_team, coalesce(ap.name, te.name,
                     (select string_agg(bound.name, ', ' order by bound.code) from products bound where bound.id = any (al.product_ids)), '') as own_name,
                 al.product_ids is not null as own_is_bound, e.product_id, e.operation_id,
                 coalesce(pr.code, '') as product_code, coalesce(o.code, '') as operation_code,
                 coalesce(s.sequence, 0) as stored_to, date_trunc('hour', e.at, 'UTC') as hour,
                 coalesce(h.calls, 0)::bigint as hour_calls, coalesce(h.units, 0)::bigint as hour_units,
                 z.first_sequence, z.past_sequence, z.sealed_at, z.entry
             from usage_events e
             left join partners p on p.id = e.partner_id
             left join credit_purses al on al.partner_id = e.partner_id and al.id = e.allocation_id
             left join apps ap on ap.partner_id = al.partner_id and ap.id = al.app_id
             left join teams te on te.partner_id = al.partner_id and te.id = al.team_id
             left join products pr on pr.id = e.product_id
             left join operations o on o.id = e.operation_id
             left join spool_positions s on s.node = e.node and s.lane = e.lane
             left join lateral (
                 select * from spool_seals z where z.node = e.node and z.lane = e.lane and z.past_sequence > e.sequence
                 order by z.past_sequence limit 1
             ) z on z.first_sequence <= e.sequence
             left join lateral (
                 select sum(u.calls) as calls, sum(u.units) as units from usage_hourly u
                 where u.partner_id = e.partner_id and u.hour = date_trunc('hour', e.at, 'UTC')
                     and u.environment = e.environment
                     and u.product_id = coalesce(e.product_id, '00000000-0000-0000-0000-000000000000')
                     and u.operation_id = coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000')
                     and u.app_id = e.app_id and u.key_id = e.key_id and u.outcome = e.outcome
                     and u.status_class = e.status / 100
             ) h on true ",
            $rest
        )
    };
}

/// Of every partner, or of the one that is named; the oldest first.
pub(super) async fn by_request_id(
    tx: &mut PgConnection,
    request_id: &str,
    of: Option<PartnerId>,
    most: i64,
) -> Result<Vec<TracedCall>, StoreError> {
    let rows = sqlx::query(calls!(
        "where e.request_id = $1 and ($3::uuid is null or e.partner_id = $3) and e.kind <> 2 order by e.at limit $2"
    ))
    .bind(request_id)
    .bind(most)
    .bind(of.map(|partner| partner.0))
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The partner's.
pub(super) async fn at(tx: &mut PgConnection, partner: PartnerId, place: &Place) -> Result<TracedCall, StoreError> {
    let row = sqlx::query(calls!(
        "where e.partner_id = $1 and e.at = $2 and e.node = $3 and e.lane = $4 and e.sequence = $5 and e.kind <> 2"
    ))
    .bind(partner.0)
    .bind(Ts(place.at()))
    .bind(&place.node)
    .bind(i32::from(place.lane))
    .bind(signed(place.sequence))
    .fetch_one(tx)
    .await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<TracedCall, sqlx::Error> {
    let lane: i32 = row.try_get("lane")?;
    let status: i16 = row.try_get("status")?;
    let seal = match row.try_get::<Option<Vec<u8>>, _>("entry")? {
        Some(entry) => Some(StoredSeal {
            first: row.count("first_sequence")?,
            past: row.count("past_sequence")?,
            sealed_at: row.at("sealed_at")?,
            entry,
        }),
        None => None,
    };
    let allocation = match row.try_get::<Option<Uuid>, _>("allocation_id")? {
        Some(id) => Some(TracedAllocation {
            id: AllocationId(id),
            of: match row.try_get::<Option<bool>, _>("own_is_bound")? {
                Some(true) => None,
                _ => Some(credits::holder(row.try_get("own_app")?, row.try_get("own_team")?)),
            },
            name: row.try_get("own_name")?,
            units: row.count("allocated")?,
        }),
        None => None,
    };
    Ok(TracedCall {
        partner: PartnerId(row.try_get("partner_id")?),
        partner_code: row.try_get("partner_code")?,
        at: row.at("at")?,
        source: (row.try_get::<i16, _>("kind")? == TOLD).then(|| row.try_get("source")).transpose()?,
        node: row.try_get("node")?,
        lane: u16::try_from(lane).map_err(|error| unreadable("lane", error))?,
        sequence: row.count("sequence")?,
        environment: row.parsed("environment")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        status: u16::try_from(status).unwrap_or_default(),
        outcome: row.try_get("outcome")?,
        units: row.count("units")?,
        credits: row.count("credits")?,
        allocation,
        product_code: row.try_get("product_code")?,
        operation_code: row.try_get("operation_code")?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        stored_to: row.count("stored_to")?,
        seal,
        hour: row.at("hour")?,
        hour_calls: row.count("hour_calls")?,
        hour_units: row.count("hour_units")?,
        billing: None,
        thresholds: Vec::new(),
        corrections: Vec::new(),
        late: None,
    })
}
