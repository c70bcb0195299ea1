//! What a reader of PDF that is not ours finds on the paper.

use super::*;
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
    plan::Collect,
};
use lopdf::Document;
use store::invoices::CountingNote;
use uuid::Uuid;

fn settings() -> Settings {
    Settings {
        provider_name: "Żabka Financial Infrastructure and Payments Aktiengesellschaft of Łódź".to_owned(),
        provider_address: "1 Example Street; 1010 Auckland; New Zealand; GST 12-345-678".to_owned(),
        portal_url: String::new(),
        gateway_url: String::new(),
        gateway_address: String::new(),
        development: false,
        mail_is_sent: false,
        stripe_is_on: false,
        invoice_sink: app::state::InvoiceSink::default(),
        four_eyes: false,
        hooks_may_be_private: false,
    }
}

fn line(position: i32, kind: LineKind, description: &str, quantity: i64, amount: Money) -> InvoiceLine {
    let product = (kind == LineKind::Usage || kind == LineKind::Adjustment).then(|| domain::id::ProductId(Uuid::nil()));
    InvoiceLine {
        position,
        kind,
        product,
        operation: None,
        product_code: None,
        operation_code: None,
        description: description.to_owned(),
        quantity,
        free: 0,
        prepaid: 0,
        meter: None,
        amount,
    }
}

fn invoice(currency: Currency, lines: &[InvoiceLine]) -> Invoice {
    let period = Period {
        start: "2026-10-31T11:00:00Z".parse().expect("an instant"),
        end: "2026-11-30T11:00:00Z".parse().expect("an instant"),
    };
    Invoice {
        id: InvoiceId(Uuid::nil()),
        partner: PartnerId(Uuid::nil()),
        partner_name: "Ωμέγα Πληρωμές & Щука Payments of the Southern Hemisphere Limited Partnership".to_owned(),
        number: 42,
        subscription: SubscriptionId(Uuid::nil()),
        plan_version: PlanVersionId(Uuid::nil()),
        plan_name: "Growth".to_owned(),
        period,
        time_zone: "Pacific/Auckland".to_owned(),
        total: Money::new(currency, lines.iter().map(|line| line.amount.micros).sum()),
        status: InvoiceStatus::Open,
        collect: Collect::InvoiceItems,
        collected_by: None,
        push_problem: None,
        counting: vec![CountingNote {
            product: "Payments".to_owned(),
            rule: "Calls count that were answered.".to_owned(),
        }],
        is_final: false,
        stands_alone: false,
        threshold_number: 0,
        due_at: None,
        pay_url: None,
        failed_payments: 0,
        next_payment_at: None,
        dispute_reason: None,
        created_at: period.end,
    }
}

/// The pages as text.
fn pages(invoice: &Invoice, lines: &[InvoiceLine]) -> Vec<String> {
    let bytes = write(&settings(), invoice, lines).expect("a paper");
    let document = Document::load_mem(&bytes).expect("a readable file");
    document.get_pages().keys().map(|page| document.extract_text(&[*page]).expect("text")).collect()
}

/// `−$1,234.50` in minor units.
fn minor(text: &str) -> Option<i64> {
    let amount = text.trim_start_matches('−').strip_prefix(['$', '¥'])?.replace([',', '.'], "");
    let amount: i64 = amount.parse().ok()?;
    Some(if text.starts_with('−') { -amount } else { amount })
}

#[test]
fn a_threshold_invoice_is_called_one_and_says_what_that_is() {
    let lines = [line(0, LineKind::BilledBefore, "Billed already", 1, Money::new(Currency::Usd, -10_000_000))];
    let plain = invoice(Currency::Usd, &lines);
    let cut = Invoice { threshold_number: 1, ..plain.clone() };
    let (plain, cut) = (pages(&plain, &lines).concat(), pages(&cut, &lines).concat());
    assert!(!plain.contains("Threshold"), "{plain}");
    assert!(cut.contains("Threshold invoice") && cut.contains("Made within the billing period"), "{cut}");
}

#[test]
fn four_hundred_lines_go_on_with_their_head_and_add_up_to_the_total() {
    let lines: Vec<InvoiceLine> = (0..400_i32)
        .map(|number| {
            let cents = i64::from(number) * 137 - 20_000;
            let kind = if cents < 0 { LineKind::Adjustment } else { LineKind::Usage };
            let description = format!("Payments, POST /v1/accounts/{{account}}/operation-{number}");
            line(number, kind, &description, cents, Money::new(Currency::Usd, cents * 10_000))
        })
        .collect();
    let invoice = invoice(Currency::Usd, &lines);
    let pages = pages(&invoice, &lines);
    assert!(pages.len() > 5, "{}", pages.len());
    for (place, page) in pages.iter().enumerate() {
        assert!(page.contains("Of those free") && page.contains("Amount"), "page {place} has no head");
        assert!(page.contains(&format!("Page {} of {}", place + 1, pages.len())));
    }
    let amounts: Vec<i64> = pages.iter().flat_map(|page| page.lines()).filter_map(|line| minor(line.trim())).collect();
    let (total, amounts) = amounts.split_last().expect("a total");
    let expected: Vec<i64> = lines.iter().filter_map(|line| line.amount.minor_units()).collect();
    assert_eq!(amounts, expected);
    assert_eq!(Some(*total), invoice.total.minor_units());
    assert_eq!(amounts.iter().sum::<i64>(), *total);
}

#[test]
fn one_line_of_a_currency_without_decimals_has_names_address_and_local_days() {
    let lines = [line(0, LineKind::BaseFee, "Base fee", 1, Money::new(Currency::Jpy, 1_234_000_000))];
    let pages = pages(&invoice(Currency::Jpy, &lines), &lines);
    let text = pages.concat().replace('\n', " ");
    assert_eq!(pages.len(), 1);
    for part in
        ["TP-000042", "Łódź", "GST 12-345-678", "Ωμέγα", "Щука", "¥1,234", "1 Nov to 30 Nov 2026", "1 Dec 2026", "JPY"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}
