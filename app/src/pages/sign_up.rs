//! `/sign-up`: a company and its first person.

use crate::{
    components::{Button, ButtonKind, Form, PasswordField, SignInCard, TextField},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::form_problems::FormProblems,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The rules for a new password, told before it is typed.
pub const PASSWORD_RULES: &str = "At least 8 characters; 15 or more are better. Any characters, spaces too. Not your own name, and none of the commonest.";

const FORM: &str = "sign-up";

#[component]
pub fn SignUpPage() -> impl IntoView {
    let cx = viewer::anyone();
    let plan = use_query_map().with_untracked(|query| query.get("plan")).unwrap_or_default();
    page(async move {
        let cx = cx?;
        let provider = cx.state.settings.provider_name.clone();
        let flash = flash();
        Ok(view! {
            <PageTitle text="Sign up"/>
            <PublicFrame cx path="/sign-up">
                <SignInCard
                    title="Create an account"
                    description=format!("For the APIs of {provider}. A test key is free of charge; you choose a plan afterwards.")
                    below=|| view! { <p>"Already have an account? " <a href="/sign-in">"Sign in"</a></p> }
                >
                    <FormProblems form=FORM/>
                    <Form action="/do/sign-up">
                        <input type="hidden" name="plan" value=flash.typed(FORM, "plan", &plan)/>
                        <TextField
                            label="Company"
                            name="company"
                            autocomplete="organization"
                            value=flash.typed(FORM, "company", "")
                            error=flash.problem(FORM, "company")
                            maxlength=200
                            required=true
                        />
                        <TextField
                            label="Your name"
                            name="name"
                            autocomplete="name"
                            value=flash.typed(FORM, "name", "")
                            error=flash.problem(FORM, "name")
                            maxlength=100
                            required=true
                        />
                        <TextField
                            label="Work e-mail address"
                            name="email"
                            kind="email"
                            autocomplete="email"
                            hint="We send a link to it to confirm that it is yours."
                            value=flash.typed(FORM, "email", "")
                            error=flash.problem(FORM, "email")
                            maxlength=254
                            required=true
                        />
                        <PasswordField new=true hint=PASSWORD_RULES error=flash.problem(FORM, "password")/>
                        <Button kind=ButtonKind::Primary wide=true>"Create the account"</Button>
                    </Form>
                </SignInCard>
            </PublicFrame>
        })
    })
}
