//! Changes of plan: what is shown is what is made and billed, or nothing is.

use crate::shop::{Shop, days, hours, terms};
use billing::{
    ChangeRefused, News, Proposal, Recipient, Wanted, order_change, preview_change, put_changes_in_force,
    take_change_back,
};
use domain::{
    id::{PartnerId, PlanVersionId},
    money::Money,
    period::Interval,
    plan::PlanTerms,
    plan_change::{Direction, When},
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use store::{Actor, NewMail, NewPartner, Ordered, OrderedBy, StoreError, Wish, invoices::InvoiceLine};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn letter(to: &Recipient, news: &News) -> NewMail {
    NewMail {
        recipient: to.email.clone(),
        subject: format!("{news:?}"),
        body_text: String::new(),
        body_html: String::new(),
    }
}

fn fee(euros: i64) -> PlanTerms {
    PlanTerms { base_fee_micros: euros * 1_000_000, ..terms("invoice_items") }
}

fn to(version: PlanVersionId) -> Wanted {
    Wanted { wish: Wish::Version(version), when: When::Usual, by: OrderedBy::Operator }
}

const END: Wanted = Wanted { wish: Wish::Nothing, when: When::Usual, by: OrderedBy::Partner };

async fn shown(shop: &Shop, partner: PartnerId, wanted: Wanted, now: Timestamp) -> Proposal {
    preview_change(&shop.store, partner, wanted, now).await.expect("a preview")
}

async fn order(
    shop: &Shop,
    partner: PartnerId,
    wanted: Wanted,
    token: &str,
    now: Timestamp,
) -> Result<Ordered, ChangeRefused> {
    order_change(&shop.store, partner, wanted, token, &letter, Actor::System, now).await.map(|(ordered, _)| ordered)
}

async fn made(shop: &Shop, partner: PartnerId, wanted: Wanted, now: Timestamp) -> Proposal {
    let proposal = shown(shop, partner, wanted, now).await;
    order(shop, partner, wanted, &proposal.token, now + SignedDuration::from_secs(90)).await.expect("made");
    proposal
}

async fn lines(shop: &Shop, partner: PartnerId, index: usize) -> Vec<InvoiceLine> {
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.sort_by_key(|invoice| invoice.period.start);
    shop.store.invoice(partner, invoices[index].id).await.expect("an invoice").1
}

fn base_fee(lines: &[InvoiceLine]) -> Option<Money> {
    lines.iter().find(|line| line.kind == LineKind::BaseFee).map(|line| line.amount)
}

/// 49 and then 299 dollars, on 17 April at 14:05: clocks went back on the 5th, so the month has 721 hours.
#[tokio::test]
async fn an_upgrade_in_auckland_is_billed_to_the_cent_as_it_was_shown() {
    let shop = Shop::open().await;
    let (starter, pro) = (shop.plan("starter", fee(49)).await, shop.plan("pro", fee(299)).await);
    let new = NewPartner { code: None, name: "acme".to_owned(), time_zone: "Pacific/Auckland".to_owned() };
    let began = at("2026-04-01T00:00:00+13:00");
    let partner = shop.store.create_partner(&new, Actor::System, began).await.expect("a partner");
    shop.store.assign_plan_version(partner, starter, Actor::System, began).await.expect("a subscription");
    let now = at("2026-04-17T14:05:00+12:00");
    shop.live(partner, now - hours(1), &[(1, 5_000)]).await;
    let proposal = shown(&shop, partner, to(pro), now).await;
    assert_eq!((proposal.preview.direction, proposal.preview.at_once), (Direction::Upgrade, true));
    let usd = |micros| Some(Money::new(domain::money::Currency::Usd, micros));
    assert_eq!((proposal.preview.old_fee, proposal.preview.first_fee), (usd(27_120_000), usd(133_500_000)));
    let later = now + SignedDuration::from_secs(480);
    shop.live(partner, later, &[(1, 10)]).await;
    order(&shop, partner, to(pro), &proposal.token, later).await.expect("made");
    let active = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((active.started_at, active.anchor), (Some(now), began));
    shop.close(later + hours(1)).await;
    shop.close(at("2026-05-01T00:00:00+12:00") + hours(1)).await;
    let (old, new) = (lines(&shop, partner, 0).await, lines(&shop, partner, 1).await);
    assert_eq!((base_fee(&old), base_fee(&new)), (proposal.preview.old_fee, proposal.preview.first_fee));
    let total = |lines: &[InvoiceLine]| lines.iter().map(|line| line.amount.micros).sum::<i64>();
    // 554 of the 1,000 units are of the first part: 4,446 at 0.005 are 22.23, less 2.77 of the included credit.
    assert_eq!((total(&old), proposal.so_far), (46_580_000, usd(46_580_000)));
}

#[tokio::test]
async fn what_moved_since_it_was_shown_is_refused_and_nothing_is_changed() {
    let shop = Shop::open().await;
    let (small, big) = (shop.plan("small", fee(10)).await, shop.plan("big", fee(20)).await);
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner("acme", small, start).await;
    let plan = shop.store.find_plan_by_code("big").await.expect("answered").expect("a plan").id;
    let wanted = Wanted { wish: Wish::Plan(plan), when: When::Usual, by: OrderedBy::Partner };
    let now = start + days(10);
    let moved = async |token: &str, later| match order(&shop, partner, wanted, token, later).await {
        Err(ChangeRefused::Moved(_) | ChangeRefused::Store(StoreError::Conflict { .. })) => {}
        other => panic!("it was not refused: {other:?}"),
    };
    let token = shown(&shop, partner, wanted, now).await.token;
    moved("", now).await;
    moved(&token.replace('.', "0."), now).await;
    moved(&token, now + SignedDuration::from_secs(601)).await;
    moved(&token, now - SignedDuration::from_secs(1)).await;
    // Usage is not what was shown.
    shop.live(partner, now, &[(1, 70_000)]).await;
    assert_eq!(shown(&shop, partner, wanted, now).await.token, token);
    let dearer = PlanTerms { base_fee_micros: 21_000_000, ..fee(20) };
    shop.store.add_plan_version(plan, &dearer, Actor::System, now).await.expect("added");
    moved(&token, now).await;
    let token = shown(&shop, partner, wanted, now).await.token;
    // Another change is planned meanwhile.
    let end = shown(&shop, partner, END, now).await;
    order(&shop, partner, END, &end.token, now).await.expect("planned");
    moved(&token, now).await;
    let again = shown(&shop, partner, wanted, now).await;
    assert!(again.replaces.is_some());
    shop.store.archive_plan(plan, Actor::System, now).await.expect("archived");
    assert!(order(&shop, partner, wanted, &again.token, now).await.is_err());
    let on = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((on.version_id, on.started_at), (small, Some(start)));
    assert!(shop.store.scheduled_change(partner).await.expect("answered").is_some(), "what was planned waits");
    // An operator is shown archived and old ones, too.
    made(&shop, partner, to(big), now).await;
    assert!(shop.store.scheduled_change(partner).await.expect("answered").is_none(), "it was replaced");
}

#[tokio::test]
async fn of_racing_confirmations_one_is_made() {
    let shop = Shop::open().await;
    let plans = [shop.plan("small", fee(10)).await, shop.plan("big", fee(20)).await, shop.plan("huge", fee(30)).await];
    let now = at("2026-03-11T00:00:00Z");
    let partner = shop.partner("acme", plans[0], at("2026-03-01T00:00:00Z")).await;
    let wishes = [to(plans[1]), to(plans[2]), END, to(plans[1])];
    let mut tokens = Vec::new();
    for wanted in wishes {
        tokens.push(shown(&shop, partner, wanted, now).await.token);
    }
    let send = |index: usize| order(&shop, partner, wishes[index], &tokens[index], now);
    let (a, b, c, d) = tokio::join!(send(0), send(1), send(2), send(3));
    assert_eq!([a, b, c, d].iter().filter(|answer| answer.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_downgrade_waits_for_the_period_s_end_and_the_invoices_follow_it() {
    let shop = Shop::open().await;
    let (big, small) = (shop.plan("big", fee(100)).await, shop.plan("small", fee(10)).await);
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner("acme", big, start).await;
    let end = at("2026-04-01T00:00:00Z");
    let proposal = made(&shop, partner, to(small), start + days(9)).await;
    assert_eq!((proposal.preview.effective_at, proposal.preview.at_once), (end, false));
    let waits = shop.store.scheduled_change(partner).await.expect("answered").expect("a change");
    assert_eq!((waits.effective_at, waits.to.as_ref().map(|to| to.version_id)), (end, Some(small)));
    assert_eq!(put_changes_in_force(&shop.store, &letter, end - hours(1)).await.expect("ran"), (0, 0));
    assert_eq!(shop.store.subscription(partner).await.expect("answered").expect("a plan").version_id, big);
    shop.live(partner, end - hours(1), &[(1, 2_000)]).await;
    shop.live(partner, end + hours(1), &[(1, 2_000)]).await;
    // Nobody put it in force for two months: neither period is billed by the wrong plan.
    shop.close(at("2026-05-01T01:00:00Z")).await;
    assert_eq!(shop.store.invoices(partner).await.expect("invoices").len(), 1);
    assert_eq!(put_changes_in_force(&shop.store, &letter, at("2026-05-01T01:00:00Z")).await.expect("ran"), (1, 0));
    assert_eq!(put_changes_in_force(&shop.store, &letter, at("2026-05-01T01:00:00Z")).await.expect("ran"), (0, 0));
    shop.close(at("2026-05-01T01:00:00Z")).await;
    let on = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((on.version_id, on.started_at, on.anchor), (small, Some(end), start));
    let usd = |micros| Some(Money::new(domain::money::Currency::Usd, micros));
    assert_eq!(base_fee(&lines(&shop, partner, 0).await), usd(100_000_000));
    assert_eq!(base_fee(&lines(&shop, partner, 1).await), usd(10_000_000));
    assert_eq!(shop.store.invoices(partner).await.expect("invoices").len(), 2);
}

#[tokio::test]
async fn who_cancels_is_billed_to_the_end_and_may_take_it_back_until_then() {
    let shop = Shop::open().await;
    let plan = shop.plan("small", fee(10)).await;
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner("acme", plan, start).await;
    made(&shop, partner, END, start + days(9)).await;
    let waits = shop.store.scheduled_change(partner).await.expect("answered").expect("a change");
    take_change_back(&shop.store, partner, waits.id, OrderedBy::Partner, &letter, Actor::System, start + days(10))
        .await
        .expect("taken back");
    let again =
        take_change_back(&shop.store, partner, waits.id, OrderedBy::Partner, &letter, Actor::System, start + days(10))
            .await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    assert_eq!(put_changes_in_force(&shop.store, &letter, start + days(40)).await.expect("ran"), (0, 0));
    shop.close(at("2026-04-01T01:00:00Z")).await;
    made(&shop, partner, END, at("2026-04-05T00:00:00Z")).await;
    let waits = shop.store.scheduled_change(partner).await.expect("answered").expect("a change");
    let late = take_change_back(
        &shop.store,
        partner,
        waits.id,
        OrderedBy::Partner,
        &letter,
        Actor::System,
        at("2026-05-01T00:00:00Z"),
    )
    .await;
    assert!(late.is_err(), "its time has come");
    assert_eq!(put_changes_in_force(&shop.store, &letter, at("2026-05-02T00:00:00Z")).await.expect("ran"), (1, 0));
    shop.close(at("2026-07-01T00:00:00Z")).await;
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!(invoices.iter().map(|invoice| invoice.total.micros).collect::<Vec<_>>(), [10_000_000, 10_000_000]);
    assert!(shop.store.subscription(partner).await.expect("answered").is_none());
    let refused = preview_change(&shop.store, partner, END, at("2026-07-01T00:00:00Z")).await;
    assert!(matches!(refused, Err(ChangeRefused::Store(StoreError::Conflict { .. }))));
    // Whoever comes back begins anew, and nothing in between is billed.
    made(&shop, partner, to(plan), at("2026-07-10T00:00:00Z")).await;
    let on = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!(on.anchor, at("2026-07-10T00:00:00Z"));
}

/// Gateways refuse calls from the planned end on, so that none is served that no subscription is billed for.
#[tokio::test]
async fn gateways_are_told_of_a_planned_end_before_it_comes_and_of_no_other_change() {
    let shop = Shop::open().await;
    let (small, big) = (shop.plan("small", fee(10)).await, shop.plan("big", fee(20)).await);
    let end = Wanted { by: OrderedBy::Operator, ..END };
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner("acme", big, start).await;
    let told = async |before: i64| {
        let changes = shop.store.directory_changes(before).await.expect("read").expect("listed");
        let ends = changes.found.partner(partner).and_then(|one| one.subscription.as_ref()).map(|one| one.ends_at);
        (changes.partners, ends)
    };
    let version = async || shop.store.directory_version().await.expect("a version");
    let before = version().await;
    made(&shop, partner, to(small), start + days(8)).await;
    assert_eq!(version().await, before, "another plan begins where this one ends");
    made(&shop, partner, end, start + days(9)).await;
    assert_eq!(told(before).await, (vec![partner], Some(Some(at("2026-04-01T00:00:00Z")))));
    let (before, waits) =
        (version().await, shop.store.scheduled_change(partner).await.expect("answered").expect("one"));
    take_change_back(&shop.store, partner, waits.id, OrderedBy::Operator, &letter, Actor::System, start + days(10))
        .await
        .expect("taken back");
    assert_eq!(told(before).await, (vec![partner], Some(None)));
    made(&shop, partner, end, start + days(11)).await;
    assert_eq!(put_changes_in_force(&shop.store, &letter, at("2026-04-01T00:00:01Z")).await.expect("ran"), (1, 0));
    assert_eq!(told(before).await, (vec![partner], None), "no subscription is left");
}

#[tokio::test]
async fn a_yearly_plan_after_a_monthly_one_is_a_year_from_the_change_on() {
    let shop = Shop::open().await;
    let month = shop.plan("month", fee(10)).await;
    let year = shop.plan("year", PlanTerms { interval: Interval::Year, ..fee(365) }).await;
    let partner = shop.partner("acme", month, at("2026-01-31T00:00:00Z")).await;
    let now = at("2026-03-17T14:05:00Z");
    shop.close(now).await;
    let proposal = made(&shop, partner, to(year), now).await;
    for when in ["2026-03-17T16:00:00Z", "2027-03-17T13:00:00Z"] {
        shop.close(at(when)).await;
        assert_eq!(shop.store.invoices(partner).await.expect("invoices").len(), 2, "{when}");
    }
    shop.close(at("2027-03-17T16:00:00Z")).await;
    let year = lines(&shop, partner, 2).await;
    assert_eq!((base_fee(&year), proposal.preview.first_fee), (proposal.preview.fee, proposal.preview.fee));
    let last = shop.store.invoices(partner).await.expect("invoices").remove(0);
    assert_eq!((last.period.start, last.period.end), (now, at("2027-03-17T14:05:00Z")));
}

#[tokio::test]
async fn those_who_decide_hear_of_it_in_the_same_transaction() {
    let shop = Shop::open().await;
    let (big, small) = (shop.plan("big", fee(100)).await, shop.plan("small", fee(10)).await);
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", big, start).await;
    shop.member(partner, "money@acme.example").await;
    let waiting = async || {
        shop.store.all_mails(50).await.expect("mails").into_iter().map(|mail| mail.subject).collect::<Vec<_>>()
    };
    let before = waiting().await.len();
    made(&shop, partner, to(small), start + days(3)).await;
    put_changes_in_force(&shop.store, &letter, start + days(31)).await.expect("ran");
    let told = waiting().await;
    assert_eq!(told.len(), before + 2);
    assert!(told[0].starts_with("Changed") && told[1].starts_with("Scheduled"), "{told:?}");
    let stale = order(&shop, partner, to(big), "1.00", start + days(40)).await;
    assert!(stale.is_err() && waiting().await.len() == before + 2);
    let entries = shop.store.audit_page(partner, None, 10).await.expect("entries").items;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).take(2).collect();
    assert_eq!(actions, ["subscription.start", "subscription.schedule"]);
}
