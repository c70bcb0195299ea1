//! Partners: sign-up, search, suspension, on a real Postgres.

use super::{NewPartner, SignedUp};
use crate::{
    Actor, StoreError, test_db,
    test_db::world::{self, World},
};
use sqlx::Row as _;

#[tokio::test]
async fn signing_up_makes_a_partner_an_owner_an_app_and_a_mail_or_nothing_of_it() {
    let store = test_db::store().await;
    let new = world::sign_up("acme");
    let SignedUp::Created { partner, member } = store.sign_up(&new, world::now()).await.expect("signed up") else {
        panic!("the address is new");
    };
    let members = store.members(partner).await.expect("members");
    assert_eq!((members.len(), members[0].id, members[0].email_verified_at), (1, member, None));
    assert_eq!(store.apps(partner).await.expect("apps")[0].app.name, "Default app");
    assert_eq!(store.all_mails(10).await.expect("mails")[0].subject, "Verify");

    let mut bad = world::sign_up("nowhere");
    bad.time_zone = "Mars/Olympus".to_owned();
    assert!(
        matches!(store.sign_up(&bad, world::now()).await, Err(StoreError::Invalid { field, .. }) if field == "time_zone")
    );
    let left: i64 = sqlx::query("select count(*) from partners").fetch_one(store.pool()).await.expect("a row").get(0);
    assert_eq!(left, 1);
}

#[tokio::test]
async fn signing_up_with_a_known_address_changes_nothing_and_tells_its_owner() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let mut again = world::sign_up("acme");
    again.email = again.email.to_uppercase();
    again.company = "Somebody else".to_owned();
    assert_eq!(store.sign_up(&again, world.now).await.expect("answered"), SignedUp::AlreadyKnown);
    let page = store.all_partners_page("", None, 10, world.now).await.expect("partners");
    assert_eq!(page.items.len(), 1);
    assert_eq!(store.all_mails(1).await.expect("mails")[0].subject, "Already known");
}

#[tokio::test]
async fn the_list_is_found_by_name_code_or_address_and_paged_without_a_gap() {
    let store = test_db::store().await;
    let now = world::now();
    for name in ["Delta", "alpha", "Charlie", "bravo"] {
        let new = NewPartner { code: Some(name.to_lowercase()), name: name.to_owned(), time_zone: "UTC".to_owned() };
        store.create_partner(&new, Actor::System, now).await.expect("created");
    }
    World::named(&store, "echo").await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.all_partners_page("", after.as_deref(), 2, now).await.expect("a page");
        seen.extend(page.items.into_iter().map(|line| line.partner.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["alpha", "bravo", "Charlie", "Delta", "echo"]);
    for search in ["Owner@Echo", "ECH"] {
        let page = store.all_partners_page(search, None, 10, now).await.expect("a page");
        assert_eq!(page.items.iter().map(|line| line.partner.name.as_str()).collect::<Vec<_>>(), ["echo"], "{search}");
        assert_eq!((page.items[0].members, page.items[0].keys), (1, 0));
    }
    assert!(store.all_partners_page("%", None, 10, now).await.expect("a page").items.is_empty());
    assert!(store.find_partner_by_code("delta").await.expect("answered").is_some());
}

#[tokio::test]
async fn suspending_holds_until_it_is_lifted_and_each_is_done_once() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, operator) = (world.partner, Actor::System);
    store.suspend_partner(partner, " Unpaid ", operator, world.now).await.expect("suspended");
    assert_eq!(store.partner(partner).await.expect("a partner").suspended_reason.as_deref(), Some("Unpaid"));
    assert!(matches!(store.suspend_partner(partner, "", operator, world.now).await, Err(StoreError::Conflict { .. })));
    store.reactivate_partner(partner, operator, world.now).await.expect("reactivated");
    assert_eq!(store.partner(partner).await.expect("a partner").suspended_at, None);
    assert!(matches!(store.reactivate_partner(partner, operator, world.now).await, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn names_and_zones_are_checked() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let empty = store.rename_partner(world.partner, "  ", world.actor(), world.now).await;
    assert!(matches!(empty, Err(StoreError::Invalid { field, .. }) if field == "name"));
    let nowhere = store.set_partner_time_zone(world.partner, "Europe/Nowhere", world.actor(), world.now).await;
    assert!(matches!(nowhere, Err(StoreError::Invalid { field, .. }) if field == "time_zone"));
    store.set_partner_time_zone(world.partner, "Pacific/Auckland", world.actor(), world.now).await.expect("set");
    assert_eq!(store.partner(world.partner).await.expect("a partner").time_zone, "Pacific/Auckland");
}

#[tokio::test]
async fn while_a_partner_is_held_rows_of_it_can_be_written_and_nobody_else_holds_it() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let mut tx = store.begin().await.expect("a transaction");
    super::lock(&mut tx, world.partner).await.expect("held");
    // As a foreign key does it.
    for (how, is_free) in [("for key share", true), ("for no key update", false)] {
        let statement = format!("select id from partners where id = $1 {how} nowait");
        let taken = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(world.partner.0).execute(store.pool()).await;
        assert_eq!(taken.is_ok(), is_free, "{how}: {taken:?}");
    }
}
