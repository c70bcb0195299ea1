//! One's own name and password.

use crate::{
    components::{Button, Card, Form, PasswordField, TextField},
    flash::flash,
    pages::{form_problems::FormProblems, sign_up::PASSWORD_RULES},
    viewer::MemberViewer,
};
use leptos::prelude::*;

const NAME: &str = "settings/name";
const PASSWORD: &str = "settings/password";

#[component]
pub fn OwnName(viewer: MemberViewer) -> impl IntoView {
    let flash = flash();
    view! {
        <Card title="You">
            <FormProblems form=NAME/>
            <Form action="/do/settings/name" label="Your name">
                <TextField
                    label="Your name"
                    name="own_name"
                    autocomplete="name"
                    value=flash.typed(NAME, "own_name", &viewer.name)
                    error=flash.problem(NAME, "own_name")
                    maxlength=100
                    required=true
                />
                <TextField
                    label="E-mail address"
                    name="own_email"
                    value=viewer.email
                    readonly=true
                    hint="You sign in with it. To use another one, have yourself invited under it."
                />
                <div class="form-actions"><Button>"Save your name"</Button></div>
            </Form>
        </Card>
    }
}

#[component]
pub fn OwnPassword() -> impl IntoView {
    let flash = flash();
    view! {
        <Card title="Password" description="All other sessions are signed out when it changes.">
            <FormProblems form=PASSWORD/>
            <Form action="/do/settings/password" label="Password">
                <PasswordField label="Current password" name="current" error=flash.problem(PASSWORD, "current")/>
                <PasswordField label="New password" name="new" new=true hint=PASSWORD_RULES error=flash.problem(PASSWORD, "new")/>
                <div class="form-actions"><Button>"Save the password"</Button></div>
            </Form>
        </Card>
    }
}
