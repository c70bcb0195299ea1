//! The data that the API starts with: the same each time.

use crate::state::{Customer, Payment, PaymentStatus, Refund, Shelf, State};

const CUSTOMERS: [(&str, &str, &str); 6] = [
    ("Ada Lovelace", "ada@example.com", "GB"),
    ("Grace Hopper", "grace@example.com", "US"),
    ("Katherine Johnson", "katherine@example.com", "US"),
    ("Konrad Zuse", "konrad@example.com", "DE"),
    ("Radia Perlman", "radia@example.com", "US"),
    ("Sophie Wilson", "sophie@example.com", "GB"),
];

const GOODS: [&str; 5] = ["Annual plan", "Team seats", "Conference ticket", "Hardware kit", "Support hours"];

/// Six customers, forty payments in all states, four refunds.
pub fn seed() -> State {
    let mut customers = Shelf::new("cus");
    for (index, (name, email, country)) in CUSTOMERS.iter().enumerate() {
        customers.add(|id| Customer {
            id,
            name: (*name).to_owned(),
            email: (*email).to_owned(),
            country: (*country).to_owned(),
            created_at: format!("2026-01-{:02}T08:00:00Z", index + 2),
        });
    }
    let mut payments = Shelf::new("pay");
    let mut refunds = Shelf::new("re");
    for index in 0..40_usize {
        let status = match index % 10 {
            3 => PaymentStatus::RequiresCapture,
            7 => PaymentStatus::Canceled,
            9 => PaymentStatus::Refunded,
            _ => PaymentStatus::Succeeded,
        };
        let at = |hour: usize| format!("2026-02-{:02}T{hour:02}:{:02}:00Z", 1 + index / 2, (index * 7) % 60);
        // Prices that look like prices: from 12.90 up, in steps that do not repeat soon.
        let amount = 1_290 + i64::try_from(index * index % 97).unwrap_or(0) * 250;
        let currency = if index % 3 == 0 { "USD" } else { "EUR" };
        let refunded = status == PaymentStatus::Refunded;
        let captured = matches!(status, PaymentStatus::Succeeded | PaymentStatus::Refunded);
        let goods = GOODS.get(index % GOODS.len()).copied().unwrap_or_default();
        let payment = payments.add(|id| Payment {
            id,
            status,
            amount,
            amount_refunded: if refunded { amount } else { 0 },
            currency: currency.to_owned(),
            customer: Some(format!("cus_{:06}", index % CUSTOMERS.len() + 1)),
            reference: Some(format!("INV-{}", 1_001 + index)),
            description: Some(goods.to_owned()),
            created_at: at(9),
            captured_at: captured.then(|| at(9)),
            canceled_at: (status == PaymentStatus::Canceled).then(|| at(11)),
        });
        if refunded {
            refunds.add(|id| Refund {
                id,
                payment: payment.id.clone(),
                amount,
                currency: currency.to_owned(),
                reason: Some("requested_by_customer".to_owned()),
                status: "succeeded",
                created_at: at(15),
            });
        }
    }
    State { payments, refunds, customers }
}
