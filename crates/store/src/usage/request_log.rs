//! The request log: single calls, newest first, page by page.

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{
    id::{AllocationId, AppId, KeyId, MemberId, OperationId, PartnerId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    usage::{cloud_event::hex, event_id},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, postgres::PgRow};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Which calls to show; an empty filter shows all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestFilter {
    pub environment: Option<Environment>,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    pub app: Option<AppId>,
    pub key: Option<KeyId>,
    /// All zeros for calls of no team.
    pub team: Option<TeamId>,
    /// First digit of the status: 2, 3, 4 or 5.
    pub status_class: Option<u8>,
    /// As GET.
    pub method: Option<String>,
    /// `served`, `refused`, `upstream_failed` or `client_gone`.
    pub outcome: Option<String>,
    /// What the request id begins with.
    pub request_id: Option<String>,
}

/// One call, as the partner may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Where it is in the log.
    pub place: Place,
    pub at: Timestamp,
    pub request_id: String,
    pub environment: Environment,
    pub app: AppId,
    pub app_name: String,
    pub key: KeyId,
    pub key_name: String,
    pub member: Option<MemberId>,
    pub product: Option<ProductId>,
    /// The product's code, empty where none matched.
    pub product_code: String,
    pub operation: Option<OperationId>,
    /// The operation's code, empty where none matched.
    pub operation_code: String,
    pub method: String,
    /// The path template that matched, else empty.
    pub path: String,
    pub status: u16,
    /// `served`, `replayed`, `cached`, `refused`, `upstream_failed` or `client_gone`.
    pub outcome: String,
    /// Why it was refused: the code of a page under `/docs/errors/`.
    pub refusal: Option<String>,
    pub units: u64,
    /// Of those, the units that were paid with credit.
    pub credits: u64,
    /// Whose own credit paid some of them, and how many.
    pub allocated: Option<(AllocationId, u64)>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_us: u64,
    pub upstream_us: u64,
    /// The event's name; of what was told from outside, the producer's own id.
    pub event_id: String,
    /// Who told it; empty for a gateway of ours.
    pub source: String,
    /// Where the gateway stands; empty where nobody said.
    pub region: String,
    /// As the `traceparent` header has it.
    pub trace_id: Option<String>,
    /// How the units came about, as `weight:5`; empty where it costs nothing.
    pub price_rule: String,
}

/// One call's place in the log, good for an address: `1763000000000000.0.17.node-a`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Microseconds since 1970.
    pub at_us: i64,
    pub lane: u16,
    pub sequence: u64,
    pub node: String,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPage {
    pub requests: Vec<LoggedRequest>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

macro_rules! requests {
    ($rest:literal) => {
        concat!(
            "select e.at, e.node, e.lane, e.sequence, e.request_id, e.environment, e.app_id, e.key_id, e.member_id,
                 e.product_id, e.operation_id, e.method, e.path, e.status, e.outcome, e.refusal, e.units, e.credits, e.allocation_id, e.allocated, e.bytes_in,
                 e.bytes_out, e.duration_us, e.upstream_us, e.epoch, e.region, e.trace_id, e.price_rule, e.source,
                 coalesce(a.name, '') as app_name, coalesce(k.name, '') as key_name,
                 coalesce(p.code, '') as product_code, coalesce(o.code, '') as operation_code
             from usage_events e
             left join apps a on a.partner_id = e.partner_id and a.id = e.app_id
             left join keys k on k.partner_id = e.partner_id and k.id = e.key_id
             left join products p on p.id = e.product_id
             left join operations o on o.id = e.operation_id
             where e.partner_id = $1 and e.kind <> 2 ",
            $rest
        )
    };
}

impl Store {
    /// Calls in the range, newest first, `after` the last one of the page before.
    pub async fn request_log(
        &self,
        partner: PartnerId,
        range: Period,
        filter: &RequestFilter,
        after: Option<&Place>,
        page_size: u16,
    ) -> Result<RequestPage, StoreError> {
        let rows = sqlx::query(requests!(
            "and e.at >= $2 and e.at < $3
                 and ($4::text is null or e.environment = $4)
                 and ($5::uuid is null or coalesce(e.product_id, '00000000-0000-0000-0000-000000000000') = $5)
                 and ($6::uuid is null or coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000') = $6)
                 and ($7::uuid is null or e.app_id = $7) and ($8::uuid is null or e.key_id = $8)
                 and ($9::int is null or e.status / 100 = $9)
                 and ($10::text is null or e.method = $10) and ($11::text is null or e.outcome = $11)
                 and ($12::text is null or starts_with(e.request_id, $12))
                 and ($13::timestamptz is null
                     or (e.at, e.node, e.lane, e.sequence) < ($13, $14::text, $15::int, $16::bigint))
                 and ($18::uuid is null or coalesce(e.team_id, '00000000-0000-0000-0000-000000000000') = $18)
             order by e.at desc, e.node desc, e.lane desc, e.sequence desc limit $17"
        ))
        .bind(partner.0)
        .bind(Ts(range.start))
        // With a place to start after, nothing newer is wanted: the partitions above it need not be looked at.
        .bind(Ts(after.map_or(range.end, |place| range.end.min(place.just_past()))))
        .bind(filter.environment.map(Environment::code))
        .bind(filter.product.map(|id| id.0))
        .bind(filter.operation.map(|id| id.0))
        .bind(filter.app.map(|id| id.0))
        .bind(filter.key.map(|id| id.0))
        .bind(filter.status_class.map(i32::from))
        .bind(filter.method.as_deref())
        .bind(filter.outcome.as_deref())
        .bind(filter.request_id.as_deref().filter(|text| !text.is_empty()))
        .bind(after.map(|place| Ts(place.at())))
        .bind(after.map(|place| place.node.as_str()))
        .bind(after.map(|place| i32::from(place.lane)))
        .bind(after.map(|place| i64::try_from(place.sequence).unwrap_or(i64::MAX)))
        .bind(i64::from(page_size) + 1)
        .bind(filter.team.map(|id| id.0))
        .fetch_all(self.pool())
        .await?;
        let mut requests = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = requests.len() > usize::from(page_size);
        requests.truncate(usize::from(page_size));
        let next = requests.last().filter(|_| more).map(|last| last.place.clone());
        Ok(RequestPage { requests, next })
    }

    /// Calls with this request id, newest first. A client may send the same id more than once.
    pub async fn requests_by_id(&self, partner: PartnerId, request_id: &str) -> Result<Vec<LoggedRequest>, StoreError> {
        let rows = sqlx::query(requests!("and e.request_id = $2 order by e.at desc limit 20"))
            .bind(partner.0)
            .bind(request_id)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?)
    }

    /// The one call at this place.
    pub async fn request_at(&self, partner: PartnerId, place: &Place) -> Result<LoggedRequest, StoreError> {
        let row = sqlx::query(requests!("and e.at = $2 and e.node = $3 and e.lane = $4 and e.sequence = $5"))
            .bind(partner.0)
            .bind(Ts(place.at()))
            .bind(&place.node)
            .bind(i32::from(place.lane))
            .bind(i64::try_from(place.sequence).unwrap_or(i64::MAX))
            .fetch_one(self.pool())
            .await?;
        Ok(read(&row)?)
    }
}

fn read(row: &PgRow) -> Result<LoggedRequest, sqlx::Error> {
    let at = row.at("at")?;
    let lane: i32 = row.try_get("lane")?;
    let status: i16 = row.try_get("status")?;
    let unreadable = crate::row::unreadable;
    let place = Place {
        at_us: at.as_microsecond(),
        lane: u16::try_from(lane).map_err(|error| unreadable("lane", error))?,
        sequence: row.count("sequence")?,
        node: row.try_get("node")?,
    };
    let (source, request_id): (String, String) = (row.try_get("source")?, row.try_get("request_id")?);
    let trace_id: Option<&[u8]> = row.try_get("trace_id")?;
    Ok(LoggedRequest {
        event_id: match source.is_empty() {
            true => event_id(&place.node, row.count("epoch")?, place.lane, place.sequence),
            false => request_id.clone(),
        },
        place,
        at,
        request_id,
        source,
        region: row.try_get("region")?,
        trace_id: trace_id.and_then(|id| id.try_into().ok()).map(hex),
        price_rule: row.try_get("price_rule")?,
        environment: row.parsed("environment")?,
        app: AppId(row.try_get("app_id")?),
        app_name: row.try_get("app_name")?,
        key: KeyId(row.try_get("key_id")?),
        key_name: row.try_get("key_name")?,
        member: row.try_get::<Option<Uuid>, _>("member_id")?.map(MemberId),
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        product_code: row.try_get("product_code")?,
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        operation_code: row.try_get("operation_code")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        status: u16::try_from(status).map_err(|error| unreadable("status", error))?,
        outcome: row.try_get("outcome")?,
        refusal: row.try_get("refusal")?,
        units: row.count("units")?,
        credits: row.count("credits")?,
        allocated: match row.try_get::<Option<Uuid>, _>("allocation_id")? {
            Some(id) => Some((AllocationId(id), row.count("allocated")?)),
            None => None,
        },
        bytes_in: row.count("bytes_in")?,
        bytes_out: row.count("bytes_out")?,
        duration_us: row.count("duration_us")?,
        upstream_us: row.count("upstream_us")?,
    })
}

impl Place {
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.at_us).unwrap_or(Timestamp::MIN)
    }

    fn just_past(&self) -> Timestamp {
        Timestamp::from_microsecond(self.at_us.saturating_add(1)).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at_us, self.lane, self.sequence, self.node)
    }
}

impl FromStr for Place {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let place = || {
            let mut parts = text.splitn(4, '.');
            Some(Self {
                at_us: parts.next()?.parse().ok()?,
                lane: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
                node: parts.next()?.to_owned(),
            })
        };
        place().ok_or_else(|| StoreError::invalid("after", "This is not a place in the request log"))
    }
}
