//! What a partner is told of a payment on a page of Stripe's: that a plan began with it, or that it goes back.

use crate::{
    mail,
    pages::time_text::{local_zone, moment},
    state::Settings,
};
use billing::{Recipient, payment::PaymentNews};
use store::{NewMail, payment_methods::CheckoutFor};

/// The letter about that news.
pub fn letter(settings: &Settings, to: &Recipient, news: &PaymentNews) -> NewMail {
    let (subject, mut paragraphs, label, path) = match news {
        PaymentNews::PlanBegun { plan, cost, invoice, at } => (
            format!("Your plan is {plan}"),
            vec![
                format!(
                    "Your payment of {cost} is there. Since {}, your plan is {plan}.",
                    moment(*at, &local_zone(&to.time_zone))
                ),
                "The invoice of its first fee is paid. Stripe keeps what you paid with for the periods to come."
                    .to_owned(),
            ],
            "See the invoice",
            format!("/invoices/{invoice}"),
        ),
        PaymentNews::GoesBack { paid_for, cost, why } => {
            let (what, label, path) = match paid_for {
                CheckoutFor::Plan { name, .. } => (format!("the first fee of {name}"), "See your plan", "/plan"),
                CheckoutFor::Units | CheckoutFor::Method => ("prepaid units".to_owned(), "See your credit", "/credit"),
            };
            let paragraphs = vec![
                format!("You paid {cost} for {what} on a page of Stripe's. {why}, so nothing came of it, and nothing is owed for it."),
                "Stripe pays all of it back to what you paid with, which takes some days as a rule. There is nothing to do for you."
                    .to_owned(),
            ];
            (format!("Your payment of {cost} goes back to you"), paragraphs, label, path.to_owned())
        }
    };
    if !to.name.is_empty() {
        paragraphs.insert(0, format!("Hello {},", to.name));
    }
    mail::paid(settings, &to.email, subject, paragraphs, (label, &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::{Currency, Money};

    #[test]
    fn each_letter_names_the_sum_and_what_became_of_it() {
        let settings = crate::mail::tests::settings();
        let to = Recipient {
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            time_zone: "Pacific/Auckland".to_owned(),
        };
        let cost = Money::new(Currency::Usd, 49_000_000);
        let at = "2026-04-30T12:00:00Z".parse().expect("a timestamp");
        let invoice = domain::id::InvoiceId(uuid::Uuid::nil());
        let mail = letter(&settings, &to, &PaymentNews::PlanBegun { plan: "Pro".to_owned(), cost, invoice, at });
        assert_eq!((mail.recipient.as_str(), mail.subject.as_str()), ("ada@example.com", "Your plan is Pro"));
        for part in ["Hello Ada,", "$49.00 is there", "1 May 2026, 00:00 NZST", "https://developers.example/invoices/"]
        {
            assert!(mail.body_text.contains(part), "{part}: {}", mail.body_text);
        }
        for (paid_for, what, page) in [
            (CheckoutFor::Plan { code: "pro".to_owned(), name: "Pro".to_owned() }, "the first fee of Pro", "/plan"),
            (CheckoutFor::Units, "prepaid units", "/credit"),
        ] {
            let why = "Another page was paid before".to_owned();
            let mail = letter(&settings, &to, &PaymentNews::GoesBack { paid_for, cost, why });
            assert_eq!(mail.subject, "Your payment of $49.00 goes back to you");
            for part in [what, "Another page was paid before, so nothing came of it", page] {
                assert!(mail.body_text.contains(part), "{part}: {}", mail.body_text);
            }
        }
    }
}
