//! The bill so far over REST: what the page shows, line by line, as JSON and as CSV.

use super::invoices::billed;
use crate::test_app::{TestApp, event};
use domain::{key_text::Environment, scope::Scope};
use jiff::SignedDuration;
use serde_json::json;
use store::{Actor, NewPlan, PlanMeta, ingest::Position, test_db::world::World};

#[tokio::test]
async fn the_draft_is_the_bill_of_the_page_and_its_csv_has_an_invoices_columns() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    assert_eq!(app.get(&own, "/api/invoices/draft").await.status, 404, "no plan is in force");

    let terms = json!({ "currency": "EUR", "products": [], "base_fee_micros": 9_000_000 });
    let terms = serde_json::from_value(terms).expect("terms");
    let meta = PlanMeta {
        name: "Starter".to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: domain::plan::Approval::Automatic,
    };
    let new = NewPlan { code: "starter".to_owned(), meta, terms };
    let now = app.state.clock.now();
    let plan = app.store.create_plan(&new, Actor::System, now).await.expect("a plan");
    let version = app.store.plan(plan).await.expect("a plan").versions[0].id;
    let began = now - SignedDuration::from_hours(1);
    app.store.assign_plan_version(world.partner, version, Actor::System, began).await.expect("a subscription");
    let call = event(world.partner, Environment::Live, 7, now - SignedDuration::from_mins(1));
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    app.store.ingest(("n", 0, vec![(0, call)]), Position::default(), to, now).await.expect("taken in");

    let answer = app.get(&own, "/api/invoices/draft").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let draft = answer.json();
    let shown = app::bill::so_far(&app.state, world.partner, app.state.clock.now()).await.ok().flatten().expect("one");
    let waits: jiff::Timestamp = draft["waits_until"].as_str().expect("an instant").parse().expect("an instant");
    let ends: jiff::Timestamp = draft["period_end"].as_str().expect("an instant").parse().expect("an instant");
    assert_eq!(waits.duration_since(ends), app.state.settings.closing_grace);
    assert_eq!(draft["total"]["amount"], crate::documents::lines::amount(shown.total()));
    let lines = draft["lines"].as_array().expect("lines").clone();
    assert_eq!(lines.len(), shown.rated.charges.len());
    for (line, charge) in lines.iter().zip(&shown.rated.charges) {
        assert_eq!(line["amount"]["amount"], crate::documents::lines::amount(charge.amount));
        assert_eq!((&line["kind"], &line["quantity"]), (&json!(charge.kind.code()), &json!(charge.quantity)));
    }
    assert_eq!((&draft["plan"], &lines[0]["kind"]), (&json!("Starter"), &json!("base_fee")));

    let csv = app.get(&own, "/api/invoices/draft?format=csv").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let heading = reader.headers().expect("a heading").clone();
    let cell = |row: &csv::StringRecord, name: &str| {
        row[heading.iter().position(|column| column == name).expect("a column")].to_owned()
    };
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), lines.len());
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(
            (json!(cell(row, "amount")), cell(row, "status")),
            (line["amount"]["amount"].clone(), "draft".to_owned())
        );
        assert_eq!(
            (json!(cell(row, "description")), cell(row, "number")),
            (line["description"].clone(), String::new())
        );
    }

    let provider = app.token(None, &[Scope::InvoicesRead]).await;
    let of = |partner| format!("/api/invoices/draft?partner={partner}");
    assert_eq!(app.get(&provider, &of(world.partner)).await.json()["lines"], draft["lines"]);
    assert_eq!(app.get(&provider, &of(other.partner)).await.status, 404);
    assert_eq!(app.get(&own, &of(other.partner)).await.status, 404);
    billed(&app, other.partner, "growth", Vec::new()).await;
    assert_eq!(app.get(&provider, &of(other.partner)).await.json()["plan"], "Growth");
}
