//! Reading the directory's tables, all of them or some rows by the same statements.

use crate::{
    StoreError, credits,
    row::{ReadRow as _, unreadable},
    subscriptions::read_period_quota,
};
use domain::{
    credit::bound::Purse,
    directory::{
        Allocation, Directory, Key, Partner, PlanVersion, ProductSecret, Subscription, Unpaid, UpstreamHeader,
    },
    id::{
        AllocationId, AppId, InvoiceId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId, TeamId,
    },
    period::Cycle,
    plan::PlanTerms,
    plan_change::Kept,
    policy::Policy,
    product::{Operation, Product},
};
use sqlx::{
    Postgres, Row as _, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
    types::Json,
};
use std::collections::HashMap;
use uuid::Uuid;

type Tx = Transaction<'static, Postgres>;

/// The rows with these ids; `None` is all.
type Only<'a> = Option<&'a [Uuid]>;

/// Which part of the directory.
#[derive(Debug)]
pub(super) struct Which<'a> {
    pub products: Only<'a>,
    pub partners: Only<'a>,
    pub keys: Only<'a>,
    /// Plans whose versions are read besides those of the partners.
    pub plans: &'a [Uuid],
}

impl Which<'_> {
    pub(super) const ALL: Self = Self { products: None, partners: None, keys: None, plans: &[] };
}

/// Those parts of the directory.
pub(super) async fn directory(
    tx: &mut Tx,
    (version, edition): (i64, Uuid),
    which: &Which<'_>,
) -> Result<Directory, StoreError> {
    let mut directory = Directory { version, edition, ..Directory::default() };
    if asked(which.products) {
        directory.products = products(tx, which.products).await?;
        directory.headers = headers(tx, which.products).await?;
        directory.secrets = secrets(tx, which.products).await?;
    }
    if asked(which.partners) || !which.plans.is_empty() {
        directory.plans = plans(tx, which.partners, which.plans).await?;
    }
    if asked(which.partners) {
        directory.partners = partners(tx, which.partners, &directory.plans).await?;
    }
    if asked(which.keys) {
        directory.keys = keys(tx, which.keys).await?;
    }
    directory.sort();
    Ok(directory)
}

fn asked(only: Only<'_>) -> bool {
    only.is_none_or(|ids| !ids.is_empty())
}

/// The statement with the ids as its first value. It is planned anew each time, because the best way to all rows is not that to
/// a few.
fn select<'q>(statement: &'static str, only: Only<'q>) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement).persistent(false).bind(only)
}

async fn products(tx: &mut Tx, only: Only<'_>) -> Result<Vec<Product>, StoreError> {
    let invitations = select(
        "select product_id, partner_id from product_invitations
         where $1::uuid[] is null or product_id = any($1) order by partner_id",
        only,
    );
    let invitations = invitations.fetch_all(&mut **tx).await?;
    let mut invited: HashMap<Uuid, Vec<PartnerId>> = HashMap::new();
    for row in invitations {
        invited.entry(row.try_get("product_id")?).or_default().push(PartnerId(row.try_get("partner_id")?));
    }
    let rows = select(
        "select product_id, id, code, method, path, summary, weight, deprecated, removed_at is not null as removed
         from operations where $1::uuid[] is null or product_id = any($1) order by product_id, removed, position, id",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut operations: HashMap<Uuid, Vec<Operation>> = HashMap::new();
    for row in rows {
        let weight: i32 = row.try_get("weight")?;
        operations.entry(row.try_get("product_id")?).or_default().push(Operation {
            id: OperationId(row.try_get("id")?),
            code: row.try_get("code")?,
            method: row.try_get("method")?,
            path: row.try_get("path")?,
            summary: row.try_get("summary")?,
            weight: u32::try_from(weight).map_err(|error| unreadable("weight", error))?,
            deprecated: row.try_get("deprecated")?,
            removed: row.try_get("removed")?,
        });
    }
    let rows = select(
        "select id, code, name, route, upstream_url, timeout_ms, visibility, policy
         from products where archived_at is null and ($1::uuid[] is null or id = any($1))",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut products = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        let timeout_ms: i32 = row.try_get("timeout_ms")?;
        products.push(Product {
            id: ProductId(id),
            code: row.try_get("code")?,
            name: row.try_get("name")?,
            route: row.try_get("route")?,
            upstream_url: row.try_get("upstream_url")?,
            timeout_ms: u32::try_from(timeout_ms).map_err(|error| unreadable("timeout_ms", error))?,
            visibility: row.parsed("visibility")?,
            policy: row.try_get::<Json<Policy>, _>("policy")?.0,
            invited: invited.remove(&id).unwrap_or_default(),
            operations: operations.remove(&id).unwrap_or_default(),
        });
    }
    Ok(products)
}

async fn headers(tx: &mut Tx, only: Only<'_>) -> Result<Vec<UpstreamHeader>, StoreError> {
    let rows = select(
        "select product_id, name, sealed_value from product_headers where $1::uuid[] is null or product_id = any($1)",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let header = |row: sqlx::postgres::PgRow| {
        Ok(UpstreamHeader {
            product: ProductId(row.try_get("product_id")?),
            name: row.try_get("name")?,
            sealed_value: row.try_get("sealed_value")?,
        })
    };
    rows.into_iter().map(header).collect()
}

async fn secrets(tx: &mut Tx, only: Only<'_>) -> Result<Vec<ProductSecret>, StoreError> {
    let rows = select(
        "select product_id, name, sealed_value from product_secrets where $1::uuid[] is null or product_id = any($1)",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let secret = |row: sqlx::postgres::PgRow| {
        Ok(ProductSecret {
            product: ProductId(row.try_get("product_id")?),
            name: row.try_get("name")?,
            sealed_value: row.try_get("sealed_value")?,
        })
    };
    rows.into_iter().map(secret).collect()
}

/// Plan versions that somebody is on: one of these partners, or anybody where it is a version of these plans.
async fn plans(tx: &mut Tx, partners: Only<'_>, plans: &[Uuid]) -> Result<Vec<PlanVersion>, StoreError> {
    let rows = select(
        "select v.id, p.code, p.name, v.version, v.terms
         from plan_versions v join plans p on p.id = v.plan_id
         where v.id in (select plan_version_id from subscriptions
                        where status = 'active' and ($1::uuid[] is null or partner_id = any($1)))
            or (v.plan_id = any($2) and v.id in (select plan_version_id from subscriptions where status = 'active'))",
        partners,
    )
    .bind(plans)
    .fetch_all(&mut **tx)
    .await?;
    let mut plans = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, plan_code): (Uuid, String) = (row.try_get("id")?, row.try_get("code")?);
        let Json(terms): Json<serde_json::Value> = row.try_get("terms")?;
        let version = row.try_get("version")?;
        // Terms of a later version of ours close the calls of those who are on them, and nothing else: what changes for all others,
        // as a revoked key, is followed all the same.
        match serde_json::from_value::<PlanTerms>(terms) {
            Ok(terms) => plans.push(PlanVersion {
                id: PlanVersionId(id),
                plan_code,
                plan_name: row.try_get("name")?,
                version,
                terms,
            }),
            Err(error) => {
                tracing::error!(plan = plan_code, version, %error, "this program cannot read the plan's terms: calls of whoever is on it are refused")
            }
        }
    }
    Ok(plans)
}

async fn partners(tx: &mut Tx, only: Only<'_>, plans: &[PlanVersion]) -> Result<Vec<Partner>, StoreError> {
    let terms_of: HashMap<Uuid, &PlanTerms> = plans.iter().map(|plan| (plan.id.0, &plan.terms)).collect();
    let rows = select(
        "select p.id, p.suspended_at is not null as suspended, s.id as subscription_id, s.plan_version_id, s.anchor, s.time_zone,
                s.period_quota_units, s.period_quota_until, s.counts_from, s.kept_until, kv.terms as kept_terms, s.trial_until, c.effective_at as ends_at, d.stage, i.id as unpaid_invoice, i.number as unpaid_number
         from partners p
         left join dunning d on d.partner_id = p.id and d.stage in ('limited', 'suspended')
         left join invoices i on i.partner_id = d.partner_id and i.id = d.invoice_id
         left join subscriptions s on s.partner_id = p.id and s.status = 'active'
         left join plan_versions kv on kv.id = s.kept_version_id
         left join plan_changes c on c.partner_id = p.id and c.subscription_id = s.id and c.status = 'scheduled' and c.plan_version_id is null
         where $1::uuid[] is null or p.id = any($1)",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut allocations = allocations(tx, only).await?;
    let mut bound = bound(tx, only).await?;
    let mut partners = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        let subscription = match row.try_get::<Option<Uuid>, _>("subscription_id")? {
            None => None,
            Some(id) => {
                let plan_version: Uuid = row.try_get("plan_version_id")?;
                let terms = terms_of.get(&plan_version).copied();
                Some(Subscription {
                    id: SubscriptionId(id),
                    plan_version: PlanVersionId(plan_version),
                    cycle: Cycle {
                        anchor: row.at("anchor")?,
                        interval: terms.map(|terms| terms.interval).unwrap_or_default(),
                        time_zone: row.try_get("time_zone")?,
                    },
                    counts_from: row.at_if_any("counts_from")?,
                    quota: read_period_quota(&row)?,
                    trial_until: row.at_if_any("trial_until")?,
                    ends_at: row.at_if_any("ends_at")?,
                    kept: terms.map(|terms| read_kept(&row, terms)).transpose()?.flatten(),
                })
            }
        };
        partners.push(Partner {
            id: PartnerId(id),
            suspended: row.try_get("suspended")?,
            subscription,
            unpaid: read_unpaid(&row)?,
            allocations: allocations.remove(&id).unwrap_or_default(),
            bound: bound.remove(&id).unwrap_or_default(),
        });
    }
    Ok(partners)
}

/// Credit that apps and teams have for themselves, by partner.
async fn allocations(tx: &mut Tx, only: Only<'_>) -> Result<HashMap<Uuid, Vec<Allocation>>, StoreError> {
    let rows = select(
        "select partner_id, id, app_id, team_id, spend from credit_allocations
         where ended_at is null and ($1::uuid[] is null or partner_id = any($1)) order by id",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut allocations: HashMap<Uuid, Vec<Allocation>> = HashMap::new();
    for row in rows {
        allocations.entry(row.try_get("partner_id")?).or_default().push(Allocation {
            id: AllocationId(row.try_get("id")?),
            of: credits::holder(row.try_get("app_id")?, row.try_get("team_id")?),
            spend: row.parsed("spend")?,
        });
    }
    Ok(allocations)
}

/// Credit that only calls of some products spend, by partner.
async fn bound(tx: &mut Tx, only: Only<'_>) -> Result<HashMap<Uuid, Vec<Purse>>, StoreError> {
    let rows = select(
        "select partner_id, id, product_ids, first_end from credit_purses
         where product_ids is not null and not at_rest and ($1::uuid[] is null or partner_id = any($1)) order by id",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut bound: HashMap<Uuid, Vec<Purse>> = HashMap::new();
    for row in rows {
        let products: Vec<Uuid> = row.try_get("product_ids")?;
        bound.entry(row.try_get("partner_id")?).or_default().push(Purse {
            id: AllocationId(row.try_get("id")?),
            products: products.into_iter().map(ProductId).collect(),
            first_end: row.at_if_any("first_end")?,
        });
    }
    Ok(bound)
}

/// What is kept of the plan before. Terms that this program cannot read leave nothing, as for whoever is on them.
fn read_kept(row: &PgRow, terms: &PlanTerms) -> Result<Option<Kept>, sqlx::Error> {
    let Some(until) = row.at_if_any("kept_until")? else { return Ok(None) };
    let Json(old): Json<serde_json::Value> = row.try_get("kept_terms")?;
    Ok(serde_json::from_value(old).ok().map(|old| Kept::new(&old, terms, until)))
}

fn read_unpaid(row: &PgRow) -> Result<Option<Unpaid>, sqlx::Error> {
    let Some(invoice) = row.try_get("unpaid_invoice")? else { return Ok(None) };
    Ok(Some(Unpaid { stage: row.parsed("stage")?, invoice: InvoiceId(invoice), number: row.try_get("unpaid_number")? }))
}

async fn keys(tx: &mut Tx, only: Only<'_>) -> Result<Vec<Key>, StoreError> {
    let rows = select(
        "select k.id, k.hash, k.partner_id, k.app_id, a.team_id, k.environment, k.expires_at, k.kind, k.allowed_addresses, k.scopes,
                least(k.revoked_at, a.archived_at) as revoked_at
         from keys k join apps a on a.partner_id = k.partner_id and a.id = k.app_id
         where $1::uuid[] is null or k.id = any($1)",
        only,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        keys.push(Key {
            id: KeyId(row.try_get("id")?),
            hash: row.hash("hash")?,
            partner: PartnerId(row.try_get("partner_id")?),
            app: AppId(row.try_get("app_id")?),
            team: row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId),
            environment: row.parsed("environment")?,
            kind: row.parsed("kind")?,
            allowed_addresses: row.try_get("allowed_addresses")?,
            scopes: row.try_get("scopes")?,
            expires_at: row.at_if_any("expires_at")?,
            revoked_at: row.at_if_any("revoked_at")?,
        });
    }
    Ok(keys)
}
