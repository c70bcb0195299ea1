//! What plans have a price for stays as it is: a meter or an operation that would be gone, or a meter that would count
//! otherwise, would be billed wrongly or not at all.

use crate::StoreError;
use domain::{policy::Policy, usage::MeterKind};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// A plan that prices something, in a version that is sold, or that somebody has or is not billed for to the end.
struct Pricing {
    plan: String,
    version: i32,
    is_newest: bool,
    /// The code of what it prices.
    what: String,
}

impl Pricing {
    /// Why that cannot change so, as `be taken away`, and what to do.
    fn refusal(&self, did: &str) -> String {
        let Self { plan, version, what, .. } = self;
        let then = match self.is_newest {
            true => "Make a version of the plan without that price first, and move its partners to it",
            false => {
                "Move the partners of that version to another one first; what they used until then is billed before"
            }
        };
        format!("The plan {plan}, version {version}, has a price for {what}, so it cannot {did}. {then}")
    }
}

/// Refuses a document without an operation that a plan has a price for.
pub(super) async fn check_operations(
    connection: &mut PgConnection,
    product: (Uuid, &str),
    after: &[String],
) -> Result<(), StoreError> {
    let (id, code) = product;
    let gone: Vec<String> = sqlx::query_scalar(
        "select code from operations where product_id = $1 and removed_at is null and code <> all($2)",
    )
    .bind(id)
    .bind(after)
    .fetch_all(&mut *connection)
    .await?;
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    match pricing(connection, code, &[], &gone).await? {
        Some(pricing) => Err(StoreError::conflict("document", pricing.refusal("be taken away"))),
        None => Ok(()),
    }
}

/// Refuses a policy without a meter that a plan prices, or with one of another kind.
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
    let Some(pricing) = pricing(connection, product, &moved, &[]).await? else { return Ok(()) };
    let did = match kind_of(after, &pricing.what) {
        None => "be taken away".to_owned(),
        Some(kind) => format!("become {}", article(kind)),
    };
    Err(StoreError::conflict(format!("{field}meters.{}", pricing.what), pricing.refusal(&did)))
}

/// The first plan that has a price for one of these meters or operations of the product.
async fn pricing(
    connection: &mut PgConnection,
    product: &str,
    meters: &[&str],
    operations: &[&str],
) -> Result<Option<Pricing>, StoreError> {
    if meters.is_empty() && operations.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query(
        "select p.name, v.version, priced.what,
             v.version = (select max(version) from plan_versions where plan_id = p.id) as is_newest
         from plans p join plan_versions v on v.plan_id = p.id
         cross join lateral (
             select m.price ->> 'meter' as what from jsonb_path_query(v.terms, '$.meters[*]') as m (price)
             where m.price ->> 'product' = $1 and m.price ->> 'meter' = any($2)
             union all
             select c.price ->> 'operation'
             from unnest(array['$.price.cells[*]', '$.phases[*].instead.price.cells[*]',
                     '$.promotions[*].instead.price.cells[*]']::jsonpath[]) as place
                 cross join lateral jsonb_path_query(v.terms, place) as c (price)
             where c.price ->> 'product' = $1 and c.price ->> 'operation' = any($3)
         ) as priced
         where ((p.archived_at is null and v.version = (select max(version) from plan_versions where plan_id = p.id))
                 or exists (
                     select from subscriptions s where s.plan_version_id = v.id and (s.status in ('requested', 'active')
                         or s.status = 'ended' and s.started_at is not null and s.ended_at > coalesce((
                             select max(b.period_end) from billing_periods b
                             where b.partner_id = s.partner_id and b.subscription_id = s.id), s.started_at))))
         order by p.name, v.version desc, priced.what limit 1",
    )
    .bind(product)
    .bind(meters)
    .bind(operations)
    .fetch_optional(connection)
    .await?;
    let read = |row: sqlx::postgres::PgRow| {
        Ok(Pricing {
            plan: row.try_get("name")?,
            version: row.try_get("version")?,
            is_newest: row.try_get("is_newest")?,
            what: row.try_get("what")?,
        })
    };
    row.map(read).transpose()
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
