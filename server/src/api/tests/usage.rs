//! Usage by any dimension, as JSON, CSV and JSON Lines, and the teams that it is counted for.

use crate::test_app::{TestApp, event};
use domain::{id::AppId, key_text::Environment, scope::Scope};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{ingest::Position, test_db::world::World};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Calls around the end of a day in Kathmandu, which is 5:45 ahead; one of two is a test.
async fn use_some(app: &TestApp, world: &World, node: &str) {
    let begin = at("2026-03-02T17:00:00Z");
    let call = |number: i64| {
        let environment = if number % 2 == 0 { Environment::Live } else { Environment::Test };
        event(
            world.partner,
            environment,
            u64::from(number % 2 == 0),
            begin + jiff::SignedDuration::from_mins(10 * number),
        )
    };
    let events: Vec<_> = (0..12).map(|number| (number as u64, call(number))).collect();
    let to = Position { segment: 0, byte_offset: 1, sequence: 12 };
    app.store.ingest((node, 0, events), Position::default(), to, begin).await.expect("taken in");
    app.store.caught_up(node, 0, at("2026-03-05T00:00:00Z")).await.expect("noted");
}

#[tokio::test]
async fn json_csv_and_lines_say_the_same_of_local_days_and_two_dimensions() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    use_some(&app, &world, "a").await;
    let token = app.token(Some(world.partner), &[Scope::UsageRead]).await;
    let path = "/api/usage/query?from=2026-03-01T00:00:00Z&to=2026-03-04T00:00:00Z&window=day&time_zone=Asia/Kathmandu\
                &by=environment,status_class";
    let json = app.get(&token, path).await.json();
    let rows = json["rows"].as_array().expect("rows");
    // Midnight there is 18:15 UTC: eight calls before it, four after it.
    let read = |row: &Value| {
        let group = |place: usize| row["groups"][place]["code"].as_str().unwrap_or_default().to_owned();
        (row["from"].as_str().unwrap_or_default().to_owned(), group(0), group(1), row["total"]["calls"].as_u64())
    };
    let day =
        |from: &str, environment: &str, calls| (from.to_owned(), environment.to_owned(), "2".to_owned(), Some(calls));
    let (first, second) = ("2026-03-01T18:15:00Z", "2026-03-02T18:15:00Z");
    let expected = [day(first, "live", 4), day(first, "test", 4), day(second, "live", 2), day(second, "test", 2)];
    assert_eq!(rows.iter().map(read).collect::<Vec<_>>(), expected, "{json}");

    let lines = app.get(&token, &format!("{path}&format=jsonl")).await;
    assert_eq!(lines.headers["content-type"], "application/jsonl");
    let parsed: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(parsed, *rows);
    let csv = app.get(&token, &format!("{path}&format=csv")).await.text;
    let mut cells = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = cells.next().expect("a heading");
    let column = |name: &str| head.iter().position(|head| head == name).expect("a column");
    let (calls, units, code) = (column("calls"), column("units"), column("environment_code"));
    let cells: Vec<_> = cells.map(|row| (row[code].clone(), row[calls].clone(), row[units].clone())).collect();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let total = &row["total"];
            (
                row["groups"][0]["code"].as_str().unwrap_or_default().to_owned(),
                total["calls"].to_string(),
                total["units"].to_string(),
            )
        })
        .collect();
    assert_eq!(cells, told);

    for (wrong, field) in
        [("by=app,key,team", "by"), ("by=partner", "by"), ("window=hour&time_zone=Mars/North", "time_zone")]
    {
        let refused = app.get(&token, &format!("/api/usage/query?{wrong}")).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        assert!(refused.text.contains(field), "{}", refused.text);
    }
}

#[tokio::test]
async fn the_export_has_all_partners_by_product_and_adds_up_to_what_each_is_told() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    use_some(&app, &world, "a").await;
    use_some(&app, &other, "b").await;
    app.store.make_usage_days(at("2026-03-10T00:00:00Z")).await.expect("made");
    let provider = app.token(None, &[Scope::PartnersRead]).await;
    let path = "/api/export/usage?from=2026-03-01T00:00:00Z&to=2026-03-04T00:00:00Z&window=hour&format=jsonl";
    let file = app.get(&provider, path).await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"usage.jsonl\"");
    let rows: Vec<Value> = file.text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    for (name, partner) in [("acme", world.partner), ("other", other.partner)] {
        let own = rows.iter().filter(|row| row["groups"][0]["name"] == name);
        let calls: u64 = own.map(|row| row["total"]["calls"].as_u64().expect("a count")).sum();
        let token = app.token(Some(partner), &[Scope::UsageRead]).await;
        let told = app.get(&token, "/api/usage?from=2026-03-01T00:00:00Z&to=2026-03-04T00:00:00Z").await.json();
        assert_eq!((calls, told["total"]["calls"].as_u64()), (12, Some(12)), "{name}");
    }
    let csv = app.get(&provider, &path.replace("jsonl", "csv")).await.text;
    assert_eq!(csv.lines().count(), rows.len() + 1);
}

/// The cells of a CSV under that heading, for rows that begin with the day.
fn column(csv: &str, day: &str, heading: &str) -> Vec<String> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let place = lines.next().expect("a heading").iter().position(|head| head == heading).expect("a column");
    lines.filter(|row| row[0].starts_with(day)).map(|row| row[place].clone()).collect()
}

#[tokio::test]
async fn what_a_silent_gateway_has_not_handed_over_is_never_a_plain_zero_in_any_answer() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    use_some(&app, &world, "a").await;
    let token = app.token(Some(world.partner), &[Scope::UsageRead]).await;
    let provider = app.token(None, &[Scope::PartnersRead]).await;
    let path = |of: &str, to: &str, rest: &str| format!("/api/{of}?from=2026-03-01T00:00:00Z&to={to}T00:00:00Z{rest}");

    // All that was before is whole, and says so.
    for of in ["usage", "usage/series", "usage/query"] {
        let whole = app.get(&token, &path(of, "2026-03-04", "")).await.json();
        assert_eq!((&whole["complete"], &whole["missing"]), (&json!(true), &json!([])), "{of}: {whole}");
        assert_eq!(whole["complete_through"], "2026-03-05T00:00:00Z", "{of}");
        let later = app.get(&token, &path(of, "2026-03-07", "")).await.json();
        let missing = json!([{"from": "2026-03-05T00:00:00Z", "to": "2026-03-07T00:00:00Z", "reason": "not_reported"}]);
        assert_eq!((&later["complete"], &later["missing"]), (&json!(false), &missing), "{of}: {later}");
    }
    let days = app.get(&token, &path("usage/series", "2026-03-07", "")).await.json()["days"].clone();
    let complete: Vec<_> = days.as_array().expect("days").iter().map(|day| day["complete"].clone()).collect();
    // A call of the fourth day's last minutes could still be on its way.
    assert_eq!(complete, [true, true, true, false, false, false].map(Value::from), "{days}");
    let csv = app.get(&token, &path("usage/series", "2026-03-07", "&format=csv")).await.text;
    assert_eq!(
        (column(&csv, "2026-03-03", "complete"), column(&csv, "2026-03-05", "complete")),
        (vec!["true".into()], vec!["false".into()])
    );
    let csv = app.get(&token, &path("usage", "2026-03-07", "&format=csv")).await.text;
    assert_eq!(column(&csv, "", "complete"), ["false"]);

    // Rows leave out what was not used, and not what is missing.
    let asked = "&window=day&time_zone=UTC&by=environment";
    let rows = app.get(&token, &path("usage/query", "2026-03-07", asked)).await.json()["rows"].clone();
    let told: Vec<_> =
        rows.as_array().expect("rows").iter().map(|row| (row["from"].clone(), row["complete"].clone())).collect();
    let day = |day: &str, complete: bool| (json!(format!("2026-03-{day}T00:00:00Z")), json!(complete));
    assert_eq!(told, [day("02", true), day("02", true), day("05", false), day("06", false)], "{rows}");
    assert_eq!((&rows[2]["groups"], &rows[2]["total"]["calls"]), (&json!([]), &json!(0)));
    let lines = app.get(&token, &path("usage/query", "2026-03-07", &format!("{asked}&format=jsonl"))).await.text;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(json!(lines), rows);
    let csv = app.get(&token, &path("usage/query", "2026-03-07", &format!("{asked}&format=csv"))).await.text;
    assert_eq!(column(&csv, "2026-03-05", "complete"), ["false"]);
    assert_eq!(column(&csv, "2026-03-05", "environment_code"), [""]);
    let csv = app.get(&provider, &path("export/usage", "2026-03-07", "")).await.text;
    assert_eq!(column(&csv, "2026-03-06", "complete"), ["false"]);
    assert_eq!(column(&csv, "2026-03-04", "complete"), Vec::<String>::new(), "nothing was used, and all is known");

    // It hands over: the same questions get whole answers.
    app.store.caught_up("a", 0, at("2026-03-08T00:00:00Z")).await.expect("noted");
    let whole = app.get(&token, &path("usage/query", "2026-03-07", asked)).await.json();
    assert_eq!((&whole["complete"], whole["rows"].as_array().map(Vec::len)), (&json!(true), Some(2)), "{whole}");
}

#[tokio::test]
async fn an_app_is_put_into_a_team_and_out_of_it() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let developers = app.token(Some(world.partner), &[Scope::KeysRead, Scope::KeysWrite]).await;
    assert_eq!(app.post(&developers, "/api/teams", json!({ "name": "Payments" })).await.status, 403);
    let token = app.token(Some(world.partner), &[Scope::KeysRead, Scope::TeamsWrite]).await;
    let team = app.post(&token, "/api/teams", json!({ "name": "Payments" })).await;
    assert_eq!(team.status, 201, "{}", team.text);
    let team = team.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.post(&token, "/api/teams", json!({ "name": "payments" })).await.status, 409);
    let own: AppId = app.store.apps(world.partner).await.expect("apps")[0].app.id;
    let theirs: AppId = app.store.apps(other.partner).await.expect("apps")[0].app.id;
    let put = async |of: AppId, team: Value| {
        app.send(Some(&token), "PUT", &format!("/api/apps/{of}/team"), Some(json!({ "team": team })))
            .await
            .status
            .as_u16()
    };
    assert_eq!(put(theirs, json!(team)).await, 404);
    assert_eq!(put(own, json!(team)).await, 204);
    assert_eq!(app.get(&token, "/api/apps").await.json()["items"][0]["team"], json!(team));
    assert_eq!(put(own, Value::Null).await, 204);
    assert_eq!(app.get(&token, "/api/apps").await.json()["items"][0]["team"], Value::Null);
}
