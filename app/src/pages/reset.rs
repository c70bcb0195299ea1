//! `/reset`: asks for a link with which to choose a new password.

use crate::{
    components::{Button, ButtonKind, Form, SignInCard, TextField},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::form_problems::FormProblems,
    viewer,
};
use leptos::prelude::*;

const FORM: &str = "reset";

#[component]
pub fn ResetPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        let flash = flash();
        Ok(view! {
            <PageTitle text="Forgot your password"/>
            <PublicFrame cx path="/reset">
                <SignInCard
                    title="Forgot your password?"
                    description="Enter your address. If it has an account, we send a link that works for one hour."
                    below=|| view! { <p><a href="/sign-in">"Back to sign-in"</a></p> }
                >
                    <FormProblems form=FORM/>
                    <Form action="/do/reset">
                        <TextField
                            label="E-mail address"
                            name="email"
                            kind="email"
                            autocomplete="username"
                            value=flash.typed(FORM, "email", "")
                            error=flash.problem(FORM, "email")
                            maxlength=254
                            required=true
                        />
                        <Button kind=ButtonKind::Primary wide=true>"Send the link"</Button>
                    </Form>
                </SignInCard>
            </PublicFrame>
        })
    })
}
