//! The company's and the member's own settings.

use leptos::prelude::*;

/// The company's name and time zone.
#[server(prefix = "/do", endpoint = "settings/company")]
pub async fn save_company(name: String, time_zone: String) -> Result<(), ServerFnError> {
    use super::accounts::clean_company;
    use crate::{form, form::Done, form::Failure, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let company = clean_company(&name)
            .ok_or_else(|| Failure::field("name", "Enter the company's name, at most 200 characters"))?;
        let (partner, actor) = (cx.viewer.partner, store::Actor::Member(cx.viewer.id));
        if time_zone != cx.viewer.time_zone {
            cx.state.store.set_partner_time_zone(partner, &time_zone, actor, cx.now).await?;
        }
        if company != cx.viewer.partner_name {
            cx.state.store.rename_partner(partner, &company, actor, cx.now).await?;
        }
        Ok(Done::go("/settings").saying("Company saved."))
    };
    let outcome = outcome.await;
    form::answer("settings/company", "/settings", &[("name", &name), ("time_zone", &time_zone)], outcome)
}

/// The member's own name.
#[server(prefix = "/do", endpoint = "settings/name")]
pub async fn save_own_name(own_name: String) -> Result<(), ServerFnError> {
    use super::accounts::clean_name;
    use crate::{form, form::Done, form::Failure, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let name = clean_name(&own_name)
            .ok_or_else(|| Failure::field("own_name", "Enter your name, at most 100 characters"))?;
        cx.state.store.rename_member(cx.viewer.partner, cx.viewer.id, &name).await?;
        Ok(Done::go("/settings").saying("Name saved."))
    };
    form::answer("settings/name", "/settings", &[("own_name", &own_name)], outcome.await)
}

/// The member's own password. All other sessions end, and this one gets a new id.
#[server(prefix = "/do", endpoint = "settings/password")]
pub async fn save_own_password(current: String, new: String) -> Result<(), ServerFnError> {
    use super::accounts::{confirm_password, enter_as_member, password_problem, server_trouble};
    use crate::{form, form::Done, form::Failure, mail, passwords, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let rename = |Failure(problems): Failure, to: &str| {
            Failure(problems.into_iter().map(|(_, message)| (to.to_owned(), message)).collect())
        };
        let own = [cx.viewer.partner_name.as_str(), &cx.viewer.name, &cx.viewer.email];
        if let Some(problem) = password_problem(&new, &own) {
            return Err(rename(problem, "new"));
        }
        confirm_password(&cx, &current).await.map_err(|problem| rename(problem, "current"))?;
        let hash = passwords::hash(new).await.ok_or_else(server_trouble)?;
        // None is kept: this browser gets a fresh session below.
        cx.state.store.set_member_password(cx.viewer.partner, cx.viewer.id, &hash, None, cx.now).await?;
        enter_as_member(cx.viewer.id).await?;
        let mail = mail::password_changed(&cx.state.settings, &cx.viewer.email, &cx.viewer.name);
        cx.state.store.queue_mail(&mail, cx.now).await?;
        Ok(Done::go("/settings").saying("Password saved. All other sessions are signed out."))
    };
    form::answer("settings/password", "/settings", &[], outcome.await)
}

/// Ends one of the member's own sessions.
#[server(prefix = "/do", endpoint = "settings/end-session")]
pub async fn end_own_session(session: String) -> Result<(), ServerFnError> {
    use crate::{form, form::Done, form::Failure, pages::settings::session_hash, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let hash = session_hash(&session).ok_or_else(|| Failure::from(store::StoreError::NotFound))?;
        match cx.state.store.end_own_session(store::Account::Member(cx.viewer.id), hash).await {
            // It ended by itself, or in another window: what was asked for is so.
            Ok(()) | Err(store::StoreError::NotFound) => {
                Ok(Done::go("/settings").saying("That session is signed out."))
            }
            Err(error) => Err(Failure::from(error)),
        }
    };
    form::answer("settings/end-session", "/settings", &[], outcome.await)
}

/// Ends all of the member's sessions but this one.
#[server(prefix = "/do", endpoint = "settings/end-other-sessions")]
pub async fn end_other_sessions() -> Result<(), ServerFnError> {
    use crate::{form, form::Done, session::own_id_hash, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let account = store::Account::Member(cx.viewer.id);
        let ended = cx.state.store.end_other_sessions(account, own_id_hash()).await?;
        let notice = match ended {
            0 => "There was no other session.".to_owned(),
            1 => "One other session is signed out.".to_owned(),
            count => format!("{count} other sessions are signed out."),
        };
        Ok(Done::go("/settings").saying(notice))
    };
    form::answer("settings/end-other-sessions", "/settings", &[], outcome.await)
}
