//! Lines by team: each line's parts add up to it, are what the team used, and stay as they were when the invoice was made.

use crate::{
    corrections::{asked, at, carry_out, draft, march, no_finding},
    late::event as told,
    shop::{Shop, terms},
    thresholds::{made, priced},
};
use billing::{Behind, OpenBy, Opening, open_line, project};
use domain::{
    correction::Change,
    id::{InvoiceId, PartnerId, TeamId},
    key_text::Environment,
    period::Period,
    plan::PlanTerms,
    rating::LineKind,
};
use jiff::Timestamp;
use serde_json::json;
use store::{Actor, LineTeam, reconcile::Kind};
use uuid::Uuid;

/// 49.00 a month with 1,000 units, then 0.005 each, and no included credit.
fn plain() -> PlanTerms {
    PlanTerms { included_credit_micros: 0, ..terms("invoice_items") }
}

async fn team(shop: &Shop, partner: PartnerId, name: &str) -> TeamId {
    shop.store.create_team(partner, name, Actor::System, march().start).await.expect("a team")
}

async fn used(shop: &Shop, partner: PartnerId, team: Option<TeamId>, when: &str, calls: &[(usize, u64, u64)]) {
    handed_over(shop, partner, team, (when, when), calls).await;
}

async fn handed_over(
    shop: &Shop,
    partner: PartnerId,
    team: Option<TeamId>,
    (when, taken_in): (&str, &str),
    calls: &[(usize, u64, u64)],
) {
    shop.of_team(partner, team, (at(when), at(taken_in)), Environment::Live, calls).await;
}

/// Team, units, free units, those that credit paid, amount.
type Part = (String, i64, u64, u64, String);

fn parts(teams: &[LineTeam]) -> Vec<Part> {
    let part =
        |part: &LineTeam| (part.label().to_owned(), part.quantity, part.free, part.prepaid, part.amount.to_string());
    teams.iter().map(part).collect()
}

fn part(team: &str, quantity: i64, free: u64, prepaid: u64, amount: &str) -> Part {
    (team.to_owned(), quantity, free, prepaid, amount.to_owned())
}

/// Of each line of that kind, which all have parts that add up to it.
async fn of_lines(shop: &Shop, partner: PartnerId, invoice: InvoiceId, kind: LineKind) -> Vec<Vec<Part>> {
    let (_, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    for line in lines.iter().filter(|line| !line.teams.is_empty()) {
        let sum = |of: fn(&LineTeam) -> i64| line.teams.iter().map(of).sum::<i64>();
        assert_eq!(sum(|part| part.quantity), line.quantity);
        assert_eq!(sum(|part| part.amount.micros), line.amount.micros);
        assert_eq!(line.teams.iter().map(|part| part.free).sum::<u64>(), line.free);
        assert_eq!(line.teams.iter().map(|part| part.prepaid).sum::<u64>(), line.prepaid);
    }
    lines.iter().filter(|line| line.kind == kind).map(|line| parts(&line.teams)).collect()
}

/// Two teams and none: 2,000 units of `create`, 600 of them from credit, and 301 of `read`.
async fn month(shop: &Shop, partner: PartnerId, [red, blue]: [TeamId; 2]) {
    used(shop, partner, Some(red), "2026-03-12T12:30:00Z", &[(1, 900, 100), (2, 100, 0)]).await;
    used(shop, partner, Some(blue), "2026-03-20T00:00:00Z", &[(1, 700, 500)]).await;
    used(shop, partner, None, "2026-04-09T23:59:59Z", &[(1, 400, 0), (2, 200, 0)]).await;
    used(shop, partner, Some(blue), "2026-04-09T23:59:59.5Z", &[(2, 1, 0)]).await;
}

#[tokio::test]
async fn each_line_is_shared_by_team_to_the_cent_as_the_bill_so_far_said_and_stays_so() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain()).await;
    let partner = shop.partner("acme", version, march().start).await;
    let teams = [team(&shop, partner, "Red").await, team(&shop, partner, "Blue").await];
    let other = shop.partner("other", version, march().start).await;
    month(&shop, partner, teams).await;
    used(&shop, other, None, "2026-03-12T12:30:00Z", &[(1, 1_300, 0)]).await;
    let so_far = project(&shop.store, partner, at("2026-04-09T23:59:59.9Z")).await.expect("projects").expect("a bill");
    // Days are made of all of it, but for what is on the edges.
    shop.store.make_usage_days(at("2026-04-09T12:00:00Z")).await.expect("made");
    let invoices = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    let of = async |partner| shop.store.invoices(partner).await.expect("invoices")[0].id;
    assert_eq!(invoices.len(), 2);
    let id = of(partner).await;
    let lines = of_lines(&shop, partner, id, LineKind::Usage).await;
    // `create`: 1,400 units that credit did not pay, 1,000 of them free: 571.43, 142.86 and 285.71 by team. 400 × 0.005 = 2.00,
    // of which 1.145, 0.285 and 0.57.
    // `read`: 301 × 0.005 = 1.505, rounded to 1.51: 0.50, 0.005 and 1.003.
    assert_eq!(
        lines,
        [
            vec![
                part("Blue", 700, 143, 500, "$0.28"),
                part("Red", 900, 571, 100, "$1.15"),
                part("No team", 400, 286, 0, "$0.57"),
            ],
            vec![part("Blue", 1, 0, 0, "$0.01"), part("Red", 100, 0, 0, "$0.50"), part("No team", 200, 0, 0, "$1.00"),],
        ]
    );
    let sorted = |mut parts: Vec<Part>| {
        parts.sort();
        parts
    };
    let projected: Vec<_> = so_far.lines().into_iter().filter(|(charge, _)| charge.kind == LineKind::Usage).collect();
    let projected: Vec<_> = projected.iter().map(|(_, line)| sorted(parts(&line.teams))).collect();
    assert_eq!(projected, lines.iter().cloned().map(sorted).collect::<Vec<_>>());
    let fees = of_lines(&shop, partner, id, LineKind::BaseFee).await;
    assert_eq!(fees, [vec![]], "a fee is nobody's");
    assert_eq!(
        of_lines(&shop, other, of(other).await, LineKind::Usage).await,
        [vec![]],
        "who has no teams has no parts"
    );

    // Whatever becomes of apps, teams and usage later.
    handed_over(&shop, partner, Some(teams[0]), ("2026-03-21T00:00:00Z", "2026-04-11T00:00:00Z"), &[(1, 5_000, 0)])
        .await;
    assert!(!shop.store.changes_parts_of_teams().await, "the database refuses");
    assert_eq!(of_lines(&shop, partner, id, LineKind::Usage).await, lines);
    let range = Period { start: march().start, end: at("2026-04-11T00:00:00Z") };
    let many = shop.store.invoices_made(partner, range, 0, 10).await.expect("invoices");
    let one = shop.store.invoice(partner, id).await.expect("an invoice");
    assert_eq!(many, [one], "in files as on the page");
    no_finding(&shop, "2026-04-12T00:00:00Z").await;
}

#[tokio::test]
async fn a_teams_part_opens_to_its_own_usage_and_nobody_elses() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain()).await;
    let partner = shop.partner("acme", version, march().start).await;
    let teams = [team(&shop, partner, "Red").await, team(&shop, partner, "Blue").await];
    month(&shop, partner, teams).await;
    let id = shop.close(at("2026-04-10T01:00:00Z")).await.invoices[0];
    // After the close, of one of them: usage has it, the line has not.
    handed_over(&shop, partner, Some(teams[0]), ("2026-03-21T00:00:00Z", "2026-04-11T00:00:00Z"), &[(1, 50, 0)]).await;
    let (_, lines) = shop.store.invoice(partner, id).await.expect("an invoice");
    let now = at("2026-04-12T00:00:00Z");
    let nobody = TeamId(Uuid::nil());
    for line in lines.iter().filter(|line| line.kind == LineKind::Usage) {
        for own in &line.teams {
            let team = Some(own.team.unwrap_or(nobody));
            for by in [OpenBy::Day, OpenBy::Key, OpenBy::Team] {
                let opening = Opening { by, team, ..Opening::default() };
                let opened =
                    open_line(&shop.store, (partner, id, line.position), opening, now).await.expect("it opens");
                assert_eq!(opened.of_team.as_ref(), Some(own));
                let Behind::Usage { units, late, .. } = opened.behind else { panic!("usage") };
                let signed = i64::try_from(units).expect("small");
                assert_eq!(signed - late, own.quantity, "{own:?}");
                let is_late = line.position == 1 && own.team == Some(teams[0]);
                assert_eq!(late, if is_late { 50 } else { 0 }, "{own:?}");
            }
        }
    }
    let stranger = Opening { team: Some(TeamId(Uuid::from_u128(9))), ..Opening::default() };
    assert!(open_line(&shop.store, (partner, id, 1), stranger, now).await.is_err(), "it has no part of the line");
}

#[tokio::test]
async fn late_and_corrected_units_are_shared_by_the_teams_of_their_events() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain()).await;
    let partner = shop.partner("acme", version, march().start).await;
    let teams = [team(&shop, partner, "Red").await, team(&shop, partner, "Blue").await];
    month(&shop, partner, teams).await;
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices[0];
    let late = ("2026-03-21T00:00:00Z", "2026-04-11T00:00:00Z");
    handed_over(&shop, partner, Some(teams[0]), late, &[(1, 300, 0)]).await;
    handed_over(&shop, partner, None, late, &[(1, 100, 0)]).await;
    let before = of_lines(&shop, partner, first, LineKind::Usage).await;
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices[0];
    // 400 × 0.005
    let lines = of_lines(&shop, partner, second, LineKind::Adjustment).await;
    assert_eq!(lines[0], [part("Red", 300, 0, 0, "$1.50"), part("No team", 100, 0, 0, "$0.50")]);

    // Blue's call of 700 units is taken back, 500 of them paid by credit: its part of the next invoice, and nobody else's.
    let new = asked(Change::Void, "2026-03-20T00:00:00Z", "2026-03-20T01:00:00Z");
    let (id, _) = draft(&shop, partner, new, "2026-05-11T00:00:00Z").await;
    carry_out(&shop, id, "2026-05-11T00:00:00Z").await;
    let third = shop.close(at("2026-06-10T01:00:00Z")).await.invoices[0];
    let lines = of_lines(&shop, partner, third, LineKind::Adjustment).await;
    assert_eq!(lines[0], [part("Blue", -700, 0, 500, "−$1.00")]);
    // And when that is reverted it is Blue's again.
    let reverted = at("2026-06-11T00:00:00Z");
    assert!(
        shop.store
            .revert_correction(partner, id, ("It was right", false), Actor::System, reverted)
            .await
            .expect("reverted")
    );
    let fourth = shop.close(at("2026-07-10T01:00:00Z")).await.invoices[0];
    let lines = of_lines(&shop, partner, fourth, LineKind::Adjustment).await;
    assert_eq!(lines[0], [part("Blue", 700, 0, 500, "$1.00")]);
    assert_eq!(of_lines(&shop, partner, first, LineKind::Usage).await, before, "the closed bill stands");
    no_finding(&shop, "2026-07-12T00:00:00Z").await;
}

#[tokio::test]
async fn usage_that_is_told_of_an_app_is_its_teams() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain()).await;
    let partner = shop.partner("acme", version, march().start).await;
    let red = team(&shop, partner, "Red").await;
    let app = shop.store.apps(partner).await.expect("apps")[0].app.id;
    shop.store.set_app_team(partner, app, Some(red), Actor::System, march().start).await.expect("set");
    let of_app = |id: &str, time: &str| {
        let mut event = told(id, time, "read", 2_000);
        event.data.app = Some(app);
        event
    };
    let in_time = [of_app("1", "2026-03-12T00:00:00Z"), told("2", "2026-03-12T00:00:00Z", "read", 1_000)];
    crate::late::tell(&shop, partner, &in_time, "2026-04-01T00:00:00Z").await;
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices[0];
    let lines = of_lines(&shop, partner, first, LineKind::Usage).await;
    assert_eq!(lines, [vec![part("Red", 2_000, 667, 0, "$6.67"), part("No team", 1_000, 333, 0, "$3.33")]]);
    // It goes over to another team, and what comes late is of that one.
    let blue = team(&shop, partner, "Blue").await;
    shop.store.set_app_team(partner, app, Some(blue), Actor::System, at("2026-04-10T02:00:00Z")).await.expect("set");
    crate::late::tell(&shop, partner, &[of_app("3", "2026-03-13T00:00:00Z")], "2026-04-11T00:00:00Z").await;
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices[0];
    let lines = of_lines(&shop, partner, second, LineKind::Adjustment).await;
    assert_eq!(lines, [vec![part("Blue", 2_000, 0, 0, "$10.00")]]);
    assert_eq!(of_lines(&shop, partner, first, LineKind::Usage).await[0][0].0, "Red");
    no_finding(&shop, "2026-05-12T00:00:00Z").await;
}

#[tokio::test]
async fn threshold_invoices_say_whose_the_usage_until_then_is() {
    let shop = Shop::open().await;
    let start: Timestamp = at(crate::thresholds::START);
    let cut = json!({ "invoice_threshold_micros": 100_000_000 });
    let version = shop.plan("cut", priced(cut)).await;
    let partner = shop.partner("acme", version, start).await;
    let red = team(&shop, partner, "Red").await;
    used(&shop, partner, Some(red), "2026-06-02T10:20:00Z", &[(1, 90, 0)]).await;
    used(&shop, partner, None, "2026-06-02T10:40:00Z", &[(1, 30, 0)]).await;
    shop.close(at("2026-06-02T12:10:00Z")).await;
    used(&shop, partner, Some(red), "2026-06-20T10:20:00Z", &[(1, 10, 0)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let all = made(&shop, partner).await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].0.threshold_number, 1);
    let of = |place: usize| parts(&all[place].1[0].teams);
    assert_eq!(of(0), [part("Red", 90, 0, 0, "$90.00"), part("No team", 30, 0, 0, "$30.00")]);
    assert_eq!(of(1), [part("Red", 100, 0, 0, "$100.00"), part("No team", 30, 0, 0, "$30.00")]);
    no_finding(&shop, "2026-07-02T00:00:00Z").await;
}

#[tokio::test]
async fn a_part_that_somebody_changes_is_found() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain()).await;
    let partner = shop.partner("acme", version, march().start).await;
    let teams = [team(&shop, partner, "Red").await, team(&shop, partner, "Blue").await];
    month(&shop, partner, teams).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    let range = Period { start: march().start, end: at("2026-04-11T00:00:00Z") };
    for (set, back, meter) in [
        ("quantity = quantity + 1", "quantity = quantity - 1", "units by team"),
        ("free = free + 1", "free = free - 1", "free by team"),
        ("prepaid = prepaid + 1", "prepaid = prepaid - 1", "prepaid by team"),
        ("amount_micros = amount_micros - 10000", "amount_micros = amount_micros + 10000", "amount by team"),
    ] {
        shop.store.move_parts_of_teams(set).await;
        let now = at("2026-04-11T02:00:00Z");
        let done = shop.store.reconcile_all(range, &Kind::ALL, now).await.expect("compared");
        let found: Vec<_> = done.findings.iter().map(|finding| (finding.kind, finding.meter.as_str())).collect();
        assert_eq!(found, [(Kind::Invoice, meter)]);
        assert!(done.findings[0].place.ends_with("line 1: the line, and its parts by team"), "{:?}", done.findings);
        shop.store.move_parts_of_teams(back).await;
        let done = shop.store.reconcile_all(range, &Kind::ALL, now).await.expect("compared");
        assert_eq!(done.findings, []);
    }
}
