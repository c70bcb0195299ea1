//! Credit that only calls of some products spend: the units of grants that name products ([`domain::credit::bound`]).
//!
//! All of a partner's grants that name the same products share a purse. In the books and in what gateways take from it is an allocation whose
//! holder are calls of those products; its units never were common and never are.

use super::post::UnitAccount;
use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    allowance::Allowance,
    credit::bound::MOST_PRODUCTS,
    id::{AllocationId, PartnerId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

/// What is left for calls of some products alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundCredit {
    /// As events call it.
    pub id: AllocationId,
    /// By their codes.
    pub products: Vec<BoundProduct>,
    /// Units that no stored call has used.
    pub left: u64,
    /// When the first of them expire, by what is booked.
    pub first_end: Option<Timestamp>,
}

/// A product that a grant names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundProduct {
    pub code: String,
    pub name: String,
}

impl BoundCredit {
    /// The products' names, as people list them.
    pub fn words(&self) -> String {
        listed(self.products.iter().map(|product| product.name.as_str()))
    }
}

/// `Payments`, `Payments and Payouts`, `Cards, Payments and Payouts`.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        None => String::new(),
        Some((one, [])) => (*one).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

macro_rules! purses {
    ($rest:literal) => {
        concat!(
            "select o.id, o.first_end, greatest(0, b.units - coalesce(a.taken, 0) + held.units) as left_units,
                 array(select p.code from products p where p.id = any (o.product_ids) order by p.code collate \"C\") as codes,
                 array(select p.name from products p where p.id = any (o.product_ids) order by p.code collate \"C\") as names
             from credit_purses o
             join credit_allocation_balances b on b.partner_id = o.partner_id and b.allocation_id = o.id
             left join allowances a on a.partner_id = o.id and a.kind = 'credit'
             cross join lateral (
                 select coalesce(sum(l.granted - l.spent), 0)::bigint as units from allowance_leases l
                 where l.partner_id = o.id and l.kind = 'credit'
             ) as held
             where o.partner_id = $1 and o.product_ids is not null ",
            $rest
        )
    };
}

impl Store {
    /// What is left for calls of some products alone, in the order in which a call takes it.
    pub async fn bound_credit(&self, partner: PartnerId) -> Result<Vec<BoundCredit>, StoreError> {
        let rows = sqlx::query(purses!(
            "and b.units > coalesce(a.taken, 0) - held.units
             order by coalesce(o.first_end, 'infinity'), cardinality(o.product_ids), o.id"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// What has that identifier, also where nothing of it is left; `None` where it is an app's or a team's.
    pub async fn bound_credit_of(
        &self,
        partner: PartnerId,
        id: AllocationId,
    ) -> Result<Option<BoundCredit>, StoreError> {
        let row = sqlx::query(purses!("and o.id = $2")).bind(partner.0).bind(id.0).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }
}

fn read(row: &PgRow) -> Result<BoundCredit, sqlx::Error> {
    let (codes, names): (Vec<String>, Vec<String>) = (row.try_get("codes")?, row.try_get("names")?);
    Ok(BoundCredit {
        id: AllocationId(row.try_get("id")?),
        products: codes.into_iter().zip(names).map(|(code, name)| BoundProduct { code, name }).collect(),
        left: row.count("left_units")?,
        first_end: row.at_if_any("first_end")?,
    })
}

/// Codes as a grant keeps them: in their order, none twice.
pub(super) fn in_order(codes: &[String]) -> Vec<String> {
    let mut codes: Vec<String> = codes.iter().map(|code| code.trim().to_owned()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The identifiers of those products, in their order.
pub(super) async fn products(
    tx: &mut Transaction<'static, Postgres>,
    codes: &[String],
) -> Result<Vec<Uuid>, StoreError> {
    let codes = in_order(codes);
    if codes.len() > MOST_PRODUCTS {
        return Err(StoreError::invalid("products", format!("Name at most {MOST_PRODUCTS} products")));
    }
    let rows = sqlx::query("select id, code from products where code = any ($1) and archived_at is null order by id")
        .bind(&codes)
        .fetch_all(&mut **tx)
        .await?;
    let (mut ids, mut known) = (Vec::new(), Vec::new());
    for row in &rows {
        ids.push(row.try_get("id")?);
        known.push(row.try_get::<String, _>("code")?);
    }
    match codes.iter().find(|code| !known.contains(code)) {
        Some(unknown) => Err(StoreError::invalid("products", format!("No product has the code {unknown:?}"))),
        None => Ok(ids),
    }
}

/// The partner's purse for those products; it is made where there is none. The balance's row is locked, so that two do not make it; what
/// gateways decide by is written here, so all that takes long comes before.
pub(super) async fn open(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    products: &[Uuid],
    now: Timestamp,
) -> Result<AllocationId, StoreError> {
    let known: Option<Uuid> =
        sqlx::query_scalar("select id from credit_purses where partner_id = $1 and product_ids = $2")
            .bind(partner.0)
            .bind(products)
            .fetch_optional(&mut **tx)
            .await?;
    if let Some(known) = known {
        return Ok(AllocationId(known));
    }
    let id = AllocationId(Uuid::now_v7());
    sqlx::query(
        "insert into credit_purses (partner_id, id, product_ids, spend, made_at, at_rest) values ($1, $2, $3, 'first', $4, true)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(products)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    sqlx::query("insert into credit_allocation_balances (partner_id, allocation_id) values ($1, $2)")
        .bind(partner.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    // There to be locked, before anybody takes of it.
    let period = Allowance::allocation(partner, id).period;
    sqlx::query(
        "select open_allowances(array[$1::uuid], array['credit'], array[$2::timestamptz], array[$3::timestamptz])",
    )
    .bind(id.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// Tells gateways which purses have something, and in which order they are spent. Last of all, as [`open`].
pub(super) async fn tell(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
    sqlx::query(
        "update credit_purses o set at_rest = stands.at_rest, first_end = stands.first_end
         from (
             select p.id, count(g.id) = 0 as at_rest, min(g.expires_at) as first_end
             from credit_purses p left join credit_grants g on g.partner_id = p.partner_id and g.purse_id = p.id
                 and g.usable_since is not null and g.ended_at is null and g.allocated_units > 0
             where p.partner_id = $1 and p.product_ids is not null group by p.id
         ) as stands
         where o.partner_id = $1 and o.id = stands.id
             and (o.at_rest, o.first_end) is distinct from (stands.at_rest, stands.first_end)",
    )
    .bind(partner.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What of the purse no gateway has taken. Its allowance is locked.
pub(super) async fn free_units(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    purse: AllocationId,
) -> Result<i64, StoreError> {
    let free = sqlx::query_scalar(
        "select b.units - coalesce((select taken from allowances where partner_id = $2 and kind = 'credit'), 0)
         from credit_allocation_balances b where b.partner_id = $1 and b.allocation_id = $2",
    );
    Ok(free.bind(partner.0).bind(purse.0).fetch_one(&mut **tx).await?)
}

/// Where units of a grant are until they are used: in its purse, or common.
pub(super) const fn home(purse: Option<AllocationId>) -> UnitAccount {
    match purse {
        Some(purse) => UnitAccount::Allocated(purse),
        None => UnitAccount::Available,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_people_do() {
        let said = |names: &[&str]| listed(names.iter().copied());
        assert_eq!(
            [said(&[]), said(&["A"]), said(&["A", "B"]), said(&["A", "B", "C"])],
            ["", "A", "A and B", "A, B and C"]
        );
    }
}
