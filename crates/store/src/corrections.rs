//! Corrections of usage that was counted already.
//!
//! A stored event is never changed. Applying a correction writes counter-events, under a node of its own, moves the roll-ups by them
//! and says in the invoices' adjustments what lies in a closed period, all in one transaction; a revert does the same with
//! the sign turned. Every step holds the partner's row of `outside_usage`, which whoever closes a period holds, too: so each event
//! is either still in the bill or in an adjustment.
//!
//! What a correction would do is read first ([`Effect`]), and carried out only if it still is what was read.

mod effect;
mod own_credit;
mod post;
mod read;
mod steps;

pub use effect::{Effect, Hit};
pub use read::{Correction, CorrectionLine, Person};
pub use steps::{Approval, Draft};

use uuid::Uuid;

/// What the column `node` holds for the counter-events; the lane is the step.
fn node(correction: Uuid) -> String {
    format!("correction:{}", correction.simple())
}

#[cfg(test)]
pub(crate) mod tests;
