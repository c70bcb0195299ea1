//! `/apps/{app}`: one app: its keys, made, rotated and revoked here.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::key::{BoundsFields, bounds_words, shown},
    viewer,
};
use domain::{directory::KeyKind, id::AppId, key_text::Environment, role::MemberRole};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{Key, KeyState};

const CREATE: &str = "keys/create";

/// How long the old key may go on working after a rotation: hours and words.
const OVERLAPS: [(&str, &str); 5] = [
    ("0", "Stop at once"),
    ("1", "Keep for one hour"),
    ("24", "Keep for 24 hours"),
    ("168", "Keep for 7 days"),
    ("720", "Keep for 30 days"),
];

#[component]
pub fn AppPage() -> impl IntoView {
    let cx = viewer::member();
    let id = use_params_map().get_untracked().get("app");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let id: AppId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let apps = cx.state.store.apps(cx.viewer.partner).await?;
        let found = apps.into_iter().find(|app| app.app.id == id).ok_or(PageError::NotFound)?;
        let (app, keys) = (found.app, found.keys);
        let teams = cx.state.store.teams(cx.viewer.partner).await?;
        let may_set_team = matches!(cx.viewer.role, MemberRole::Owner | MemberRole::Admin) && !teams.is_empty();
        let team = app.team.map(|id| id.to_string());
        let gateway = cx.state.settings.gateway_url.clone();
        let secret = flash.secret.clone().map(|text| view! { <NewSecret text=text gateway=gateway/> });
        let problems = flash.problems.clone();
        let dialog = view! { <CreateKey app=id flash=flash.clone() prefix="dialog"/> };
        let (title, name) = (app.name.clone(), app.name);
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/apps">
                <Breadcrumbs trail=vec![Crumb::new("Apps and keys", "/apps")] current=title.clone()/>
                <PageHeader title=title description="Keys of this app. A test key is never charged.">
                    <ButtonLink href=format!("/requests?app={id}") icon=IconName::Terminal>"Requests"</ButtonLink>
                    <DialogButton dialog="create-key" kind=ButtonKind::Primary icon=IconName::Plus>"Create key"</DialogButton>
                </PageHeader>
                {secret}
                <ErrorSummary problems=problems/>
                <Keys app=id keys=keys now=now/>
                <Dialog id="create-key" title="Create key">{dialog}</Dialog>
                <Card title="New key" description="Choose the environment; the key's text is shown once.">
                    <CreateKey app=id flash=flash prefix="page"/>
                </Card>
                {may_set_team
                    .then(|| {
                        let choices = teams.iter().map(|team| Choice::new(team.id.to_string(), team.name.clone())).collect();
                        view! {
                            <Card title="Team" description="Calls with this app's keys count for it from then on.">
                                <Form action="/do/apps/team" inline=true>
                                    <input type="hidden" name="app" value=id.to_string()/>
                                    <SelectField label="Team" name="team" choices=choices value=team blank="None"/>
                                    <Button>"Change team"</Button>
                                </Form>
                            </Card>
                        }
                    })}
                <Card title="Name of this app">
                    <Form action="/do/apps/rename" inline=true>
                        <input type="hidden" name="app" value=id.to_string()/>
                        <TextField label="Name" name="name" id="rename" value=name required=true maxlength=100/>
                        <Button>"Rename"</Button>
                    </Form>
                </Card>
                <Card title="Archive" description="All keys of this app stop working within a second. What it used stays on your usage and invoices.">
                    <DialogButton dialog="archive" kind=ButtonKind::Danger>"Archive app"</DialogButton>
                    <Dialog id="archive" title="Archive this app">
                        <Confirm
                            action="/do/apps/archive"
                            text="All keys of this app stop working within a second. This cannot be undone."
                            confirm="Archive app"
                            cancel=format!("/apps/{id}")
                            danger=true
                        >
                            <input type="hidden" name="app" value=id.to_string()/>
                        </Confirm>
                    </Dialog>
                </Card>
            </MemberFrame>
        })
    })
}

#[component]
fn NewSecret(text: String, gateway: String) -> impl IntoView {
    let label = if text.starts_with("tp_live_") { "Your live key" } else { "Your test key" };
    let curl = format!("curl {gateway}/… \\\n  -H \"Authorization: Bearer $TURNPIKE_KEY\"");
    view! {
        <Card title="Copy your key now" description="It is shown this once. Only a hash of it is kept.">
            <Secret label=label value=text/>
            <CodeBlock code=curl language="shell" title="Use it like this" short=true/>
        </Card>
    }
}

#[component]
fn Keys(app: AppId, keys: Vec<Key>, now: Timestamp) -> impl IntoView {
    if keys.is_empty() {
        return view! {
            <Card>
                <EmptyState
                    title="No keys yet"
                    text="Create a test key first: it reaches the same API and is never charged."
                    icon=IconName::Key
                />
            </Card>
        }
        .into_any();
    }
    let rows = keys.into_iter().map(|key| row(app, key, now)).collect_view();
    view! {
        <Card flush=true>
            <DataTable
                caption="Keys of this app, newest first"
                caption_hidden=true
                columns=vec![
                    Column::text("Name"),
                    Column::text("Key"),
                    Column::text("State"),
                    Column::text("Last used"),
                    Column::text("Created"),
                    Column::actions(),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn row(app: AppId, key: Key, now: Timestamp) -> impl IntoView {
    let (tone, state) = match key.state(now) {
        KeyState::Active => (Tone::Success, "Active"),
        KeyState::Expiring => (Tone::Warning, "Ends soon"),
        KeyState::Expired => (Tone::Neutral, "Expired"),
        KeyState::Revoked => (Tone::Neutral, "Revoked"),
    };
    let works = matches!(key.state(now), KeyState::Active | KeyState::Expiring);
    let start = shown(&key);
    let bounds = bounds_words(&key);
    let bounds = (!bounds.is_empty()).then(|| view! { <p class="key-note">{bounds}</p> });
    let page = format!("/apps/{app}/keys/{}", key.id);
    let until = key.expires_at.filter(|_| works).map(|at| view! { " " <RelativeTime at=at now=now/> });
    let last_used = match key.last_used_at {
        Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
        None => "Never".into_any(),
    };
    let live = key.environment == Environment::Live;
    let (name, created_at) = (key.name.clone(), key.created_at);
    let rotate = (key.kind == KeyKind::Key && key.state(now) == KeyState::Active)
        .then(|| view! { <Rotate app=app key=key.clone()/> });
    let revoke = works.then(|| view! { <Revoke app=app key=key.clone()/> });
    view! {
        <tr>
            <Cell label="Name" head=true><a href=page>{name}</a> " " <EnvironmentBadge live=live/> {bounds}</Cell>
            <Cell label="Key"><code class="unbroken">{start}</code></Cell>
            <Cell label="State"><Badge text=state tone=tone/> {until}</Cell>
            <Cell label="Last used">{last_used}</Cell>
            <Cell label="Created"><TimeText at=created_at date=true/></Cell>
            <Cell actions=true>{rotate} {revoke}</Cell>
        </tr>
    }
}

#[component]
fn Revoke(app: AppId, key: Key) -> impl IntoView {
    let id = format!("revoke-{}", key.id);
    let text = format!("Calls with {} are refused within a second, everywhere. This cannot be undone.", key.name);
    view! {
        <DialogButton dialog=id.clone() size=Size::Small>"Revoke"</DialogButton>
        <Dialog id=id title="Revoke key">
            <Confirm action="/do/keys/revoke" text=text confirm="Revoke key" cancel=format!("/apps/{app}") danger=true>
                <input type="hidden" name="app" value=app.to_string()/>
                <input type="hidden" name="key" value=key.id.to_string()/>
            </Confirm>
        </Dialog>
    }
}

#[component]
fn Rotate(app: AppId, key: Key) -> impl IntoView {
    let id = format!("rotate-{}", key.id);
    let choices: Vec<Choice> = OVERLAPS.iter().map(|(hours, words)| Choice::new(*hours, *words)).collect();
    let text = format!("A new key replaces {}. Put it in place before the old one ends.", key.name);
    view! {
        <DialogButton dialog=id.clone() size=Size::Small icon=IconName::Rotate>"Rotate"</DialogButton>
        <Dialog id=id title="Rotate key">
            <Form action="/do/keys/rotate">
                <p>{text}</p>
                <input type="hidden" name="app" value=app.to_string()/>
                <input type="hidden" name="key" value=key.id.to_string()/>
                <SelectField label="The old key" name="overlap" id=format!("overlap-{}", key.id) choices=choices value="24"/>
                <FormActions><Button kind=ButtonKind::Primary>"Rotate key"</Button></FormActions>
            </Form>
        </Dialog>
    }
}

/// The form stands in a dialog and on the page, so that it works where a dialog does not open.
#[component]
fn CreateKey(app: AppId, flash: Flash, prefix: &'static str) -> impl IntoView {
    let environments = vec![
        Choice::new("test", "Test").hint("Reaches the same API; never charged"),
        Choice::new("live", "Live").hint("Counted, priced and billed"),
    ];
    view! {
        <Form action="/do/keys/create">
            <input type="hidden" name="app" value=app.to_string()/>
            <RadioCards
                legend="Environment"
                name="environment"
                id=format!("{prefix}-environment")
                choices=environments
                value=flash.typed(CREATE, "environment", "test")
                error=flash.problem(CREATE, "environment")
            />
            <TextField
                label="Name"
                name="name"
                id=format!("{prefix}-name")
                value=flash.typed(CREATE, "name", "")
                error=flash.problem(CREATE, "name")
                hint="Where it will be used, as \"staging server\""
                maxlength=100
                autocomplete="off"
            />
            <BoundsFields form=CREATE flash=flash prefix=prefix/>
            <FormActions><Button kind=ButtonKind::Primary icon=IconName::Plus>"Create key"</Button></FormActions>
        </Form>
    }
}
