//! The bill so far, before there is an invoice: the same lines, and figures that move with every call.

use super::{
    lines::{BilledLine, amount, local},
    teams::TeamOut,
};
use billing::{BillingError, Projection};
use domain::{id::PartnerId, money::Money, period::zone};
use jiff::{Timestamp, tz::TimeZone};
use store::{NewInvoiceLine, Store};

/// What the running period comes to so far.
pub struct Draft {
    pub partner: PartnerId,
    pub partner_name: String,
    pub plan: String,
    /// IANA name: the zone of the plan's periods.
    pub time_zone: String,
    pub as_of: Timestamp,
    pub projection: Projection,
}

impl Draft {
    /// That of the partner; `None` where no plan is in force.
    ///
    /// # Errors
    /// Postgres does not answer, or what was used cannot be rated.
    pub async fn of(store: &Store, partner: PartnerId, now: Timestamp) -> Result<Option<Self>, BillingError> {
        let Some(projection) = billing::project(store, partner, now).await? else { return Ok(None) };
        let Some(subscription) = store.subscription(partner).await? else { return Ok(None) };
        let Some(open) = store.open_subscription(partner).await? else { return Ok(None) };
        Ok(Some(Self {
            partner,
            partner_name: store.partner(partner).await?.name,
            plan: subscription.plan_name,
            time_zone: open.cycle.time_zone,
            as_of: now,
            projection,
        }))
    }

    pub fn total(&self) -> Money {
        self.projection.so_far.total
    }

    /// Its lines, as rows of an invoice that has no number yet.
    pub fn rows(&self) -> Vec<BilledLine> {
        let zone = zone(&self.time_zone).unwrap_or(TimeZone::UTC);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = |(position, (charge, line)): (i32, (domain::rating::Charge, NewInvoiceLine))| BilledLine {
            partner: self.partner.to_string(),
            partner_name: self.partner_name.clone(),
            invoice: String::new(),
            number: String::new(),
            created_at: local(self.as_of, &zone),
            period_start: local(self.projection.period.start, &zone),
            period_end: local(self.projection.period.end, &zone),
            time_zone: self.time_zone.clone(),
            status: "draft".to_owned(),
            plan: self.plan.clone(),
            position,
            kind: charge.kind.code().to_owned(),
            product: text(&charge.product),
            operation: text(&charge.operation),
            description: line.description,
            quantity: i64::try_from(charge.quantity).unwrap_or(i64::MAX),
            free: charge.free,
            prepaid: charge.prepaid,
            currency: charge.amount.currency.to_string(),
            amount: amount(charge.amount),
            threshold_number: 0,
            // Stripe computes it on the invoice.
            invoice_tax: String::new(),
            invoice_total_with_tax: String::new(),
            teams: TeamOut::all(line.teams),
        };
        (0_i32..).zip(self.projection.lines()).map(row).collect()
    }
}
