//! Plans whose first fee is paid on a page of Stripe's before they begin. A page that nobody pays begins nothing; one that is paid becomes
//! subscription, invoice and payment in one transaction, once, at what it cost when it was opened.

use super::{PageLetters, PageNews, PagePaid, PagePayment, PaymentPage};
use crate::{
    BilledAlready, NewInvoice, NewInvoiceLine, Store, StoreError, Ts, advance_fees,
    audit::{self, Actor, Entry},
    credits::fee_bonus,
    invoices,
    partners::{self, Partner},
    plans::terms,
    row::{ReadRow as _, unreadable},
    subscriptions,
};
use domain::{
    id::{CheckoutId, InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::Money,
    plan::Collect,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A page is open for a day at Stripe, and soon afterwards it is known what became of it.
const MAY_BE_PAID: SignedDuration = SignedDuration::from_hours(48);
/// How long a plan is asked after that was paid and that a server of the version before did not begin.
const MADE_GOOD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is paid before a plan begins.
#[derive(Debug, Clone)]
pub struct NewPlanCheckout {
    pub version: PlanVersionId,
    /// As it stands on Stripe's page.
    pub description: String,
    /// Of the invoice for the first period; they come to more than nothing, in whole coins.
    pub lines: Vec<NewInvoiceLine>,
    pub cost: Money,
}

/// A page, and what is paid on it.
struct Placed {
    page: PaymentPage,
    version: PlanVersionId,
    lines: Vec<NewInvoiceLine>,
    invoice: Option<InvoiceId>,
}

impl Store {
    /// Notes the plan that is to be paid on a page that is about to be opened; the page that is open for the same already, where there is one.
    /// Others of the partner's for plans are superseded.
    ///
    /// # Errors
    /// There is a plan already, a payment for one is on its way, or the account is suspended.
    pub async fn open_plan_checkout(
        &self,
        partner: PartnerId,
        new: &NewPlanCheckout,
        actor: Actor,
        now: Timestamp,
    ) -> Result<PaymentPage, StoreError> {
        let mut tx = self.begin().await?;
        // Who clicks twice at once waits here.
        let held = partners::lock(&mut tx, partner).await?;
        if held.suspended_at.is_some() {
            return Err(StoreError::conflict("plan", "The account is suspended; no plan can begin"));
        }
        if has_plan(&mut tx, partner).await? {
            return Err(StoreError::conflict("plan", "There is a plan by now: look at what the change means"));
        }
        let rows = sqlx::query(
            "select k.*, c.session_id, c.state, c.superseded_at from plan_checkouts k
             join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
             where k.partner_id = $1 and c.state in ('open', 'processing') order by c.opened_at desc",
        )
        .bind(partner.0)
        .fetch_all(&mut *tx)
        .await?;
        let mut others = Vec::new();
        for row in &rows {
            if row.try_get::<&str, _>("state")? == "processing" {
                let message = "A payment is on its way: the plan begins when it is there";
                return Err(StoreError::conflict("plan", message));
            }
            let placed = read(row)?;
            let is_superseded = row.at_if_any("superseded_at")?.is_some();
            if !is_superseded && placed.version == new.version && placed.page.cost == new.cost {
                return Ok(placed.page);
            }
            others.push(placed.page.id.0);
        }
        terms::check_meters(&mut tx, new.version).await?;
        let id = super::open(&mut tx, partner, now).await?;
        sqlx::query(
            "insert into plan_checkouts (partner_id, checkout_id, plan_version_id, description, lines, cost_micros, currency)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(new.version.0)
        .bind(&new.description)
        .bind(Json(&new.lines))
        .bind(new.cost.micros)
        .bind(new.cost.currency.code())
        .execute(&mut *tx)
        .await?;
        super::supersede(&mut tx, partner, id, &others, now).await?;
        let subject = id.to_string();
        let after = json!({ "plan_version": new.version, "cost": new.cost.to_string() });
        audit::append(&mut tx, Entry::new(actor, partner, "checkout.open", &subject).after(after), now).await?;
        tx.commit().await?;
        Ok(PaymentPage { id, session: None, description: new.description.clone(), cost: new.cost })
    }

    /// Stripe says that the page is paid: the plan begins now, with the invoice of its first fee and the payment, once, as it was shown. Where
    /// there is a plan by now, or another page was paid before, the money goes back. The partner is told of either, once.
    ///
    /// # Errors
    /// A conflict where it was done before and by another payment: somebody has paid twice.
    pub async fn complete_plan_checkout(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        payment: PagePayment<'_>,
        letters: PageLetters<'_>,
        now: Timestamp,
    ) -> Result<PagePaid<SubscriptionId>, StoreError> {
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        let row = sqlx::query(
            "select k.*, c.session_id, c.pay_back from plan_checkouts k
             join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
             where k.partner_id = $1 and k.checkout_id = $2 for update",
        )
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
        let placed = read(&row)?;
        let before = (placed.invoice, row.try_get("pay_back")?);
        if let Some(decided) = super::decided(&mut tx, (partner, id), before, payment, now).await? {
            tx.commit().await?;
            return Ok(decided);
        }
        if let Some(why) = why_not(&mut tx, &held, &placed).await? {
            super::go_back(&mut tx, partner, id, (&why, letters), now).await?;
            tx.commit().await?;
            return Ok(PagePaid::GoesBack(why));
        }
        // As exact as the database keeps it.
        let at = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        // Who closes a period with an overdraft holds the balance before the invoice has its number, and who books credit before it tells
        // gateways anything, as the beginning of a plan does; so does this.
        fee_bonus::lock(&mut tx, partner, placed.version).await?;
        let (subscription, cycle) = subscriptions::begin_paid(&mut tx, partner, placed.version, at, now).await?;
        let period = cycle.period_at(at).map_err(|error| unreadable("anchor", error))?;
        let (version, cost) = (placed.version, placed.page.cost);
        let invoice = first_invoice(version, cycle.time_zone, placed.lines, cost);
        let invoice = invoices::bill(&mut tx, partner, subscription, (period, "Fee in advance"), invoice, now).await?;
        advance_fees::note(&mut tx, (partner, subscription), period, (cost, 0), Some(invoice)).await?;
        super::collect(&mut tx, partner, invoice, payment, now).await?;
        sqlx::query("update plan_checkouts set invoice_id = $3 where partner_id = $1 and checkout_id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(invoice.0)
            .execute(&mut *tx)
            .await?;
        super::complete(&mut tx, partner, id, now).await?;
        super::tell(&mut tx, letters, PageNews::Begun { invoice, at }, now).await?;
        tx.commit().await?;
        Ok(PagePaid::Now(subscription))
    }
}

/// The invoice of the fee, which is paid: nobody is asked for it again.
fn first_invoice(version: PlanVersionId, time_zone: String, lines: Vec<NewInvoiceLine>, cost: Money) -> NewInvoice {
    NewInvoice {
        plan_version: version,
        time_zone,
        collect: Collect::InvoiceItems,
        total: cost,
        lines,
        late: Vec::new(),
        in_advance: true,
        threshold_number: 0,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    }
}

/// Refuses to begin a plan in another way while one is being paid, or may be. The partner is locked.
pub(crate) async fn check_none_pays(
    tx: &mut PgConnection,
    partner: PartnerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = |age| Ts(now.saturating_sub(age).unwrap_or(Timestamp::MIN));
    let row = sqlx::query(
        "select c.state = 'open' as is_open, p.name from plan_checkouts k
         join checkouts c on c.partner_id = k.partner_id and c.id = k.checkout_id
         join plan_versions v on v.id = k.plan_version_id join plans p on p.id = v.plan_id
         where k.partner_id = $1 and (c.state = 'processing'
             or c.state = 'open' and c.session_id is not null and c.opened_at > $2
             or c.state = 'complete' and k.invoice_id is null and c.pay_back is null and c.opened_at > $3)
         order by is_open, c.opened_at limit 1",
    )
    .bind(partner.0)
    .bind(before(MAY_BE_PAID))
    .bind(before(MADE_GOOD))
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let name: String = row.try_get("name")?;
    let message = match row.try_get("is_open")? {
        true => {
            format!("A page at Stripe is open on which {name} is paid: pay there, or try again once it has expired")
        }
        false => {
            format!("A payment is on its way: {name} begins when it is there. Nothing else can be begun until then")
        }
    };
    Err(StoreError::conflict("plan", message))
}

async fn has_plan(tx: &mut PgConnection, partner: PartnerId) -> Result<bool, StoreError> {
    let has =
        sqlx::query_scalar("select exists (select from subscriptions where partner_id = $1 and status = 'active')");
    Ok(has.bind(partner.0).fetch_one(tx).await?)
}

/// Why the plan cannot begin although it is paid, for people.
async fn why_not(
    tx: &mut Transaction<'static, Postgres>,
    held: &Partner,
    placed: &Placed,
) -> Result<Option<String>, StoreError> {
    let partner = held.id;
    if held.suspended_at.is_some() {
        return Ok(Some("The account was suspended when it was paid".to_owned()));
    }
    if super::is_rival_paid(tx, partner, placed.page.id).await? {
        return Ok(Some("Another page for the plan was paid before".to_owned()));
    }
    if has_plan(tx, partner).await? {
        return Ok(Some("There was a plan already when it was paid".to_owned()));
    }
    match terms::check_meters(tx, placed.version).await {
        Err(StoreError::Conflict { .. }) => Ok(Some("The plan is sold no longer".to_owned())),
        checked => checked.map(|()| None),
    }
}

fn read(row: &PgRow) -> Result<Placed, sqlx::Error> {
    Ok(Placed {
        page: PaymentPage {
            id: CheckoutId(row.try_get("checkout_id")?),
            session: row.try_get("session_id")?,
            description: row.try_get("description")?,
            cost: Money::new(row.parsed("currency")?, row.try_get("cost_micros")?),
        },
        version: PlanVersionId(row.try_get("plan_version_id")?),
        lines: row.try_get::<Json<Vec<NewInvoiceLine>>, _>("lines")?.0,
        invoice: row.try_get::<Option<Uuid>, _>("invoice_id")?.map(InvoiceId),
    })
}
