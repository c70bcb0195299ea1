//! What both sides are told about a dispute: that it is there, and how it ended.

use crate::{mail, state::Settings};
use store::{
    NewMail,
    disputes::{DisputeNews, DisputeState},
};

/// One for each member who may see invoices, and one for each operator who may answer.
pub fn letters(settings: &Settings, news: &DisputeNews) -> Vec<NewMail> {
    let dispute = &news.dispute;
    let (code, amount, line) = (dispute.invoice_code(), dispute.amount, &dispute.description);
    let about = format!("It is about {amount} of “{line}” on the invoice {code}.");
    let said = format!("What was said: “{}”", dispute.reason);
    // Less than all of it, where it was accepted in part.
    let part = dispute.credited.filter(|credited| credited.micros < amount.micros);
    let how = if part.is_some() { "accepted in part" } else { "accepted" };
    let answer = dispute.answer.as_ref().map(|answer| format!("The answer: “{answer}”"));
    let meanwhile = match dispute.holds_back {
        true => format!("While it is open, nothing follows if {amount} of the invoice is not paid."),
        false => "The line was disputed before: the invoice is still due while this one is open.".to_owned(),
    };
    let (to_members, to_operators, mut told) = match dispute.state {
        DisputeState::Open => (
            format!("Your dispute about invoice {code} was opened"),
            format!("{} disputes {amount} of invoice {code}", dispute.partner_name),
            vec![about, said, meanwhile],
        ),
        DisputeState::Accepted => (
            format!("Your dispute about invoice {code} was {how}"),
            format!("The dispute of {} about invoice {code} was {how}", dispute.partner_name),
            vec![
                about,
                match part {
                    Some(part) => format!("Of that, {part} was credited. The credit note stands with the invoice."),
                    None => "A credit note was issued over all of it. It stands with the invoice.".to_owned(),
                },
            ],
        ),
        DisputeState::Refused => (
            format!("Your dispute about invoice {code} was refused"),
            format!("The dispute of {} about invoice {code} was refused", dispute.partner_name),
            vec![about, "The invoice stands as it is.".to_owned()],
        ),
        DisputeState::Withdrawn => (
            format!("Your dispute about invoice {code} was withdrawn"),
            format!("{} withdrew its dispute about invoice {code}", dispute.partner_name),
            vec![about, "The invoice stands as it is.".to_owned()],
        ),
    };
    told.extend(answer);
    let of_members = "You get this mail because you may see your company's invoices.";
    let of_operators = "You get this mail because you are an administrator of this portal.";
    let own = format!("/disputes/{}", dispute.id);
    let console = format!("/console/disputes/{}", dispute.id);
    let member = news
        .members
        .iter()
        .map(|to| mail::dispute(settings, to, &to_members, told.clone(), (own.as_str(), of_members)));
    let operator = news
        .operators
        .iter()
        .map(|to| mail::dispute(settings, to, &to_operators, told.clone(), (console.as_str(), of_operators)));
    member.chain(operator).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        id::{DisputeId, InvoiceId, PartnerId},
        money::{Currency, Money},
    };
    use store::disputes::Dispute;
    use uuid::Uuid;

    #[test]
    fn each_side_reads_what_happened_and_is_led_to_its_own_page() {
        let dispute = Dispute {
            id: DisputeId(Uuid::from_u128(7)),
            partner: PartnerId(Uuid::from_u128(1)),
            partner_name: "Acme".to_owned(),
            invoice: InvoiceId(Uuid::from_u128(2)),
            invoice_number: 42,
            time_zone: "UTC".to_owned(),
            position: 1,
            description: "Create a payment".to_owned(),
            billed: Money::new(Currency::Eur, 99_000_000),
            amount: Money::new(Currency::Eur, 12_500_000),
            reason: "Counted twice".to_owned(),
            state: DisputeState::Refused,
            opened_at: jiff::Timestamp::UNIX_EPOCH,
            answer: Some("Each call was made".to_owned()),
            ended_at: Some(jiff::Timestamp::UNIX_EPOCH),
            credit_note: None,
            credited: None,
            drafted_by: None,
            drafted_answer: None,
            holds_back: true,
        };
        let news = |state| DisputeNews {
            dispute: Dispute { state, ..dispute.clone() },
            members: vec!["ada@example.com".to_owned()],
            operators: vec!["op@example.com".to_owned()],
        };
        let settings = crate::mail::tests::settings();
        let refused = letters(&settings, &news(DisputeState::Refused));
        assert_eq!(refused.len(), 2);
        assert!(refused[0].subject.contains("TP-000042") && refused[0].subject.contains("refused"));
        assert!(refused[0].body_text.contains("Each call was made") && refused[0].body_text.contains("12.50"));
        let id = dispute.id;
        assert!(refused[0].body_text.contains(&format!("https://developers.example/disputes/{id}")));
        assert!(refused[1].body_text.contains(&format!("https://developers.example/console/disputes/{id}")));
        assert!(letters(&settings, &news(DisputeState::Open))[1].subject.starts_with("Acme disputes"));
        assert!(letters(&settings, &news(DisputeState::Accepted))[0].body_text.contains("over all of it"));
        let mut in_part = news(DisputeState::Accepted);
        in_part.dispute.credited = Some(Money::new(Currency::Eur, 4_000_000));
        for letter in letters(&settings, &in_part) {
            assert!(letter.subject.ends_with("accepted in part"), "{}", letter.subject);
            assert!(letter.body_text.contains("4.00") && letter.body_text.contains("12.50"), "{}", letter.body_text);
        }
    }
}
