//! `/console/hooks`: where usage events are sent to as they are taken in.

use super::overview::many;
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::role::OperatorRole;
use jiff::Timestamp;
use leptos::prelude::*;
use store::{
    PartnerLine,
    hooks::{Hook, HookState},
};

const FORM: &str = "hooks/create";
/// Partners that the form offers. Of others hooks are made over the REST API.
const MOST_PARTNERS: u32 = 200;

#[component]
pub fn HooksPage() -> impl IntoView {
    let cx = viewer::operator();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let now = cx.now;
        let hooks = store.all_hooks(None, now).await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let partners = store.all_partners_page("", None, MOST_PARTNERS, now).await?.items;
        let disabled = hooks.iter().filter(|hook| hook.state == HookState::Disabled).count() as u64;
        let secret = flash.secret.clone().map(|text| {
            view! {
                <Card title="Copy its secret now" description="It is shown this once. The receiver checks each message with it.">
                    <Secret label="Signing secret" value=text/>
                </Card>
            }
        });
        let problems = flash.problems_of("hooks/change");
        let empty = hooks.is_empty();
        let rows = hooks.into_iter().map(|hook| row(hook, may_change, now)).collect_view();
        let new = may_change.then(|| view! { <New flash=flash partners=partners/> });
        Ok(view! {
            <PageTitle text="Usage hooks"/>
            <OperatorFrame cx=cx path="/console/hooks">
                <PageHeader
                    title="Usage hooks"
                    description="Send each usage event to a system of your own as it comes in: signed, at least once, and again until it is accepted."
                >
                    <ButtonLink href="/api/usage-event.schema.json" icon=IconName::Download>"Schema of an event"</ButtonLink>
                </PageHeader>
                <ErrorSummary problems=problems/>
                {secret}
                {(disabled > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Danger title="A receiver gets nothing any more">
                            {format!("{} switched off after five days without a delivery. Mend the receiver and resume it: it goes on where it was.", many(disabled, "hook is", "hooks are"))}
                        </Notice>
                    })}
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState
                                title="No hook yet"
                                text="Add the address of a data warehouse or a billing system below; usage events are sent there."
                                icon=IconName::External
                            />
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Usage hooks"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Address"),
                                    Column::text("Events of"),
                                    Column::text("State"),
                                    Column::numeric("Delivered"),
                                    Column::text("Test"),
                                    Column::actions(),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
                {new}
            </OperatorFrame>
        })
    })
}

fn row(hook: Hook, may_change: bool, now: Timestamp) -> impl IntoView {
    let url = hook.shown_url();
    let whose = match hook.partner {
        Some(id) => view! { <a href=format!("/console/partners/{id}")>{hook.partner_name}</a> }.into_any(),
        None => "All partners".into_any(),
    };
    let (text, tone) = match (hook.state, hook.failures) {
        (HookState::Active, 0) => ("Active", Tone::Success),
        (HookState::Active, _) => ("Fails", Tone::Warning),
        (HookState::Paused, _) => ("Paused", Tone::Neutral),
        (HookState::Disabled, _) => ("Switched off", Tone::Danger),
    };
    let message = (!hook.message.is_empty()).then(|| view! { <p class="key-note finding-place">{hook.message}</p> });
    let failing = hook.failing_since.map(|since| {
        let tries = many(u64::from(hook.failures), "try", "tries");
        view! { <p class="key-note">{tries} " since " <TimeText at=since/></p> }
    });
    let delivered_at = hook.delivered_at.map(|at| view! { <p class="key-note"><RelativeTime at=at now=now/></p> });
    let test = match (hook.test_asked, hook.tested_at) {
        (true, _) => "On its way".into_any(),
        (false, Some(at)) => {
            view! { {hook.test_result} <p class="key-note"><RelativeTime at=at now=now/></p> }.into_any()
        }
        (false, None) => "—".into_any(),
    };
    let id = hook.id.to_string();
    let is_active = hook.state == HookState::Active;
    let actions = may_change.then(|| {
        let (verb, label) = if is_active { ("pause", "Pause") } else { ("resume", "Resume") };
        let usual = (change(&id, "test", "Test"), change(&id, verb, label));
        let rare = (change(&id, "rotate", "Make another secret"), change(&id, "delete", "Delete for good"));
        view! {
            <Cluster>{usual}</Cluster>
            <details class="row-form"><summary>"More"</summary><Cluster>{rare}</Cluster></details>
        }
    });
    view! {
        <tr>
            <Cell label="Address" head=true><code class="hook-url">{url}</code></Cell>
            <Cell label="Events of">{whose}</Cell>
            <Cell label="State"><div class="cell-lines"><Badge text=text tone=tone/> {failing} {message}</div></Cell>
            <Cell label="Delivered" numeric=true><div class="cell-lines"><Figure value=hook.delivered/> {delivered_at}</div></Cell>
            <Cell label="Test"><div class="cell-lines">{test}</div></Cell>
            <Cell actions=true>{actions}</Cell>
        </tr>
    }
}

/// A button that does one thing to a hook.
fn change(id: &str, change: &'static str, label: &'static str) -> impl IntoView + use<> {
    let id = id.to_owned();
    view! {
        <Form action="/do/console/hooks/change" inline=true>
            <input type="hidden" name="hook" value=id/>
            <input type="hidden" name="change" value=change/>
            <Button size=Size::Small>{label}</Button>
        </Form>
    }
}

#[component]
fn New(flash: Flash, partners: Vec<PartnerLine>) -> impl IntoView {
    let choices =
        partners.into_iter().map(|line| Choice::new(line.partner.id.to_string(), line.partner.name)).collect();
    view! {
        <Card
            title="New hook"
            description="Messages follow Standard Webhooks, and each carries a batch of CloudEvents. Count an event once, by its source and id."
        >
            <Form action="/do/console/hooks/create">
                <ErrorSummary problems=flash.problems_of(FORM)/>
                <TextField
                    label="Address"
                    name="url"
                    kind="url"
                    value=flash.typed(FORM, "url", "")
                    error=flash.problem(FORM, "url")
                    hint="Begins with https://, or with http:// where private networks are allowed"
                    placeholder="https://receiver.example/turnpike"
                    mono=true
                    required=true
                    maxlength=2000
                    autocomplete="off"
                />
                <SelectField
                    label="Events of"
                    name="partner"
                    choices=choices
                    value=flash.typed(FORM, "partner", "")
                    error=flash.problem(FORM, "partner")
                    blank="All partners"
                />
                <FormActions><Button kind=ButtonKind::Primary icon=IconName::Plus>"Add the hook"</Button></FormActions>
            </Form>
        </Card>
    }
}
