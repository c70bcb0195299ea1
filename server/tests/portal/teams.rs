//! What teams have of a bill: on the pages of the plan, the invoice and its lines, in files, and over REST as members see it.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use billing::{Closing, close_due_periods};
use domain::{id::TeamId, plan::Approval, rating::LineKind, role::OperatorRole, usage::UsageEvent};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{Actor, Invoice, NewPlan, ingest::Position};

/// A euro a unit: 70 of a team's, 30 of none. What was billed, and the team.
async fn billed(portal: &Portal, acme: &Company) -> (Invoice, TeamId) {
    let (store, began) = (&portal.store, portal.now());
    let terms = json!({
        "currency": "EUR", "products": [{ "product": acme.product_code }],
        "price": { "model": "per_unit", "unit_price": "1" },
    });
    let terms = serde_json::from_value(terms).expect("terms");
    let plan = NewPlan { terms, ..new_plan("by-unit", &acme.product_code, true, Approval::Automatic) };
    let plan = store.create_plan(&plan, Actor::System, began).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, began).await.expect("a subscription");
    let team = store.create_team(acme.id, "Pay & <Go>", Actor::System, began).await.expect("a team");
    let operation = store.product(acme.product).await.expect("a product").operations[0].id;
    let at = began + SignedDuration::from_hours(1);
    let event = |team, units| UsageEvent {
        product: Some(acme.product),
        operation: Some(operation),
        method: "GET".to_owned(),
        path: "/entries".to_owned(),
        team,
        units,
        ..UsageEvent::new(at, acme.id, acme.app, acme.key)
    };
    store.make_partitions(at, 1).await.expect("partitions");
    let batch = vec![(0, event(Some(team), 70)), (1, event(None, 30))];
    let to = Position { segment: 0, byte_offset: 1, sequence: 2 };
    store.ingest(("by-team", 0, batch), Position::default(), to, at).await.expect("taken in");

    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get("/plan").await.text;
    assert!(
        page.contains("Usage by team") && page.contains("Pay &amp; &lt;Go&gt;") && page.contains("€70.00"),
        "{page}"
    );

    let now = began + SignedDuration::from_hours(24 * 32);
    let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
    let report = close_due_periods(store, closing, now).await.expect("closes");
    assert!(report.problems.is_empty() && report.doubtful.is_empty(), "{report:?}");
    for invoice in store.invoices(acme.id).await.expect("invoices") {
        let (made, lines) = store.invoice(acme.id, invoice.id).await.expect("an invoice");
        if lines.iter().any(|line| !line.teams.is_empty()) {
            return (made, team);
        }
    }
    panic!("no invoice has teams")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_part_is_on_the_invoice_in_its_files_and_leads_to_its_own_calls() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let before = portal.store.invoices(acme.id).await.expect("invoices").remove(0);
    let mut owner = portal.as_member(acme.owner).await;
    let without = owner.get(&format!("/invoices/{}", before.id)).await.text;
    assert!(!without.contains("By team") && !without.contains("No team"), "who has no teams sees nothing of them");
    let (invoice, team) = billed(&portal, &acme).await;
    let lines = portal.store.invoice(acme.id, invoice.id).await.expect("an invoice").1;
    let line = lines.iter().find(|line| line.kind == LineKind::Usage).expect("usage");
    let at = format!("/invoices/{}", invoice.id);
    let of_line = format!("{at}/lines/{}", line.position);
    let page = owner.get(&at).await.text;
    for part in [
        "By team",
        "Pay &amp; &lt;Go&gt;",
        "€70.00",
        "No team",
        "€30.00",
        &format!("href=\"{of_line}?team={team}\""),
        &format!("href=\"{of_line}?team=none\""),
        &format!("href=\"{at}/teams.csv\""),
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Viewer).await).await;
    let console = format!("/console/partners/{}", acme.id);
    assert!(admin.get(&format!("{console}{at}")).await.text.contains(&format!("{console}{of_line}?team={team}")));

    let page = owner.get(&format!("{of_line}?team={team}")).await.text;
    assert!(page.contains("The parts add up to 70 units") && page.contains("All teams"), "{page}");
    let kept = format!("by=hour&amp;team={}", team.to_string().replace('_', "%5F"));
    assert!(page.contains(&kept) && !page.contains("€30.00"), "the team is kept: {page}");
    assert!(owner.get(&format!("{of_line}?team=none")).await.text.contains("The parts add up to 30 units"));
    assert!(owner.get(&of_line).await.text.contains("The parts add up to 100 units"));
    assert_eq!(owner.get(&format!("{of_line}?team=team_{}", "0".repeat(31) + "9")).await.status, 404);
    assert_eq!(owner.get(&format!("{of_line}?team=red")).await.status, 404);

    for at in [at.clone(), format!("{console}{at}")] {
        let who = if at.starts_with("/console") { &mut admin } else { &mut owner };
        let file = who.get(&format!("{at}/teams.csv")).await.text;
        let mut rows = csv::Reader::from_reader(file.as_bytes());
        let heading = rows.headers().expect("a heading").clone();
        let place = |name: &str| heading.iter().position(|column| column == name).expect("a column");
        let shown: Vec<_> = rows
            .records()
            .map(|row| {
                let row = row.expect("a row");
                ["team_name", "quantity", "amount"].map(|name| row[place(name)].to_owned())
            })
            .collect();
        assert_eq!(shown, [["Pay & <Go>", "70", "70.00"], ["No team", "30", "30.00"]]);
    }
    let file: Value = serde_json::from_str(&owner.get(&format!("{at}/invoice.json")).await.text).expect("JSON");
    let parts = &file["lines"][usize::try_from(line.position).expect("a place")]["teams"];
    assert_eq!(parts[0]["team"], json!(team.to_string()));
    assert_eq!((&parts[1]["name"], &parts[1]["amount"]), (&json!("No team"), &json!("30.00")));
}
