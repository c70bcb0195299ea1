//! `/console/welcome?token=`: an operator's one-time link: name, password, in. Opening it changes nothing.

use crate::{
    components::{Button, ButtonKind, ButtonLink, Form, PasswordField, SignInCard, TextField},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::{form_problems::FormProblems, sign_up::PASSWORD_RULES},
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const FORM: &str = "console/welcome";

#[component]
pub fn ConsoleWelcomePage() -> impl IntoView {
    let cx = viewer::anyone();
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    page(async move {
        let cx = cx?;
        let flash = flash();
        let token = flash.typed(FORM, "token", &token);
        let body = if token.is_empty() {
            view! {
                <p>"Open the link again that the server printed or that was mailed to you, or sign in with your password."</p>
                <ButtonLink href="/console/sign-in" wide=true>"Operators' sign-in"</ButtonLink>
            }
            .into_any()
        } else {
            view! {
                <Form action="/do/console/welcome">
                    <input type="hidden" name="token" value=token/>
                    <TextField
                        label="Your name"
                        name="name"
                        autocomplete="name"
                        value=flash.typed(FORM, "name", "")
                        error=flash.problem(FORM, "name")
                        maxlength=100
                        required=true
                    />
                    <PasswordField label="Choose a password" new=true hint=PASSWORD_RULES error=flash.problem(FORM, "password")/>
                    <Button kind=ButtonKind::Primary wide=true>"Save and open the console"</Button>
                </Form>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Set up your operator account"/>
            <PublicFrame cx path="/console/welcome">
                <SignInCard
                    title="Set up your operator account"
                    description="The link works once. Afterwards you sign in with your address and this password."
                >
                    <FormProblems form=FORM/>
                    {body}
                </SignInCard>
            </PublicFrame>
        })
    })
}
