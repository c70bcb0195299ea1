//! What of a line is an invoice's own, where several invoices of a stretch rate the same usage.
//!
//! Each of them has all usage since the stretch began, and takes off what was billed before. So the same money is on several papers,
//! and is disputed and credited on the first of them alone: the own parts of all that stand add up to the line as the last of them has it.

use super::papers::{self, Papers};
use crate::{Store, StoreError, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

/// What of a line is its invoice's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPart {
    /// At most what the line has.
    pub amount: Money,
    /// Where the rest is, in words; `None` where there is none.
    pub rest: Option<String>,
}

impl Store {
    /// What of a line is its invoice's own; `None` where no other invoice has the same usage.
    pub async fn own_part(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        position: i32,
    ) -> Result<Option<OwnPart>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        own_part(&mut connection, partner, invoice, position).await
    }
}

/// The same as a transaction sees it that holds the partner.
pub(crate) async fn own_part(
    connection: &mut PgConnection,
    partner: PartnerId,
    invoice: InvoiceId,
    position: i32,
) -> Result<Option<OwnPart>, StoreError> {
    let rows = sqlx::query(
        "select i.id, i.number, i.currency, i.status = 'void' as is_void, i.takes_off, coalesce(l.amount_micros, 0) as billed,
             (select coalesce(sum(n.amount_micros), 0)::bigint from credit_notes c
                  join credit_note_lines n on n.partner_id = c.partner_id and n.credit_note_id = c.id
                  where c.partner_id = i.partner_id and c.invoice_id = i.id and c.kind = 'credit' and c.state = 'issued'
                      and n.invoice_position = l.position) as credited
         from invoices own
         join invoice_lines line on line.partner_id = own.partner_id and line.invoice_id = own.id and line.position = $3
         join invoices i on i.partner_id = own.partner_id and i.subscription_id = own.subscription_id
             and i.period_start = own.period_start and not i.in_advance and not i.stands_alone
         left join invoice_lines l on l.partner_id = i.partner_id and l.invoice_id = i.id and l.kind = line.kind
             and (l.product_id, l.operation_id, l.meter) is not distinct from (line.product_id, line.operation_id, line.meter)
         where own.partner_id = $1 and own.id = $2 and not own.in_advance and not own.stands_alone and line.kind in ('usage', 'meter')
         order by i.threshold_number = 0, i.threshold_number",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(position)
    .fetch_all(connection)
    .await?;
    let paper = |row: &PgRow| papers::read(row, row.try_get("billed")?, row.try_get("credited")?);
    let papers = Papers(rows.iter().map(paper).collect::<Result<_, sqlx::Error>>()?);
    let (Some(row), Some(at)) = (rows.first(), papers.0.iter().position(|paper| paper.invoice == invoice.0)) else {
        return Ok(None);
    };
    let currency: Currency = row.parsed("currency")?;
    Ok((papers.0.len() > 1).then(|| own(&papers, at, currency)))
}

/// Of the papers of a stretch that of one of them.
fn own(papers: &Papers, at: usize, currency: Currency) -> OwnPart {
    let micros = papers.own_parts().get(at).copied().unwrap_or_default();
    OwnPart { amount: Money::new(currency, micros), rest: rest(papers, at, micros) }
}

/// Where that is which the line has besides.
fn rest(papers: &Papers, at: usize, micros: i64) -> Option<String> {
    let (earlier, from) = papers.0.split_at_checked(at)?;
    let paper = from.first()?;
    let nets = papers.nets();
    let billed: Vec<_> = earlier
        .iter()
        .zip(&nets)
        .filter(|(before, net)| paper.took_off(before) && **net > 0)
        .map(|(before, _)| before)
        .collect();
    if let Some(standing) = billed.iter().rfind(|before| !before.is_void) {
        let code = standing.code();
        return Some(format!("{code} of the same period has billed the rest, which is disputed and credited there"));
    }
    if let Some(void) = billed.last() {
        let code = void.code();
        return Some(format!(
            "{code} has billed the rest and is void since, so that the next invoice of the period has it"
        ));
    }
    if let Some(void) = earlier.iter().find(|before| before.is_void && before.credited > 0) {
        return Some(format!("the rest was credited on {} before that became void", void.code()));
    }
    (micros < paper.billed).then(|| "a later invoice of the period has given the rest back".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::papers::tests::{paper, taking_off, void};
    use super::*;

    #[test]
    fn it_says_where_the_rest_is() {
        let said = |papers: Vec<_>, at| own(&Papers(papers), at, Currency::Usd).rest.unwrap_or_default();
        let both = || vec![paper(1, 100), paper(2, 250)];
        assert_eq!(said(both(), 0), "");
        assert_eq!(
            said(both(), 1),
            "TP-000001 of the same period has billed the rest, which is disputed and credited there"
        );
        let credited = vec![void(1, 100, 30), paper(2, 250)];
        assert_eq!(said(credited, 1), "the rest was credited on TP-000001 before that became void");
        let cheaper = vec![paper(1, 100), paper(2, 50)];
        assert_eq!(said(cheaper, 0), "a later invoice of the period has given the rest back");
        let void_since = vec![void(1, 100, 0), taking_off(&[1], paper(2, 250))];
        assert_eq!(
            said(void_since, 1),
            "TP-000001 has billed the rest and is void since, so that the next invoice of the period has it"
        );
    }
}
