//! Which calls a meter measures, by what their answers say: a price by any dimension that the API tells, a meter for each.

use super::Told;
use crate::plan::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MOST_VALUES: usize = 100;
/// Characters of one.
const LONGEST_VALUE: usize = 100;
/// Of a sentence.
const MOST_TOLD: usize = 10;

/// What an answer has to say. Texts are compared as they are; a whole number or a truth value in JSON is the text that it is written as.
/// An answer that says nothing there says none of the values; one that cannot be read there is not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlyWhere {
    pub says: Told,
    /// Calls whose answer says one of them are measured.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub one_of: BTreeSet<String>,
    /// Calls whose answer says one of them are not measured, all others are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub none_of: BTreeSet<String>,
}

impl OnlyWhere {
    /// Whether a call is measured whose answer says that.
    pub fn holds(&self, said: Option<&str>) -> bool {
        let is_in = |values: &BTreeSet<String>| said.is_some_and(|said| values.contains(said));
        if self.one_of.is_empty() { !is_in(&self.none_of) } else { is_in(&self.one_of) }
    }

    /// In words for partners.
    pub(super) fn sentence(&self) -> String {
        let (begin, values) = if self.one_of.is_empty() { ("Not", &self.none_of) } else { ("Only", &self.one_of) };
        // Partners do not see the header.
        let place = match &self.says {
            Told::Header { .. } => String::new(),
            Told::JsonField { pointer } => format!(" in {pointer}"),
        };
        let mut told: Vec<&str> = values.iter().map(String::as_str).take(MOST_TOLD).collect();
        let more = format!("one of {} more", values.len() - told.len());
        if values.len() > told.len() {
            told.push(&more);
        }
        let told = match told.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            one => one.concat(),
        };
        format!("{begin} where the API says {told}{place}.")
    }

    /// Each with its field below this one's.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.says.problem().map(|message| Problem::new("says".to_owned(), message)).into_iter().collect();
        if self.one_of.is_empty() == self.none_of.is_empty() {
            let message = "Say the values that it measures, or those that it does not, and not both";
            problems.push(Problem::new("one_of".to_owned(), message));
        }
        for (field, values) in [("one_of", &self.one_of), ("none_of", &self.none_of)] {
            if values.len() > MOST_VALUES {
                problems.push(Problem::new(field.to_owned(), "At most 100 values"));
            }
            let fits = |value: &String| {
                value.trim() == value
                    && (1..=LONGEST_VALUE).contains(&value.chars().count())
                    && !value.contains(|letter: char| letter == ',' || letter.is_control())
            };
            if !values.iter().all(fits) {
                let message = "A value is one line of 1 to 100 characters, without a comma, and does not begin or end with a space";
                problems.push(Problem::new(field.to_owned(), message));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(one_of: &[&str], none_of: &[&str]) -> OnlyWhere {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let says = Told::JsonField { pointer: "/card/brand".to_owned() };
        OnlyWhere { says, one_of: values(one_of), none_of: values(none_of) }
    }

    #[test]
    fn every_answer_is_of_one_side_and_silence_is_none_of_the_values() {
        let (these, others) = (only(&["amex", "visa"], &[]), only(&[], &["amex", "visa"]));
        for (said, is_one) in [(Some("amex"), true), (Some("Amex"), false), (Some(""), false), (None, false)] {
            assert_eq!((these.holds(said), others.holds(said)), (is_one, !is_one), "{said:?}");
        }
    }

    #[test]
    fn it_is_said_in_words() {
        assert_eq!(only(&["amex"], &[]).sentence(), "Only where the API says amex in /card/brand.");
        let three = ["amex", "jcb", "visa"];
        assert_eq!(only(&[], &three).sentence(), "Not where the API says amex, jcb or visa in /card/brand.");
        let says = Told::Header { name: "X-Zone".to_owned() };
        let twelve: Vec<String> = (10..22).map(|n| n.to_string()).collect();
        let twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
        assert_eq!(
            OnlyWhere { says, ..only(&twelve, &[]) }.sentence(),
            "Only where the API says 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 or one of 2 more."
        );
    }

    #[test]
    fn what_could_not_work_is_refused() {
        let wrong =
            |only: &OnlyWhere| -> Vec<String> { only.problems().into_iter().map(|problem| problem.field).collect() };
        let none: [&str; 0] = [];
        assert_eq!(wrong(&only(&["amex"], &[])), none);
        assert_eq!(wrong(&only(&[], &["American Express"])), none);
        assert_eq!(wrong(&only(&[], &[])), ["one_of"]);
        assert_eq!(wrong(&only(&["a"], &["b"])), ["one_of"]);
        assert_eq!(wrong(&only(&["a,b"], &[])), ["one_of"]);
        assert_eq!(wrong(&only(&["a\nb"], &[])), ["one_of"]);
        assert_eq!(wrong(&only(&[], &["", " a"])), ["none_of"]);
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(wrong(&only(&many, &[])), ["one_of"]);
        let says = Told::Header { name: "Content-Type".to_owned() };
        assert_eq!(wrong(&OnlyWhere { says, ..only(&["a"], &[]) }), ["says"]);
    }
}
