//! What an invoice for prepaid units does when it is paid, void or credited.

use super::{
    Void,
    cover::cover,
    grant,
    post::{self, Held},
};
use crate::{
    StoreError, Ts,
    ledger::{self, LedgerAccount},
    row::ReadRow as _,
};
use domain::{
    credit::{GrantKind, USUAL_PRIORITY, full_hour, package::CreditPackage},
    id::{CreditGrantId, InvoiceId, PartnerId},
    money::Money,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Row as _, Transaction, types::Json};

const DAY_HOURS: i64 = 24;

/// Units that an invoice sold.
pub(crate) struct Sold {
    grant: CreditGrantId,
    package: CreditPackage,
    units: i64,
    cost: Money,
}

/// What the invoice sold, where it is one for prepaid units.
pub(crate) async fn of_invoice(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<Option<Sold>, StoreError> {
    let row = sqlx::query(
        "select terms, units, cost_micros, currency, grant_id from credit_purchases where partner_id = $1 and invoice_id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Json(package): Json<CreditPackage> = row.try_get("terms")?;
    Ok(Some(Sold {
        grant: CreditGrantId(row.try_get("grant_id")?),
        package,
        units: row.try_get("units")?,
        cost: Money::new(row.parsed("currency")?, row.try_get("cost_micros")?),
    }))
}

impl Sold {
    /// Opens the grant: the invoice is paid.
    pub(crate) async fn open(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let expires_at = self.package.valid_days.map(|days| {
            let valid = SignedDuration::from_hours(DAY_HOURS * i64::from(days));
            full_hour(now.saturating_add(valid).unwrap_or(Timestamp::MAX))
        });
        sqlx::query(
            "insert into credit_grants (partner_id, id, units, reason, granted_at, kind, priority, effective_at, expires_at,
                 cost_micros, currency, is_invoiced)
             values ($1, $2, $3, $4, $5, $6, $7, $5, $8, $9, $10, true)",
        )
        .bind(partner.0)
        .bind(self.grant.0)
        .bind(self.units)
        .bind(&self.package.name)
        .bind(Ts(now))
        .bind(GrantKind::Paid.code())
        .bind(i16::from(USUAL_PRIORITY))
        .bind(expires_at.map(Ts))
        .bind(self.cost.micros)
        .bind(self.cost.currency.code())
        .execute(&mut **tx)
        .await?;
        post::lock(tx, partner).await?;
        grant::begin(tx, partner, self.grant, now).await?;
        cover(tx, partner, now).await
    }

    /// Takes back so many unused units as are worth what is paid back of the invoice, at the least.
    ///
    /// # Errors
    /// Less than that is unused, or gateways hold some of it.
    pub(crate) async fn take_back(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        (amount, key): (Money, &str),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut grants = grant::settle_all(tx, partner, now).await?;
        let is_over = |grant: &Held| grant.has_ended || grant.expires_at.is_some_and(|end| end <= now);
        let place = grants.iter().position(|grant| grant.id == self.grant && !is_over(grant));
        let nothing = || StoreError::conflict("amount", "Nothing of the units that it sold is left");
        let left = grant::left_of(tx, partner, (&grants, place.ok_or_else(nothing)?), now).await?;
        let grant = place.and_then(|place| grants.get_mut(place)).ok_or_else(nothing)?;
        let units = grant.units_worth(amount).ok_or_else(|| {
            let unused = grant.worth_of_next(grant.left).unwrap_or(Money::zero(amount.currency));
            let coin = unused.currency.micros_per_minor();
            let whole = Money { micros: unused.micros - unused.micros % coin, ..unused };
            StoreError::conflict("amount", format!("The units that are unused are worth {whole}: credit at most that"))
        })?;
        // What was served and is not booked yet would else be paid back, and burn another grant.
        if left < units {
            let message = "Gateways have used or hold some of those units: credit less, or try again in a moment";
            return Err(StoreError::conflict("amount", message));
        }
        grant::void(tx, partner, grant, units, Void::Kept, key, now).await?;
        if grant.left == 0 && grant.allocated == 0 {
            sqlx::query(
                "update credit_grants set ended_at = $3, ended_by = 'voided' where partner_id = $1 and id = $2",
            )
            .bind(partner.0)
            .bind(self.grant.0)
            .bind(Ts(now))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

impl Held {
    /// The fewest unused units that are worth the amount; `None` where all of them are worth less.
    fn units_worth(&self, amount: Money) -> Option<i64> {
        let is_enough = |units: i64| self.worth_of_next(units).is_some_and(|worth| worth.micros >= amount.micros);
        let (mut short, mut enough) = (0, self.left);
        if !is_enough(enough) {
            return None;
        }
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if is_enough(middle) { enough = middle } else { short = middle }
        }
        Some(enough)
    }
}

/// Posts that an invoice is void of which so much was owed. Of prepaid units nothing is owed to the partner any more, either.
pub(crate) async fn post_void(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    owed: Money,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (key, what) = (format!("void:{invoice}"), "Voided invoice");
    let back = Money { micros: -owed.micros, ..owed };
    if let Some(sold) = of_invoice(tx, partner, invoice).await? {
        let entries = [(LedgerAccount::Credits, owed), (LedgerAccount::Receivable, back)];
        return post::book_money(tx, partner, (&key, what, sold.grant), &entries, now).await;
    }
    let entries = [(LedgerAccount::Revenue, owed), (LedgerAccount::Receivable, back)];
    ledger::post(tx, partner, &key, what, &entries, now).await?;
    Ok(())
}
