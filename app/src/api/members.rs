//! A partner's people: invite, change a role, remove. Who may decide about whom is checked where it is written.

use leptos::prelude::*;

/// Invites somebody by mail.
#[server(prefix = "/do", endpoint = "members/invite")]
pub async fn invite_member(email: String, #[server(default)] role: String) -> Result<(), ServerFnError> {
    use super::accounts::{clean_email, in_a_day};
    use crate::{form, form::Done, form::Failure, mail, throttle::Throttle, viewer};
    use domain::role::MemberRole;
    let outcome = async {
        let cx = viewer::member()?;
        let address =
            clean_email(&email).ok_or_else(|| Failure::field("email", "Enter an address like name@company.com"))?;
        let chosen: MemberRole = role.parse().map_err(|_| Failure::field("role", "Choose a role"))?;
        if !Throttle::invitations(cx.viewer.partner).take(&cx.state, cx.now).await? {
            return Err(Failure::whole("These were many invitations. Send the next ones in an hour."));
        }
        let (text, token) = in_a_day(cx.now);
        let (company, by) = (&cx.viewer.partner_name, &cx.viewer.name);
        let mail = mail::invitation(&cx.state.settings, &address, company, by, chosen, &text);
        let new = store::NewInvitation { email: address.clone(), role: chosen, token, mail };
        cx.state.store.invite_member(cx.viewer.partner, &new, store::Actor::Member(cx.viewer.id), cx.now).await?;
        Ok(Done::go("/team").saying(format!("Invitation sent to {address}. It works for 24 hours.")))
    };
    let outcome = outcome.await;
    form::answer("members/invite", "/team", &[("email", &email), ("role", &role)], outcome)
}

/// Sends the invitation again; the older link stops working.
#[server(prefix = "/do", endpoint = "members/invite-again")]
pub async fn invite_member_again(member: String) -> Result<(), ServerFnError> {
    use super::accounts::in_a_day;
    use crate::{form, form::Done, form::Failure, mail, throttle::Throttle, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let id = member.parse().map_err(|_| Failure::from(store::StoreError::NotFound))?;
        let found = cx.state.store.member(cx.viewer.partner, id).await?;
        if !Throttle::invitations(cx.viewer.partner).take(&cx.state, cx.now).await? {
            return Err(Failure::whole("These were many invitations. Send the next ones in an hour."));
        }
        let (text, token) = in_a_day(cx.now);
        let (company, by) = (&cx.viewer.partner_name, &cx.viewer.name);
        let mail = mail::invitation(&cx.state.settings, &found.email, company, by, found.role, &text);
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.invite_member_again(cx.viewer.partner, id, token, &mail, actor, cx.now).await?;
        Ok(Done::go("/team")
            .saying(format!("A new invitation is on its way to {}; the older link stopped working.", found.email)))
    };
    form::answer("members/invite-again", "/team", &[], outcome.await)
}

/// Withdraws an invitation that nobody has accepted.
#[server(prefix = "/do", endpoint = "members/withdraw")]
pub async fn withdraw_invitation(member: String) -> Result<(), ServerFnError> {
    use crate::{form, form::Done, form::Failure, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let id = member.parse().map_err(|_| Failure::from(store::StoreError::NotFound))?;
        let found = cx.state.store.member(cx.viewer.partner, id).await?;
        if found.has_password {
            return Err(Failure::whole(format!("{} has accepted in the meantime and is now a member.", found.email)));
        }
        cx.state.store.remove_member(cx.viewer.partner, id, store::Actor::Member(cx.viewer.id), cx.now).await?;
        Ok(Done::go("/team").saying(format!("The invitation of {} is withdrawn.", found.email)))
    };
    form::answer("members/withdraw", "/team", &[], outcome.await)
}

/// Gives somebody another role.
#[server(prefix = "/do", endpoint = "members/role")]
pub async fn change_role(member: String, role: String) -> Result<(), ServerFnError> {
    use crate::{form, form::Done, form::Failure, viewer};
    use domain::role::MemberRole;
    let outcome = async {
        let cx = viewer::member()?;
        let id = member.parse().map_err(|_| Failure::from(store::StoreError::NotFound))?;
        let role: MemberRole = role.parse().map_err(|_| Failure::whole("Choose a role"))?;
        cx.state.store.change_role(cx.viewer.partner, id, role, store::Actor::Member(cx.viewer.id), cx.now).await?;
        let found = cx.state.store.member(cx.viewer.partner, id).await?;
        Ok(Done::go("/team").saying(format!("{} is now {role}.", found.email)))
    };
    // A role belongs to a row of the table, so what is wrong with it stands above the table.
    let outcome = outcome.await.map_err(|Failure(problems)| {
        Failure(problems.into_iter().map(|(_, message)| (String::new(), message)).collect())
    });
    form::answer("members/role", "/team", &[], outcome)
}

/// Removes somebody, after the one who does it has shown their own password once more.
#[server(prefix = "/do", endpoint = "members/remove")]
pub async fn remove_member(member: String, password: String) -> Result<(), ServerFnError> {
    use super::accounts::confirm_password;
    use crate::{form, form::Done, form::Failure, viewer};
    use domain::id::MemberId;
    let id = member.parse::<MemberId>();
    let back = id.as_ref().map_or_else(|_| "/team".to_owned(), |id| format!("/team/{id}/remove"));
    let outcome = async {
        let cx = viewer::member()?;
        let id = id.map_err(|_| Failure::from(store::StoreError::NotFound))?;
        let found = cx.state.store.member(cx.viewer.partner, id).await?;
        confirm_password(&cx, &password).await?;
        cx.state.store.remove_member(cx.viewer.partner, id, store::Actor::Member(cx.viewer.id), cx.now).await?;
        let (to, whom) = if id == cx.viewer.id { ("/sign-in", "You are") } else { ("/team", "They are") };
        Ok(Done::go(to).saying(format!("{} was removed. {whom} signed out everywhere.", found.email)))
    };
    form::answer("members/remove", &back, &[], outcome.await)
}
