//! Bulk moves with notice: each partner is told once and moved once, at the end of a period after the notice; it may leave, not stay.

use crate::shop::{Shop, days, hours, terms};
use billing::{
    After, BillingError, News, Recipient, Wanted, cancel_move, follow_moves, order_change, order_move, preview_change,
    preview_move, put_changes_in_force, take_change_back,
};
use domain::{
    id::{PartnerId, PlanId, PlanMoveId, PlanVersionId},
    money::Currency,
    period::Interval,
    plan::PlanTerms,
    plan_change::When,
    rating::Trial,
};
use jiff::Timestamp;
use std::time::Duration;
use store::{Actor, NewMail, NewPlanMove, OrderedBy, StoreError, Wish};
use tokio::{join, time::timeout};

pub const START: &str = "2026-06-01T00:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn fee(dollars: i64) -> PlanTerms {
    PlanTerms { base_fee_micros: dollars * 1_000_000, ..terms("invoice_items") }
}

fn letter(to: &Recipient, news: &News) -> NewMail {
    let subject = match news {
        News::Moved { from, to, at, why } => format!("moved {from} {to} {at} {why}"),
        News::Kept { plan } => format!("kept {plan}"),
        News::Changed { to, .. } => format!("changed {to:?}"),
        other => format!("{other:?}"),
    };
    NewMail { recipient: to.email.clone(), subject, body_text: String::new(), body_html: String::new() }
}

pub async fn id_of(shop: &Shop, code: &str) -> PlanId {
    shop.store.find_plan_by_code(code).await.expect("answered").expect("a plan").id
}

pub fn new_move(from: PlanId, to: PlanVersionId) -> NewPlanMove {
    NewPlanMove { from, from_version: None, to, notice_days: 30, reason: "Costs rose".to_owned() }
}

/// Orders it as it is shown.
async fn order(shop: &Shop, new: &NewPlanMove, now: Timestamp) -> Result<PlanMoveId, BillingError> {
    let shown = preview_move(&shop.store, new, now).await?;
    Ok(order_move(&shop.store, new, &shown.token, Actor::System, now).await.expect("as it was shown"))
}

pub async fn follow(shop: &Shop, now: Timestamp) -> u32 {
    follow_moves(&shop.store, &letter, now).await.expect("followed")
}

async fn in_force(shop: &Shop, now: Timestamp) -> u32 {
    put_changes_in_force(&shop.store, &letter, now).await.expect("made").0
}

async fn plan_of(shop: &Shop, partner: PartnerId) -> String {
    shop.store.subscription(partner).await.expect("answered").map_or("none".to_owned(), |own| own.plan_code)
}

async fn heard(shop: &Shop, word: &str) -> Vec<String> {
    let mails = shop.store.all_mails(100).await.expect("mails");
    let mut subjects: Vec<String> =
        mails.into_iter().map(|mail| mail.subject).filter(|subject| subject.starts_with(word)).collect();
    subjects.sort();
    subjects
}

/// What a partner does about its own plan.
pub async fn choose(shop: &Shop, partner: PartnerId, wish: Wish, now: Timestamp) -> Result<(), billing::ChangeRefused> {
    let wanted = Wanted { wish, when: When::Usual, by: OrderedBy::Partner };
    let shown = preview_change(&shop.store, partner, wanted, now).await?;
    order_change(&shop.store, partner, wanted, &shown.token, &letter, Actor::System, now).await.map(|_| ())
}

#[tokio::test]
async fn each_is_told_once_and_moved_once_at_the_end_of_its_period_after_the_notice() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    let acme = shop.partner("acme", old, at(START)).await;
    shop.member(acme, "money@acme.example").await;
    let bolt = shop.partner_without_members("bolt", old, at("2026-06-20T00:00:00Z")).await;
    let (id, now) = (id_of(&shop, "old").await, at("2026-07-05T12:00:00Z"));
    shop.live(acme, at(START) + days(3), &[(1, 2_000)]).await;
    let shown = preview_move(&shop.store, &new_move(id, new), now).await.expect("a preview");
    // 30 days after it is the 4th of August: acme's period ends on the 1st of September, bolt's on the 20th of August.
    assert_eq!(shown.at, [at("2026-09-01T00:00:00Z"), at("2026-08-20T00:00:00Z")]);
    assert_eq!((shown.impact.partners_in_all, shown.impact.before.to_string()), (2, "$10.00".to_owned()));
    assert_eq!(shown.impact.after.to_string(), "$25.00");
    let ordered = order(&shop, &new_move(id, new), now).await.expect("ordered");
    // Who comes to the plan later is not moved.
    let late = shop.partner_without_members("late", old, now + hours(1)).await;
    let racing = join!(follow(&shop, now + hours(2)), follow(&shop, now + hours(2)), follow(&shop, now + hours(2)));
    assert_eq!(racing.0 + racing.1 + racing.2, 2);
    assert_eq!(follow(&shop, now + hours(3)).await, 0);
    assert_eq!(heard(&shop, "moved").await, ["moved old new 2026-09-01T00:00:00Z Costs rose"]);
    let waits = shop.store.scheduled_change(acme).await.expect("answered").expect("a change");
    assert_eq!((waits.effective_at, waits.of_move.map(|own| own.reason)), (shown.at[0], Some("Costs rose".to_owned())));
    let again = order(&shop, &new_move(id, new), now).await;
    assert!(matches!(again, Err(BillingError::Store(StoreError::Conflict { .. }))), "one move at a time: {again:?}");

    assert_eq!(in_force(&shop, at("2026-08-19T23:59:59Z")).await, 0);
    let end = at("2026-09-01T00:00:00Z");
    let made = join!(in_force(&shop, end), in_force(&shop, end));
    assert_eq!(made.0 + made.1, 2);
    assert_eq!((plan_of(&shop, acme).await, plan_of(&shop, bolt).await), ("new".to_owned(), "new".to_owned()));
    assert_eq!(plan_of(&shop, late).await, "old");
    shop.close(at("2026-10-01T01:00:00Z")).await;
    let fees: Vec<i64> =
        shop.store.invoices(acme).await.expect("invoices").iter().map(|invoice| invoice.total.micros).collect();
    assert_eq!(fees, [25_000_000, 10_000_000, 10_000_000, 10_000_000], "the old price to the day, then the new");
    // An operator brings one back: it is not moved a second time.
    shop.store.assign_plan_version(acme, old, Actor::System, end + days(40)).await.expect("changed");
    assert_eq!(follow(&shop, end + days(41)).await, 0);
    let told = shop.store.plan_move(ordered).await.expect("a move");
    assert_eq!((told.told, told.waiting, told.moved, told.exempted), (2, 0, 2, 0));
}

#[tokio::test]
async fn a_partner_may_leave_or_choose_another_plan_and_not_stay() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    shop.plan("other", fee(90)).await;
    let (leaves, upgrades, wavers) = (
        shop.partner("leaves", old, at(START)).await,
        shop.partner("upgrades", old, at(START)).await,
        shop.partner("wavers", old, at(START)).await,
    );
    for (partner, name) in [(leaves, "leaves"), (upgrades, "upgrades"), (wavers, "wavers")] {
        shop.member(partner, &format!("money@{name}.example")).await;
    }
    let (id, now) = (id_of(&shop, "old").await, at("2026-06-10T00:00:00Z"));
    order(&shop, &new_move(id, new), now).await.expect("ordered");
    assert_eq!(follow(&shop, now).await, 3);
    choose(&shop, leaves, Wish::Nothing, now + hours(1)).await.expect("it may leave");
    choose(&shop, upgrades, Wish::Plan(id_of(&shop, "other").await), now + hours(1)).await.expect("it may choose");
    assert_eq!(plan_of(&shop, upgrades).await, "other");
    // Taking the move's own change back is not the partner's.
    let waits = shop.store.scheduled_change(wavers).await.expect("answered").expect("a change");
    let back = take_change_back(&shop.store, wavers, waits.id, OrderedBy::Partner, &letter, Actor::System, now).await;
    assert!(matches!(back, Err(StoreError::Conflict { .. })), "{back:?}");
    // Nor is planning to leave and taking that back a way to stay.
    choose(&shop, wavers, Wish::Nothing, now + hours(1)).await.expect("it may leave");
    assert_eq!(follow(&shop, now + hours(2)).await, 0, "as long as it leaves");
    let own = shop.store.scheduled_change(wavers).await.expect("answered").expect("a change");
    take_change_back(&shop.store, wavers, own.id, OrderedBy::Partner, &letter, Actor::System, now + hours(2))
        .await
        .expect("its own");
    // Its part of the move waits again at once.
    assert_eq!(follow(&shop, now + hours(3)).await, 0);
    let again = shop.store.scheduled_change(wavers).await.expect("answered").expect("a change");
    assert_eq!(again.effective_at, waits.effective_at, "as it was told");
    assert_eq!(heard(&shop, "moved").await.len(), 4, "and heard it again, after it heard that it stays");
    in_force(&shop, at("2026-07-01T00:00:00Z")).await;
    in_force(&shop, at("2026-08-01T00:00:00Z")).await;
    let plans = [plan_of(&shop, leaves).await, plan_of(&shop, upgrades).await, plan_of(&shop, wavers).await];
    assert_eq!(plans, ["none", "other", "new"]);
}

#[tokio::test]
async fn a_cancelled_move_moves_nobody_and_one_partner_can_be_taken_out() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    let acme = shop.partner("acme", old, at(START)).await;
    shop.member(acme, "money@acme.example").await;
    let bolt = shop.partner_without_members("bolt", old, at(START)).await;
    let (id, now) = (id_of(&shop, "old").await, at("2026-06-10T00:00:00Z"));
    let ordered = order(&shop, &new_move(id, new), now).await.expect("ordered");
    assert_eq!(follow(&shop, now).await, 2);
    let waits = shop.store.scheduled_change(bolt).await.expect("answered").expect("a change");
    take_change_back(&shop.store, bolt, waits.id, OrderedBy::Operator, &letter, Actor::System, now).await.expect("out");
    assert_eq!(follow(&shop, now + hours(1)).await, 0, "it stays out");
    // Cancelled at the very instant at which it would be made: it is one or the other.
    let end = at("2026-08-01T00:00:00Z");
    assert!(cancel_move(&shop.store, ordered, &letter, Actor::System, now + days(1)).await.expect("cancelled"));
    assert!(!cancel_move(&shop.store, ordered, &letter, Actor::System, now + days(1)).await.expect("cancelled"));
    assert_eq!((follow(&shop, now + days(2)).await, in_force(&shop, end).await), (0, 0));
    assert_eq!((plan_of(&shop, acme).await, plan_of(&shop, bolt).await), ("old".to_owned(), "old".to_owned()));
    assert_eq!(heard(&shop, "kept").await, ["kept old"]);
}

#[tokio::test]
async fn one_version_can_be_moved_to_the_next_and_own_terms_stay() {
    let shop = Shop::open().await;
    let first = shop.plan("pro", fee(10)).await;
    let id = id_of(&shop, "pro").await;
    let acme = shop.partner_without_members("acme", first, at(START)).await;
    shop.store.add_plan_version(id, &fee(20), Actor::System, at(START)).await.expect("added");
    let second = shop.store.plan(id).await.expect("a plan").versions[0].id;
    let bolt = shop.partner_without_members("bolt", second, at(START)).await;
    shop.store.add_plan_version(id, &fee(30), Actor::System, at(START)).await.expect("added");
    let third = shop.store.plan(id).await.expect("a plan").versions[0].id;
    let one = NewPlanMove { from_version: Some(first), ..new_move(id, third) };
    let wrong = NewPlanMove { from_version: Some(third), ..new_move(id, third) };
    let refused = order(&shop, &wrong, at(START)).await;
    assert!(matches!(refused, Err(BillingError::Store(StoreError::Invalid { .. }))), "{refused:?}");
    let short = NewPlanMove { notice_days: 0, ..one.clone() };
    let refused = order(&shop, &short, at(START)).await;
    assert!(matches!(refused, Err(BillingError::Store(StoreError::Invalid { .. }))), "{refused:?}");
    order(&shop, &one, at(START)).await.expect("ordered");
    assert_eq!(follow(&shop, at(START)).await, 1);
    // 30 days after the 1st of June is the 1st of July, 00:00; the first period that ends after that does on the 1st of August.
    assert_eq!(in_force(&shop, at("2026-08-01T00:00:00Z")).await, 1);
    let version = async |partner| shop.store.subscription(partner).await.expect("answered").expect("a plan").version;
    assert_eq!((version(acme).await, version(bolt).await), (3, 2));
}

#[tokio::test]
async fn nobody_is_taken_back_to_where_it_was_and_none_from_a_version_that_is_not_meant() {
    let shop = Shop::open().await;
    let first = shop.plan("pro", fee(10)).await;
    let id = id_of(&shop, "pro").await;
    let newest = async |dollars| {
        shop.store.add_plan_version(id, &fee(dollars), Actor::System, at(START)).await.expect("added");
        shop.store.plan(id).await.expect("a plan").versions[0].id
    };
    let second = newest(20).await;
    let (acme, bolt) = (
        shop.partner_without_members("acme", first, at(START)).await,
        shop.partner_without_members("bolt", second, at(START)).await,
    );
    let early = shop.partner_without_members("early", first, at(START)).await;
    let now = at(START) + days(1);
    order(&shop, &new_move(id, second), now).await.expect("ordered");
    assert_eq!(follow(&shop, now).await, 2);
    shop.store.assign_plan_version(early, second, Actor::System, now + days(1)).await.expect("of its own will");
    assert_eq!(in_force(&shop, at("2026-08-01T00:00:00Z")).await, 1);
    let third = newest(30).await;
    let later = at("2026-08-10T00:00:00Z");
    for partner in [bolt, early] {
        shop.store.assign_plan_version(partner, third, Actor::System, later).await.expect("changed");
    }
    assert_eq!(follow(&shop, later + hours(1)).await, 0, "they were where the move goes");

    let of_second = NewPlanMove { from_version: Some(second), ..new_move(id, first) };
    order(&shop, &of_second, later + hours(2)).await.expect("ordered");
    assert_eq!(follow(&shop, later + hours(3)).await, 1);
    shop.store.assign_plan_version(acme, third, Actor::System, later + days(1)).await.expect("changed");
    assert_eq!(in_force(&shop, at("2026-10-01T00:00:00Z")).await, 0, "it is on another version by now");
    assert_eq!(follow(&shop, at("2026-10-01T00:00:00Z")).await, 0);
}

#[tokio::test]
async fn a_task_that_is_killed_again_and_again_tells_and_moves_each_once() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    let mut partners = Vec::new();
    for number in 0..12 {
        let partner = shop.partner_without_members(&format!("p{number}"), old, at(START)).await;
        shop.member(partner, &format!("money@p{number}.example")).await;
        partners.push(partner);
    }
    let (id, now) = (id_of(&shop, "old").await, at("2026-06-10T00:00:00Z"));
    order(&shop, &new_move(id, new), now).await.expect("ordered");
    let end = at("2026-08-01T00:00:00Z");
    for run in 0..40 {
        // Two nodes, each killed somewhere.
        let patience = Duration::from_millis(1 + run % 20);
        let nodes = join!(
            timeout(patience, follow_moves(&shop.store, &letter, now)),
            timeout(patience * 2, follow_moves(&shop.store, &letter, now))
        );
        drop(nodes);
    }
    follow(&shop, now).await;
    assert_eq!(heard(&shop, "moved").await.len(), partners.len());
    for run in 0..40 {
        let patience = Duration::from_millis(1 + run % 20);
        let nodes = join!(
            timeout(patience, put_changes_in_force(&shop.store, &letter, end)),
            timeout(patience * 2, put_changes_in_force(&shop.store, &letter, end))
        );
        drop(nodes);
    }
    in_force(&shop, end).await;
    assert_eq!(heard(&shop, "changed").await.len(), partners.len());
    for partner in partners {
        let history = shop.store.subscription_history(partner).await.expect("answered");
        let plans: Vec<(String, Option<Timestamp>)> =
            history.into_iter().map(|own| (own.plan_code, own.started_at)).collect();
        assert_eq!(plans, [("new".to_owned(), Some(end)), ("old".to_owned(), Some(at(START)))]);
    }
}

#[tokio::test]
async fn who_left_and_came_back_is_new_and_whose_change_failed_is_told_anew_with_the_whole_notice() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    let other = shop.plan("other", fee(90)).await;
    let back = shop.partner_without_members("back", old, at(START)).await;
    let stays = shop.partner_without_members("stays", old, at(START)).await;
    shop.member(stays, "money@stays.example").await;
    let (id, now) = (id_of(&shop, "old").await, at("2026-06-10T00:00:00Z"));
    order(&shop, &new_move(id, new), now).await.expect("ordered");
    assert_eq!(follow(&shop, now).await, 2);
    shop.store.assign_plan_version(back, other, Actor::System, now + days(1)).await.expect("changed");
    shop.store.assign_plan_version(back, old, Actor::System, now + days(40)).await.expect("changed");
    // The operator ends the planned change of one by another version of periods of another length, and comes back: with no break.
    shop.store
        .add_plan_version(id, &PlanTerms { interval: Interval::Week, ..fee(10) }, Actor::System, now)
        .await
        .expect("added");
    let weekly = shop.store.plan(id).await.expect("a plan").versions[0].id;
    let later = at("2026-07-24T00:00:00Z");
    shop.store.assign_plan_version(stays, weekly, Actor::System, later).await.expect("changed");
    assert_eq!(follow(&shop, later + days(1)).await, 1, "and not who came back");
    let waits = shop.store.scheduled_change(stays).await.expect("answered").expect("a change");
    // 30 days after the 25th of July are over on the 24th of August, a Monday; weeks begin on Fridays.
    assert_eq!(waits.effective_at, at("2026-08-28T00:00:00Z"), "the old date is within a week");
    assert_eq!(
        heard(&shop, "moved").await.last().map(String::as_str),
        Some("moved old new 2026-08-28T00:00:00Z Costs rose")
    );
    assert!(shop.store.scheduled_change(back).await.expect("answered").is_none());
}

#[tokio::test]
async fn a_trial_ends_before_the_move_and_a_preview_says_what_an_order_would() {
    let shop = Shop::open().await;
    let trial: Trial = serde_json::from_value(serde_json::json!({"days": 75})).expect("a trial");
    let tried = shop.plan("tried", PlanTerms { trial: Some(trial), ..fee(10) }).await;
    let new = shop.plan("new", fee(25)).await;
    let acme = shop.partner_without_members("acme", tried, at(START)).await;
    let (from, to) = (id_of(&shop, "tried").await, id_of(&shop, "new").await);
    let (now, until) = (at("2026-06-05T00:00:00Z"), at("2026-08-15T00:00:00Z"));
    let shown = preview_move(&shop.store, &new_move(from, new), now).await.expect("a preview");
    order(&shop, &new_move(from, new), now).await.expect("ordered");
    let early = shop.store.archive_plan(to, Actor::System, now).await;
    assert!(matches!(early, Err(StoreError::Conflict { .. })), "nobody is told yet: {early:?}");
    assert_eq!(follow(&shop, now).await, 1);
    let waits = shop.store.scheduled_change(acme).await.expect("answered").expect("a change");
    assert_eq!(
        (waits.effective_at, shown.at),
        (until, vec![until]),
        "the trial's end, not the end of a month within it"
    );
    // What it comes to is not taken off the market meanwhile, and the plan that is left may be.
    let archived = shop.store.archive_plan(to, Actor::System, now).await;
    assert!(matches!(archived, Err(StoreError::Conflict { .. })), "{archived:?}");
    shop.store.archive_plan(from, Actor::System, now).await.expect("archived");
    let again = preview_move(&shop.store, &new_move(from, new), now).await;
    assert!(matches!(again, Err(BillingError::Store(StoreError::Conflict { .. }))), "as an order: {again:?}");
    assert_eq!(in_force(&shop, until).await, 1);
    assert_eq!(plan_of(&shop, acme).await, "new");
    shop.store.archive_plan(to, Actor::System, until).await.expect("archived");
    let onto_archived = preview_move(&shop.store, &new_move(from, new), until).await;
    assert!(matches!(onto_archived, Err(BillingError::Store(StoreError::Conflict { .. }))), "{onto_archived:?}");
}

#[tokio::test]
async fn suspended_partners_are_moved_and_another_currency_is_told_apart() {
    let shop = Shop::open().await;
    let old = shop.plan("old", fee(10)).await;
    let euros = shop.plan("euros", PlanTerms { currency: Currency::Eur, ..fee(20) }).await;
    let acme = shop.partner_without_members("acme", old, at(START)).await;
    shop.member(acme, "money@acme.example").await;
    let (id, now) = (id_of(&shop, "old").await, at("2026-07-10T00:00:00Z"));
    shop.store.suspend_partner(acme, "unpaid", Actor::System, now).await.expect("suspended");
    let shown = preview_move(&shop.store, &new_move(id, euros), now).await.expect("a preview");
    assert!(matches!(shown.impact.partners[0].after, After::OtherCurrency(_)), "{:?}", shown.impact);
    assert_eq!((shown.impact.before.micros, shown.impact.after.micros), (0, 0), "two currencies are not added up");
    order(&shop, &new_move(id, euros), now).await.expect("ordered");
    assert_eq!((follow(&shop, now).await, heard(&shop, "moved").await.len()), (1, 1));
    let end = at("2026-09-01T00:00:00Z");
    assert_eq!((shown.at, in_force(&shop, end).await), (vec![end], 1));
    shop.close(at("2026-10-01T01:00:00Z")).await;
    let totals: Vec<String> =
        shop.store.invoices(acme).await.expect("invoices").iter().map(|invoice| invoice.total.to_string()).collect();
    assert_eq!(totals, ["€20.00", "$10.00", "$10.00", "$10.00"], "each period in one currency");
}

#[tokio::test]
async fn a_move_is_cancelled_while_it_is_told_and_whoever_stays_hears_it() {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    for number in 0..8 {
        let partner = shop.partner_without_members(&format!("p{number}"), old, at(START)).await;
        shop.member(partner, &format!("money@p{number}.example")).await;
    }
    let (id, now) = (id_of(&shop, "old").await, at("2026-06-10T00:00:00Z"));
    let ordered = order(&shop, &new_move(id, new), now).await.expect("ordered");
    let cancelled = async {
        while heard(&shop, "moved").await.is_empty() {}
        cancel_move(&shop.store, ordered, &letter, Actor::System, now).await.expect("cancelled")
    };
    let (told, cancelled) = join!(follow(&shop, now), cancelled);
    assert!(cancelled);
    assert_eq!(
        heard(&shop, "kept").await.len(),
        usize::try_from(told).expect("a few"),
        "whoever was told hears that it stays"
    );
    assert_eq!(in_force(&shop, at("2026-08-01T00:00:00Z")).await, 0);
}
