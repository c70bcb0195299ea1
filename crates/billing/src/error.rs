//! What can go wrong between usage and Stripe.

use crate::stripe::StripeError;
use domain::{money::MoneyError, period::PeriodError};
use store::StoreError;

/// Why a step of billing did not happen. It will be tried again, and nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// Nothing is wrong, and nothing can be done before this is known.
    #[error("{0} is waited for")]
    TooSoon(&'static str),
    /// The step ended in the middle, by a defect of ours.
    #[error("{0}")]
    Ended(String),
    /// Stripe and we differ in a way that a person has to look at.
    #[error("{0}")]
    Differs(String),
}
