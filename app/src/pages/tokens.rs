//! `/tokens`: a partner's own tokens of the REST API.

use crate::{
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::console::tokens::{TokenForm, token_list},
    viewer,
};
use domain::scope::Scope;
use leptos::prelude::*;

#[component]
pub fn MemberTokensPage() -> impl IntoView {
    let cx = viewer::member();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let tokens = cx.state.store.api_tokens(Some(cx.viewer.partner)).await?;
        let list = token_list(tokens, "/do/tokens/revoke", now);
        let secret = flash.secret.clone().map(|text| {
            view! {
                <Card title="Copy your token now" description="It is shown this once. Only a hash of it is kept.">
                    <Secret label="Your API token" value=text/>
                </Card>
            }
        });
        let scopes = Scope::OF_PARTNERS.into_iter().filter(|scope| scope.is_for(cx.viewer.role)).collect();
        Ok(view! {
            <PageTitle text="API tokens"/>
            <MemberFrame cx=cx path="/tokens">
                <PageHeader title="API tokens" description="For scripts that do what these pages do: keys, usage and invoices. A token does not call the APIs themselves; a key does.">
                    <ButtonLink href="/api/openapi.json" icon=IconName::Download>"OpenAPI"</ButtonLink>
                </PageHeader>
                {secret}
                {list}
                <Card title="New token"><TokenForm action="/do/tokens/create" scopes=scopes flash=flash/></Card>
            </MemberFrame>
        })
    })
}
