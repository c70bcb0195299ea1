//! Invoices over REST: CSV, JSON and PDF say what is stored, and many of them come as one file.

use crate::test_app::TestApp;
use domain::{
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
    period::Period,
    plan::{Approval, Collect, PlanTerms},
    rating::LineKind,
    scope::Scope,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::io::{Cursor, Read as _};
use store::{
    Actor, BilledAlready, Closed, Collection, NewInvoice, NewInvoiceLine, NewPlan, PlanMeta, test_db::world::World,
};

fn began() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("an instant")
}

/// A line for which no usage is needed.
pub fn line(kind: LineKind, description: &str, quantity: i64, cents: i64) -> NewInvoiceLine {
    NewInvoiceLine {
        kind,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: description.to_owned(),
        quantity,
        free: 0,
        prepaid: 0,
        amount: Money::new(Currency::Usd, cents * 10_000),
        teams: Vec::new(),
    }
}

/// A fee, something measured, a discount and something taken back.
pub fn some_lines() -> Vec<NewInvoiceLine> {
    vec![
        line(LineKind::BaseFee, "Base fee", 1, 9_900),
        line(LineKind::Meter, "Tokens, \"large\" model", 1_234_567, 123_456),
        line(LineKind::Discount, "Discount of 10 %", 1, -13_336),
        line(LineKind::Adjustment, "Corrected usage of 2026-05-01 to 2026-06-01: =payments", -250, -1_250),
    ]
}

/// A subscription of the partner's to a plan of its own; the periods of 30 days since [`began`] are closed with these lines.
pub async fn billed(app: &TestApp, partner: PartnerId, code: &str, all: Vec<Vec<NewInvoiceLine>>) -> Vec<InvoiceId> {
    let terms = json!({ "currency": "USD", "products": [], "admission": { "credit": { "required": true } } });
    let terms: PlanTerms = serde_json::from_value(terms).expect("terms");
    let meta = PlanMeta {
        name: "Growth".to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    };
    let new = NewPlan { code: code.to_owned(), meta, terms };
    let plan = app.store.create_plan(&new, Actor::System, began()).await.expect("a plan");
    let version = app.store.plan(plan).await.expect("a plan").versions[0].id;
    app.store.assign_plan_version(partner, version, Actor::System, began()).await.expect("a subscription");
    let subscription = app.store.open_subscription(partner).await.expect("an answer").expect("a subscription").id;
    let mut ids = Vec::new();
    let month = SignedDuration::from_hours(30 * 24);
    let mut start = began();
    for lines in all {
        let period = Period { start, end: start + month };
        let total = Money::new(Currency::Usd, lines.iter().map(|line| line.amount.micros).sum());
        let collect = Collect::InvoiceItems;
        let invoice = NewInvoice {
            plan_version: version,
            time_zone: "Pacific/Auckland".to_owned(),
            collect,
            total,
            lines,
            late: Vec::new(),
            in_advance: false,
            threshold_number: 0,
            billed_before: BilledAlready::default(),
            given_back: Vec::new(),
            overdrawn: Vec::new(),
            coupons: None,
        };
        let mark = app.store.outside_mark(partner).await.expect("a mark");
        let closed =
            app.store.close_billing_period(partner, subscription, period, (Some(invoice), mark), period.end).await;
        let Ok(Closed::Invoiced(id)) = closed else { panic!("{closed:?}") };
        ids.push(id);
        start = period.end;
    }
    ids
}

fn rows(text: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().expect("a heading").clone();
    let row = |row: csv::StringRecord| {
        heading.iter().zip(&row).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|record| row(record.expect("a row"))).collect()
}

fn cell<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    row.iter()
        .find(|(column, _)| column == name)
        .map(|(_, cell)| cell.as_str())
        .unwrap_or_else(|| panic!("no column {name}"))
}

/// `-12.50` as cents, by digits alone.
fn cents(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or_else(|_| panic!("{text} is no amount"))
}

#[tokio::test]
async fn csv_json_and_pdf_say_what_is_stored() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let id = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let token = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let (invoice, stored) = app.store.invoice(world.partner, id).await.expect("an invoice");
    let expected: Vec<(String, i64, i64)> = stored
        .iter()
        .map(|line| (line.kind.code().to_owned(), line.quantity, line.amount.minor_units().expect("whole cents")))
        .collect();

    let json = app.get(&token, &format!("/api/invoices/{id}")).await.json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let told: Vec<_> = json["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            (text(&line["kind"]), line["quantity"].as_i64().expect("a number"), cents(&text(&line["amount"]["amount"])))
        })
        .collect();
    assert_eq!(told, expected);
    assert_eq!(cents(&text(&json["total"]["amount"])), invoice.total.minor_units().expect("whole cents"));
    assert_eq!(json["code"], "TP-000001");

    let answer = app.get(&token, &format!("/api/invoices/{id}?format=csv")).await;
    let told: Vec<_> = rows(&answer.text)
        .iter()
        .map(|row| {
            (cell(row, "kind").to_owned(), cell(row, "quantity").parse().expect("a number"), cents(cell(row, "amount")))
        })
        .collect();
    assert_eq!(told, expected);
    // Midnight in UTC, as the partner's clock has it.
    assert_eq!(cell(&rows(&answer.text)[0], "period_start"), "2026-06-01T12:00:00+12:00");

    let answer = app.get(&token, &format!("/api/invoices/{id}?format=pdf")).await;
    assert_eq!(answer.headers["content-type"], "application/pdf");
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"TP-000001.pdf\"");
    let document = lopdf::Document::load_mem(&answer.bytes).expect("a PDF");
    let paper = document.extract_text(&[1]).expect("text");
    let amounts: Vec<i64> = paper
        .lines()
        .filter_map(|line| {
            let (sign, amount) = line.trim().strip_prefix('−').map_or((1, line.trim()), |rest| (-1, rest));
            Some(sign * amount.strip_prefix('$')?.replace([',', '.'], "").parse::<i64>().ok()?)
        })
        .collect();
    let mut wanted: Vec<i64> = expected.iter().map(|(_, _, cents)| *cents).collect();
    wanted.push(invoice.total.minor_units().expect("whole cents"));
    assert_eq!(amounts, wanted);
    assert!(paper.contains("1,234,567") && paper.contains("−250"), "{paper}");
}

#[tokio::test]
async fn many_come_as_one_file_of_ones_own_or_for_the_provider_of_all() {
    let app = TestApp::start().await;
    let (acme, bolt) = (World::named(&app.store, "acme").await, World::named(&app.store, "bolt").await);
    billed(&app, acme.partner, "growth", vec![some_lines(), some_lines(), some_lines()]).await;
    billed(&app, bolt.partner, "other", vec![some_lines()]).await;
    let own = app.token(Some(acme.partner), &[Scope::InvoicesRead]).await;
    let provider = app.token(None, &[Scope::InvoicesRead]).await;
    // The first of acme's was made on 1 July.
    let range = "from=2026-07-02T00:00:00Z&to=2026-12-01T00:00:00Z";
    let count = |text: &str, name: &str| rows(text).iter().filter(|row| cell(row, "partner_name") == name).count();
    let csv = app.get(&own, &format!("/api/invoices/export?{range}&format=csv")).await.text;
    assert_eq!((count(&csv, "acme"), count(&csv, "bolt")), (8, 0));
    let whole = "from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z";
    let all = app.get(&provider, &format!("/api/invoices/export?{whole}&format=csv")).await.text;
    assert_eq!((count(&all, "acme"), count(&all, "bolt")), (12, 4));
    let named = app.get(&provider, &format!("/api/invoices/export?{whole}&format=csv&partner={}", bolt.partner)).await;
    assert_eq!((count(&named.text, "acme"), count(&named.text, "bolt")), (0, 4));

    let lines = app.get(&provider, &format!("/api/invoices/export?{whole}&format=jsonl")).await.text;
    let parsed: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sum: i64 = parsed.iter().map(|line| cents(line["amount"].as_str().expect("a text"))).sum();
    let in_csv: i64 = rows(&all).iter().map(|row| cents(cell(row, "amount"))).sum();
    let one: i64 = some_lines().iter().map(|line| line.amount.micros / 10_000).sum();
    assert_eq!((parsed.len(), sum, in_csv), (16, 4 * one, 4 * one));

    let zip = app.get(&own, &format!("/api/invoices/export?{whole}&format=zip")).await;
    let mut zip = zip::ZipArchive::new(Cursor::new(zip.bytes)).expect("a ZIP");
    let names: Vec<String> = zip.file_names().map(|name| name.expect("a name").into_owned()).collect();
    assert_eq!(names, ["TP-000001.pdf", "TP-000002.pdf", "TP-000003.pdf", "invoice-lines.csv"]);
    let mut text = String::new();
    zip.by_name("invoice-lines.csv").expect("a file").read_to_string(&mut text).expect("a text");
    assert_eq!(rows(&text).len(), 12);

    let strange = app.get(&own, &format!("/api/invoices/export?{whole}&format=csv&partner={}", bolt.partner)).await;
    assert_eq!(strange.status, 404);
    assert_eq!(app.get(&own, "/api/invoices/export?format=csv").await.status, 400);
}

#[tokio::test]
async fn tax_of_stripes_is_told_beside_the_total_and_is_no_part_of_it() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let id = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let path = format!("/api/invoices/{id}");
    let before = app.get(&own, &path).await.json();
    assert_eq!((&before["tax"], &before["total_with_tax"]), (&Value::Null, &Value::Null));
    let tax = Some(Money::new(Currency::Usd, 15_010_000));
    let collection = Collection { tax, ..Collection::default() };
    app.store.note_collection(world.partner, id, &collection).await.expect("noted");
    // Who does not say takes nothing back.
    app.store.note_collection(world.partner, id, &Collection::default()).await.expect("noted");
    let after = app.get(&own, &path).await.json();
    let whole = cents(after["total"]["amount"].as_str().expect("a text")) + 1_501;
    assert_eq!((&after["total"], &after["tax"]["amount"]), (&before["total"], &json!("15.01")));
    assert_eq!(cents(after["total_with_tax"]["amount"].as_str().expect("a text")), whole);
    let lines = app.get(&own, &format!("{path}?format=csv")).await.text;
    for row in rows(&lines) {
        assert_eq!((cell(&row, "invoice_tax"), cents(cell(&row, "invoice_total_with_tax"))), ("15.01", whole));
    }
    let list = app.get(&own, "/api/invoices?format=csv").await.text;
    assert_eq!(cents(cell(&rows(&list)[0], "total_with_tax")), whole);
}

#[tokio::test]
async fn a_credit_note_is_drafted_issued_read_by_its_partner_and_written_as_files() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let id = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let provider = app.token(None, &[Scope::PartnersWrite, Scope::InvoicesRead]).await;
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let asked = |amount: &str| {
        json!({ "partner": world.partner, "kind": "credit", "reason": "Counted twice",
        "lines": [{ "position": 1, "amount": amount }] })
    };
    let path = format!("/api/invoices/{id}/credit-notes");
    assert_eq!(app.post(&provider, &path, asked("1234.57")).await.status, 409, "more than the line has");
    assert_eq!(app.post(&provider, &path, asked("0.001")).await.status, 422, "less than a coin");
    let draft = app.post(&provider, &path, asked("34.56")).await;
    assert_eq!(draft.status, 201, "{}", draft.text);
    let note = format!("/api/credit-notes/{}", draft.json()["id"].as_str().expect("an id"));
    assert_eq!(app.get(&own, &note).await.status, 404, "a draft is not the partner's business");
    let wrong = app.post(&provider, &format!("{note}/issue"), json!({ "invoice_is_paid": true })).await;
    assert_eq!(wrong.status, 409);
    let issued = app.post(&provider, &format!("{note}/issue"), json!({ "invoice_is_paid": false })).await.json();
    assert_eq!((&issued["code"], &issued["state"]), (&json!("CN-000001"), &json!("issued")));
    let read = app.get(&own, &note).await.json();
    assert_eq!((&read["total"]["amount"], &read["lines"][0]["invoice_position"]), (&json!("34.56"), &json!(1)));
    assert_eq!(app.get(&own, "/api/credit-notes").await.json()["items"].as_array().map(Vec::len), Some(1));
    let csv = app.get(&own, &format!("{note}?format=csv")).await;
    assert_eq!(cents(cell(&rows(&csv.text)[0], "amount")), 3_456);
    let pdf = app.get(&own, &format!("{note}?format=pdf")).await;
    let document = lopdf::Document::load_mem(&pdf.bytes).expect("a PDF");
    let paper = document.extract_text(&[1]).expect("text");
    for part in ["CN-000001", "TP-000001", "$34.56", "Counted twice"] {
        assert!(paper.contains(part), "{part}: {paper}");
    }
    assert_eq!(app.post(&provider, &format!("{note}/discard"), json!({})).await.status, 409);
}
