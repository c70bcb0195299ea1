//! What a change of plan tells those who decide about it.

use crate::{
    mail,
    pages::time_text::{local_zone, moment},
    state::Settings,
};
use billing::{News, Recipient};
use store::{NewMail, OrderedBy};

/// The letter about that news.
pub fn letter(settings: &Settings, to: &Recipient, news: &News) -> NewMail {
    let zone = local_zone(&to.time_zone);
    let none = || "no plan".to_owned();
    let keys = "Without a plan, calls with your keys are refused with 403. Keys, apps, invoices and people stay, and work again \
                with the next plan.";
    let back = |by: OrderedBy| match by {
        OrderedBy::Partner => "The change can be taken back on the page of your plan.".to_owned(),
        OrderedBy::Operator => format!("It was planned by {}.", settings.provider_name),
    };
    let (subject, mut paragraphs) = match news {
        News::Changed { from, to: Some(to), at } => (
            format!("Your plan is {to}"),
            vec![match from {
                Some(from) => format!("Since {}, your plan is {to}. Before, it was {from}.", moment(*at, &zone)),
                None => format!("Since {}, your plan is {to}.", moment(*at, &zone)),
            }],
        ),
        News::Changed { from, to: None, at } => (
            "Your plan has ended".to_owned(),
            vec![format!("{} ended on {}.", from.clone().unwrap_or_else(none), moment(*at, &zone)), keys.to_owned()],
        ),
        News::Scheduled { from, to: Some(to), at, by } => (
            format!("Your plan becomes {to} on {}", moment(*at, &zone)),
            vec![format!(
                "On {} your plan changes from {from} to {to}. Until then limits and price are those of {from}. {}",
                moment(*at, &zone),
                back(*by)
            )],
        ),
        News::Scheduled { from, to: None, at, by } => (
            format!("{from} ends on {}", moment(*at, &zone)),
            vec![
                format!("{from} ends on {}. Until then nothing changes. {}", moment(*at, &zone), back(*by)),
                keys.to_owned(),
            ],
        ),
        News::Kept { plan } => (
            format!("Your plan stays {plan}"),
            vec![format!("The planned change was taken back. Your plan stays {plan}.")],
        ),
        News::TrialEnds { plan, at, then, is_left } => (
            format!("Your trial of {plan} ends on {}", moment(*at, &zone)),
            vec![
                format!("Your trial of {plan} ends on {}.", moment(*at, &zone)),
                match is_left {
                    true => {
                        "The plan ends or changes by then, as planned, so nothing of it is charged after the trial."
                            .to_owned()
                    }
                    false => format!(
                        "From then on its normal terms are in force: {then}. Keys and apps go on without a break. \
                         If you would rather have another plan or none, change or cancel it before then."
                    ),
                },
            ],
        ),
        News::Moved { from, to, at, why } => (
            format!("Your plan becomes {to} on {}", moment(*at, &zone)),
            [
                Some(format!(
                    "{} moves its partners from {from} to {to}. Your plan changes on {}; until then limits and price stay as they are.",
                    settings.provider_name,
                    moment(*at, &zone)
                )),
                Some(why.clone()).filter(|why| !why.is_empty()),
                Some("If you would rather have another plan or none, choose it or cancel on the page of your plan before then.".to_owned()),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ),
        News::Failed { from, to, problem } => (
            format!("Your plan stays {from}"),
            vec![format!(
                "The planned change from {from} to {} could not be made: {problem}. Your plan stays {from}; {} has been told.",
                to.clone().unwrap_or_else(none),
                settings.provider_name
            )],
        ),
    };
    if !to.name.is_empty() {
        paragraphs.insert(0, format!("Hello {},", to.name));
    }
    mail::notice(settings, &to.email, subject, paragraphs, ("See your plan", "/plan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_end_says_when_by_the_reader_s_clock_and_what_happens_to_keys() {
        let settings = crate::mail::tests::settings();
        let to = Recipient {
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            time_zone: "Pacific/Auckland".to_owned(),
        };
        let at = "2026-04-30T12:00:00Z".parse().expect("a timestamp");
        let ends = |by| News::Scheduled { from: "Pro".to_owned(), to: None, at, by };
        let mail = letter(&settings, &to, &ends(OrderedBy::Operator));
        assert!(!mail.body_text.contains("taken back"), "it is not theirs: {}", mail.body_text);
        let mail = letter(&settings, &to, &ends(OrderedBy::Partner));
        assert_eq!(mail.subject, "Pro ends on 1 May 2026, 00:00 NZST");
        assert!(mail.body_text.contains("refused with 403") && mail.body_text.contains("/plan"), "{}", mail.body_text);
    }
}
