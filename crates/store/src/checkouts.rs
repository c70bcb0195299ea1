//! Pages of Stripe's on which something is paid. Of several for the same thing one counts: a new page supersedes those that are open, and
//! what is paid on another all the same goes back to where it came from. The partner is told of either in the same transaction.

mod missing;
mod plan;
mod refund;

pub use plan::NewPlanCheckout;
pub(crate) use plan::check_none_pays;

use crate::{
    InvoiceStatus, Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    invoices,
    mails::{self, NewMail},
    payment_methods::{Checkout, checkouts, read_checkout},
};
use domain::{
    id::{CheckoutId, InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

/// A page on which something is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPage {
    pub id: CheckoutId,
    /// Stripe's name of it, once its answer is known.
    pub session: Option<String>,
    /// As it will stand on the invoice.
    pub description: String,
    pub cost: Money,
}

/// Stripe's names of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PagePayment<'a> {
    /// Its own invoice of it.
    pub invoice: Option<&'a str>,
    /// The payment, through which it can be paid back where there is no invoice.
    pub intent: Option<&'a str>,
    /// What Stripe Tax computed on it, which was paid on top.
    pub tax: Option<Money>,
}

/// What the payment of a page came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagePaid<T> {
    /// What was paid for is there.
    Now(T),
    /// It was there before.
    Before,
    /// It goes back, for this reason.
    GoesBack(String),
}

/// What a payment came to that the partner is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageNews<'a> {
    /// The plan began then, with that invoice, which is paid.
    Begun { invoice: InvoiceId, at: Timestamp },
    /// The payment goes back, for this reason.
    GoesBack { why: &'a str },
}

/// Writes the letters about it.
pub type PageLetters<'a> = &'a (dyn Fn(PageNews<'_>) -> Vec<NewMail> + Sync);

impl Store {
    /// Pages of the partner that another has taken the place of and that can still be paid.
    pub async fn superseded_checkouts(&self, partner: PartnerId) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.partner_id = $1 and c.state = 'open' and c.superseded_at is not null order by c.opened_at, c.id"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Pages for plans that somebody of the partner may be paying on.
    pub async fn open_plan_checkouts(&self, partner: PartnerId) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.partner_id = $1 and b.checkout_id is not null and c.state = 'open' and c.session_id is not null
             order by c.opened_at, c.id"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Pages of which what was paid goes back and Stripe has not taken that in, longest unseen first.
    pub async fn all_partners_checkouts_to_pay_back(&self, at_most: u32) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.pay_back is not null and c.paid_back_at is null
             order by coalesce(c.looked_at, c.opened_at), c.id limit $1"
        ))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Pages of the partner whose payment goes back, or went back since then, the newest first.
    pub async fn checkouts_paid_back(&self, partner: PartnerId, since: Timestamp) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.partner_id = $1 and c.pay_back is not null and (c.paid_back_at is null or c.paid_back_at > $2)
             order by c.opened_at desc, c.id limit 20"
        ))
        .bind(partner.0)
        .bind(Ts(since))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// The page on which that invoice was paid.
    pub async fn checkout_of_invoice(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
    ) -> Result<Option<Checkout>, StoreError> {
        let row = sqlx::query(checkouts!("where c.partner_id = $1 and $2 in (k.invoice_id, b.invoice_id)"))
            .bind(partner.0)
            .bind(invoice.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(read_checkout).transpose()?)
    }

    /// Keeps what Stripe calls its invoice of what was paid on a page, where it did not say so at first.
    pub async fn link_stripe_invoice(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        stripe_invoice: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let payment = PagePayment { invoice: Some(stripe_invoice), ..PagePayment::default() };
        link(&mut tx, partner, invoice, payment, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Notes a page that is about to be opened.
pub(crate) async fn open(tx: &mut PgConnection, partner: PartnerId, now: Timestamp) -> Result<CheckoutId, StoreError> {
    let id = CheckoutId(Uuid::now_v7());
    sqlx::query("insert into checkouts (partner_id, id, state, opened_at) values ($1, $2, 'open', $3)")
        .bind(partner.0)
        .bind(id.0)
        .bind(Ts(now))
        .execute(tx)
        .await?;
    Ok(id)
}

/// Has these pages of the partner superseded by one that is opened now, which counts as one with those of which none is paid or on its way.
pub(crate) async fn supersede(
    tx: &mut PgConnection,
    partner: PartnerId,
    new: CheckoutId,
    others: &[Uuid],
    now: Timestamp,
) -> Result<(), StoreError> {
    let rivals: Option<Uuid> = sqlx::query_scalar(
        "select coalesce(c.rivals, c.id) from checkouts c
         where c.partner_id = $1 and c.id = any($2) and not exists (
             select from checkouts o where o.partner_id = c.partner_id and coalesce(o.rivals, o.id) = coalesce(c.rivals, c.id)
                 and o.state in ('complete', 'processing'))
         order by c.opened_at desc, c.id limit 1",
    )
    .bind(partner.0)
    .bind(others)
    .fetch_optional(&mut *tx)
    .await?;
    sqlx::query(
        "update checkouts set superseded_at = coalesce(superseded_at, $3), rivals = coalesce(rivals, id)
         where partner_id = $1 and id = any($2)",
    )
    .bind(partner.0)
    .bind(others)
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    sqlx::query("update checkouts set rivals = coalesce($3, rivals, id), superseded_at = null where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(new.0)
        .bind(rivals)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Whether another page for the same thing was paid before.
pub(crate) async fn is_rival_paid(
    tx: &mut PgConnection,
    partner: PartnerId,
    id: CheckoutId,
) -> Result<bool, StoreError> {
    let paid = sqlx::query_scalar(
        "select exists (
             select from checkouts c join checkouts o on o.partner_id = c.partner_id and o.rivals = c.rivals and o.id <> c.id
             where c.partner_id = $1 and c.id = $2 and o.state = 'complete')",
    );
    Ok(paid.bind(partner.0).bind(id.0).fetch_one(tx).await?)
}

/// What the payment of a page comes to that has its invoice, or goes back, already; `None` where nothing is decided.
///
/// # Errors
/// A conflict where it was paid twice.
pub(crate) async fn decided<T>(
    tx: &mut PgConnection,
    (partner, id): (PartnerId, CheckoutId),
    (invoice, pay_back): (Option<InvoiceId>, Option<String>),
    payment: PagePayment<'_>,
    now: Timestamp,
) -> Result<Option<PagePaid<T>>, StoreError> {
    note_payment(tx, partner, id, payment.intent).await?;
    let Some(invoice) = invoice else { return Ok(pay_back.map(PagePaid::GoesBack)) };
    link(tx, partner, invoice, payment, now).await?;
    check_paid_once(tx, partner, invoice, payment.invoice).await?;
    Ok(Some(PagePaid::Before))
}

/// Has the invoice of what was paid on a page paid: Stripe has collected it.
pub(crate) async fn collect(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    payment: PagePayment<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("update invoices set collected_by = 'stripe' where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(invoice.0)
        .execute(&mut **tx)
        .await?;
    invoices::move_to(tx, partner, invoice, InvoiceStatus::Paid, now).await?;
    link(tx, partner, invoice, payment, now).await
}

/// Notes that the page is paid, and has those for the same thing superseded.
pub(crate) async fn complete(
    tx: &mut PgConnection,
    partner: PartnerId,
    id: CheckoutId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("update checkouts set state = 'complete', ended_at = $3 where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "update checkouts o set superseded_at = coalesce(o.superseded_at, $3)
         from checkouts c
         where c.partner_id = $1 and c.id = $2 and o.partner_id = c.partner_id and o.rivals = c.rivals and o.id <> c.id
             and o.state = 'open'",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Has what was paid on the page go back, and nothing come of it; the partner is told of it once.
pub(crate) async fn go_back(
    tx: &mut PgConnection,
    partner: PartnerId,
    id: CheckoutId,
    (why, letters): (&str, PageLetters<'_>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let gone = sqlx::query(
        "update checkouts set state = 'failed', ended_at = $3, pay_back = $4 where partner_id = $1 and id = $2 and pay_back is null",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(Ts(now))
    .bind(why)
    .execute(&mut *tx)
    .await?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    let subject = id.to_string();
    let entry = Entry::new(Actor::System, partner, "checkout.pay_back", &subject);
    audit::append(tx, entry.after(json!({ "reason": why })), now).await?;
    tell(tx, letters, PageNews::GoesBack { why }, now).await
}

/// Queues the letters: they are sent if and only if it is so.
pub(crate) async fn tell(
    tx: &mut PgConnection,
    letters: PageLetters<'_>,
    news: PageNews<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for mail in letters(news) {
        mails::queue(tx, &mail, now).await?;
    }
    Ok(())
}

/// Keeps what Stripe calls the payment of a page.
async fn note_payment(
    tx: &mut PgConnection,
    partner: PartnerId,
    id: CheckoutId,
    intent: Option<&str>,
) -> Result<(), StoreError> {
    let Some(intent) = intent else { return Ok(()) };
    sqlx::query("update checkouts set payment_id = coalesce(payment_id, $3) where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(intent)
        .execute(tx)
        .await?;
    Ok(())
}

/// Says which invoice of Stripe's is ours, as if it had been pushed, and what tax is on it.
async fn link(
    tx: &mut PgConnection,
    partner: PartnerId,
    invoice: InvoiceId,
    payment: PagePayment<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(tax) = payment.tax {
        sqlx::query("update invoices set tax_micros = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(invoice.0)
            .bind(tax.micros)
            .execute(&mut *tx)
            .await?;
    }
    let Some(stripe_invoice) = payment.invoice else { return Ok(()) };
    sqlx::query(
        "insert into stripe_objects (partner_id, subject, stripe_id, attempt, attempted_at, parameters, pushed_at)
         values ($1, $2, $3, 1, $4, '[]', $4) on conflict (partner_id, subject) do nothing",
    )
    .bind(partner.0)
    .bind(format!("invoice:{invoice}"))
    .bind(stripe_invoice)
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether Stripe's invoice of the payment is the one that is known.
async fn check_paid_once(
    tx: &mut PgConnection,
    partner: PartnerId,
    invoice: InvoiceId,
    stripe_invoice: Option<&str>,
) -> Result<(), StoreError> {
    let held: Option<String> =
        sqlx::query_scalar("select stripe_id from stripe_objects where partner_id = $1 and subject = $2")
            .bind(partner.0)
            .bind(format!("invoice:{invoice}"))
            .fetch_optional(tx)
            .await?
            .flatten();
    match (held, stripe_invoice) {
        (Some(held), Some(other)) if held != other => {
            let message =
                format!("Stripe's invoices {held} and {other} are both paid for {invoice}: one has to be paid back");
            Err(StoreError::conflict("session", message))
        }
        _ => Ok(()),
    }
}
