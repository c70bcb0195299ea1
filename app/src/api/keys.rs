//! Forms about keys. A key's text is made here, shown once by the next page, and kept nowhere.

use leptos::prelude::*;

/// Makes a key for an app in one environment.
#[server(prefix = "/do", endpoint = "keys/create")]
pub async fn create_key(
    #[server(default)] app: String,
    #[server(default)] name: String,
    #[server(default)] environment: String,
    #[server(default)] allowed_addresses: String,
    #[server(default)] scopes: String,
    #[server(default)] expires_at: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let environment = environment.parse().map_err(|_| Failure::field("environment", "Choose test or live"))?;
        let (text, secret) = new_text(&cx.state, environment);
        let name = if name.trim().is_empty() { format!("{environment} key") } else { name.trim().to_owned() };
        let bounds = bounds(&allowed_addresses, &scopes, &expires_at, &cx.viewer.time_zone)?;
        let new = store::NewKey::text(form::id(&app)?, name, environment, secret);
        let new = store::NewKey { bounds, ..new };
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.create_key(cx.viewer.partner, &new, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Key created. It works within a second.").showing(text))
    };
    let typed = [
        ("name", name.as_str()),
        ("environment", &environment),
        ("allowed_addresses", &allowed_addresses),
        ("scopes", &scopes),
        ("expires_at", &expires_at),
    ];
    form::answer("keys/create", &back, &typed, outcome.await)
}

/// Changes where, for what and until when a key works.
#[server(prefix = "/do", endpoint = "keys/bound")]
pub async fn bound_key(
    app: String,
    key: String,
    #[server(default)] allowed_addresses: String,
    #[server(default)] scopes: String,
    #[server(default)] expires_at: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/apps/{app}/keys/{key}");
    let outcome = async {
        let cx = viewer::member()?;
        let bounds = bounds(&allowed_addresses, &scopes, &expires_at, &cx.viewer.time_zone)?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.bound_key(cx.viewer.partner, form::id(&key)?, bounds, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Saved. It is in force within a second."))
    };
    let typed = [("allowed_addresses", allowed_addresses.as_str()), ("scopes", &scopes), ("expires_at", &expires_at)];
    form::answer("keys/bound", &back, &typed, outcome.await)
}

/// The bounds that a form asks for. An expiry is a day of the company's calendar, at whose beginning the key ends.
#[cfg(feature = "ssr")]
fn bounds(
    addresses: &str,
    scopes: &str,
    expires: &str,
    zone: &str,
) -> Result<domain::key_bounds::KeyBounds, crate::form::Failure> {
    let texts = |text: &str| {
        let parts = text.split(|part: char| part.is_whitespace() || part == ',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let expires_at = match expires.trim() {
        "" => None,
        day => {
            let day = day.parse::<jiff::civil::Date>();
            let start = day.and_then(|day| day.to_zoned(crate::pages::time_text::local_zone(zone)));
            let wrong = |_| crate::form::Failure::field("expires_at", "Enter a date, as 2027-01-31");
            Some(start.map_err(wrong)?.timestamp())
        }
    };
    Ok(domain::key_bounds::KeyBounds { allowed_addresses: texts(addresses), scopes: texts(scopes), expires_at })
}

/// Makes a key's successor; the old text goes on working for `overlap` hours.
#[server(prefix = "/do", endpoint = "keys/rotate")]
pub async fn rotate_key(app: String, key: String, #[server(default)] overlap: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let hours: i64 =
            overlap.trim().parse().map_err(|_| Failure::field("overlap", "Choose how long the old key works"))?;
        let (id, partner) = (form::id(&key)?, cx.viewer.partner);
        let environment = cx.state.store.key(partner, id).await?.environment;
        let (text, secret) = new_text(&cx.state, environment);
        let overlap = jiff::SignedDuration::from_secs(hours.saturating_mul(3_600));
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.rotate_key(partner, id, secret, overlap, actor, cx.now).await?;
        let notice = match hours {
            0 => "Key rotated. The old one no longer works.".to_owned(),
            1 => "Key rotated. The old one works for another hour.".to_owned(),
            hours => format!("Key rotated. The old one works for another {hours} hours."),
        };
        Ok(Done::go(&back).saying(notice).showing(text))
    };
    form::answer("keys/rotate", &back, &[], outcome.await)
}

/// Revokes a key: every gateway refuses it within a second.
#[server(prefix = "/do", endpoint = "keys/revoke")]
pub async fn revoke_key(app: String, key: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.revoke_key(cx.viewer.partner, form::id(&key)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Key revoked. Calls with it are refused within a second."))
    };
    form::answer("keys/revoke", &back, &[], outcome.await)
}

#[cfg(feature = "ssr")]
fn new_text(state: &crate::state::AppState, environment: domain::key_text::Environment) -> (String, store::NewSecret) {
    use domain::key_text::{KeyKind, KeyText};
    let key = KeyText::generate(KeyKind::Gateway(environment), crate::secrets::fill_random);
    let secret = store::NewSecret { hash: state.secrets.hash_key(key.expose()), last_four: key.last_four().to_owned() };
    (key.expose().to_owned(), secret)
}
