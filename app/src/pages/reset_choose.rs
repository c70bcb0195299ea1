//! `/reset/choose?token=`: a new password, by the link of a mail.

use crate::{
    components::{Button, ButtonKind, ButtonLink, Form, PasswordField, SignInCard},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::{form_problems::FormProblems, sign_up::PASSWORD_RULES},
    secrets::hash_link_token,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const FORM: &str = "reset/choose";

#[component]
pub fn ResetChoosePage() -> impl IntoView {
    let cx = viewer::anyone();
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    page(async move {
        let cx = cx?;
        let flash = flash();
        let token = flash.typed(FORM, "token", &token);
        let open = cx.state.store.password_reset_is_open(hash_link_token(&token), cx.now).await?;
        let body = if !open {
            view! {
                <p>"This link was already used or is older than one hour."</p>
                <ButtonLink href="/reset" wide=true>"Ask for a new link"</ButtonLink>
            }
            .into_any()
        } else {
            view! {
                <Form action="/do/reset/choose">
                    <input type="hidden" name="token" value=token/>
                    <PasswordField label="New password" new=true hint=PASSWORD_RULES error=flash.problem(FORM, "password")/>
                    <Button kind=ButtonKind::Primary wide=true>"Save and sign in"</Button>
                </Form>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Choose a new password"/>
            <PublicFrame cx path="/reset/choose">
                <SignInCard
                    title="Choose a new password"
                    description="You are signed out everywhere else when it is saved."
                    below=|| view! { <p><a href="/sign-in">"Back to sign-in"</a></p> }
                >
                    <FormProblems form=FORM/>
                    {body}
                </SignInCard>
            </PublicFrame>
        })
    })
}
