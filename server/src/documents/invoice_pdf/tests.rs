//! What a reader of PDF that is not ours finds on the paper.

use super::*;
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
    plan::Collect,
};
use lopdf::Document;
use store::{LineTeam, invoices::CountingNote};
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
        has_stripe_account: false,
        invoice_sink: app::state::InvoiceSink::default(),
        four_eyes: false,
        closing_grace: jiff::SignedDuration::from_mins(11),
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
        teams: Vec::new(),
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
        tax: None,
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
fn tax_of_stripes_stands_below_our_total() {
    let lines = [line(0, LineKind::BaseFee, "Base fee", 1, Money::new(Currency::Usd, 100_000_000))];
    let plain = invoice(Currency::Usd, &lines);
    let taxed = Invoice { tax: Some(Money::new(Currency::Usd, 15_000_000)), ..plain.clone() };
    let (plain, taxed) = (pages(&plain, &lines).concat(), pages(&taxed, &lines).concat());
    assert!(!plain.to_lowercase().contains("tax"), "{plain}");
    let amounts: Vec<i64> = taxed.lines().filter_map(|line| minor(line.trim())).collect();
    assert_eq!(amounts, [10_000, 10_000, 1_500, 11_500]);
    assert!(taxed.contains("Tax (by Stripe)") && taxed.contains("Total with tax"), "{taxed}");
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

#[test]
fn what_teams_have_is_a_page_of_its_own_and_adds_up_to_the_usage() {
    let part = |team: Option<u128>, name: &str, quantity: i64, cents: i64| LineTeam {
        team: team.map(|id| domain::id::TeamId(Uuid::from_u128(id))),
        name: name.to_owned(),
        quantity,
        free: 0,
        prepaid: 0,
        amount: Money::new(Currency::Usd, cents * 10_000),
    };
    let usage = |position, description, teams: Vec<LineTeam>| {
        let quantity = teams.iter().map(|part| part.quantity).sum();
        let amount = Money::new(Currency::Usd, teams.iter().map(|part| part.amount.micros).sum());
        InvoiceLine { teams, ..line(position, LineKind::Usage, description, quantity, amount) }
    };
    let fee = line(0, LineKind::BaseFee, "Base fee", 1, Money::new(Currency::Usd, 49_000_000));
    let plain = [fee.clone(), line(1, LineKind::Usage, "Payments, POST /create", 3, Money::new(Currency::Usd, 30_000))];
    assert_eq!(pages(&invoice(Currency::Usd, &plain), &plain).len(), 1, "no page of teams where there are none");
    let lines = [
        fee,
        usage(1, "Payments, POST /create", vec![part(Some(1), "Łódź", 60, 601), part(None, "", 40, 399)]),
        usage(2, "Payments, POST /read", vec![part(Some(1), "Łódź", 1, 10), part(Some(2), "Blue", 2, 20)]),
    ];
    let pages = pages(&invoice(Currency::Usd, &lines), &lines);
    assert_eq!(pages.len(), 2);
    assert!(!pages[0].contains("By team"), "{}", pages[0]);
    assert!(
        ["By team", "Łódź", "Blue", "No team", "All teams"].iter().all(|part| pages[1].contains(part)),
        "{}",
        pages[1]
    );
    let amounts: Vec<i64> = pages[1].lines().filter_map(|line| minor(line.trim())).collect();
    // Blue and its line, the other team and its two, no team and its line, all of them.
    assert_eq!(amounts, [20, 20, 611, 601, 10, 399, 399, 1_030]);
}
