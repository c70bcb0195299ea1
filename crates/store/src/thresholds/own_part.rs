//! What of a line is an invoice's own, where several invoices of a stretch rate the same usage.
//!
//! Each of them has all usage since the stretch began, and takes off what was billed before. So the same money is on several papers,
//! and is disputed and credited on the first of them alone: the own parts of all that stand add up to the line as the last of them has it.

use crate::{Invoice, Store, StoreError, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// What of a line is its invoice's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPart {
    /// At most what the line has.
    pub amount: Money,
    /// Where the rest is, in words; `None` where there is none.
    pub rest: Option<String>,
}

/// An invoice of a stretch, and the line on it.
#[derive(Debug, Clone, Copy)]
struct Paper {
    invoice: Uuid,
    number: i64,
    is_void: bool,
    /// In micro-units, zero where it has no such line.
    billed: i64,
    /// Of the line, by credit notes.
    credited: i64,
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
        "select i.id, i.number, i.currency, i.status = 'void' as is_void, coalesce(l.amount_micros, 0) as billed,
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
    let paper = |row: &PgRow| {
        Ok(Paper {
            invoice: row.try_get("id")?,
            number: row.try_get("number")?,
            is_void: row.try_get("is_void")?,
            billed: row.try_get("billed")?,
            credited: row.try_get("credited")?,
        })
    };
    let papers = rows.iter().map(paper).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let (Some(row), Some(at)) = (rows.first(), papers.iter().position(|paper| paper.invoice == invoice.0)) else {
        return Ok(None);
    };
    let currency: Currency = row.parsed("currency")?;
    Ok((papers.len() > 1).then(|| own(&papers, at, currency)))
}

/// Of the papers of a stretch, in their order, that of one of them.
fn own(papers: &[Paper], at: usize, currency: Currency) -> OwnPart {
    let (earlier, rest) = papers.split_at(at);
    let line = rest.first().map_or(0, |paper| paper.billed);
    // What a later one has less of has been given back by it.
    let later = rest.iter().skip(1).filter(|paper| !paper.is_void).map(|paper| paper.billed);
    let kept = later.min().map_or(line, |least| least.min(line));
    let last = earlier.iter().rposition(|paper| !paper.is_void);
    let (before, void) = match last {
        Some(last) => (earlier.get(last), earlier.get(last + 1..).unwrap_or_default()),
        None => (None, earlier),
    };
    let billed_before = before.map_or(0, |paper| paper.billed);
    let credited = void.iter().fold(0_i64, |sum, paper| sum.saturating_add(paper.credited));
    let micros = kept.saturating_sub(billed_before).saturating_sub(credited).max(0);
    let rest = match (before, void.iter().find(|paper| paper.credited > 0)) {
        (Some(paper), _) if billed_before > 0 => {
            let code = Invoice::code_of(paper.number);
            Some(format!("{code} of the same period has billed the rest, which is disputed and credited there"))
        }
        (_, Some(paper)) => {
            let code = Invoice::code_of(paper.number);
            Some(format!("the rest was credited on {code} before that became void"))
        }
        _ if kept < line => Some("a later invoice of the period has given the rest back".to_owned()),
        _ => None,
    };
    OwnPart { amount: Money::new(currency, micros), rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(number: i64, billed: i64) -> Paper {
        Paper { invoice: Uuid::nil(), number, is_void: false, billed, credited: 0 }
    }

    fn void(number: i64, billed: i64, credited: i64) -> Paper {
        Paper { is_void: true, credited, ..paper(number, billed) }
    }

    fn all(papers: &[Paper]) -> Vec<i64> {
        let one = |at: usize| own(papers, at, Currency::Usd).amount.micros;
        (0..papers.len()).filter(|at| papers.get(*at).is_some_and(|paper| !paper.is_void)).map(one).collect()
    }

    #[test]
    fn the_own_parts_of_those_that_stand_add_up_to_what_the_last_one_has() {
        for (papers, parts) in [
            (vec![paper(1, 100)], vec![100]),
            (vec![paper(1, 100), paper(2, 250), paper(3, 260)], vec![100, 150, 10]),
            (vec![paper(1, 0), paper(2, 100), paper(3, 100)], vec![0, 100, 0]),
            // A volume price, or a correction.
            (vec![paper(1, 200), paper(2, 220), paper(3, 150)], vec![150, 0, 0]),
            (vec![paper(1, 100), paper(2, 60), paper(3, 160)], vec![60, 0, 100]),
            (vec![void(1, 100, 0), paper(2, 200), paper(3, 250)], vec![200, 50]),
            (vec![paper(1, 100), void(2, 200, 0), paper(3, 250)], vec![100, 150]),
            (vec![paper(1, 100), paper(2, 200), void(3, 250, 0)], vec![100, 100]),
            // What was credited on a void one stays credited.
            (vec![void(1, 100, 30), paper(2, 200), paper(3, 250)], vec![170, 50]),
            (vec![paper(1, 100), void(2, 200, 30), paper(3, 250)], vec![100, 120]),
            (vec![void(1, 100, 100), paper(2, 60)], vec![0]),
        ] {
            assert_eq!(all(&papers), parts, "{papers:?}");
        }
    }

    #[test]
    fn it_says_where_the_rest_is() {
        let said = |papers: &[Paper], at| own(papers, at, Currency::Usd).rest.unwrap_or_default();
        let both = [paper(1, 100), paper(2, 250)];
        assert_eq!(said(&both, 0), "");
        assert_eq!(
            said(&both, 1),
            "TP-000001 of the same period has billed the rest, which is disputed and credited there"
        );
        let credited = [void(1, 100, 30), paper(2, 250)];
        assert_eq!(said(&credited, 1), "the rest was credited on TP-000001 before that became void");
        let cheaper = [paper(1, 100), paper(2, 50)];
        assert_eq!(said(&cheaper, 0), "a later invoice of the period has given the rest back");
    }
}
