//! `plan` and `apply`: brings an installation to the state that one file describes.
//!
//! There is one walk over the file. For each thing it looks at what the store has under that code, says what differs,
//! and, when it applies, makes the difference go away. So a plan cannot say other than what apply then does, and applying
//! twice finds nothing to do. What the file does not name is left alone. A walk that fails half way is simply run again.

mod coupons;
mod credit_packages;
mod desired;
mod partners;
mod plans;
mod products;
mod report;

pub use desired::Desired;
pub use report::{Change, Report};

use app::{secrets::Secrets, state::Settings};
use domain::plan::Problem;
use jiff::Timestamp;
use std::fmt;
use store::{Actor, Store, StoreError};

/// All changes are the system's in the audit log.
const ACTOR: Actor = Actor::System;

/// Whether to look or to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Plan,
    Apply,
}

/// Why the walk ended early.
#[derive(Debug)]
pub enum ApplyError {
    /// The file cannot be used; nothing was changed.
    Problems(Vec<Problem>),
    /// The store refused, at this place of the file; what came before it is done.
    Refused { place: String, error: StoreError },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { place, error } => write!(f, "{place}: {error}"),
            Self::Problems(problems) => {
                f.write_str("the file cannot be applied:")?;
                for Problem { field, message } in problems {
                    let separator = if field.is_empty() { "" } else { ": " };
                    write!(f, "\n  {field}{separator}{message}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Problems(_) => None,
            Self::Refused { error, .. } => Some(error),
        }
    }
}

/// What the walk needs at every step.
struct Walk<'a> {
    store: &'a Store,
    secrets: &'a Secrets,
    settings: &'a Settings,
    mode: Mode,
    now: Timestamp,
    report: Report,
}

/// Walks the whole file.
///
/// # Errors
/// The store refused something; see [`ApplyError::Refused`].
pub async fn walk(
    desired: &Desired,
    store: &Store,
    secrets: &Secrets,
    settings: &Settings,
    mode: Mode,
    now: Timestamp,
) -> Result<Report, ApplyError> {
    let mut walk = Walk { store, secrets, settings, mode, now, report: Report::default() };
    // Plans name products, partners name plans, and products by invitation name partners.
    walk.products(desired).await?;
    walk.plans(desired).await?;
    walk.credit_packages(desired).await?;
    walk.coupons(desired).await?;
    walk.partners(desired).await?;
    walk.invitations(desired).await?;
    walk.named_partners(desired).await?;
    Ok(walk.report)
}

impl Walk<'_> {
    fn applies(&self) -> bool {
        self.mode == Mode::Apply
    }
}

/// Names the place of the file at which the store said no.
fn at(place: impl Into<String>) -> impl FnOnce(StoreError) -> ApplyError {
    let place = place.into();
    move |error| ApplyError::Refused { place, error }
}

#[cfg(test)]
mod tests;
