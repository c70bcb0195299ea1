//! What an operator sees of requests whose outcome is unknown.

use super::reason;
use crate::{Page, Store, StoreError, row::ReadRow as _};
use domain::{
    id::{AttemptId, PartnerId, ProductId},
    idempotency::Unknown,
    key_text::Environment,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// A request with an Idempotency-Key that was sent on, and nobody knows whether it was carried out.
#[derive(Debug, Clone)]
pub struct UnknownRequest {
    pub attempt: AttemptId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub environment: Environment,
    pub product_id: ProductId,
    /// Its code; empty where the product is gone.
    pub product: String,
    /// Its code; empty where the operation is gone.
    pub operation: String,
    pub method: String,
    /// As the product's document has it.
    pub path: String,
    pub key: String,
    /// The `X-Request-Id` that the upstream was sent, too.
    pub request_id: String,
    /// The gateway that sent it on.
    pub node: String,
    pub reason: Unknown,
    pub began_at: Timestamp,
    /// When the key is forgotten if nobody resolves it.
    pub until: Timestamp,
}

/// Which of them; an empty filter shows all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownFilter {
    pub partner: Option<PartnerId>,
    pub product: Option<ProductId>,
    /// The whole Idempotency-Key or the whole request id.
    pub text: Option<String>,
}

/// How many there are, and whose and of what, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownSources {
    pub requests: u64,
    pub partners: Vec<(PartnerId, String)>,
    pub products: Vec<(ProductId, String)>,
}

macro_rules! unknown_requests {
    ($rest:literal) => {
        concat!(
            "select k.*, coalesce(p.name, '') as partner_name, coalesce(pr.code, '') as product,
                 coalesce(o.code, '') as operation, coalesce(o.method, '') as method, coalesce(o.path, '') as path
             from idempotency_keys k
             left join partners p on p.id = k.partner_id
             left join products pr on pr.id = k.product_id
             left join operations o on o.id = k.operation_id
             where k.state = 'unknown' and k.reason in ('node_ended', 'overdue', 'no_answer') ",
            $rest
        )
    };
}

impl Store {
    /// Requests of all partners that an operator should look at, oldest first; `after` is the previous page's `next`.
    pub async fn all_unknown_requests(
        &self,
        filter: &UnknownFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<UnknownRequest>, StoreError> {
        let after: Option<AttemptId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a page of this list"))?)
            }
        };
        // An attempt's identifier begins with its time, so this is their order.
        let rows = sqlx::query(unknown_requests!(
            "and ($1::uuid is null or k.partner_id = $1) and ($2::uuid is null or k.product_id = $2)
             and ($3::text is null or k.key = $3 or k.request_id = $3) and ($4::uuid is null or k.attempt > $4)
             order by k.attempt limit $5"
        ))
        .bind(filter.partner.map(|partner| partner.0))
        .bind(filter.product.map(|product| product.0))
        .bind(filter.text.as_deref())
        .bind(after.map(|attempt| attempt.0))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let requests = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(requests, size, |request| request.attempt.to_string()))
    }

    /// One of them. `NotFound` where its outcome is not unknown (any more).
    pub async fn unknown_request_of_any_partner(&self, attempt: AttemptId) -> Result<UnknownRequest, StoreError> {
        let row = sqlx::query(unknown_requests!("and k.attempt = $1")).bind(attempt.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// How many there are of all partners, and where they come from.
    pub async fn all_unknown_sources(&self) -> Result<UnknownSources, StoreError> {
        let rows = sqlx::query(
            "select k.partner_id, coalesce(p.name, '') as partner, k.product_id, coalesce(pr.name, '') as product,
                 count(*) as requests
             from idempotency_keys k
             left join partners p on p.id = k.partner_id
             left join products pr on pr.id = k.product_id
             where k.state = 'unknown' and k.reason in ('node_ended', 'overdue', 'no_answer')
             group by k.partner_id, p.name, k.product_id, pr.name",
        )
        .fetch_all(self.pool())
        .await?;
        let mut sources = UnknownSources::default();
        for row in &rows {
            sources.requests += row.count("requests")?;
            let partner: Uuid = row.try_get("partner_id")?;
            sources.partners.push((PartnerId(partner), row.try_get("partner")?));
            let product: Uuid = row.try_get("product_id")?;
            sources.products.push((ProductId(product), row.try_get("product")?));
        }
        by_name(&mut sources.partners);
        by_name(&mut sources.products);
        Ok(sources)
    }
}

/// Sorts by name, and leaves each once.
fn by_name<T: Copy + Ord>(named: &mut Vec<(T, String)>) {
    named.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
    named.dedup();
}

fn read(row: &PgRow) -> Result<UnknownRequest, sqlx::Error> {
    Ok(UnknownRequest {
        attempt: AttemptId(row.try_get("attempt")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        environment: row.parsed("environment")?,
        product_id: ProductId(row.try_get("product_id")?),
        product: row.try_get("product")?,
        operation: row.try_get("operation")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        key: row.try_get("key")?,
        request_id: row.try_get("request_id")?,
        node: row.try_get("node")?,
        reason: reason(row)?,
        began_at: row.at("began_at")?,
        until: row.at("until")?,
    })
}
