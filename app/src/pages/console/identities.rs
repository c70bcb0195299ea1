//! `/console/partners/{partner}/identities`: whose tokens and client certificates count as a partner's apps.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{directory::KeyKind, id::PartnerId, key_text::Environment};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{Key, KeyState};

const REGISTER: &str = "identities/register";

#[component]
pub fn IdentitiesPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("partner");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: PartnerId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let partner = cx.state.store.partner(id).await?;
        let apps = cx.state.store.apps(id).await?;
        let now = cx.now;
        let mut keys = cx.state.store.keys(id).await?;
        keys.retain(|key| key.kind != KeyKind::Key);
        let apps: Vec<Choice> = apps.into_iter().map(|one| Choice::new(one.app.id.to_string(), one.app.name)).collect();
        let list = list(id, keys, now);
        let problems = flash.problems.clone();
        let form = if apps.is_empty() {
            view! { <Notice title="No apps yet">"An identity belongs to an app; the partner makes one first."</Notice> }
                .into_any()
        } else {
            view! { <Register partner=id apps=apps flash=flash/> }.into_any()
        };
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(partner.name, format!("/console/partners/{id}")),
        ];
        Ok(view! {
            <PageTitle text="Identities"/>
            <OperatorFrame cx=cx path="/console/partners">
                <Breadcrumbs trail=trail current="Identities"/>
                <PageHeader
                    title="Identities"
                    description="Whose tokens and client certificates count as this partner's apps, at products that take them."
                />
                <ErrorSummary problems=problems/>
                {list}
                {form}
            </OperatorFrame>
        })
    })
}

fn list(partner: PartnerId, keys: Vec<Key>, now: Timestamp) -> AnyView {
    if keys.is_empty() {
        return view! {
            <Card>
                <EmptyState
                    title="No identities yet"
                    text="Register one below once you know what the partner's tokens or certificates name."
                    icon=IconName::Key
                />
            </Card>
        }
        .into_any();
    }
    let rows = keys.into_iter().map(|key| row(partner, key, now)).collect_view();
    let columns = vec![
        Column::text("Name"),
        Column::text("Identity"),
        Column::text("App"),
        Column::text("State"),
        Column::text("Last used"),
        Column::actions(),
    ];
    view! {
        <Card flush=true>
            <DataTable caption="Identities of this partner, newest first" caption_hidden=true columns=columns stack=true>
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn row(partner: PartnerId, key: Key, now: Timestamp) -> impl IntoView {
    let works = matches!(key.state(now), KeyState::Active | KeyState::Expiring);
    let (tone, state) = match key.state(now) {
        KeyState::Active | KeyState::Expiring => (Tone::Success, "Active"),
        KeyState::Expired => (Tone::Neutral, "Expired"),
        KeyState::Revoked => (Tone::Neutral, "Revoked"),
    };
    let (issuer, name) = KeyKind::parts(&key.identity);
    let (issuer, name) = (issuer.unwrap_or("Client certificate").to_owned(), name.to_owned());
    let live = key.environment == Environment::Live;
    let last_used = match key.last_used_at {
        Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
        None => "Never".into_any(),
    };
    let dialog = format!("revoke-{}", key.id);
    let text =
        format!("Calls by {name} are refused within a second. This cannot be undone; it can be registered anew.");
    let id = key.id;
    let revoke = works.then(|| {
        view! {
            <DialogButton dialog=dialog.clone() size=Size::Small>"Revoke"</DialogButton>
            <Dialog id=dialog title="Revoke identity">
                <Confirm
                    action="/do/console/identities/revoke"
                    text=text
                    confirm="Revoke identity"
                    cancel=format!("/console/partners/{partner}/identities")
                    danger=true
                >
                    <input type="hidden" name="partner" value=partner.to_string()/>
                    <input type="hidden" name="key" value=id.to_string()/>
                </Confirm>
            </Dialog>
        }
    });
    view! {
        <tr>
            <Cell label="Name" head=true>{key.name} " " <EnvironmentBadge live=live/></Cell>
            <Cell label="Identity"><code>{name}</code> <p class="key-note">{issuer}</p></Cell>
            <Cell label="App">{key.app_name}</Cell>
            <Cell label="State"><Badge text=state tone=tone/></Cell>
            <Cell label="Last used">{last_used}</Cell>
            <Cell actions=true>{revoke}</Cell>
        </tr>
    }
}

#[component]
fn Register(partner: PartnerId, apps: Vec<Choice>, flash: Flash) -> impl IntoView {
    let fields = |name: &str, otherwise: &str| (flash.typed(REGISTER, name, otherwise), flash.problem(REGISTER, name));
    let (app, app_problem) = fields("app", "");
    let (kind, kind_problem) = fields("kind", "token");
    let (issuer, issuer_problem) = fields("issuer", "");
    let (identity, identity_problem) = fields("identity", "");
    let (environment, environment_problem) = fields("environment", "live");
    let (name, name_problem) = fields("name", "");
    let kinds = vec![
        Choice::new("token", "Token").hint("A claim of one issuer's tokens"),
        Choice::new("certificate", "Client certificate").hint("A name in the certificate"),
    ];
    let environments = vec![
        Choice::new("live", "Live").hint("Counted, priced and billed"),
        Choice::new("test", "Test").hint("Never charged"),
    ];
    view! {
        <Card title="Register an identity" description="Make sure that it is the partner's own: whoever holds it calls on the partner's account.">
            <Form action="/do/console/identities/register">
                <input type="hidden" name="partner" value=partner.to_string()/>
                <SelectField label="App" name="app" choices=apps value=app error=app_problem/>
                <RadioCards legend="Kind" name="kind" choices=kinds value=kind error=kind_problem/>
                <TextField label="Issuer" name="issuer" value=issuer error=issuer_problem
                    hint="For a token: its iss claim, letter by letter. Empty for a certificate" mono=true autocomplete="off"/>
                <TextField label="Identity" name="identity" value=identity error=identity_problem
                    hint="The claim's text, as the product's policy names the claim; or an alternative name of the certificate, or its common name where it has none"
                    required=true mono=true autocomplete="off"/>
                <RadioCards legend="Environment" name="environment" choices=environments value=environment error=environment_problem/>
                <TextField label="Name" name="name" value=name error=name_problem
                    hint="What the partner sees, as \"settlement service\"" required=true maxlength=100 autocomplete="off"/>
                <FormActions><Button kind=ButtonKind::Primary icon=IconName::Plus>"Register identity"</Button></FormActions>
            </Form>
        </Card>
    }
}
