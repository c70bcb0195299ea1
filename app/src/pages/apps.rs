//! `/apps`: a partner's apps, each with its keys at a glance.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::MemberFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::money::group_thousands;
use jiff::Timestamp;
use leptos::prelude::*;
use store::{AppWithKeys, KeyState};

const FORM: &str = "apps/create";

#[component]
pub fn AppsPage() -> impl IntoView {
    let cx = viewer::member();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let apps = cx.state.store.apps(cx.viewer.partner).await?;
        let empty = apps.is_empty();
        let rows = apps.into_iter().map(|app| row(app, now)).collect_view();
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
                <NewApp flash=flash/>
            </MemberFrame>
        })
    })
}

fn row(app: AppWithKeys, now: Timestamp) -> impl IntoView {
    let working = app.keys.iter().filter(|key| matches!(key.state(now), KeyState::Active | KeyState::Expiring)).count();
    let last_used = app.keys.iter().filter_map(|key| key.last_used_at).max();
    view! {
        <tr>
            <Cell label="App" head=true><a href=format!("/apps/{}", app.app.id)>{app.app.name.clone()}</a></Cell>
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
