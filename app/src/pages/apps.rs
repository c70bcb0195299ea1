//! `/apps`: a partner's apps, each with its keys at a glance.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::MemberFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::{money::group_thousands, role::MemberRole};
use jiff::Timestamp;
use leptos::prelude::*;
use store::{AppWithKeys, KeyState, Team};

const FORM: &str = "apps/create";
const TEAM_FORM: &str = "teams/create";

#[component]
pub fn AppsPage() -> impl IntoView {
    let cx = viewer::member();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let apps = cx.state.store.apps(cx.viewer.partner).await?;
        let teams = cx.state.store.teams(cx.viewer.partner).await?;
        let may_make_teams = matches!(cx.viewer.role, MemberRole::Owner | MemberRole::Admin);
        let empty = apps.is_empty();
        let rows = apps.into_iter().map(|app| row(app, &teams, now)).collect_view();
        Ok(view! {
            <PageTitle text="Apps and keys"/>
            <MemberFrame cx=cx path="/apps">
                <PageHeader
                    title="Apps and keys"
                    description="An app is one program of yours. Its keys say who calls, and its usage is counted by itself."
                />
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState
                                title="No apps yet"
                                text="Create an app below, then its first key."
                                icon=IconName::Key
                            />
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Your apps"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("App"),
                                    Column::text("Team"),
                                    Column::numeric("Working keys"),
                                    Column::text("Last used"),
                                    Column::text("Created"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
                <NewApp flash=flash.clone()/>
                <Teams teams=teams may_make=may_make_teams flash=flash/>
            </MemberFrame>
        })
    })
}

fn row(app: AppWithKeys, teams: &[Team], now: Timestamp) -> impl IntoView + use<> {
    let team =
        teams.iter().find(|team| Some(team.id) == app.app.team).map_or("—".to_owned(), |team| team.name.clone());
    let working = app.keys.iter().filter(|key| matches!(key.state(now), KeyState::Active | KeyState::Expiring)).count();
    let last_used = app.keys.iter().filter_map(|key| key.last_used_at).max();
    view! {
        <tr>
            <Cell label="App" head=true><a href=format!("/apps/{}", app.app.id)>{app.app.name.clone()}</a></Cell>
            <Cell label="Team">{team}</Cell>
            <Cell label="Working keys" numeric=true>{group_thousands(working as u64)}</Cell>
            <Cell label="Last used">
                {match last_used {
                    Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
                    None => "Never".into_any(),
                }}
            </Cell>
            <Cell label="Created"><TimeText at=app.app.created_at date=true/></Cell>
        </tr>
    }
}

#[component]
fn NewApp(flash: Flash) -> impl IntoView {
    view! {
        <Card title="New app" description="Name it after what it does, as \"Checkout\" or \"Payout worker\".">
            <Form action="/do/apps/create">
                <ErrorSummary problems=flash.problems_of(FORM)/>
                <TextField
                    label="Name"
                    name="name"
                    value=flash.typed(FORM, "name", "")
                    error=flash.problem(FORM, "name")
                    required=true
                    maxlength=100
                    autocomplete="off"
                />
                <FormActions>
                    <Button kind=ButtonKind::Primary icon=IconName::Plus>"Create app"</Button>
                </FormActions>
            </Form>
        </Card>
    }
}

#[component]
fn Teams(teams: Vec<Team>, may_make: bool, flash: Flash) -> impl IntoView {
    let names: Vec<String> = teams.into_iter().map(|team| team.name).collect();
    let list = if names.is_empty() { "There are none yet.".to_owned() } else { names.join(", ") };
    view! {
        <Card title="Teams" description="Put apps into teams to see what each of them uses. An app's page says which team it is in.">
            <p>{list}</p>
            {may_make
                .then(|| view! {
                    <Form action="/do/teams/create" inline=true>
                        <ErrorSummary problems=flash.problems_of(TEAM_FORM)/>
                        <TextField
                            label="New team"
                            name="name"
                            id="team-name"
                            value=flash.typed(TEAM_FORM, "name", "")
                            error=flash.problem(TEAM_FORM, "name")
                            required=true
                            maxlength=100
                            autocomplete="off"
                        />
                        <Button icon=IconName::Plus>"Create team"</Button>
                    </Form>
                })}
        </Card>
    }
}
