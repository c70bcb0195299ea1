//! Changes of plan that meet something else: approval, another hand, moves to a newer version, and what cannot be made.

use crate::shop::{Shop, days, hours, terms};
use billing::{
    ChangeRefused, News, Recipient, Wanted, order_change, preview_change, put_changes_in_force, take_change_back,
};
use domain::{
    id::{PartnerId, PlanVersionId},
    plan::{Approval, PlanTerms},
    plan_change::{ChangeRules, QuotaOnChange, When},
    quota::{Beyond, Quota},
};
use jiff::{SignedDuration, Timestamp};
use store::{Actor, NewMail, Ordered, OrderedBy, PlanMeta, ScheduledChange, StoreError, Subscription, Wish};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn start() -> Timestamp {
    at("2026-03-01T00:00:00Z")
}

fn end() -> Timestamp {
    at("2026-04-01T00:00:00Z")
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

fn quota(euros: i64, units: u64) -> PlanTerms {
    let changes = ChangeRules { quota: QuotaOnChange::Prorated, ..ChangeRules::default() };
    PlanTerms { quota: Some(Quota { units, beyond: Beyond::Block }), changes, ..fee(euros) }
}

const fn by(wish: Wish, by: OrderedBy) -> Wanted {
    Wanted { wish, when: When::Usual, by }
}

async fn ordered(shop: &Shop, partner: PartnerId, wanted: Wanted, now: Timestamp) -> Result<Ordered, ChangeRefused> {
    let token = preview_change(&shop.store, partner, wanted, now).await?.token;
    order_change(&shop.store, partner, wanted, &token, &letter, Actor::System, now).await.map(|(ordered, _)| ordered)
}

async fn wish(shop: &Shop, code: &str) -> Wish {
    Wish::Plan(shop.store.find_plan_by_code(code).await.expect("answered").expect("a plan").id)
}

async fn with_approval(shop: &Shop, code: &str, terms: PlanTerms) -> Wish {
    shop.plan(code, terms).await;
    let Wish::Plan(plan) = wish(shop, code).await else { panic!("a plan") };
    let approval = Approval::Queue;
    let meta = PlanMeta { name: code.to_owned(), summary: String::new(), position: 0, private: false, approval };
    shop.store.update_plan(plan, &meta, Actor::System, start()).await.expect("updated");
    Wish::Plan(plan)
}

async fn on(shop: &Shop, partner: PartnerId) -> Subscription {
    shop.store.subscription(partner).await.expect("answered").expect("a plan")
}

async fn waits(shop: &Shop, partner: PartnerId) -> Option<ScheduledChange> {
    shop.store.scheduled_change(partner).await.expect("answered")
}

async fn actions(shop: &Shop, partner: PartnerId) -> Vec<String> {
    let entries = shop.store.audit_page(partner, None, 20).await.expect("entries").items;
    entries.into_iter().map(|entry| entry.action).collect()
}

fn refused_as(answer: Result<Ordered, ChangeRefused>, words: &str) {
    match answer {
        Err(ChangeRefused::Store(StoreError::Conflict { message, .. })) if message.contains(words) => {}
        other => panic!("not refused as {words}: {other:?}"),
    }
}

async fn plan_version(shop: &Shop, version: PlanVersionId, partner: PartnerId, terms: &PlanTerms) {
    let plan = on(shop, partner).await.plan;
    assert_eq!(on(shop, partner).await.version_id, version);
    shop.store.add_plan_version(plan, terms, Actor::System, start()).await.expect("added");
}

#[tokio::test]
async fn a_digest_of_another_change_is_refused_at_a_good_instant() {
    let shop = Shop::open().await;
    let (small, _) = (shop.plan("small", fee(10)).await, shop.plan("big", fee(20)).await);
    let partner = shop.partner("acme", small, start()).await;
    let wanted = by(wish(&shop, "big").await, OrderedBy::Partner);
    let now = start() + days(3);
    let token = preview_change(&shop.store, partner, wanted, now).await.expect("a preview").token;
    let (instant, digest) = token.split_once('.').expect("two parts");
    let other: String = digest.chars().rev().collect();
    for wrong in [
        format!("{instant}.{other}"),
        format!("{instant}."),
        format!("{}.{digest}", instant.parse::<i64>().expect("a number") - 1),
    ] {
        let answer = order_change(&shop.store, partner, wanted, &wrong, &letter, Actor::System, now).await;
        assert!(matches!(answer, Err(ChangeRefused::Moved(_))), "{wrong}: {answer:?}");
    }
    assert_eq!(on(&shop, partner).await.version_id, small);
    assert!(order_change(&shop.store, partner, wanted, &token, &letter, Actor::System, now).await.is_ok());
}

/// What is shown is what gateways have from the change on, and prices and quota are the smaller plan's.
#[tokio::test]
async fn a_downgrade_keeps_limits_for_as_long_as_it_was_shown() {
    use domain::limit::{Limit, Window};
    let shop = Shop::open().await;
    let limited = |calls| vec![Limit { calls, window: Window::Minute }];
    let changes = ChangeRules { grace_days: 14, ..ChangeRules::default() };
    let big = PlanTerms { limits: limited(100), changes, opens_features: vec!["bulk".to_owned()], ..quota(100, 900) };
    let big = shop.plan("big", PlanTerms { changes, ..big }).await;
    shop.plan("small", PlanTerms { limits: limited(10), ..quota(10, 90) }).await;
    let partner = shop.partner("acme", big, start()).await;
    let wanted = by(wish(&shop, "small").await, OrderedBy::Partner);
    let shown = preview_change(&shop.store, partner, wanted, start() + days(3)).await.expect("a preview").preview;
    let until = end() + days(14);
    assert_eq!((shown.effective_at, shown.kept_until, shown.limits_kept), (end(), Some(until), limited(100)));
    assert!(matches!(ordered(&shop, partner, wanted, start() + days(3)).await, Ok(Ordered::Scheduled(_))));
    let kept = async || {
        let directory = shop.store.load_directory().await.expect("a directory");
        directory.partners.into_iter().find(|own| own.id == partner).and_then(|own| own.subscription).expect("one").kept
    };
    assert_eq!(kept().await, None, "until then the old plan is in force itself");
    put_changes_in_force(&shop.store, &letter, end() + hours(3)).await.expect("made");
    let own = on(&shop, partner).await;
    assert_eq!((own.kept_until, own.quota_at(end()).map(|quota| quota.units)), (Some(until), Some(90)));
    let found = kept().await.expect("something is kept");
    assert_eq!((found.until, found.limits, found.opens_features), (until, limited(100), vec!["bulk".to_owned()]));
    // The next change ends it.
    assert!(ordered(&shop, partner, by(wish(&shop, "big").await, OrderedBy::Partner), end() + days(2)).await.is_ok());
    assert_eq!((on(&shop, partner).await.kept_until, kept().await), (None, None));
}

#[tokio::test]
async fn an_approved_downgrade_waits_for_the_period_s_end() {
    let shop = Shop::open().await;
    let big = shop.plan("big", fee(100)).await;
    let small = with_approval(&shop, "small", fee(10)).await;
    let partner = shop.partner("acme", big, start()).await;
    let end_planned = ordered(&shop, partner, by(Wish::Nothing, OrderedBy::Partner), start() + days(2)).await;
    assert!(matches!(end_planned, Ok(Ordered::Scheduled(_))));
    let requested = ordered(&shop, partner, by(small, OrderedBy::Partner), start() + days(3)).await;
    let Ok(Ordered::Requested(requested)) = requested else { panic!("{requested:?}") };
    assert!(waits(&shop, partner).await.expect("the end").to.is_none(), "it waits until somebody says yes");
    let yes = shop.store.approve_plan_request(partner, requested, Actor::System, start() + days(5)).await;
    assert!(matches!(yes, Ok(Ordered::Scheduled(_))), "{yes:?}");
    assert_eq!(on(&shop, partner).await.version_id, big);
    let change = waits(&shop, partner).await.expect("a change");
    assert_eq!((change.effective_at, change.to.map(|to| to.code)), (end(), Some("small".to_owned())));
    assert!(shop.store.requested_subscription(partner).await.expect("answered").is_none());
    assert_eq!(
        actions(&shop, partner).await[..3],
        ["subscription.schedule", "subscription.approve", "subscription.replace_planned"]
    );
    assert_eq!(put_changes_in_force(&shop.store, &letter, end()).await.expect("ran"), (1, 0));
    shop.close(at("2026-05-01T01:00:00Z")).await;
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.sort_by_key(|invoice| invoice.period.start);
    assert_eq!(invoices.iter().map(|invoice| invoice.total.micros).collect::<Vec<_>>(), [100_000_000, 10_000_000]);
}

#[tokio::test]
async fn an_approved_upgrade_has_the_quota_that_a_change_has() {
    let shop = Shop::open().await;
    let small = shop.plan("small", quota(10, 3_100)).await;
    let big = with_approval(&shop, "big", quota(100, 31_000)).await;
    let partner = shop.partner("acme", small, start()).await;
    let requested = ordered(&shop, partner, by(big, OrderedBy::Partner), start() + days(3)).await;
    let Ok(Ordered::Requested(requested)) = requested else { panic!("{requested:?}") };
    let yes = shop.store.approve_plan_request(partner, requested, Actor::System, start() + days(10)).await;
    assert!(matches!(yes, Ok(Ordered::Done(_))), "{yes:?}");
    let own = on(&shop, partner).await;
    // A thousand for ten days of 31, and 21,000 for the rest.
    assert_eq!((own.id, own.quota_at(start() + days(11)).map(|quota| quota.units)), (requested, Some(22_000)));
    assert_eq!(own.quota_at(end()).map(|quota| quota.units), Some(31_000));
}

#[tokio::test]
async fn a_newer_version_of_the_plan_leaves_what_was_planned_and_the_running_quota() {
    let shop = Shop::open().await;
    let (small, _) = (shop.plan("small", quota(10, 3_100)).await, shop.plan("tiny", fee(1)).await);
    let big = shop.plan("big", quota(100, 31_000)).await;
    let partner = shop.partner("acme", small, start()).await;
    let up = ordered(&shop, partner, by(Wish::Version(big), OrderedBy::Operator), start() + days(10)).await;
    assert!(matches!(up, Ok(Ordered::Done(_))), "{up:?}");
    let tiny = by(wish(&shop, "tiny").await, OrderedBy::Partner);
    ordered(&shop, partner, tiny, start() + days(11)).await.expect("planned");
    plan_version(&shop, big, partner, &quota(110, 40_000)).await;
    shop.store.move_to_newest_version(partner, Actor::System, start() + days(12)).await.expect("moved");
    let own = on(&shop, partner).await;
    assert_eq!((own.version, own.quota_at(start() + days(13)).map(|quota| quota.units)), (2, Some(22_000)));
    let change = waits(&shop, partner).await.expect("it waits still");
    assert_eq!((change.subscription, change.effective_at), (own.id, end()));
    shop.close(end() + hours(1)).await;
    assert_eq!(put_changes_in_force(&shop.store, &letter, end() + hours(1)).await.expect("ran"), (1, 0));
    let own = on(&shop, partner).await;
    assert_eq!((own.plan_code.as_str(), own.started_at), ("tiny", Some(end())));
    // Another plan takes the place of what was planned, and the log says so.
    ordered(&shop, partner, by(Wish::Nothing, OrderedBy::Partner), end() + days(1)).await.expect("planned");
    shop.store.assign_plan_version(partner, small, Actor::System, end() + days(2)).await.expect("assigned");
    assert!(waits(&shop, partner).await.is_none());
    assert_eq!(actions(&shop, partner).await[..2], ["subscription.start", "subscription.replace_planned"]);
}

#[tokio::test]
async fn what_an_operator_planned_is_not_the_partner_s_to_take_back_or_replace() {
    let shop = Shop::open().await;
    let (big, small) = (shop.plan("big", fee(100)).await, shop.plan("small", fee(10)).await);
    let partner = shop.partner("acme", big, start()).await;
    let now = start() + days(3);
    ordered(&shop, partner, by(Wish::Version(small), OrderedBy::Operator), now).await.expect("planned");
    let change = waits(&shop, partner).await.expect("a change");
    let back = async |by| take_change_back(&shop.store, partner, change.id, by, &letter, Actor::System, now).await;
    assert!(matches!(back(OrderedBy::Partner).await, Err(StoreError::Conflict { .. })));
    let other = by(wish(&shop, "small").await, OrderedBy::Partner);
    refused_as(ordered(&shop, partner, other, now).await, "The provider planned");
    refused_as(ordered(&shop, partner, by(Wish::Nothing, OrderedBy::Partner), now).await, "The provider planned");
    assert_eq!(waits(&shop, partner).await.as_ref(), Some(&change));
    back(OrderedBy::Operator).await.expect("taken back");
    assert!(ordered(&shop, partner, other, now).await.is_ok());
}

#[tokio::test]
async fn who_is_suspended_may_cancel_and_nothing_else() {
    let shop = Shop::open().await;
    let (small, _) = (shop.plan("small", fee(10)).await, shop.plan("big", fee(100)).await);
    let partner = shop.partner("acme", small, start()).await;
    let now = start() + days(3);
    shop.store.suspend_partner(partner, "Unpaid", Actor::System, now).await.expect("suspended");
    refused_as(ordered(&shop, partner, by(wish(&shop, "big").await, OrderedBy::Partner), now).await, "suspended");
    let cancelled = ordered(&shop, partner, by(Wish::Nothing, OrderedBy::Partner), now).await;
    let Ok(Ordered::Scheduled(change)) = cancelled else { panic!("{cancelled:?}") };
    let back = take_change_back(&shop.store, partner, change, OrderedBy::Partner, &letter, Actor::System, now).await;
    assert!(matches!(back, Err(StoreError::Conflict { .. })), "{back:?}");
}

/// Calls that were served after an end at once was shown, and before it was confirmed.
#[tokio::test]
async fn an_end_at_once_counts_from_its_confirmation() {
    let shop = Shop::open().await;
    let small = shop.plan("small", fee(10)).await;
    let partner = shop.partner("acme", small, start()).await;
    let wanted = Wanted { when: When::AtOnce, ..by(Wish::Nothing, OrderedBy::Operator) };
    let now = start() + days(3);
    let token = preview_change(&shop.store, partner, wanted, now).await.expect("a preview").token;
    let later = now + SignedDuration::from_mins(9);
    shop.live(partner, now + SignedDuration::from_mins(5), &[(1, 10_000)]).await;
    let made = order_change(&shop.store, partner, wanted, &token, &letter, Actor::System, later).await.expect("made");
    assert_eq!((made.0, made.1.preview.effective_at), (Ordered::Done(None), later));
    shop.close(later + hours(1)).await;
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!((invoices.len(), invoices[0].period.end), (1, later));
    assert!(invoices[0].total.micros > 10_000_000, "the calls are on it: {}", invoices[0].total);
}
