//! Prepaid units that are paid on a page of Stripe's, before there is an invoice. A page that nobody pays leaves nothing owed; one that is
//! paid becomes invoice, payment and grant in one transaction, once, at what it cost when it was opened.

use super::{
    CreditPurchase, NewCreditPurchase,
    order::{self, Order},
    post,
    purchases::bought,
};
use crate::{
    InvoiceStatus, PageLetters, PagePaid, PagePayment, PaymentPage, Store, StoreError,
    audit::{self, Actor, Entry},
    checkouts, partners,
    row::ReadRow as _,
};
use domain::{
    credit::package::CreditPackage,
    id::{CheckoutId, InvoiceId, PartnerId, SubscriptionId},
    money::Money,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// Pages of a partner that may be open at once.
const MOST_OPEN: i64 = 20;

impl Store {
    /// Notes what is to be paid on a page that is about to be opened. The same reference again is the same page as long as that can be paid;
    /// under another one the page supersedes those that are open for the same package.
    ///
    /// # Errors
    /// As for a purchase; or it was bought already, the reference stands for another page, or too many are open.
    pub async fn open_credit_checkout(
        &self,
        partner: PartnerId,
        new: &NewCreditPurchase,
        actor: Actor,
        now: Timestamp,
    ) -> Result<PaymentPage, StoreError> {
        order::check_form(new)?;
        let mut tx = self.begin().await?;
        // Who clicks twice at once waits here.
        let held = partners::lock(&mut tx, partner).await?;
        if held.suspended_at.is_some() && !matches!(actor, Actor::Operator(_)) {
            return Err(StoreError::conflict("package", "The account is suspended; nothing can be bought"));
        }
        if bought(&mut tx, partner, &new.reference).await?.is_some() {
            return Err(StoreError::conflict("reference", "This was bought already: its invoice is under Invoices"));
        }
        if let Some(first) = live(&mut tx, partner, &new.reference).await? {
            if (&first.order.code, first.order.quantity) != (&new.code, new.quantity) {
                return Err(StoreError::conflict("reference", "Another page already has this reference"));
            }
            // Whoever comes back to it pays there, and nowhere else.
            let others = open_for(&mut tx, partner, &new.code, first.id).await?;
            checkouts::supersede(&mut tx, partner, first.id, &others, now).await?;
            tx.commit().await?;
            return Ok(first.page());
        }
        check_open(&mut tx, partner).await?;
        let order = order::check(&mut tx, partner, new).await?;
        let id = checkouts::open(&mut tx, partner, now).await?;
        sqlx::query(
            "insert into credit_checkouts (partner_id, checkout_id, subscription_id, code, terms, quantity, units, cost_micros, currency,
                 reference)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(order.subscription.0)
        .bind(&order.code)
        .bind(Json(&order.package))
        .bind(i32::try_from(order.quantity).unwrap_or(i32::MAX))
        .bind(order.units)
        .bind(order.cost.micros)
        .bind(order.cost.currency.code())
        .bind(&new.reference)
        .execute(&mut *tx)
        .await?;
        let others = open_for(&mut tx, partner, &order.code, id).await?;
        checkouts::supersede(&mut tx, partner, id, &others, now).await?;
        let subject = id.to_string();
        let after = json!({
            "package": order.code, "quantity": order.quantity, "units": order.units, "cost": order.cost.to_string(),
            "reference": new.reference,
        });
        audit::append(&mut tx, Entry::new(actor, partner, "checkout.open", &subject).after(after), now).await?;
        tx.commit().await?;
        Ok(Placed { id, session: None, reference: new.reference.clone(), order, invoice: None }.page())
    }

    /// Stripe says that the page is paid: the invoice, its payment and the grant, once, whatever became of the offer, the plan and the page
    /// meanwhile. Where another page for the same package was paid in its place before, the money goes back, and the partner is told.
    ///
    /// # Errors
    /// A conflict where it was done before and by another payment: somebody has paid twice.
    pub async fn complete_credit_checkout(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        payment: PagePayment<'_>,
        letters: PageLetters<'_>,
        now: Timestamp,
    ) -> Result<PagePaid<CreditPurchase>, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let row = sqlx::query(
            "select k.*, c.session_id, c.pay_back from credit_checkouts k
             join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
             where k.partner_id = $1 and k.checkout_id = $2 for update",
        )
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
        let placed = read(&row)?;
        let before = (placed.invoice, row.try_get("pay_back")?);
        if let Some(decided) = checkouts::decided(&mut tx, (partner, id), before, payment, now).await? {
            tx.commit().await?;
            return Ok(decided);
        }
        if checkouts::is_rival_paid(&mut tx, partner, id).await? {
            let why = "Another page for these units was paid before".to_owned();
            checkouts::go_back(&mut tx, partner, id, (&why, letters), now).await?;
            tx.commit().await?;
            return Ok(PagePaid::GoesBack(why));
        }
        // The money is there: a purchase that has taken the reference meanwhile keeps nobody's units back.
        let own = format!("checkout {id}");
        let is_taken = bought(&mut tx, partner, &placed.reference).await?.is_some();
        let reference = if is_taken { &own } else { &placed.reference };
        // Who closes a period with an overdraft holds the balance before the invoice has its number, and so does this.
        post::lock(&mut tx, partner).await?;
        let purchase = order::bill(&mut tx, partner, &placed.order, reference, Actor::System, now).await?;
        checkouts::collect(&mut tx, partner, purchase.invoice, payment, now).await?;
        sqlx::query("update credit_checkouts set invoice_id = $3 where partner_id = $1 and checkout_id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(purchase.invoice.0)
            .execute(&mut *tx)
            .await?;
        checkouts::complete(&mut tx, partner, id, now).await?;
        tx.commit().await?;
        Ok(PagePaid::Now(CreditPurchase { status: InvoiceStatus::Paid, ..purchase }))
    }
}

/// A page, and what is paid on it.
struct Placed {
    id: CheckoutId,
    session: Option<String>,
    reference: String,
    order: Order,
    invoice: Option<InvoiceId>,
}

impl Placed {
    fn page(self) -> PaymentPage {
        let (description, cost) = (self.order.description(), self.order.cost);
        PaymentPage { id: self.id, session: self.session, description, cost }
    }
}

/// What has a page that can still be paid cannot be bought on an invoice as well.
pub(super) async fn refuse_reference(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    reference: &str,
) -> Result<(), StoreError> {
    match live(tx, partner, reference).await? {
        None => Ok(()),
        Some(_) => {
            let message = "A page at Stripe is open for this reference: pay there, or wait until it has expired";
            Err(StoreError::conflict("reference", message))
        }
    }
}

/// The page that has the reference and can still be paid.
async fn live(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    reference: &str,
) -> Result<Option<Placed>, StoreError> {
    let row = sqlx::query(
        "select k.*, c.session_id from credit_checkouts k
         join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
         where k.partner_id = $1 and k.reference = $2 and c.state in ('open', 'processing') limit 1",
    )
    .bind(partner.0)
    .bind(reference)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The partner's pages for that package that can be paid, but for one.
async fn open_for(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    code: &str,
    except: CheckoutId,
) -> Result<Vec<Uuid>, StoreError> {
    let open = sqlx::query_scalar(
        "select c.id from credit_checkouts k join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
         where k.partner_id = $1 and k.code = $2 and c.state = 'open' and c.id <> $3",
    );
    Ok(open.bind(partner.0).bind(code).bind(except.0).fetch_all(&mut **tx).await?)
}

async fn check_open(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
    let open: i64 = sqlx::query_scalar(
        "select count(*) from credit_checkouts k join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
         where k.partner_id = $1 and c.state = 'open'",
    )
    .bind(partner.0)
    .fetch_one(&mut **tx)
    .await?;
    if open >= MOST_OPEN {
        let message = format!("{open} pages at Stripe are open: pay one of them, or wait until they have expired");
        return Err(StoreError::conflict("package", message));
    }
    Ok(())
}

fn read(row: &PgRow) -> Result<Placed, sqlx::Error> {
    Ok(Placed {
        id: CheckoutId(row.try_get("checkout_id")?),
        session: row.try_get("session_id")?,
        reference: row.try_get("reference")?,
        order: Order {
            subscription: SubscriptionId(row.try_get("subscription_id")?),
            code: row.try_get("code")?,
            package: row.try_get::<Json<CreditPackage>, _>("terms")?.0,
            quantity: u32::try_from(row.try_get::<i32, _>("quantity")?).unwrap_or(u32::MAX),
            units: row.try_get("units")?,
            cost: Money::new(row.parsed("currency")?, row.try_get("cost_micros")?),
        },
        invoice: row.try_get::<Option<Uuid>, _>("invoice_id")?.map(InvoiceId),
    })
}
