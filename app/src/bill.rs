//! The bill of the current period, by the engine that makes the invoice.

use crate::{page::PageError, pages::by_team::TeamsOfLine, state::AppState};
use domain::{
    id::PartnerId,
    key_text::Environment,
    money::Money,
    period::Period,
    rating::{Charge, Rated},
};
use jiff::Timestamp;
use store::NewInvoiceLine;

/// What a partner's current period holds.
pub struct BillSoFar {
    /// What will be on one invoice: the whole period, or the part since the plan changed.
    pub period: Period,
    /// Live units of `period`.
    pub units: u64,
    /// Live units that a quota counts: of the whole billing period, or of its part since the plan began.
    pub quota_units: u64,
    /// Whether `period` is the part of a billing period since the plan changed.
    pub changed: bool,
    /// With what was billed already as lines below zero.
    pub rated: Rated,
    /// The lines of which teams have a part.
    pub teams: Vec<TeamsOfLine>,
    /// What threshold invoices have billed of `period`.
    pub billed_before: Money,
    /// The total, if the rest of the period is used as the part before now was.
    pub estimate: Money,
    /// The total, if the plan ended now.
    pub ended_now: Money,
}

impl BillSoFar {
    pub fn total(&self) -> Money {
        self.rated.total
    }

    /// `$200.00 billed already`, where threshold invoices have billed something.
    pub fn billed_already(&self) -> Option<String> {
        (self.billed_before.micros != 0).then(|| format!("{} billed already by threshold invoices", self.billed_before))
    }

    /// What `units` are, for people.
    pub fn units_label(&self) -> &'static str {
        if self.changed { "Units since the change of plan" } else { "Units this period" }
    }
}

fn teams(lines: Vec<(Charge, NewInvoiceLine)>) -> Vec<TeamsOfLine> {
    let own = lines.into_iter().map(|(_, line)| line).filter(|line| !line.teams.is_empty());
    own.map(|line| TeamsOfLine { description: line.description, at: None, teams: line.teams }).collect()
}

/// The bill of the active subscription; nothing where there is none.
pub async fn so_far(state: &AppState, partner: PartnerId, now: Timestamp) -> Result<Option<BillSoFar>, PageError> {
    let projected = billing::project(&state.store, partner, now).await.map_err(|error| {
        tracing::error!(%error, "the bill so far cannot be rated");
        PageError::Unavailable
    })?;
    let Some(projected) = projected else { return Ok(None) };
    let own = state.store.subscription(partner).await?;
    let counted = own.and_then(|own| own.counted_at(now).ok()).unwrap_or(projected.whole);
    Ok(Some(BillSoFar {
        period: projected.period,
        units: projected.used.iter().map(|line| line.used.units).sum(),
        quota_units: state.store.units_used(partner, counted, Environment::Live).await?,
        changed: projected.period != projected.whole,
        billed_before: projected.billed_before,
        teams: teams(projected.lines()),
        rated: projected.so_far,
        estimate: projected.estimate.total,
        ended_now: projected.ended_now.total,
    }))
}
