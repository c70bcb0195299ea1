//! `/sign-in`: members of partners. Whatever is wrong, the answer is the same.

use crate::{
    components::{Button, ButtonKind, Form, PasswordField, SignInCard, TextField},
    flash::flash,
    form::{is_local_path, see_other},
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::form_problems::FormProblems,
    viewer::{self, Viewer},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn SignInPage() -> impl IntoView {
    let cx = viewer::anyone();
    let next = use_query_map().with_untracked(|query| query.get("next")).filter(|next| is_local_path(next));
    page(async move {
        let cx = cx?;
        if matches!(cx.viewer, Viewer::Member(_)) {
            see_other(next.as_deref().unwrap_or("/home"));
        }
        let provider = cx.state.settings.provider_name.clone();
        Ok(view! {
            <PageTitle text="Sign in"/>
            <PublicFrame cx path="/sign-in">
                <SignInCard
                    title="Sign in"
                    description=format!("To the developer portal of {provider}.")
                    below=|| view! { <p>"No account yet? " <a href="/sign-up">"Sign up"</a></p> }
                >
                    <SignInForm action="/do/sign-in" form="sign-in" next=next.unwrap_or_default()/>
                    <p><a href="/reset">"Forgot your password?"</a></p>
                </SignInCard>
            </PublicFrame>
        })
    })
}

/// E-mail and password; the same for members and operators.
#[component]
pub fn SignInForm(
    action: &'static str,
    /// The form's name in the flash.
    form: &'static str,
    /// Where to go afterwards; empty for the usual place.
    next: String,
) -> impl IntoView {
    let flash = flash();
    let next = flash.typed(form, "next", &next);
    view! {
        <FormProblems form/>
        <Form action>
            <input type="hidden" name="next" value=next/>
            <TextField
                label="E-mail address"
                name="email"
                kind="email"
                autocomplete="username"
                value=flash.typed(form, "email", "")
                error=flash.problem(form, "email")
                maxlength=254
                required=true
            />
            <PasswordField error=flash.problem(form, "password")/>
            <Button kind=ButtonKind::Primary wide=true>"Sign in"</Button>
        </Form>
    }
}
