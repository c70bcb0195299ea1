//! Writing down what was told.

use super::{NODE, New, Outside, Teller};
use crate::{StoreError, Ts, hooks, ingest};
use domain::id::PartnerId;
use jiff::Timestamp;
use sqlx::{Postgres, Transaction, types::Json};

/// The new events: those in time go where calls are, the late ones become adjustments.
pub(super) async fn events(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    teller: Teller,
    new: &[New<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into outside_events (partner_id, by_partner, source, id, payload_hash, sequence, at, late, token_id, received_at)
         select $1, $2, source, id, payload_hash, sequence, at, late, $9, $10
         from unnest($3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::timestamptz[], $8::boolean[])
             as new (source, id, payload_hash, sequence, at, late)",
    )
    .bind(partner.0)
    .bind(teller.is_partner)
    .bind(new.iter().map(|new| new.told.source.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.told.id.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.hash.as_slice()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| signed(new.sequence)).collect::<Vec<_>>())
    .bind(new.iter().map(|new| Ts(new.event.at)).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.late.is_some()).collect::<Vec<_>>())
    .bind(teller.token.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let (late, in_time): (Vec<&New<'_>>, Vec<_>) = new.iter().partition(|new| new.late.is_some());
    counted(tx, partner, &in_time).await?;
    let records = in_time.iter().map(|new| (new.sequence, new.event.at));
    ingest::batches::note(tx, (NODE, 0, Some(partner)), records, now).await?;
    let records = late.iter().map(|new| (new.sequence, now));
    ingest::batches::note(tx, (hooks::LATE, 0, Some(partner)), records, now).await?;
    adjustments(tx, partner, &late, now).await
}

async fn counted(tx: &mut Transaction<'_, Postgres>, partner: PartnerId, new: &[&New<'_>]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    macro_rules! each {
        (|$event:ident| $value:expr) => {
            new.iter().map(|New { event: $event, .. }| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "insert into usage_events (partner_id, node, lane, kind, status, outcome, upstream_us, key_id, at, sequence, request_id,
             app_id, environment, product_id, operation_id, method, path, units, bytes_in, bytes_out, duration_us, region,
             trace_id, price_rule, source, team_id)
         select $1, $2, 0, 1, 200, 'served', 0, '00000000-0000-0000-0000-000000000000', new.*
         from unnest($3::timestamptz[], $4::bigint[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], $10::text[],
             $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::bytea[], $18::text[],
             $19::text[], $20::uuid[]) as new",
    )
    .bind(partner.0)
    .bind(NODE)
    .bind(each!(|event| Ts(event.at)))
    .bind(new.iter().map(|new| signed(new.sequence)).collect::<Vec<_>>())
    .bind(each!(|event| event.request_id.as_str()))
    .bind(each!(|event| event.app.0))
    .bind(each!(|event| event.environment.code()))
    .bind(each!(|event| event.product.map(|id| id.0)))
    .bind(each!(|event| event.operation.map(|id| id.0)))
    .bind(each!(|event| event.method.as_str()))
    .bind(each!(|event| event.path.as_str()))
    .bind(each!(|event| signed(event.units)))
    .bind(each!(|event| signed(event.bytes_in)))
    .bind(each!(|event| signed(event.bytes_out)))
    .bind(each!(|event| signed(event.duration_us)))
    .bind(each!(|event| event.region.as_str()))
    .bind(each!(|event| event.trace_id.as_ref().map(<[u8; 16]>::as_slice)))
    .bind(each!(|event| event.price_rule.as_str()))
    .bind(new.iter().map(|new| new.told.source.as_str()).collect::<Vec<_>>())
    .bind(each!(|event| event.team.map(|id| id.0)))
    .execute(&mut **tx)
    .await?;
    let mut hours = ingest::Hours::default();
    new.iter().for_each(|new| hours.add(&new.event));
    Ok(hours.merge(tx).await?)
}

async fn adjustments(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    new: &[&New<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    for New { told, sequence, event, late, .. } in new {
        let Some(closed) = late else { continue };
        sqlx::query(
            "insert into usage_adjustments (partner_id, sequence, source, id, subscription_id, period_start, period_end, at,
                 app_id, product_id, operation_id, units, received_at, team_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(partner.0)
        .bind(signed(*sequence))
        .bind(&told.source)
        .bind(&told.id)
        .bind(closed.subscription.0)
        .bind(Ts(closed.period.start))
        .bind(Ts(closed.period.end))
        .bind(Ts(event.at))
        .bind(told.data.app.map(|id| id.0))
        .bind(event.product.map(|id| id.0))
        .bind(event.operation.map(|id| id.0))
        .bind(signed(event.units))
        .bind(Ts(now))
        .bind(event.team.map(|id| id.0))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Events that contradict an earlier one; each that says something new.
pub(super) async fn conflicts(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    teller: Teller,
    others: &[(&Outside, [u8; 32])],
    now: Timestamp,
) -> Result<(), StoreError> {
    for (told, hash) in others {
        sqlx::query(
            "insert into outside_conflicts (partner_id, by_partner, source, id, payload_hash, payload, token_id, received_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        )
        .bind(partner.0)
        .bind(teller.is_partner)
        .bind(&told.source)
        .bind(&told.id)
        .bind(hash.as_slice())
        .bind(Json(told))
        .bind(teller.token.0)
        .bind(Ts(now))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
