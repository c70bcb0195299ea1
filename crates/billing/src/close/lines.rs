//! What was rated as lines of an invoice, with the words and ids of what was used.

use super::{Stretch, by_team};
use domain::rating::{Charge, LineKind, MeterUsed, teams::Whole};
use store::{
    NewInvoiceLine,
    usage::{MeteredUnits, TeamUsed, UsedUnits},
};

/// The usage of a stretch, as it was read.
pub(crate) struct Usage {
    pub units: Vec<UsedUnits>,
    /// Whose they are; empty where none are a team's.
    pub teams: Vec<TeamUsed>,
    pub metered: Vec<MeteredUnits>,
}

impl Usage {
    pub fn used(&self) -> Vec<domain::rating::Used> {
        self.units.iter().map(|line| line.used.clone()).collect()
    }

    pub fn of_meters(&self) -> Vec<MeterUsed> {
        self.metered.iter().map(|line| line.used.clone()).collect()
    }

    pub fn line(&self, charge: Charge, stretch: Stretch) -> NewInvoiceLine {
        let of = self.units.iter().find(|line| {
            Some(&line.used.product) == charge.product.as_ref()
                && Some(&line.used.operation) == charge.operation.as_ref()
        });
        let same_meter = |used: &MeterUsed| {
            Some(&used.product) == charge.product.as_ref() && Some(&used.meter) == charge.meter.as_ref()
        };
        let of_meter = self.metered.iter().find(|line| same_meter(&line.used));
        let calls = || {
            let of = self.metered.iter().filter(|line| same_meter(&line.used));
            of.fold(0_u64, |sum, line| sum.saturating_add(line.used.calls))
        };
        let quantity = i64::try_from(charge.quantity).unwrap_or(i64::MAX);
        let whole = Whole { quantity, free: charge.free, prepaid: charge.prepaid, amount: charge.amount };
        let teams = match (charge.kind, of) {
            (LineKind::Usage, Some(of)) => by_team::parts(whole, (of.product, of.operation), &self.teams),
            _ => Vec::new(),
        };
        NewInvoiceLine {
            teams,
            calls: (charge.kind == LineKind::Meter).then(calls),
            kind: charge.kind,
            product: of.and_then(|line| line.product).or(of_meter.and_then(|line| line.product)),
            operation: of.and_then(|line| line.operation),
            description: charge.described(match &charge.label {
                Some(label) => label.clone(),
                None => of_meter.map_or_else(|| describe(charge.kind, of, stretch), |line| line.label.clone()),
            }),
            meter: charge.meter.filter(|_| charge.kind == LineKind::Meter),
            quantity,
            free: charge.free,
            prepaid: charge.prepaid,
            amount: charge.amount,
        }
    }
}

fn describe(kind: LineKind, of: Option<&UsedUnits>, stretch: Stretch) -> String {
    let whole = stretch.part == stretch.whole;
    match (kind, of) {
        (LineKind::BaseFee, _) if whole => "Base fee".to_owned(),
        (LineKind::BaseFee, _) => "Base fee for part of the period".to_owned(),
        (LineKind::IncludedCredit, _) if whole => "Included credit".to_owned(),
        (LineKind::IncludedCredit, _) => "Included credit for part of the period".to_owned(),
        (LineKind::Usage, Some(units)) => units.label.clone(),
        (LineKind::Usage, None) => "Usage".to_owned(),
        (LineKind::Meter, _) => "Meter".to_owned(),
        (LineKind::Minimum, _) => "Minimum".to_owned(),
        (LineKind::Discount, _) => "Discount".to_owned(),
        (LineKind::CommittedUse, _) => "Committed-use discount".to_owned(),
        (LineKind::Commitment, _) => "Commitment".to_owned(),
        (LineKind::Adjustment, _) => "Adjustment".to_owned(),
        (LineKind::CreditPackage, _) => "Prepaid credit".to_owned(),
        (LineKind::CreditOverdraft, _) => "Overdraft".to_owned(),
        (LineKind::BilledBefore, _) => "Billed already".to_owned(),
    }
}
