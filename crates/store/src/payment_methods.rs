//! Payment methods at Stripe: whether a partner has one, what was opened there to leave one or to pay, and plans that ask for one first.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{CheckoutId, InvoiceId, PartnerId, PlanId},
    money::Money,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// What became of a page of Stripe's that was opened to leave a payment method, or to pay for units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutState {
    /// Stripe has not said yet what became of it.
    Open,
    /// It was filled in, and the payment takes days.
    Processing,
    /// The payment method was left, or the payment is there.
    Complete,
    Expired,
    /// The payment did not come.
    Failed,
    /// It was paid, nothing came of it, and the money goes back.
    PaidBack,
}

/// What a page is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutFor {
    /// A payment method is left, and nothing is charged.
    Method,
    Units,
    /// The first fee of a plan, by code and name.
    Plan {
        code: String,
        name: String,
    },
}

/// Such a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    pub id: CheckoutId,
    pub partner: PartnerId,
    /// Stripe's name of it, once its answer is known.
    pub session: Option<String>,
    pub state: CheckoutState,
    pub opened_at: Timestamp,
    pub purpose: CheckoutFor,
    /// What is paid there; `None` where a payment method is left and nothing is charged.
    pub cost: Option<Money>,
    /// Another page has taken its place.
    pub is_superseded: bool,
    /// Stripe's name of the payment.
    pub payment: Option<String>,
    /// Why what was paid goes back.
    pub pay_back: Option<String>,
    /// When Stripe had taken in that it does.
    pub paid_back_at: Option<Timestamp>,
    /// Stripe's name of the refund.
    pub refund: Option<String>,
    /// Why that failed at Stripe, where it did.
    pub refund_failed: Option<String>,
    /// Refunds that were asked for, of which the last one counts.
    pub refunds_asked: u32,
    /// Which attempt at a refund is next; each that Stripe refuses makes one more.
    pub refund_attempt: u32,
    /// Stripe did not know of it when it ended.
    pub is_missing: bool,
}

impl CheckoutState {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Complete => "complete",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::PaidBack => "paid_back",
        }
    }
}

macro_rules! checkouts {
    ($rest:literal) => {
        concat!(
            "select c.*, coalesce(k.cost_micros, b.cost_micros) as cost_micros, coalesce(k.currency, b.currency) as currency,
                 p.code as plan_code, p.name as plan_name,
                 c.state = 'complete' and b.checkout_id is not null and b.invoice_id is null as is_unmade
             from checkouts c
             left join credit_checkouts k on k.partner_id = c.partner_id and k.checkout_id = c.id
             left join plan_checkouts b on b.partner_id = c.partner_id and b.checkout_id = c.id
             left join plan_versions v on v.id = b.plan_version_id left join plans p on p.id = v.plan_id ",
            $rest
        )
    };
}
pub(crate) use checkouts;

impl Store {
    /// The payment method that Stripe charges, as far as it was asked.
    pub async fn payment_method(&self, partner: PartnerId) -> Result<Option<String>, StoreError> {
        let found =
            sqlx::query_scalar::<_, Option<String>>("select stripe_id from payment_methods where partner_id = $1")
                .bind(partner.0)
                .fetch_optional(self.pool())
                .await?;
        Ok(found.flatten())
    }

    /// Keeps what Stripe said at `asked_at`; what was asked later stays. The audit log has changes.
    pub async fn note_payment_method(
        &self,
        partner: PartnerId,
        stripe_id: Option<&str>,
        asked_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for update").bind(partner.0).fetch_one(&mut *tx).await?;
        let before: Option<Option<String>> =
            sqlx::query_scalar("select stripe_id from payment_methods where partner_id = $1")
                .bind(partner.0)
                .fetch_optional(&mut *tx)
                .await?;
        let noted = sqlx::query(
            "insert into payment_methods as held (partner_id, stripe_id, asked_at) values ($1, $2, $3)
             on conflict (partner_id) do update set stripe_id = excluded.stripe_id, asked_at = excluded.asked_at
                 where held.asked_at <= excluded.asked_at",
        )
        .bind(partner.0)
        .bind(stripe_id)
        .bind(Ts(asked_at))
        .execute(&mut *tx)
        .await?;
        let before = before.flatten();
        if noted.rows_affected() == 1 && before.as_deref() != stripe_id {
            let action = if stripe_id.is_some() { "payment_method.note" } else { "payment_method.gone" };
            let entry = Entry::new(Actor::System, partner, action, stripe_id.or(before.as_deref()).unwrap_or_default())
                .before(json!(before))
                .after(json!(stripe_id));
            audit::append(&mut tx, entry, asked_at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a page is about to be opened.
    pub async fn open_checkout(
        &self,
        partner: PartnerId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CheckoutId, StoreError> {
        let mut tx = self.begin().await?;
        let id = crate::checkouts::open(&mut tx, partner, now).await?;
        audit::append(&mut tx, Entry::new(actor, partner, "checkout.open", &id.to_string()), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Notes what Stripe calls it.
    pub async fn note_checkout_session(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        session: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("update checkouts set session_id = $3 where partner_id = $1 and id = $2 and session_id is null")
            .bind(partner.0)
            .bind(id.0)
            .bind(session)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// One of the partner's.
    pub async fn checkout(&self, partner: PartnerId, id: CheckoutId) -> Result<Checkout, StoreError> {
        let row = sqlx::query(checkouts!("where c.partner_id = $1 and c.id = $2"))
            .bind(partner.0)
            .bind(id.0)
            .fetch_one(self.pool())
            .await?;
        Ok(read_checkout(&row)?)
    }

    /// The page for a plan on which the partner's payment is on its way; else its newest, where it was opened since then.
    pub async fn newest_plan_checkout(
        &self,
        partner: PartnerId,
        since: Timestamp,
    ) -> Result<Option<Checkout>, StoreError> {
        let row = sqlx::query(checkouts!(
            "where c.partner_id = $1 and b.checkout_id is not null and (c.opened_at > $2 or c.state = 'processing')
             order by c.state = 'processing' desc, c.opened_at desc, c.id limit 1"
        ))
        .bind(partner.0)
        .bind(Ts(since))
        .fetch_optional(self.pool())
        .await?;
        Ok(row.as_ref().map(read_checkout).transpose()?)
    }

    /// Whose it is; before that is known there is no partner to ask by.
    pub async fn checkout_of_any_partner(&self, id: CheckoutId) -> Result<Option<Checkout>, StoreError> {
        let row = sqlx::query(checkouts!("where c.id = $1")).bind(id.0).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(read_checkout).transpose()?)
    }

    /// What has not come back and was opened, and asked about, before then: longest unseen first. Also what a server of the version before
    /// took for complete and gave nothing for, in the month before `before`.
    pub async fn all_partners_open_checkouts(
        &self,
        before: Timestamp,
        at_most: u32,
    ) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where (c.state in ('open', 'processing')
                 or c.state = 'complete' and (k.checkout_id is not null and k.invoice_id is null
                     or b.checkout_id is not null and b.invoice_id is null) and c.opened_at > $1 - interval '30 days')
                 and coalesce(c.looked_at, c.opened_at) < $1
             order by coalesce(c.looked_at, c.opened_at), c.id limit $2"
        ))
        .bind(Ts(before))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Notes that Stripe is asked about a page.
    pub async fn note_checkout_look(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update checkouts set looked_at = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Partners whose payment method Stripe was not asked about since `before`, longest unseen first.
    pub async fn all_partners_payment_methods_to_look_at(
        &self,
        before: Timestamp,
        at_most: u32,
    ) -> Result<Vec<PartnerId>, StoreError> {
        let partners: Vec<Uuid> = sqlx::query_scalar(
            "select partner_id from payment_methods
             where stripe_id is not null and greatest(asked_at, looked_at) < $1 order by greatest(asked_at, looked_at), partner_id limit $2",
        )
        .bind(Ts(before))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(partners.into_iter().map(PartnerId).collect())
    }

    /// Notes that Stripe is asked about a partner's payment method.
    pub async fn note_payment_method_look(&self, partner: PartnerId, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update payment_methods set looked_at = $2 where partner_id = $1")
            .bind(partner.0)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Notes that somebody is let into Stripe's customer portal, where payment methods are changed.
    pub async fn note_payment_portal(
        &self,
        partner: PartnerId,
        actor: Actor,
        customer: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        audit::append(&mut tx, Entry::new(actor, partner, "payment_portal.open", customer), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// It came back, once: what it became first it stays. While a payment is on its way it may yet become another.
    pub async fn end_checkout(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        state: CheckoutState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update checkouts set state = $3, ended_at = case when $3 = 'processing' then null else $4::timestamptz end
             where partner_id = $1 and id = $2 and state in ('open', 'processing')",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(state.code())
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whose customer that is at Stripe.
    pub async fn all_partners_partner_of_customer(&self, stripe_id: &str) -> Result<Option<PartnerId>, StoreError> {
        let partner: Option<Uuid> =
            sqlx::query_scalar("select partner_id from stripe_objects where stripe_id = $1 and subject = 'customer'")
                .bind(stripe_id)
                .fetch_optional(self.pool())
                .await?;
        Ok(partner.map(PartnerId))
    }

    /// Whether a plan begins only for who has left a payment method.
    pub async fn asks_for_payment_method(&self, plan: PlanId) -> Result<bool, StoreError> {
        let asks = sqlx::query_scalar("select asks_for_payment_method from plans where id = $1");
        Ok(asks.bind(plan.0).fetch_one(self.pool()).await?)
    }

    /// Has a plan ask for one, or not. Who is on it already stays.
    pub async fn set_asks_for_payment_method(
        &self,
        plan: PlanId,
        asks: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update plans p set asks_for_payment_method = $2 from (select id, asks_for_payment_method from plans where id = $1 for update) o
             where p.id = o.id returning p.code, o.asks_for_payment_method as before",
        )
        .bind(plan.0)
        .bind(asks)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound)?;
        let (code, before): (String, bool) = (row.try_get("code")?, row.try_get("before")?);
        if before != asks {
            let entry = Entry::new(actor, None, "plan.payment_method", &code).before(json!(before)).after(json!(asks));
            audit::append(&mut tx, entry, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether Stripe charges an invoice by itself: its plan asks for a payment method, and there is one.
    pub async fn is_charged_by_itself(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, StoreError> {
        let charged = sqlx::query_scalar(
            "select exists (
                 select from invoices i join plan_versions v on v.id = i.plan_version_id join plans p on p.id = v.plan_id
                 join payment_methods m on m.partner_id = i.partner_id and m.stripe_id is not null
                 where i.partner_id = $1 and i.id = $2 and p.asks_for_payment_method)",
        );
        Ok(charged.bind(partner.0).bind(invoice.0).fetch_one(self.pool()).await?)
    }
}

pub(crate) fn read_checkout(row: &PgRow) -> Result<Checkout, sqlx::Error> {
    let code: &str = row.try_get("state")?;
    let known = [
        CheckoutState::Open,
        CheckoutState::Processing,
        CheckoutState::Complete,
        CheckoutState::Expired,
        CheckoutState::Failed,
    ];
    let cost = match row.try_get::<Option<i64>, _>("cost_micros")? {
        Some(micros) => Some(Money::new(row.parsed("currency")?, micros)),
        None => None,
    };
    let pay_back: Option<String> = row.try_get("pay_back")?;
    let state = match pay_back {
        Some(_) => Some(CheckoutState::PaidBack),
        // A server of the version before took it for complete, and the plan is still to begin.
        None if row.try_get("is_unmade")? => Some(CheckoutState::Processing),
        None => known.into_iter().find(|state| state.code() == code),
    };
    let plan: Option<String> = row.try_get("plan_code")?;
    let purpose = match (plan, cost) {
        (Some(code), _) => CheckoutFor::Plan { code, name: row.try_get("plan_name")? },
        (None, Some(_)) => CheckoutFor::Units,
        (None, None) => CheckoutFor::Method,
    };
    Ok(Checkout {
        id: CheckoutId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        session: row.try_get("session_id")?,
        state: state.ok_or_else(|| unreadable("state", format!("{code} is not known")))?,
        opened_at: row.at("opened_at")?,
        purpose,
        cost,
        is_superseded: row.at_if_any("superseded_at")?.is_some(),
        payment: row.try_get("payment_id")?,
        pay_back,
        paid_back_at: row.at_if_any("paid_back_at")?,
        refund: row.try_get("refund_id")?,
        refund_failed: row.try_get("refund_failed")?,
        refunds_asked: u32::try_from(row.try_get::<i32, _>("refunds_asked")?).unwrap_or(1),
        refund_attempt: u32::try_from(row.try_get::<i32, _>("refund_attempt")?).unwrap_or(1),
        is_missing: row.at_if_any("missing_at")?.is_some(),
    })
}
