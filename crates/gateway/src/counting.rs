//! Which calls of a product cost units, compiled from [`domain::policy::Counting`].

use domain::{
    policy::{self, Counted, StatusClass, countable_refusals},
    refusal::Code,
};

#[derive(Debug)]
pub(crate) struct Counting {
    /// By the first digit of the status.
    classes: [bool; 6],
    /// Whether a call counts that its client broke off after the body's first byte.
    pub interrupted: bool,
    replays: Counted,
    refusals: Vec<Code>,
    refusal_units: u64,
}

impl Counting {
    pub(crate) fn new(from: &policy::Counting) -> Self {
        let mut classes = [false; 6];
        for class in &from.statuses {
            let digit = match class {
                StatusClass::Success => 2,
                StatusClass::Redirection => 3,
                StatusClass::ClientError => 4,
                StatusClass::ServerError => 5,
            };
            classes[digit] = true;
        }
        let named = from.refusals.as_ref();
        let codes = countable_refusals();
        let refusals = codes.filter(|code| named.is_some_and(|named| named.codes.contains(code.describe().code)));
        Self {
            classes,
            interrupted: from.interrupted,
            replays: from.replays,
            refusals: refusals.collect(),
            refusal_units: named.map_or(0, |named| u64::from(named.units)),
        }
    }

    /// Whether an answer of the API with this status counts. A WebSocket that was opened (101) counts as 2xx.
    pub(crate) fn counts(&self, status: u16) -> bool {
        let digit = if status == 101 { 2 } else { usize::from(status / 100) };
        self.classes.get(digit).copied().unwrap_or(false)
    }

    /// Units for giving an answer again, of an operation of that weight.
    pub(crate) fn replay(&self, weight: u64) -> u64 {
        match self.replays {
            Counted::Free => 0,
            Counted::Full => weight,
            Counted::Units(units) => u64::from(units),
        }
    }

    /// Units for saying no for that reason.
    pub(crate) fn refusal(&self, code: Code) -> u64 {
        if self.refusals.contains(&code) { self.refusal_units } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_counts_what_the_api_answers_below_500_and_an_opened_websocket() {
        let counting = Counting::new(&policy::Counting::default());
        for status in 0..=1_000 {
            assert_eq!(counting.counts(status), matches!(status, 101 | 200..=499), "{status}");
        }
        assert!(Code::ALL.into_iter().all(|code| counting.refusal(code) == 0));
        assert_eq!(counting.replay(7), 0);
    }

    #[test]
    fn a_refusal_that_no_rule_may_name_costs_nothing_even_where_one_does() {
        let all = Code::ALL.into_iter().map(|code| code.describe().code.to_owned()).collect();
        let refusals = Some(policy::CountedRefusals { codes: all, units: 3 });
        let counting = Counting::new(&policy::Counting { refusals, ..Default::default() });
        for code in Code::ALL {
            let may = countable_refusals().any(|countable| countable == code);
            assert_eq!(counting.refusal(code), if may { 3 } else { 0 }, "{}", code.describe().code);
        }
    }
}
