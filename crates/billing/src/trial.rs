//! Trials that end: who decides about the plan hears it three days before, and what it costs from then on.

use crate::change::{Letters, News, recipients};
use domain::{period::zone, plan::PlanTerms, rating::PlanPeriod};
use jiff::{Timestamp, tz::TimeZone};
use store::{NewMail, Store, StoreError};

/// Tells of every trial whose end is near and was not told yet; gives how many.
pub async fn tell_of_ending_trials(store: &Store, letters: Letters<'_>, now: Timestamp) -> Result<u32, StoreError> {
    let mut told = 0;
    for trial in store.all_partners_ending_trials(now).await? {
        let news = News::TrialEnds {
            plan: trial.plan_name,
            at: trial.ends_at,
            then: then(&trial.terms, trial.ends_at, &trial.time_zone),
            is_left: trial.is_left,
        };
        let hear = recipients(store, trial.partner).await?;
        let mails: Vec<NewMail> = hear.iter().map(|to| letters(to, &news)).collect();
        if store.tell_of_trial(trial.partner, trial.subscription, &mails, now).await? {
            tracing::info!(partner = %trial.partner, subscription = %trial.subscription, "told of a trial's end");
            told += 1;
        }
    }
    Ok(told)
}

/// `$49.00 a month, and usage as your plan's page says`.
fn then(terms: &PlanTerms, ends_at: Timestamp, time_zone: &str) -> String {
    let day = zone(time_zone).unwrap_or(TimeZone::UTC).to_datetime(ends_at).date();
    let list = terms.base_fee();
    let terms = &terms.in_force(PlanPeriod::first(day));
    let costs = terms.price.free_units() != u64::MAX || !terms.meters.is_empty();
    let usage = if costs { ", and usage as your plan's page says" } else { "" };
    let fee = terms.base_fee();
    let later = if fee == list { String::new() } else { format!(", later {list}") };
    match fee.micros {
        0 => format!("no base fee{later}{usage}"),
        _ => format!("{fee} a {}{later}{usage}", terms.interval.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_trial_is_told_with_the_offer_that_is_on_by_then() {
        let text = r#"{"currency":"USD","products":[],"base_fee_micros":99000000,
            "promotions":[{"name":"Launch","until":"2027-03-31","instead":{"base_fee_micros":49000000}}]}"#;
        let terms: PlanTerms = serde_json::from_str(text).expect("terms");
        let told = |at: &str| then(&terms, at.parse().expect("an instant"), "Pacific/Auckland");
        assert_eq!(told("2027-03-31T10:59:00Z"), "$49.00 a month, later $99.00");
        assert_eq!(told("2027-03-31T11:00:00Z"), "$99.00 a month");
    }
}
