//! `/console/tokens`: the provider's own tokens of the REST API.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::scope::Scope;
use jiff::Timestamp;
use leptos::prelude::*;
use store::ApiToken;

/// The form that makes a token.
pub const FORM: &str = "tokens/create";

#[component]
pub fn TokensPage() -> impl IntoView {
    let cx = viewer::operator();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let tokens = cx.state.store.api_tokens(None).await?;
        let list = token_list(tokens, "/do/console/tokens/revoke", now);
        let secret = flash.secret.clone().map(|text| {
            view! {
                <Card title="Copy your token now" description="It is shown this once. Only a hash of it is kept.">
                    <Secret label="Your API token" value=text/>
                </Card>
            }
        });
        let scopes = Scope::ALL.to_vec();
        Ok(view! {
            <PageTitle text="API tokens"/>
            <OperatorFrame cx=cx path="/console/tokens">
                <PageHeader title="API tokens" description="For scripts of yours that do what the console does. Send one as \"Authorization: Bearer\".">
                    <ButtonLink href="/api/openapi.json" icon=IconName::Download>"OpenAPI"</ButtonLink>
                </PageHeader>
                {secret}
                {list}
                <Card title="New token">
                    <TokenForm action="/do/console/tokens/create" scopes=scopes flash=flash/>
                </Card>
            </OperatorFrame>
        })
    })
}

/// Tokens with a way to revoke each; the same for partners and operators.
pub fn token_list(tokens: Vec<ApiToken>, revoke: &'static str, now: Timestamp) -> AnyView {
    if tokens.is_empty() {
        return view! {
            <Card><EmptyState title="No tokens yet" text="Create one below; it is shown once." icon=IconName::Terminal/></Card>
        }
        .into_any();
    }
    let rows = tokens
        .into_iter()
        .map(|token| {
            let works = token.revoked_at.is_none() && token.expires_at.is_none_or(|end| end > now);
            let (state, tone) = if works { ("Active", Tone::Success) } else { ("Revoked", Tone::Neutral) };
            let used = match token.last_used_at {
                Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
                None => "Never".into_any(),
            };
            let id = token.id.to_string();
            let action = works.then(|| {
                view! {
                    <Form action=revoke inline=true>
                        <input type="hidden" name="token" value=id/>
                        <Button size=Size::Small>"Revoke"</Button>
                    </Form>
                }
            });
            view! {
                <tr>
                    <Cell label="Name" head=true>{token.name} " " <code>{format!("…{}", token.last_four)}</code></Cell>
                    <Cell label="May">{token.scopes.join(", ")}</Cell>
                    <Cell label="State"><Badge text=state tone=tone/></Cell>
                    <Cell label="Last used">{used}</Cell>
                    <Cell actions=true>{action}</Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card flush=true>
            <DataTable
                caption="API tokens"
                caption_hidden=true
                columns=vec![
                    Column::text("Name"),
                    Column::text("May"),
                    Column::text("State"),
                    Column::text("Last used"),
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

/// Name and scopes.
#[component]
pub fn TokenForm(action: &'static str, scopes: Vec<Scope>, flash: Flash) -> impl IntoView {
    let boxes = scopes
        .into_iter()
        .map(|scope| {
            view! {
                <CheckField
                    label=scope.code()
                    name="scopes[]"
                    id=format!("scope-{}", scope.code().replace(':', "-"))
                    value=scope.code()
                    hint=scope.describe()
                />
            }
        })
        .collect_view();
    view! {
        <Form action=action>
            <ErrorSummary problems=flash.problems_of(FORM)/>
            <TextField
                label="Name"
                name="name"
                value=flash.typed(FORM, "name", "")
                error=flash.problem(FORM, "name")
                hint="Where it will be used, as \"nightly export\""
                required=true
                maxlength=100
                autocomplete="off"
            />
            <FormSection title="What it may do">{boxes}</FormSection>
            <FormActions><Button kind=ButtonKind::Primary icon=IconName::Plus>"Create token"</Button></FormActions>
        </Form>
    }
}
