//! What the experiment knows by itself of one partner: each use that the server took, and what that has to cost.

use super::calendar::SECOND;

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    List,
}

impl Operation {
    pub const ALL: [Self; 2] = [Self::Create, Self::List];

    /// As invoices have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Create => "createPayment",
            Self::List => "listPayments",
        }
    }

    /// As usage has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "POST /payments",
            Self::List => "GET /payments",
        }
    }

    pub const fn method(self) -> &'static str {
        match self {
            Self::Create => "POST",
            Self::List => "GET",
        }
    }

    /// Units of one call through the gateway.
    pub const fn weight(self) -> i64 {
        match self {
            Self::Create => 3,
            Self::List => 1,
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.code() == code)
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// One event that counts.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub at: i64,
    pub operation: Operation,
    pub units: i64,
    /// Whether prepaid credit paid it.
    pub is_prepaid: bool,
    pub is_refused: bool,
}

/// Units that a closed period has more, or fewer, than its bill.
#[derive(Debug, Clone, Copy)]
pub struct Adjusted {
    pub at: i64,
    pub operation: Operation,
    pub units: i64,
    /// Which invoice has them, counted from zero: the one that is made next.
    pub on: usize,
}

/// What a plan costs, in cents.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    pub fee: i64,
    pub unit: i64,
}

/// From one instant to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: i64,
    pub to: i64,
}

impl Stretch {
    pub const fn holds(&self, at: i64) -> bool {
        self.from <= at && at < self.to
    }

    const fn seconds(&self) -> i64 {
        (self.to - self.from) / SECOND
    }
}

/// Sums over uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub calls: i64,
    pub refused: i64,
    pub units: i64,
    pub prepaid: i64,
}

/// What a part of a period has to cost, in cents.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bill {
    pub fee: i64,
    /// In the order of [`Operation::ALL`].
    pub usage: [i64; 2],
    pub late: [i64; 2],
}

impl Bill {
    pub fn total(&self) -> i64 {
        self.fee + self.usage.iter().sum::<i64>() + self.late.iter().sum::<i64>()
    }
}

#[derive(Debug, Default)]
pub struct Ledger {
    uses: Vec<Use>,
    pub adjusted: Vec<Adjusted>,
}

impl Ledger {
    pub fn add(&mut self, used: Use) {
        self.uses.push(used);
    }

    /// Of the whole stretch, and of each operation.
    pub fn sums(&self, stretch: Stretch) -> (Sums, [Sums; 2]) {
        let mut each = [Sums::default(); 2];
        for used in self.uses.iter().filter(|used| stretch.holds(used.at)) {
            each[used.operation as usize].count(used);
        }
        let [one, other] = each;
        let whole = Sums {
            calls: one.calls + other.calls,
            refused: one.refused + other.refused,
            units: one.units + other.units,
            prepaid: one.prepaid + other.prepaid,
        };
        (whole, each)
    }

    /// Between these instants, which ascend: one less than there are.
    pub fn between(&self, instants: &[i64]) -> Vec<Sums> {
        let mut sums = vec![Sums::default(); instants.len().saturating_sub(1)];
        for used in &self.uses {
            let place = instants.partition_point(|instant| *instant <= used.at);
            if let Some(sum) = place.checked_sub(1).and_then(|place| sums.get_mut(place)) {
                sum.count(used);
            }
        }
        sums
    }

    /// Late and corrected units of an operation in the stretch that the invoice has.
    pub fn adjusted(&self, stretch: Stretch, operation: Operation, on: usize) -> i64 {
        let of = |one: &&Adjusted| one.operation == operation && one.on == on && stretch.holds(one.at);
        self.adjusted.iter().filter(of).map(|one| one.units).sum()
    }

    /// What a part of a period costs.
    pub fn bill(&self, part: Stretch, whole: Stretch, prices: Prices) -> Bill {
        let (_, each) = self.sums(part);
        Bill {
            fee: share(prices.fee, part.seconds(), whole.seconds()),
            usage: each.map(|sums| (sums.units - sums.prepaid) * prices.unit),
            late: [0; 2],
        }
    }
}

impl Sums {
    fn count(&mut self, used: &Use) {
        self.calls += 1;
        self.refused += i64::from(used.is_refused);
        self.units += used.units;
        if used.is_prepaid {
            self.prepaid += used.units;
        }
    }
}

/// That part of the amount, to the cent, half a cent up.
fn share(amount: i64, part: i64, whole: i64) -> i64 {
    let twice = 2 * i128::from(amount) * i128::from(part) + i128::from(whole);
    i64::try_from(twice.div_euclid(2 * i128::from(whole))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_to_the_cent_half_up() {
        assert_eq!((share(4_900, 1, 3), share(5, 1, 2), share(5, 49, 100)), (1_633, 3, 2));
        assert_eq!(share(4_900, 745, 745), 4_900);
    }
}
