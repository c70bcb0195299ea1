//! `/apps/{app}/keys/{key}`: one key: where, for what and until when it works.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::time_text::local_zone,
    viewer,
};
use domain::{
    directory::KeyKind,
    id::{AppId, KeyId},
    key_text::Environment,
};
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{Key, KeyState};

pub(super) const BOUND: &str = "keys/bound";

#[component]
pub fn KeyPage() -> impl IntoView {
    let cx = viewer::member();
    let params = use_params_map().get_untracked();
    let (app, key) = (params.get("app"), params.get("key"));
    let flash = flash();
    page(async move {
        let cx = cx?;
        let app: AppId = app.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let id: KeyId = key.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let key = cx.state.store.key(cx.viewer.partner, id).await?;
        if key.app != app {
            return Err(PageError::NotFound);
        }
        let (zone, now) = (local_zone(&cx.viewer.time_zone), cx.now);
        let problems = flash.problems.clone();
        let title = key.name.clone();
        let trail =
            vec![Crumb::new("Apps and keys", "/apps"), Crumb::new(key.app_name.clone(), format!("/apps/{app}"))];
        let works = matches!(key.state(now), KeyState::Active | KeyState::Expiring);
        let live = key.environment == Environment::Live;
        let facts = facts(key.clone(), now);
        let form = works.then(|| view! { <Bounds app=app key=key zone=zone flash=flash/> });
        let over = (!works)
            .then(|| view! { <Notice title="This key no longer works">"Create a new one in its app."</Notice> });
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/apps">
                <Breadcrumbs trail=trail current=title.clone()/>
                <PageHeader title=title description="Where, for what and until when this key works." beside=move || view! {
                    <EnvironmentBadge live=live/>
                }/>
                <ErrorSummary problems=problems/>
                {facts}
                {over}
                {form}
            </MemberFrame>
        })
    })
}

fn facts(key: Key, now: Timestamp) -> impl IntoView {
    let shown = shown(&key);
    let what = match key.kind {
        KeyKind::Key => "API key",
        KeyKind::Token => "Token of an issuer",
        KeyKind::Certificate => "Client certificate",
    };
    let issuer = KeyKind::parts(&key.identity).0.map(str::to_owned);
    let issuer = issuer.map(|issuer| view! { <Description label="Issuer"><code>{issuer}</code></Description> });
    let created_at = key.created_at;
    let last_used = match key.last_used_at {
        Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
        None => "Never".into_any(),
    };
    view! {
        <Card>
            <DescriptionList>
                <Description label="Kind">{what}</Description>
                {issuer}
                <Description label="Shown as"><code>{shown}</code></Description>
                <Description label="Last used">{last_used}</Description>
                <Description label="Created"><TimeText at=created_at date=true/></Description>
            </DescriptionList>
        </Card>
    }
}

/// What tells a key from others without being it: the ends of its text, or its identity.
pub(super) fn shown(key: &Key) -> String {
    match key.kind {
        KeyKind::Key => format!("tp_{}_…{}", key.environment, key.last_four),
        KeyKind::Token | KeyKind::Certificate => KeyKind::parts(&key.identity).1.to_owned(),
    }
}

/// The bounds in few words; empty where there are none.
pub(super) fn bounds_words(key: &Key) -> String {
    let mut words = Vec::new();
    match key.bounds.allowed_addresses.as_slice() {
        [] => {}
        [one] => words.push(format!("from {one}")),
        [one, rest @ ..] => words.push(format!("from {one} and {} more", rest.len())),
    }
    match key.bounds.scopes.as_slice() {
        [] => {}
        [one] => words.push(format!("for {one}")),
        [one, rest @ ..] => words.push(format!("for {one} and {} more", rest.len())),
    }
    words.join(", ")
}

#[component]
fn Bounds(app: AppId, key: Key, zone: TimeZone, flash: Flash) -> impl IntoView {
    let rotated = key.replaced_by.is_some();
    let expires = key.expires_at.map(|at| at.to_zoned(zone).strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    let rotated = rotated.then(|| {
        view! { <Notice title="This key was rotated">"It works until its overlap ends, whatever date stands below."</Notice> }
    });
    let (addresses, scopes) = (key.bounds.allowed_addresses.join("\n"), key.bounds.scopes.join(" "));
    view! {
        <Card title="Bounds" description="They are in force within a second.">
            {rotated}
            <Form action="/do/keys/bound">
                <input type="hidden" name="app" value=app.to_string()/>
                <input type="hidden" name="key" value=key.id.to_string()/>
                <BoundsFields form=BOUND flash=flash prefix="bounds" addresses=addresses scopes=scopes expires=expires/>
                <FormActions><Button kind=ButtonKind::Primary>"Save bounds"</Button></FormActions>
            </Form>
        </Card>
    }
}

/// The fields of a key's bounds, for a new key and for one that is there.
#[component]
pub(super) fn BoundsFields(
    form: &'static str,
    flash: Flash,
    prefix: &'static str,
    #[prop(optional)] addresses: String,
    #[prop(optional)] scopes: String,
    #[prop(optional)] expires: String,
) -> impl IntoView {
    let fields = |name: &str, otherwise: &str| (flash.typed(form, name, otherwise), flash.problem(form, name));
    let (addresses, addresses_problem) = fields("allowed_addresses", &addresses);
    let (scopes, scopes_problem) = fields("scopes", &scopes);
    let (expires, expires_problem) = fields("expires_at", &expires);
    view! {
        <TextArea
            label="Allowed addresses"
            name="allowed_addresses"
            id=format!("{prefix}-addresses")
            value=addresses
            error=addresses_problem
            hint="Networks, one on each line, as 192.0.2.0/24 or 2001:db8::/32. Empty allows every address"
            rows=3
            mono=true
        />
        <TextField
            label="Scopes"
            name="scopes"
            id=format!("{prefix}-scopes")
            value=scopes
            error=scopes_problem
            hint="What the key may do, as the product's reference names it, with spaces between. Empty is everything that your plan opens"
            mono=true
            autocomplete="off"
        />
        <TextField
            label="Expires"
            name="expires_at"
            id=format!("{prefix}-expires")
            kind="date"
            value=expires
            error=expires_problem
            hint="It works until this day begins. Empty is without end"
            narrow=true
        />
    }
}
