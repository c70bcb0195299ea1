//! Forms about a partner's own tokens of the REST API.

use leptos::prelude::*;

/// Makes a token of the partner.
#[server(prefix = "/do", endpoint = "tokens/create")]
pub async fn create_token(
    #[server(default)] name: String,
    #[server(default)] scopes: Vec<String>,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        let too_much =
            |code: &String| code.parse().is_ok_and(|scope: domain::scope::Scope| !scope.is_for(cx.viewer.role));
        if scopes.iter().any(too_much) {
            return Err(form::Failure::field("scopes", "Only owners and admins may let a token change teams"));
        }
        create(&cx.state, Some(cx.viewer.partner), &name, &scopes, "/tokens", actor, cx.now).await
    };
    form::answer("tokens/create", "/tokens", &[("name", &name)], outcome.await)
}

/// Revokes a token of the partner.
#[server(prefix = "/do", endpoint = "tokens/revoke")]
pub async fn revoke_token(token: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.revoke_api_token(Some(cx.viewer.partner), form::id(&token)?, actor, cx.now).await?;
        Ok(Done::go("/tokens").saying("Token revoked."))
    };
    form::answer("tokens/revoke", "/tokens", &[], outcome.await)
}

/// Makes a token with these scopes; its text is shown by the next page and kept nowhere.
#[cfg(feature = "ssr")]
pub(super) async fn create(
    state: &crate::state::AppState,
    partner: Option<domain::id::PartnerId>,
    name: &str,
    scopes: &[String],
    back: &str,
    actor: store::Actor,
    now: jiff::Timestamp,
) -> Result<crate::form::Done, crate::form::Failure> {
    use crate::form::{Done, Failure};
    use domain::{
        key_text::{KeyKind, KeyText},
        scope::Scope,
    };
    let scopes: Result<Vec<Scope>, _> = scopes.iter().map(|code| code.parse()).collect();
    let scopes = scopes.map_err(|_| Failure::field("scopes", "Choose from the list"))?;
    if scopes.is_empty() {
        return Err(Failure::field("scopes", "Choose at least one thing that the token may do"));
    }
    if partner.is_some() && !scopes.iter().all(|scope| Scope::OF_PARTNERS.contains(scope)) {
        return Err(Failure::field("scopes", "Choose from the list"));
    }
    let text = KeyText::generate(KeyKind::Api, crate::secrets::fill_random);
    let new = store::NewApiToken {
        name: name.trim().to_owned(),
        hash: state.secrets.hash_key(text.expose()),
        last_four: text.last_four().to_owned(),
        scopes: scopes.iter().map(|scope| scope.code().to_owned()).collect(),
        expires_at: None,
    };
    state.store.create_api_token(partner, &new, actor, now).await?;
    Ok(Done::go(back).saying("Token created.").showing(text.expose()))
}
