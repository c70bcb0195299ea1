//! Operators' way in.

use leptos::prelude::*;

/// Signs an operator in.
#[server(prefix = "/do", endpoint = "console/sign-in")]
pub async fn sign_in_operator(
    email: String,
    password: String,
    #[server(default)] next: String,
) -> Result<(), ServerFnError> {
    use super::accounts::{enter_as_operator, request, try_sign_in};
    use crate::{form, form::Done, throttle::Throttle, viewer};
    let outcome = async {
        let cx = viewer::anyone()?;
        let throttle = Throttle::sign_in(&cx.state, "operator", &email, &request()?);
        let found = async {
            let known = cx.state.store.find_operator_by_email(&email).await?;
            let known = known.filter(|known| known.operator.disabled_at.is_none());
            Ok(known.map_or((None, None), |known| (Some(known.operator.id), known.password_hash)))
        };
        let operator = try_sign_in(&cx.state, &throttle, cx.now, &password, found).await?;
        enter_as_operator(operator).await?;
        Ok(Done::go(if form::is_local_path(&next) { &next } else { "/console" }))
    };
    form::answer("console/sign-in", "/console/sign-in", &[("email", &email), ("next", &next)], outcome.await)
}

/// Uses an operator's one-time link up: sets name and password, and signs in.
#[server(prefix = "/do", endpoint = "console/welcome")]
pub async fn welcome_operator(token: String, name: String, password: String) -> Result<(), ServerFnError> {
    use super::accounts::{clean_name, enter_as_operator, password_problem, server_trouble};
    use crate::{form, form::Done, form::Failure, passwords, secrets::hash_link_token, viewer};
    use store::StoreError;
    let outcome = async {
        let cx = viewer::anyone()?;
        let name =
            clean_name(&name).ok_or_else(|| Failure::field("name", "Enter your name, at most 100 characters"))?;
        if let Some(problem) = password_problem(&password, &[&cx.state.settings.provider_name, &name]) {
            return Err(problem);
        }
        let hash = passwords::hash(password).await.ok_or_else(server_trouble)?;
        let operator = match cx.state.store.welcome_operator(hash_link_token(&token), &name, &hash, cx.now).await {
            Err(StoreError::NotFound) => {
                return Err(Failure::whole(
                    "This link was already used or is too old. The command line of the server prints a new one.",
                ));
            }
            other => other?,
        };
        enter_as_operator(operator.id).await?;
        Ok(Done::go("/console").saying("Welcome. Your password is saved; sign in with it from now on."))
    };
    let typed = [("token", token.as_str()), ("name", &name)];
    form::answer("console/welcome", "/console/welcome", &typed, outcome.await)
}
