//! `/console/sign-in`: operators.

use crate::{
    components::SignInCard,
    form::is_local_path,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::sign_in::SignInForm,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn ConsoleSignInPage() -> impl IntoView {
    let cx = viewer::anyone();
    let next = use_query_map().with_untracked(|query| query.get("next")).filter(|next| is_local_path(next));
    page(async move {
        let cx = cx?;
        let provider = cx.state.settings.provider_name.clone();
        Ok(view! {
            <PageTitle text="Operators' sign-in"/>
            <PublicFrame cx path="/console/sign-in">
                <SignInCard
                    title="Operators' sign-in"
                    description=format!("To the console of {provider}. Partners sign in elsewhere.")
                    below=|| view! { <p>"Are you a partner? " <a href="/sign-in">"Sign in to the portal"</a></p> }
                >
                    <SignInForm action="/do/console/sign-in" form="console/sign-in" next=next.unwrap_or_default()/>
                    <p class="error-hint">
                        "Forgot your password? Another operator can send you a new sign-in link; so can the command line of the server."
                    </p>
                </SignInCard>
            </PublicFrame>
        })
    })
}
