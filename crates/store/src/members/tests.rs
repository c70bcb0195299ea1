//! Members: roles, invitations, the last owner, on a real Postgres.

use super::NewMember;
use crate::{
    Account, Actor, NewInvitation, SessionRow, StoreError, test_db,
    test_db::world::{self, World},
};
use domain::role::MemberRole;
use jiff::SignedDuration;
use serde_json::json;

fn invitation(email: &str, role: MemberRole, token: u8) -> NewInvitation {
    NewInvitation { email: email.to_owned(), role, token: world::token(token), mail: world::mail(email) }
}

fn member(email: &str, role: MemberRole) -> NewMember {
    NewMember {
        email: email.to_owned(),
        name: String::new(),
        role,
        password_hash: Some("$x".to_owned()),
        verified: true,
    }
}

#[tokio::test]
async fn an_invitation_is_accepted_once_and_then_the_person_can_sign_in() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let new = invitation("dev@acme.example", MemberRole::Developer, 1);
    let id = store.invite_member(world.partner, &new, world.actor(), world.now).await.expect("invited");
    let seen = store.find_invitation_to_any_partner([1; 32], world.now).await.expect("an invitation");
    assert_eq!((seen.partner_name.as_str(), seen.role), ("acme", MemberRole::Developer));

    store
        .invite_member_again(world.partner, id, world::token(2), &new.mail, world.actor(), world.now)
        .await
        .expect("again");
    let old = store.accept_invitation([1; 32], "Dev", "$hash", world.now).await;
    assert!(matches!(old, Err(StoreError::NotFound)), "the first link ended with the second");
    let late = world.now + SignedDuration::from_hours(25);
    assert!(matches!(store.accept_invitation([2; 32], "Dev", "$hash", late).await, Err(StoreError::NotFound)));
    let joined = store.accept_invitation([2; 32], " Dev ", "$hash", world.now).await.expect("accepted");
    assert_eq!((joined.id, joined.name.as_str(), joined.email_verified_at), (id, "Dev", Some(world.now)));
    assert!(matches!(store.accept_invitation([2; 32], "Eve", "$other", world.now).await, Err(StoreError::NotFound)));
    let found =
        store.find_member_of_any_partner_by_email("DEV@acme.example").await.expect("answered").expect("a member");
    assert_eq!(found.password_hash.as_deref(), Some("$hash"));
}

#[tokio::test]
async fn one_address_is_one_account() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let new = invitation("Owner@ACME.example", MemberRole::Viewer, 1);
    let again = store.invite_member(world.partner, &new, world.actor(), world.now).await;
    assert!(matches!(again, Err(StoreError::Conflict { field, .. }) if field == "email"));
}

#[tokio::test]
async fn the_last_owner_stays() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, owner, actor, now) = (world.partner, world.owner, world.actor(), world.now);
    assert!(matches!(
        store.change_role(partner, owner, MemberRole::Admin, actor, now).await,
        Err(StoreError::Conflict { .. })
    ));
    assert!(matches!(store.remove_member(partner, owner, actor, now).await, Err(StoreError::Conflict { .. })));
    assert!(matches!(store.disable_member(partner, owner, actor, now).await, Err(StoreError::Conflict { .. })));
    // Somebody who was only invited cannot take over yet.
    store
        .invite_member(partner, &invitation("b@acme.example", MemberRole::Owner, 1), actor, now)
        .await
        .expect("invited");
    assert!(matches!(store.remove_member(partner, owner, actor, now).await, Err(StoreError::Conflict { .. })));
    store.accept_invitation([1; 32], "B", "$hash", now).await.expect("accepted");
    store.remove_member(partner, owner, actor, now).await.expect("removed");
    assert_eq!(store.members(partner).await.expect("members").len(), 1);
}

#[tokio::test]
async fn two_owners_who_step_down_at_once_leave_one() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let new = member("b@acme.example", MemberRole::Owner);
    let second = store.create_member(world.partner, &new, Actor::System, world.now).await.expect("created");
    store.warm().await;
    let down = |id| store.change_role(world.partner, id, MemberRole::Admin, Actor::Member(id), world.now);
    let (one, two) = tokio::join!(down(world.owner), down(second));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

#[tokio::test]
async fn an_admin_decides_about_everybody_but_owners_and_a_developer_about_nobody() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let (partner, now) = (world.partner, world.now);
    let add = async |email: &str, role| {
        store.create_member(partner, &member(email, role), Actor::System, now).await.expect("created")
    };
    let admin = add("admin@acme.example", MemberRole::Admin).await;
    let developer = add("dev@acme.example", MemberRole::Developer).await;
    let refused = |answer| matches!(answer, Err(StoreError::Invalid { .. }));
    let by_admin = Actor::Member(admin);
    assert!(refused(store.change_role(partner, admin, MemberRole::Owner, by_admin, now).await));
    assert!(refused(store.change_role(partner, world.owner, MemberRole::Viewer, by_admin, now).await));
    assert!(refused(store.remove_member(partner, world.owner, by_admin, now).await));
    assert!(refused(store.change_role(partner, admin, MemberRole::Viewer, Actor::Member(developer), now).await));
    store.change_role(partner, developer, MemberRole::Billing, by_admin, now).await.expect("changed");
    assert_eq!(store.member(partner, developer).await.expect("a member").role, MemberRole::Billing);
}

#[tokio::test]
async fn another_partners_member_cannot_be_reached() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    let answer = store.remove_member(world.partner, other.owner, world.actor(), world.now).await;
    assert!(matches!(answer, Err(StoreError::NotFound)));
    let answer = store.change_role(other.partner, other.owner, MemberRole::Viewer, world.actor(), world.now).await;
    assert!(matches!(answer, Err(StoreError::NotFound)));
    assert!(matches!(store.member(world.partner, other.owner).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn disabling_ends_the_sessions_and_enabling_lets_the_person_back() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let new = member("b@acme.example", MemberRole::Viewer);
    let id = store.create_member(world.partner, &new, Actor::System, world.now).await.expect("created");
    let expires_at = world.now + SignedDuration::from_hours(1);
    let session = SessionRow { id_hash: [9; 32], data: json!({}), account: Some(Account::Member(id)), expires_at };
    store.create_session(&session, world.now).await.expect("created");
    store.disable_member(world.partner, id, world.actor(), world.now).await.expect("disabled");
    assert!(store.load_session([9; 32], world.now).await.expect("answered").is_none());
    assert!(store.find_member_of_any_partner(id).await.expect("answered").is_none());
    store.enable_member(world.partner, id, world.actor(), world.now).await.expect("enabled");
    assert!(store.find_member_of_any_partner(id).await.expect("answered").is_some());
}
