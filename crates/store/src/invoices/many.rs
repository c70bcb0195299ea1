//! Many invoices with their lines, in the order of their numbers, for files.

use super::{Invoice, InvoiceLine, by_team, read, read_line};
use crate::{Store, StoreError, Ts};
use domain::{
    id::{InvoiceId, PartnerId},
    period::Period,
};
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashMap;
use uuid::Uuid;

/// An invoice and its lines.
pub type WithLines = (Invoice, Vec<InvoiceLine>);

macro_rules! invoices_made {
    ($whose:literal) => {
        invoices!(concat!(
            "where i.created_at >= $1 and i.created_at < $2 and i.number > $3 ",
            $whose,
            " order by i.number limit $4"
        ))
    };
}

impl Store {
    /// The partner's invoices that were made in the range, `after` that number (0 for the first page), at most `size`.
    pub async fn invoices_made(
        &self,
        partner: PartnerId,
        made: Period,
        after: i64,
        size: u32,
    ) -> Result<Vec<WithLines>, StoreError> {
        self.made(Some(partner), made, after, size).await
    }

    /// The same of all partners.
    pub async fn all_partners_invoices_made(
        &self,
        made: Period,
        after: i64,
        size: u32,
    ) -> Result<Vec<WithLines>, StoreError> {
        self.made(None, made, after, size).await
    }

    /// How many there are in the range, of the partner or of all.
    pub async fn count_invoices_made(&self, partner: Option<PartnerId>, made: Period) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "select count(*) from invoices where ($1::uuid is null or partner_id = $1) and created_at >= $2 and created_at < $3",
        )
        .bind(partner.map(|id| id.0))
        .bind(Ts(made.start))
        .bind(Ts(made.end))
        .fetch_one(self.pool())
        .await?;
        Ok(count.unsigned_abs())
    }

    async fn made(
        &self,
        partner: Option<PartnerId>,
        made: Period,
        after: i64,
        size: u32,
    ) -> Result<Vec<WithLines>, StoreError> {
        let rows = sqlx::query(match partner {
            Some(_) => invoices_made!("and i.partner_id = $5"),
            None => invoices_made!("and $5::uuid is null"),
        })
        .bind(Ts(made.start))
        .bind(Ts(made.end))
        .bind(after)
        .bind(i64::from(size))
        .bind(partner.map(|id| id.0))
        .fetch_all(self.pool())
        .await?;
        let invoices = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let lines = sqlx::query(
            "select l.invoice_id, l.position, l.kind, l.product_id, l.operation_id, p.code as product_code,
                 o.code as operation_code, l.description, l.quantity, l.free, l.meter, l.amount_micros,
                 coalesce(abs(l.prepaid), 0) as prepaid
             from unnest($1::uuid[], $2::uuid[]) as wanted (partner_id, invoice_id)
             join invoice_lines l on l.partner_id = wanted.partner_id and l.invoice_id = wanted.invoice_id
             left join products p on p.id = l.product_id left join operations o on o.id = l.operation_id
             order by l.invoice_id, l.position",
        )
        .bind(invoices.iter().map(|invoice| invoice.partner.0).collect::<Vec<_>>())
        .bind(invoices.iter().map(|invoice| invoice.id.0).collect::<Vec<_>>())
        .fetch_all(self.pool())
        .await?;
        let mut of: HashMap<InvoiceId, Vec<&PgRow>> = HashMap::new();
        for row in &lines {
            of.entry(InvoiceId(row.try_get::<Uuid, _>("invoice_id")?)).or_default().push(row);
        }
        let with_lines = invoices.into_iter().map(|invoice| {
            let rows = of.remove(&invoice.id).unwrap_or_default();
            let lines = rows.into_iter().map(|row| read_line(row, invoice.total.currency)).collect::<Result<_, _>>()?;
            Ok((invoice, lines))
        });
        let mut all = with_lines.collect::<Result<Vec<_>, sqlx::Error>>()?;
        by_team::add(self.pool(), &mut all).await?;
        Ok(all)
    }
}
