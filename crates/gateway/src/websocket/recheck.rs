//! Whether a caller that was admitted long ago would still be.

use crate::{matching::Target, snapshot::Snapshot};
use jiff::Timestamp;

/// Whether the key is still valid, its partner is not suspended, has paid, and its plan still opens the operation.
pub(super) fn may_still_call(target: &Target, snapshot: &Snapshot, now: Timestamp) -> bool {
    let Some(key) = snapshot.key_by_id(target.caller.key().id).map(|key| snapshot.key(key)) else { return false };
    if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now) {
        return false;
    }
    if snapshot.version() == target.caller.snapshot().version() {
        return true;
    }
    let opens = || {
        let partner =
            Some(snapshot.partner_of(key)).filter(|partner| !partner.suspended && partner.refused_for().is_none())?;
        let plan = snapshot.plans.get(partner.subscription.as_ref()?.plan)?;
        let product = snapshot.products.iter().position(|product| product.id == target.product().id)?;
        let operations = &snapshot.products.get(product)?.operations;
        let operation = operations.iter().position(|operation| operation.id == target.operation().id)?;
        Some(plan.opens(product, operation))
    };
    opens().unwrap_or(false)
}
