//! Meters besides units, as JSON, CSV and JSON Lines.

use crate::test_app::{TestApp, event};
use domain::{
    key_text::Environment,
    scope::Scope,
    usage::{MeterKind, Metered, UsageEvent},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{ingest::Position, test_db::world::World};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Twelve calls, ten minutes apart, around the end of a day in Kathmandu, which is 5:45 ahead; one of two is a test.
async fn use_some(app: &TestApp, world: &World) {
    let begin = at("2026-03-02T17:00:00Z");
    let metered = |meter: &str, kind, quantity, item| Metered { meter: meter.to_owned(), kind, quantity, item };
    let call = |number: i64| {
        let environment = if number % 2 == 0 { Environment::Live } else { Environment::Test };
        let item = Some([u8::try_from(number % 3).expect("small"); 16]);
        let meters = vec![
            metered("tokens", MeterKind::Sum, number, None),
            metered("users", MeterKind::Unique, 1, item),
            metered("seats", MeterKind::Gauge, number, None),
        ];
        UsageEvent { meters, ..event(world.partner, environment, 1, begin + SignedDuration::from_mins(10 * number)) }
    };
    let events: Vec<_> = (0..12).map(|number| (number as u64, call(number))).collect();
    let to = Position { segment: 0, byte_offset: 1, sequence: 12 };
    app.store.ingest(("a", 0, events), Position::default(), to, begin).await.expect("taken in");
}

#[tokio::test]
async fn json_csv_and_lines_say_the_same_of_meters_by_local_day_and_environment() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    use_some(&app, &world).await;
    let token = app.token(Some(world.partner), &[Scope::UsageRead]).await;
    let path = "/api/usage/meters?from=2026-03-01T00:00:00Z&to=2026-03-04T00:00:00Z&window=day&time_zone=Asia/Kathmandu\
                &by=environment";
    let json = app.get(&token, path).await.json();
    let rows = json["rows"].as_array().expect("rows");
    // Midnight there is 18:15 UTC: eight calls before it, four after it.
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let read = |row: &Value| {
        let environment = row["groups"][0]["code"].as_str().unwrap_or_default().to_owned();
        (
            text(row, "from"),
            environment,
            text(row, "meter"),
            text(row, "kind"),
            row["quantity"].as_i64(),
            row["calls"].as_u64(),
        )
    };
    let expected = |from: &str, environment: &str, meter: &str, kind: &str, quantity, calls| {
        let [from, environment, meter, kind] = [from, environment, meter, kind].map(str::to_owned);
        (from, environment, meter, kind, Some(quantity), Some(calls))
    };
    let mut told: Vec<_> = rows.iter().map(read).filter(|row| row.2 != "seats").collect();
    told.sort();
    let (first, second) = ("2026-03-01T18:15:00Z", "2026-03-02T18:15:00Z");
    let wanted = [
        expected(first, "live", "tokens", "sum", 2 + 4 + 6, 4),
        expected(first, "live", "users", "unique", 3, 4),
        expected(first, "test", "tokens", "sum", 1 + 3 + 5 + 7, 4),
        expected(first, "test", "users", "unique", 3, 4),
        expected(second, "live", "tokens", "sum", 8 + 10, 2),
        expected(second, "live", "users", "unique", 2, 2),
        expected(second, "test", "tokens", "sum", 9 + 11, 2),
        expected(second, "test", "users", "unique", 2, 2),
    ];
    assert_eq!(told, wanted, "{json}");
    let seats: Vec<i64> = rows
        .iter()
        .filter(|row| row["meter"] == "seats" && row["from"] == first && row["groups"][0]["code"] == "live")
        .map(|row| row["level_seconds"].as_i64().expect("a gauge has them"))
        .collect();
    // 0 and 2 and 4 for twenty minutes each, then 6 until a quarter past six.
    assert_eq!(seats, [(2 + 4) * 20 * 60 + 6 * 15 * 60]);

    let lines = app.get(&token, &format!("{path}&format=jsonl")).await;
    assert_eq!(lines.headers["content-type"], "application/jsonl");
    let parsed: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(parsed, *rows);
    let csv = app.get(&token, &format!("{path}&format=csv")).await.text;
    let mut cells = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = cells.next().expect("a heading");
    let column = |name: &str| head.iter().position(|head| head == name).expect("a column");
    let (meter, quantity, code) = (column("meter"), column("quantity"), column("environment_code"));
    let cells: Vec<_> = cells.map(|row| (row[code].clone(), row[meter].clone(), row[quantity].clone())).collect();
    let as_cells = |row: &Value| {
        (row["groups"][0]["code"].as_str().expect("a code").to_owned(), text(row, "meter"), row["quantity"].to_string())
    };
    assert_eq!(cells, rows.iter().map(as_cells).collect::<Vec<_>>());

    let one = app.get(&token, &format!("{path}&meter=tokens&environment=test")).await.json();
    assert_eq!(one["rows"].as_array().expect("rows").len(), 2, "{one}");
    let others = app.token(Some(other.partner), &[Scope::UsageRead]).await;
    assert_eq!(app.get(&others, path).await.json()["rows"], Value::Array(Vec::new()), "they are the partner's own");
    for wrong in ["by=app,key,team", "by=outcome", "by=partner", "window=hour&time_zone=Mars/North"] {
        let refused = app.get(&token, &format!("/api/usage/meters?{wrong}")).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
    }
}
