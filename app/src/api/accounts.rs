//! Members' way in and out: sign up, confirm, sign in, reset, accept an invitation, sign out.
//!
//! Whatever depends on whether an account exists answers with the same page after the same time.

use leptos::prelude::*;

#[cfg(feature = "ssr")]
mod check;
#[cfg(feature = "ssr")]
mod enter;

#[cfg(feature = "ssr")]
pub(crate) use check::{clean_company, clean_email, clean_name, password_problem};
#[cfg(feature = "ssr")]
pub(crate) use enter::{
    confirm_password, enter_as_member, enter_as_operator, in_a_day, request, server_trouble, try_sign_in,
};

/// Opens an account for a company. The answer is the same where the address already has one.
#[server(prefix = "/do", endpoint = "sign-up")]
pub async fn sign_up(
    company: String,
    name: String,
    email: String,
    password: String,
    #[server(default)] plan: String,
) -> Result<(), ServerFnError> {
    use crate::{form, form::Done};
    let typed = [("company", company.as_str()), ("name", &name), ("email", &email), ("plan", &plan)];
    let outcome = async {
        enter::sign_up(&company, &name, &email, &password, &plan).await?;
        Ok(Done::go("/check-your-mail").saying(format!("We have sent a mail to {}.", email.trim())))
    };
    form::answer("sign-up", "/sign-up", &typed, outcome.await)
}

/// Uses a verification link up and signs in, with the password that was chosen at sign-up: the link alone shows whose
/// mailbox it is, and not who signed up with the address.
#[server(prefix = "/do", endpoint = "verify")]
pub async fn verify(
    token: String,
    #[server(default)] password: String,
    #[server(default)] plan: String,
) -> Result<(), ServerFnError> {
    use crate::form;
    match enter::verify(&token, &password, &plan).await {
        // A link that still works is kept for the next attempt; one that does not is let go.
        Err(enter::NotVerified::Password(failure)) => {
            form::answer("verify", "/verify", &[("token", &token), ("plan", &plan)], Err(failure))
        }
        Err(enter::NotVerified::Link(failure)) => form::answer("verify", "/verify", &[], Err(failure)),
        Ok(done) => form::answer("verify", "/verify", &[], Ok(done)),
    }
}

/// Signs a member in.
#[server(prefix = "/do", endpoint = "sign-in")]
pub async fn sign_in(email: String, password: String, #[server(default)] next: String) -> Result<(), ServerFnError> {
    let typed = [("email", email.as_str()), ("next", &next)];
    let outcome = enter::sign_in(&email, &password, &next).await;
    crate::form::answer("sign-in", "/sign-in", &typed, outcome)
}

/// Sends a link for a new password, if the address has an account. The answer is the same either way.
#[server(prefix = "/do", endpoint = "reset")]
pub async fn ask_for_reset(email: String) -> Result<(), ServerFnError> {
    use crate::{form, form::Done};
    let outcome = async {
        enter::ask_for_reset(&email).await?;
        let notice = format!("If {} has an account, a mail with a link is on its way.", email.trim());
        Ok(Done::go("/check-your-mail").saying(notice))
    };
    form::answer("reset", "/reset", &[("email", &email)], outcome.await)
}

/// Sets a new password by a link, ends all other sessions, and signs in.
#[server(prefix = "/do", endpoint = "reset/choose")]
pub async fn choose_password(token: String, password: String) -> Result<(), ServerFnError> {
    use crate::form;
    match enter::choose_password(&token, &password).await {
        // A link that still works is kept for the next attempt; one that does not is let go.
        Err(enter::NotChosen::Password(failure)) => {
            form::answer("reset/choose", "/reset/choose", &[("token", &token)], Err(failure))
        }
        Err(enter::NotChosen::Link(failure)) => form::answer("reset/choose", "/reset/choose", &[], Err(failure)),
        Ok(done) => form::answer("reset/choose", "/reset/choose", &[], Ok(done)),
    }
}

/// Accepts an invitation: sets name and password, and signs in.
#[server(prefix = "/do", endpoint = "invitation")]
pub async fn accept_invitation(token: String, name: String, password: String) -> Result<(), ServerFnError> {
    use crate::{form, form::Done, form::Failure, passwords, secrets::hash_link_token, viewer};
    use store::StoreError;
    let outcome = async {
        let cx = viewer::anyone()?;
        let name =
            clean_name(&name).ok_or_else(|| Failure::field("name", "Enter your name, at most 100 characters"))?;
        let hash = hash_link_token(&token);
        let gone = || Failure::whole("This invitation was already used, withdrawn or is too old. Ask for a new one.");
        let invitation = match cx.state.store.find_invitation_to_any_partner(hash, cx.now).await {
            Err(StoreError::NotFound) => return Err(gone()),
            other => other?,
        };
        if let Some(problem) = password_problem(&password, &[&invitation.partner_name, &name, &invitation.email]) {
            return Err(problem);
        }
        let password = passwords::hash(password).await.ok_or_else(server_trouble)?;
        let member = match cx.state.store.accept_invitation(hash, &name, &password, cx.now).await {
            Err(StoreError::NotFound) => return Err(gone()),
            other => other?,
        };
        enter_as_member(member.id).await?;
        Ok(Done::go("/home").saying(format!("Welcome to {}.", invitation.partner_name)))
    };
    let typed = [("token", token.as_str()), ("name", &name)];
    form::answer("invitation", "/invitation", &typed, outcome.await)
}

/// Ends the session, here and in the database.
#[server(prefix = "/do", endpoint = "sign-out")]
pub async fn sign_out() -> Result<(), ServerFnError> {
    use crate::{form, form::Done, session, viewer};
    let outcome = async {
        let console = matches!(viewer::anyone()?.viewer, viewer::Viewer::Operator(_));
        session::sign_out().await.map_err(|_| server_trouble())?;
        let to = if console { "/console/sign-in" } else { "/sign-in" };
        Ok(Done::go(to).saying("You are signed out."))
    };
    form::answer("sign-out", "/", &[], outcome.await)
}
