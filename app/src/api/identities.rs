//! Forms of the operators' console about identities: whose tokens and certificates count as a partner's apps.

use leptos::prelude::*;

/// Registers an identity of an app. Only operators do: a partner could claim another's.
#[server(prefix = "/do", endpoint = "console/identities/register")]
pub async fn register_identity(
    partner: String,
    #[server(default)] app: String,
    #[server(default)] kind: String,
    #[server(default)] issuer: String,
    #[server(default)] identity: String,
    #[server(default)] environment: String,
    #[server(default)] name: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::directory::KeyKind;
    let back = format!("/console/partners/{partner}/identities");
    let outcome = async {
        let cx = viewer::operator()?;
        let kind: KeyKind = kind
            .parse()
            .ok()
            .filter(|kind| *kind != KeyKind::Key)
            .ok_or_else(|| Failure::field("kind", "Choose token or certificate"))?;
        let environment = environment.parse().map_err(|_| Failure::field("environment", "Choose test or live"))?;
        if name.trim().is_empty() {
            return Err(Failure::field("name", "Enter a name of 1 to 100 characters"));
        }
        let text = kind.identity(issuer.trim(), identity.trim()).map_err(|problem| Failure::from(vec![problem]))?;
        let hash = cx.state.secrets.hash_key(&kind.hashed_text(&text));
        let secret = store::NewSecret { hash, last_four: String::new() };
        let new = store::NewKey::text(form::id(&app)?, name.trim(), environment, secret);
        let new = store::NewKey { kind, identity: text, ..new };
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.create_key(form::id(&partner)?, &new, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Registered. It works within a second."))
    };
    let typed = [
        ("app", app.as_str()),
        ("kind", &kind),
        ("issuer", &issuer),
        ("identity", &identity),
        ("environment", &environment),
        ("name", &name),
    ];
    form::answer("identities/register", &back, &typed, outcome.await)
}

/// Revokes an identity: every gateway refuses it within a second.
#[server(prefix = "/do", endpoint = "console/identities/revoke")]
pub async fn revoke_identity(partner: String, key: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/partners/{partner}/identities");
    let outcome = async {
        let cx = viewer::operator()?;
        let (partner, key) = (form::id(&partner)?, form::id(&key)?);
        // An API key is its partner's to revoke.
        if cx.state.store.key(partner, key).await?.kind == domain::directory::KeyKind::Key {
            return Err(Failure::whole("This is no identity. Load the page again."));
        }
        cx.state.store.revoke_key(partner, key, store::Actor::Operator(cx.viewer.id), cx.now).await?;
        Ok(Done::go(&back).saying("Identity revoked. Calls with it are refused within a second."))
    };
    form::answer("identities/revoke", &back, &[], outcome.await)
}
