//! Calendar periods, from the first part to the invoice: one period for gateways, pages and bills, previews that the commit equals, and parts
//! that are never free of what they owe.

use crate::shop::{Shop, days, hours};
use billing::{Recipient, Wanted, order_change, preview_change, project, put_changes_in_force};
use domain::{
    allowance::Allowance,
    directory,
    id::{PartnerId, PlanVersionId},
    period::Period,
    plan::PlanTerms,
    plan_change::When,
    quota::{PeriodQuota, Quota},
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Actor, NewMail, Ordered, OrderedBy, Wish, leases::LeaseAsk, test_db::world::World};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// 299.00 a month with 1,000 units, then 0.01 each, and a quota of 100,000.
fn calendar(rest: Value) -> PlanTerms {
    let mut terms = json!({
        "currency": "NZD", "periods": "calendar", "products": [{ "product": "payments" }], "base_fee_micros": 299_000_000,
        "price": { "model": "per_unit", "included": 1000, "unit_price": "0.01" }, "quota": { "units": 100_000, "beyond": "block" },
    });
    for (field, value) in rest.as_object().expect("a map") {
        terms[field] = value.clone();
    }
    serde_json::from_value(terms).expect("terms")
}

async fn in_auckland(shop: &Shop, name: &str) -> PartnerId {
    let partner = World::named(&shop.store, name).await.partner;
    let began = at("2026-01-01T00:00:00Z");
    shop.store.set_partner_time_zone(partner, "Pacific/Auckland", Actor::System, began).await.expect("set");
    partner
}

async fn seen_by_gateways(shop: &Shop, partner: PartnerId) -> directory::Subscription {
    let directory = shop.store.load_directory().await.expect("a directory");
    let own = directory.partners.into_iter().find(|own| own.id == partner).expect("the partner");
    own.subscription.expect("a subscription")
}

/// What the partner has used of a quota, as all gateways share it: one more unit is taken by a new one.
async fn taken(shop: &Shop, partner: PartnerId, period: Period, limit: u64) -> (u64, u64) {
    let of = Allowance::quota(partner, period);
    let ask = LeaseAsk { of, limit: Some(limit), need: 1, want: 1, returned: 0, turn: 0 };
    let leased = shop.store.exchange_units("gateway", ask, at("2026-04-17T00:00:00Z")).await.expect("an answer");
    (leased.taken - leased.granted, leased.granted)
}

type Bill = (Period, Vec<(LineKind, i64, String)>, String);

/// The partner's invoices, oldest first.
async fn bills(shop: &Shop, partner: PartnerId) -> Vec<Bill> {
    let mut bills = Vec::new();
    for invoice in shop.store.invoices(partner).await.expect("invoices").into_iter().rev() {
        let (invoice, lines) = shop.store.invoice(partner, invoice.id).await.expect("an invoice");
        let lines = lines.into_iter().map(|line| (line.kind, line.quantity, line.amount.to_string())).collect();
        bills.push((invoice.period, lines, invoice.total.to_string()));
    }
    bills
}

fn letter(to: &Recipient, news: &billing::News) -> NewMail {
    NewMail {
        recipient: to.email.clone(),
        subject: format!("{news:?}"),
        body_text: String::new(),
        body_html: String::new(),
    }
}

fn to(version: PlanVersionId) -> Wanted {
    Wanted { wish: Wish::Version(version), when: When::Usual, by: OrderedBy::Operator }
}

/// Clocks go back on 5 April: 1,158,900 of 2,595,600 seconds are left on the 17th at 14:05.
#[tokio::test]
async fn gateways_pages_and_the_invoice_have_one_first_period() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", calendar(json!({}))).await;
    let began = at("2026-04-17T14:05:00+12:00");
    let (first, last) = (at("2026-04-01T00:00:00+13:00"), at("2026-05-01T00:00:00+12:00"));
    let partner = in_auckland(&shop, "acme").await;
    shop.store.assign_plan_version(partner, plan, Actor::System, began).await.expect("a subscription");
    shop.live(partner, began + hours(1), &[(1, 1_446)]).await;
    // The last call of the month, and the first of the next.
    shop.live(partner, last - SignedDuration::from_micros(1), &[(1, 1)]).await;
    shop.live(partner, last, &[(1, 50)]).await;

    let part = Period { start: began, end: last };
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    let quota = Some(PeriodQuota { units: 44_649, until: last });
    assert_eq!(
        (own.counted_at(began), own.cycle().period_at(began)),
        (Ok(part), Ok(Period { start: first, end: last }))
    );
    assert_eq!((own.period_quota, own.quota_at(last).map(|quota| quota.units)), (quota, Some(100_000)));
    let seen = seen_by_gateways(&shop, partner).await;
    assert_eq!((seen.cycle.counted_at(began, seen.counts_from), seen.quota), (Ok(part), quota));
    assert_eq!(taken(&shop, partner, part, 44_649).await, (1_447, 1));
    let bill = project(&shop.store, partner, began + days(2)).await.expect("projects").expect("a plan");
    assert_eq!((bill.period, bill.so_far.total.to_string()), (part, "NZ$143.50".to_owned()));

    shop.close(last + hours(1)).await;
    // 1,000 units for April are 447 for the part; 1,000 more are 10.00.
    let lines = vec![(LineKind::BaseFee, 1, "NZ$133.50".to_owned()), (LineKind::Usage, 1_447, "NZ$10.00".to_owned())];
    assert_eq!(bills(&shop, partner).await, [(part, lines, "NZ$143.50".to_owned())]);
    shop.close(at("2026-06-01T02:00:00+12:00")).await;
    let whole = Period { start: last, end: at("2026-06-01T00:00:00+12:00") };
    let lines = vec![(LineKind::BaseFee, 1, "NZ$299.00".to_owned()), (LineKind::Usage, 50, "NZ$0.00".to_owned())];
    assert_eq!(bills(&shop, partner).await[1..], [(whole, lines, "NZ$299.00".to_owned())]);
}

#[tokio::test]
async fn an_upgrade_to_the_calendar_is_made_as_shown_and_counts_from_then_on() {
    let shop = Shop::open().await;
    let fields =
        json!({ "periods": "anchored", "base_fee_micros": 30_000_000, "quota": { "units": 2_000, "beyond": "block" } });
    let small = shop.plan("small", calendar(fields)).await;
    let big = shop.plan("big", calendar(json!({}))).await;
    let (since, change) = (at("2026-06-01T00:00:00+12:00") + hours(12), at("2026-06-16T00:00:00+12:00"));
    let partner = in_auckland(&shop, "acme").await;
    shop.store.assign_plan_version(partner, small, Actor::System, since).await.expect("a subscription");
    // All of the old quota, in the month that the new plan's first period is the rest of.
    shop.live(partner, since + hours(1), &[(1, 2_000)]).await;
    let shown = preview_change(&shop.store, partner, to(big), change).await.expect("a preview");
    let made = order_change(&shop.store, partner, to(big), &shown.token, &letter, Actor::System, change).await;
    assert!(matches!(made, Ok((Ordered::Done(Some(_)), _))), "{made:?}");
    let end = at("2026-07-01T00:00:00+12:00");
    let part = Period { start: change, end };
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((Some(own.cycle()), own.period_quota), (shown.preview.cycle, shown.preview.quota_first));
    assert_eq!((own.counts_from, shown.preview.counts_from), (Some(change), Some(change)));
    assert_eq!(own.quota_at(change).map(|quota| quota.units), Some(50_000));
    assert_eq!(
        taken(&shop, partner, part, 50_000).await,
        (0, 1),
        "what the old plan served is not held against the new one"
    );
    shop.close(end + hours(1)).await;
    let told = bills(&shop, partner).await;
    let fees: Vec<_> = told.iter().map(|(period, lines, _)| (*period, lines[0].2.clone())).collect();
    // 14.5 of 30 days from 1 June 12:00 on, and the rest of June.
    let old = (Period { start: since, end: change }, "NZ$14.50".to_owned());
    assert_eq!(fees, [old, (part, "NZ$149.50".to_owned())]);
    assert_eq!(shown.preview.old_fee.map(|fee| fee.to_string()), Some("NZ$14.50".to_owned()));
    assert_eq!(shown.preview.first_fee.map(|fee| fee.to_string()), Some("NZ$149.50".to_owned()));
}

#[tokio::test]
async fn a_planned_change_to_the_calendar_begins_a_part_where_the_old_period_ends() {
    let shop = Shop::open().await;
    let dear = shop.plan("dear", calendar(json!({ "periods": "anchored", "base_fee_micros": 400_000_000 }))).await;
    let cheap = shop.plan("cheap", calendar(json!({ "fee_due": "advance" }))).await;
    let (since, change) = (at("2026-06-11T00:00:00+12:00"), at("2026-07-11T00:00:00+12:00"));
    let partner = in_auckland(&shop, "acme").await;
    shop.store.assign_plan_version(partner, dear, Actor::System, since).await.expect("a subscription");
    let shown = preview_change(&shop.store, partner, to(cheap), since + days(3)).await.expect("a preview");
    assert_eq!((shown.preview.at_once, shown.preview.effective_at), (false, change));
    let made =
        order_change(&shop.store, partner, to(cheap), &shown.token, &letter, Actor::System, since + days(3)).await;
    assert!(matches!(made, Ok((Ordered::Scheduled(_), _))), "{made:?}");
    // The task comes late.
    let done = put_changes_in_force(&shop.store, &letter, change + hours(5)).await.expect("made");
    assert_eq!(done, (1, 0));
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    let end = at("2026-08-01T00:00:00+12:00");
    assert_eq!((own.started_at, own.counts_from), (Some(change), Some(change)));
    // 21 of 31 days of 100,000.
    assert_eq!(own.period_quota, Some(PeriodQuota { units: 67_742, until: end }));
    assert_eq!((Some(own.cycle()), own.period_quota), (shown.preview.cycle, shown.preview.quota_first));
    shop.close(change + hours(6)).await;
    let fee =
        bills(&shop, partner).await.into_iter().find(|(period, ..)| period.start == change).expect("a fee in advance");
    assert_eq!((fee.0.end, fee.2.as_str()), (end, "NZ$202.55"));
    assert_eq!(shown.preview.first_fee.map(|fee| fee.to_string()), Some(fee.2));
    shop.close(end + hours(1)).await;
    let next = bills(&shop, partner).await.into_iter().find(|(period, ..)| period.start == end).expect("the next fee");
    assert_eq!((next.0.end, next.2.as_str()), (at("2026-09-01T00:00:00+12:00"), "NZ$299.00"));
}

/// Whoever goes and comes back has no quota twice, and nothing of what was used is held against it twice.
#[tokio::test]
async fn who_comes_back_within_the_month_has_the_rest_of_it() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", calendar(json!({}))).await;
    let since = at("2026-06-01T00:00:00+12:00");
    let partner = in_auckland(&shop, "acme").await;
    shop.store.assign_plan_version(partner, plan, Actor::System, since).await.expect("a subscription");
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((own.period_quota, own.counts_from), (None, None), "a whole month");
    let ends = Wanted { wish: Wish::Nothing, when: When::AtOnce, by: OrderedBy::Operator };
    let gone = since + days(10);
    let token = preview_change(&shop.store, partner, ends, gone).await.expect("a preview").token;
    order_change(&shop.store, partner, ends, &token, &letter, Actor::System, gone).await.expect("ended");
    let back = since + days(20);
    shop.store.assign_plan_version(partner, plan, Actor::System, back).await.expect("back");
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!(own.quota_at(back).map(|quota| quota.units), Some(33_334));
    assert_eq!(own.counts_from, Some(back));
    shop.close(since + days(30) + hours(1)).await;
    let fees: Vec<_> = bills(&shop, partner).await.into_iter().map(|(.., total)| total).collect();
    assert_eq!(fees, ["NZ$99.67", "NZ$99.67"]);
}

/// Another version of the plan within the first part keeps that part, with its own quota for it; offers for the first periods count it as one.
#[tokio::test]
async fn the_first_part_stays_over_a_new_version_and_is_a_period_of_offers() {
    let shop = Shop::open().await;
    let offer = json!({ "discounts": [{ "name": "Launch", "percent": "50", "on": "base_fee", "periods": 1 }] });
    let plan = shop.plan("pro", calendar(offer)).await;
    let (began, end) = (at("2026-06-11T00:00:00+12:00"), at("2026-07-01T00:00:00+12:00"));
    let partner = in_auckland(&shop, "acme").await;
    shop.store.assign_plan_version(partner, plan, Actor::System, began).await.expect("a subscription");
    let first = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    let quota = first.terms.quota.map(|quota| Quota { units: 300_000, ..quota });
    let dearer = PlanTerms { base_fee_micros: 600_000_000, quota, ..first.terms.clone() };
    shop.store.add_plan_version(first.plan, &dearer, Actor::System, began).await.expect("added");
    shop.store.move_to_newest_version(partner, Actor::System, began + days(10)).await.expect("moved");
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((own.version, own.anchor, own.counts_from), (2, first.anchor, Some(began)));
    let quotas = [first.period_quota, own.period_quota].map(|part| part.map(|part| (part.units, part.until)));
    assert_eq!(quotas, [Some((66_667, end)), Some((200_000, end))], "20 of 30 days");
    shop.close(end + hours(1)).await;
    shop.close(end + days(31) + hours(1)).await;
    let totals: Vec<_> = bills(&shop, partner).await.into_iter().map(|(.., total)| total).collect();
    // 10 of 30 days of 299.00 and of 600.00, less half; then a whole month without the offer.
    assert_eq!(totals, ["NZ$49.83", "NZ$100.00", "NZ$600.00"]);
}
