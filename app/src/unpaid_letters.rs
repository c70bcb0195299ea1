//! What a partner is told before each stage of an unpaid invoice.

use crate::{
    mail,
    pages::time_text::{local_date, local_zone, moment},
    state::Settings,
};
use domain::dunning::{Next, Stage};
use store::{DunningStep, NewMail};

/// The letters that belong to the step, one for each who may see money; a step that nobody is told of has none.
pub fn letters(settings: &Settings, step: &DunningStep) -> Vec<NewMail> {
    let Next::Tell(stage, at) = step.next else { return Vec::new() };
    let Some(invoice) = &step.invoice else { return Vec::new() };
    let zone = local_zone(&invoice.time_zone);
    let owed = match invoice.is_taxed {
        true => format!("{} and the tax on it", invoice.owed),
        false => invoice.owed.to_string(),
    };
    let (code, due, when) = (invoice.code(), local_date(invoice.due_at, &zone), moment(at, &zone));
    let pay = "Once it is paid everything is as before, within a second.";
    let (subject, paragraphs) = match stage {
        Stage::Good => return Vec::new(),
        Stage::Grace => (
            format!("Invoice {code} is due on {due}"),
            vec![format!("{owed} of the invoice {code} is to be paid by {due}. Please pay it by then.")],
        ),
        Stage::Limited => (
            format!("Invoice {code} is overdue: your limits are lowered on {when}"),
            vec![
                format!("{owed} of the invoice {code} was due on {due} and is not paid."),
                format!("From {when} on, your calls are limited to {}. {pay}", step.lowered),
            ],
        ),
        Stage::Suspended => (
            format!("Invoice {code} is overdue: your calls are refused from {when} on"),
            vec![
                format!("{owed} of the invoice {code} was due on {due} and is not paid."),
                format!("From {when} on, all calls with your keys are refused with 402. {pay}"),
            ],
        ),
    };
    step.recipients
        .iter()
        .map(|to| mail::unpaid(settings, to, subject.clone(), paragraphs.clone(), invoice.id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        id::{InvoiceId, PartnerId},
        money::{Currency, Money},
    };
    use store::UnpaidInvoice;
    use uuid::Uuid;

    #[test]
    fn a_letter_names_the_invoice_what_happens_and_when_and_leads_to_it() {
        let at = "2026-05-14T12:00:00Z".parse().expect("a timestamp");
        let id = InvoiceId(Uuid::from_u128(7));
        let invoice = UnpaidInvoice {
            id,
            number: 42,
            owed: Money::new(Currency::Eur, 99_000_000),
            is_taxed: true,
            due_at: "2026-04-30T12:00:00Z".parse().expect("a timestamp"),
            pay_url: None,
            time_zone: "Pacific/Auckland".to_owned(),
        };
        let step = |stage| DunningStep {
            partner: PartnerId(Uuid::from_u128(1)),
            next: Next::Tell(stage, at),
            invoice: Some(invoice.clone()),
            lowered: "60 calls a minute".to_owned(),
            recipients: vec!["ada@example.com".to_owned(), "bob@example.com".to_owned()],
        };
        let settings = crate::mail::tests::settings();
        let limited = letters(&settings, &step(Stage::Limited));
        assert_eq!(limited.len(), 2);
        let text = &limited[0].body_text;
        assert!(
            text.contains("€99.00 and the tax on it of the invoice TP-000042")
                && text.contains("60 calls a minute")
                && text.contains("15 May 2026"),
            "{text}"
        );
        assert!(text.contains(&format!("https://developers.example/invoices/{id}")), "{text}");
        assert!(letters(&settings, &step(Stage::Suspended))[0].subject.contains("refused"));
        assert!(letters(&settings, &step(Stage::Grace))[0].subject.contains("1 May 2026"));
        assert!(
            letters(&settings, &DunningStep { next: Next::Enter(Stage::Limited), ..step(Stage::Grace) }).is_empty()
        );
    }
}
