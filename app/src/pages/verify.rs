//! `/verify?token=`: confirms an address. Opening the link changes nothing, so that mail scanners which follow links do not
//! use it up; the form does, with the password of whoever signed up, so that nobody confirms a stranger's account.

use crate::{
    components::{Button, ButtonKind, Form, PasswordField, SignInCard},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::form_problems::FormProblems,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const FORM: &str = "verify";

#[component]
pub fn VerifyPage() -> impl IntoView {
    let cx = viewer::anyone();
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    let plan = use_query_map().with_untracked(|query| query.get("plan")).unwrap_or_default();
    page(async move {
        let cx = cx?;
        let flash = flash();
        let (token, plan) = (flash.typed(FORM, "token", &token), flash.typed(FORM, "plan", &plan));
        let body = if token.is_empty() {
            view! {
                <p>"Open the link in the mail again, or sign in with your password to be sent a new one."</p>
            }
            .into_any()
        } else {
            view! {
                <Form action="/do/verify">
                    <input type="hidden" name="token" value=token/>
                    <input type="hidden" name="plan" value=plan/>
                    <PasswordField label="Password chosen at sign-up" error=flash.problem(FORM, "password")/>
                    <Button kind=ButtonKind::Primary wide=true>"Confirm and sign in"</Button>
                </Form>
                <p><a href="/reset">"I did not choose one, or forgot it: set a new password"</a></p>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Confirm your e-mail address"/>
            <PublicFrame cx path="/verify">
                <SignInCard
                    title="Confirm your address"
                    description="Enter the password, and your account is open."
                    below=|| view! { <p><a href="/sign-in">"Back to sign-in"</a></p> }
                >
                    <FormProblems form=FORM/>
                    {body}
                </SignInCard>
            </PublicFrame>
        })
    })
}
