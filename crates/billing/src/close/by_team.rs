//! What of a line is each team's. The line was rated over the whole partner, and is shared afterwards ([`domain::rating::teams`]).

use domain::{
    id::{OperationId, ProductId},
    rating::teams::{Whole, split},
};
use store::{LineTeam, usage::TeamUsed};

/// The parts of the line for that operation; none where no usage of the invoice is a team's, or where nobody can say whose the line is.
pub(super) fn parts(
    line: Whole,
    (product, operation): (Option<ProductId>, Option<OperationId>),
    teams: &[TeamUsed],
) -> Vec<LineTeam> {
    let own: Vec<&TeamUsed> = teams.iter().filter(|one| (one.product, one.operation) == (product, operation)).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let used: Vec<_> = own.iter().map(|one| one.used).collect();
    let Some(shares) = split(line, &used) else {
        tracing::debug!(
            ?product,
            ?operation,
            "a line is not taken apart by team: its usage is not kept by team any more"
        );
        return Vec::new();
    };
    let part = |(one, share): (&TeamUsed, domain::rating::teams::TeamShare)| LineTeam {
        team: one.team,
        name: one.name.clone(),
        quantity: share.quantity,
        free: share.free,
        prepaid: share.prepaid,
        amount: share.amount,
    };
    own.into_iter().zip(shares).map(part).collect()
}
