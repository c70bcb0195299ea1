//! The revenue journal over REST: the same rows again, each transaction in balance, for the provider alone.

use super::invoices::{billed, some_lines};
use crate::test_app::TestApp;
use domain::scope::Scope;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::test_db::world::World;

/// `-12.50` as cents, by digits alone.
fn cents(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or_else(|_| panic!("{text} is no amount"))
}

#[tokio::test]
async fn the_journal_of_some_days_is_the_same_file_again_and_in_balance() {
    let app = TestApp::start().await;
    let (acme, bolt) = (World::named(&app.store, "acme").await, World::named(&app.store, "bolt").await);
    billed(&app, acme.partner, "growth", vec![some_lines(), some_lines()]).await;
    billed(&app, bolt.partner, "other", vec![some_lines()]).await;
    let provider = app.token(None, &[Scope::InvoicesRead]).await;
    let path = |format: &str| format!("/api/journal/export?from=2026-06-01&to=2026-08-31&format={format}");
    assert_eq!(app.get(&provider, &path("jsonl")).await.text, "", "nothing is written");
    let none = app.get(&provider, "/api/journal?from=2026-06-01&to=2026-08-31").await.json();
    assert_eq!(none, json!({ "written_through": null, "accounts": [] }));

    let later: Timestamp = "2026-08-02T06:00:00Z".parse().expect("an instant");
    while app.store.close_journal_day(later).await.expect("written").is_some() {}
    let lines = app.get(&provider, &path("jsonl")).await.text;
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Three invoices, each earned and billed, two entries each.
    assert_eq!(entries.len(), 12, "{lines}");
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    let mut revenue = 0;
    for entry in &entries {
        let amount = cents(entry["amount"].as_str().expect("a text"));
        *sums.entry(entry["transaction"].as_str().expect("a text")).or_default() += amount;
        revenue -= if entry["account"] == "revenue" { amount } else { 0 };
    }
    let one: i64 = some_lines().iter().map(|line| line.amount.micros / 10_000).sum();
    assert_eq!((sums.len(), revenue), (6, 3 * one));
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    assert_eq!((&entries[0]["number"], &entries[0]["day"]), (&json!("J-000001"), &json!("2026-06-30")));

    let csv = app.get(&provider, &path("csv")).await;
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"revenue-journal.csv\"");
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let read: Vec<(String, String)> =
        reader.records().map(|row| row.expect("a row")).map(|row| (row[0].to_owned(), row[11].to_owned())).collect();
    let told = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
    let expected: Vec<_> = entries.iter().map(|entry| (told(entry, "entry"), told(entry, "amount"))).collect();
    assert_eq!(read, expected);
    assert_eq!(app.get(&provider, &path("csv")).await.text, csv.text, "the same again");

    let of_bolt = app.get(&provider, &format!("{}&partner={}", path("jsonl"), bolt.partner)).await.text;
    assert_eq!(of_bolt.lines().count(), 4);
    let totals = app.get(&provider, "/api/journal?from=2026-07-01&to=2026-07-31").await.json();
    assert_eq!(totals["written_through"], "2026-08-01");
    let of = |account: &str| {
        let accounts = totals["accounts"].as_array().expect("accounts");
        let total = accounts.iter().find(|total| total["account"] == account).expect("an account");
        ["opening", "closing"].map(|name| cents(total[name]["amount"].as_str().expect("a text")))
    };
    assert_eq!(of("revenue"), [-2 * one, -3 * one]);

    let own = app.token(Some(acme.partner), &[Scope::InvoicesRead]).await;
    assert_eq!(app.get(&own, &path("csv")).await.status, 403);
    let backwards = "/api/journal/export?from=2026-06-02&to=2026-06-01&format=csv";
    assert_eq!(app.get(&provider, backwards).await.status, 422);
    for path in ["/api/journal?", "/api/journal/export?format=csv&"] {
        for range in
            ["from=-009999-01-01&to=2026-06-01", "from=0000-12-31&to=2026-06-01", "from=-000002-01-01&to=-000001-01-01"]
        {
            assert_eq!(app.get(&provider, &format!("{path}{range}")).await.status, 422, "{path}{range}");
        }
        let widest = format!("{path}from=0001-01-01&to=9999-12-31");
        assert_eq!(app.get(&provider, &widest).await.status, 200);
    }
    assert_eq!(app.get(&provider, "/api/journal/export?from=yesterday&to=2026-06-01&format=csv").await.status, 400);
}
