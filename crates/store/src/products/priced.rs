//! What plans have a price for stays as it is: a meter that would be gone, or count otherwise, would be billed wrongly or not at all.

use crate::StoreError;
use domain::{policy::Policy, usage::MeterKind};
use sqlx::{PgConnection, Row as _};

/// Refuses a policy without a meter that a plan prices, or with one of another kind. Plans are looked at in the version that is sold, and
/// in each that somebody has or is not billed for to the end.
pub(super) async fn check(
    connection: &mut PgConnection,
    product: &str,
    before: &Policy,
    after: &Policy,
    field: &str,
) -> Result<(), StoreError> {
    let kind_of = |policy: &Policy, meter: &str| policy.meters.get(meter).map(|meter| meter.kind);
    let moved: Vec<&str> = before.meters.keys().map(String::as_str).collect();
    let moved: Vec<&str> = moved.into_iter().filter(|code| kind_of(before, code) != kind_of(after, code)).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let row = sqlx::query(
        "select p.name, v.version, m.price ->> 'meter' as meter,
             v.version = (select max(version) from plan_versions where plan_id = p.id) as is_newest
         from plans p join plan_versions v on v.plan_id = p.id
         cross join lateral jsonb_array_elements(v.terms -> 'meters') as m (price)
         where jsonb_typeof(v.terms -> 'meters') = 'array' and m.price ->> 'product' = $1 and m.price ->> 'meter' = any($2)
             and ((p.archived_at is null and v.version = (select max(version) from plan_versions where plan_id = p.id))
                 or exists (
                     select from subscriptions s where s.plan_version_id = v.id and (s.status in ('requested', 'active')
                         or s.status = 'ended' and s.started_at is not null and s.ended_at > coalesce((
                             select max(b.period_end) from billing_periods b
                             where b.partner_id = s.partner_id and b.subscription_id = s.id), s.started_at))))
         order by p.name, v.version desc, meter limit 1",
    )
    .bind(product)
    .bind(&moved)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let (plan, version, meter): (&str, i32, &str) =
        (row.try_get("name")?, row.try_get("version")?, row.try_get("meter")?);
    let did = match kind_of(after, meter) {
        None => "be taken away".to_owned(),
        Some(kind) => format!("become {}", article(kind)),
    };
    let then = match row.try_get("is_newest")? {
        true => "Make a version of the plan without that price first, and move its partners to it",
        false => "Move the partners of that version to another one first; what they used until then is billed before",
    };
    let message = format!("The plan {plan}, version {version}, has a price for {meter}, so it cannot {did}. {then}");
    Err(StoreError::conflict(format!("{field}meters.{meter}"), message))
}

fn article(kind: MeterKind) -> &'static str {
    match kind {
        MeterKind::Sum => "a sum",
        MeterKind::Maximum => "a maximum",
        MeterKind::Latest => "a latest value",
        MeterKind::Unique => "a count of different values",
        MeterKind::Gauge => "a level",
    }
}
