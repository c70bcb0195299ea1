//! Usage becomes money: closing periods, projecting bills, and keeping Stripe's books equal to ours.
//!
//! Owns: when a period is closed and what is on its invoice, the small client for Stripe, what is pushed to it and how a lost
//! answer is dealt with, webhooks. Does not own: prices (`domain::rating`), tables (`store`), the clock and the schedule
//! (`server` calls [`close_due_periods`], [`reconcile`] and [`apply_pending_webhooks`] again and again).
//! Always true: the invoice is ours first; every function may be run again at any time, by several servers at once; Stripe
//! is told totals under deterministic names and never asked twice for the same thing once it may have forgotten the first.
//! When it fails: errors are values, an invoice stays `open`, and the next run tries again. No error holds the key.

mod change;
mod close;
mod correct;
pub mod drift;
mod error;
mod impact;
mod moves;
mod open_line;
pub mod payment;
mod project;
mod push;
mod returns;
mod shown;
pub mod stripe;
mod trial;
mod webhooks;

pub use change::{
    ChangeRefused, Letters, News, Proposal, Recipient, Wanted, order_change, preview_change, put_changes_in_force,
    take_change_back,
};
pub use close::{Closing, ClosingReport, close_due_periods};
pub use correct::{
    Bill, BilledOn, DryRun, apply_correction, approve_correction, draft_correction, draft_correction_once, read_hash,
    try_correction, write_hash,
};
pub use error::BillingError;
pub use impact::{Affected, After, Impact, MOST_RATED, impact};
pub use moves::{MovePreview, cancel_move, follow_moves, impact_of_own_move, order_move, preview_move};
pub use open_line::{Behind, OpenBy, Opened, OpenedRow, Opening, open_line};
pub use project::{Projection, project};
pub use push::{Clock, PushSettings, Reconciled, reconcile};
pub use trial::tell_of_ending_trials;
pub use webhooks::{Received, WebhookError, apply_pending_webhooks, receive_webhook};
