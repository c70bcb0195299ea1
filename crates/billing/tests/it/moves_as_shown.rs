//! A bulk move is ordered as it was shown, or refused: the same order, for the same partners, with the same dates.

use crate::{
    moves::{START, at, choose, fee, follow, id_of, new_move},
    shop::{Shop, days, hours},
};
use billing::{ChangeRefused, MovePreview, order_move, preview_move};
use domain::id::{PartnerId, PlanMoveId, PlanVersionId};
use jiff::{SignedDuration, Timestamp};
use store::{Actor, NewPlanMove, Wish};

async fn shown(shop: &Shop, new: &NewPlanMove, now: Timestamp) -> MovePreview {
    preview_move(&shop.store, new, now).await.expect("a preview")
}

async fn ordered(shop: &Shop, new: &NewPlanMove, token: &str, now: Timestamp) -> Result<PlanMoveId, ChangeRefused> {
    order_move(&shop.store, new, token, Actor::System, now).await
}

async fn plan(shop: &Shop, partner: PartnerId, version: PlanVersionId, now: Timestamp) {
    shop.store.assign_plan_version(partner, version, Actor::System, now).await.expect("changed");
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// The two plans, a move from one to the other, and a partner to be moved.
async fn shop() -> (Shop, [PlanVersionId; 2], NewPlanMove, PartnerId) {
    let shop = Shop::open().await;
    let (old, new) = (shop.plan("old", fee(10)).await, shop.plan("new", fee(25)).await);
    let acme = shop.partner("acme", old, at(START)).await;
    let wish = new_move(id_of(&shop, "old").await, new);
    (shop, [old, new], wish, acme)
}

#[tokio::test]
async fn what_was_shown_is_ordered_and_nothing_else() {
    let (shop, [old, to], wish, acme) = shop().await;
    let other = shop.plan("other", fee(90)).await;
    let bolt = shop.partner("bolt", old, at(START)).await;
    let now = at("2026-07-10T00:00:00Z");
    let first = shown(&shop, &wish, now).await;
    let is_refused = async |new: &NewPlanMove, token: &str, at| {
        let refused = ordered(&shop, new, token, at).await;
        assert!(matches!(refused, Err(ChangeRefused::Moved(_))), "{refused:?}");
        assert!(shop.store.plan_moves().await.expect("moves").is_empty(), "nothing was ordered");
    };
    // Another order than the one that was shown.
    is_refused(&NewPlanMove { notice_days: 31, ..wish.clone() }, &first.token, now).await;
    is_refused(&NewPlanMove { reason: "Costs fell".to_owned(), ..wish.clone() }, &first.token, now).await;
    is_refused(&NewPlanMove { to: other, ..wish.clone() }, &first.token, now).await;
    is_refused(&NewPlanMove { from_version: Some(old), ..wish.clone() }, &first.token, now).await;
    // Nothing that was shown, and what was shown too long ago.
    for token in ["", "x", "1.2"] {
        is_refused(&wish, token, now).await;
    }
    is_refused(&wish, &first.token, now + minutes(11)).await;
    is_refused(&wish, &first.token, now - minutes(1)).await;

    // Somebody comes, somebody plans to leave, somebody leaves.
    let come = shop.partner("come", old, now).await;
    is_refused(&wish, &first.token, now).await;
    let second = shown(&shop, &wish, now).await;
    choose(&shop, bolt, Wish::Nothing, now).await.expect("it may leave");
    is_refused(&wish, &second.token, now).await;
    let third = shown(&shop, &wish, now).await;
    assert_eq!(third.waits, [false, true, false]);
    plan(&shop, come, other, now).await;
    is_refused(&wish, &third.token, now).await;

    // Usage of the last period comes late: it costs more than was shown, and is not what is ordered.
    let last = shown(&shop, &wish, now).await;
    shop.live(acme, now - days(12), &[(1, 2_000)]).await;
    let id = ordered(&shop, &wish, &last.token, now + minutes(9)).await.expect("as it was shown");
    assert_eq!(follow(&shop, now + minutes(9)).await, 1);
    let waits = shop.store.scheduled_change(acme).await.expect("answered").expect("a change");
    assert_eq!((waits.effective_at, waits.to.map(|to| to.version_id)), (last.at[0], Some(to)));
    assert_eq!(shop.store.plan_move(id).await.expect("a move").told, 1);
}

#[tokio::test]
async fn nobody_is_moved_for_whom_it_was_not_shown() {
    let (shop, [old, _], wish, _) = shop().await;
    let now = at("2026-07-10T00:00:00Z");
    let first = shown(&shop, &wish, now).await;
    ordered(&shop, &wish, &first.token, now).await.expect("as it was shown");
    // A change of plan counts from the instant at which it was shown itself, which may be before the order.
    shop.partner("come", old, now - minutes(5)).await;
    assert_eq!(follow(&shop, now + minutes(1)).await, 1);
}

#[tokio::test]
async fn whoever_is_told_soon_has_the_date_that_was_shown_though_midnight_passes() {
    let (shop, _, wish, acme) = shop().await;
    // 29 days from then end just before July does, and 29 days from a quarter of an hour later just after.
    let (now, wish) = (at("2026-07-02T23:55:00Z"), NewPlanMove { notice_days: 29, ..wish });
    let first = shown(&shop, &wish, now).await;
    assert_eq!(first.at, [at("2026-09-01T00:00:00Z")]);
    ordered(&shop, &wish, &first.token, now + minutes(4)).await.expect("as it was shown");
    assert_eq!(follow(&shop, now + minutes(4)).await, 1);
    let waits = shop.store.scheduled_change(acme).await.expect("answered").expect("a change");
    assert_eq!(waits.effective_at, first.at[0]);
}

#[tokio::test]
async fn whoever_is_told_late_has_the_whole_notice() {
    let (shop, _, wish, acme) = shop().await;
    let now = at("2026-07-10T00:00:00Z");
    let first = shown(&shop, &wish, now).await;
    assert_eq!(first.at, [at("2026-09-01T00:00:00Z")]);
    ordered(&shop, &wish, &first.token, now).await.expect("as it was shown");
    assert_eq!(follow(&shop, now + days(23) + hours(1)).await, 1, "after an outage");
    let waits = shop.store.scheduled_change(acme).await.expect("answered").expect("a change");
    assert_eq!(waits.effective_at, at("2026-10-01T00:00:00Z"));
}
