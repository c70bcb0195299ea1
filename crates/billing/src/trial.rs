//! Trials that end: who decides about the plan hears it three days before, and what it costs from then on.

use crate::change::{Letters, News, recipients};
use domain::plan::PlanTerms;
use jiff::Timestamp;
use store::{NewMail, Store, StoreError};

/// Tells of every trial whose end is near and was not told yet; gives how many.
pub async fn tell_of_ending_trials(store: &Store, letters: Letters<'_>, now: Timestamp) -> Result<u32, StoreError> {
    let mut told = 0;
    for trial in store.all_partners_ending_trials(now).await? {
        let news = News::TrialEnds {
            plan: trial.plan_name,
            at: trial.ends_at,
            then: then(&trial.terms),
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

/// `$49.00 a month, and usage as on the pricing page`.
fn then(terms: &PlanTerms) -> String {
    let costs = terms.price.free_units() != u64::MAX || !terms.meters.is_empty();
    let usage = if costs { ", and usage as your plan's page says" } else { "" };
    match terms.base_fee_micros {
        0 => format!("no base fee{usage}"),
        _ => format!("{} a {}{usage}", terms.base_fee(), terms.interval.word()),
    }
}
