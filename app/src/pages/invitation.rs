//! `/invitation?token=`: what somebody is invited to, and the form that says yes.

use crate::{
    components::{Button, ButtonKind, ButtonLink, Form, PasswordField, SignInCard, TextField},
    flash::flash,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::{form_problems::FormProblems, sign_up::PASSWORD_RULES},
    secrets::hash_link_token,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::{Invitation, StoreError};

const FORM: &str = "invitation";

#[component]
pub fn InvitationPage() -> impl IntoView {
    let cx = viewer::anyone();
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    page(async move {
        let cx = cx?;
        let token = flash().typed(FORM, "token", &token);
        let found = match cx.state.store.find_invitation_to_any_partner(hash_link_token(&token), cx.now).await {
            Ok(invitation) => Some(invitation),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let (title, body) = match found {
            Some(invitation) => {
                (format!("Join {}", invitation.partner_name), view! { <AcceptForm invitation token/> }.into_any())
            }
            None => (
                "Invitation".to_owned(),
                view! {
                    <p>
                        "This invitation was already used, withdrawn or is older than 24 hours. "
                        "Ask your colleague to send it again from the team page."
                    </p>
                    <ButtonLink href="/sign-in" wide=true>"Sign in"</ButtonLink>
                }
                .into_any(),
            ),
        };
        Ok(view! {
            <PageTitle text=title.clone()/>
            <PublicFrame cx path="/invitation">
                <SignInCard title>{body}</SignInCard>
            </PublicFrame>
        })
    })
}

#[component]
fn AcceptForm(invitation: Invitation, token: String) -> impl IntoView {
    let flash = flash();
    let Invitation { partner_name, email, role } = invitation;
    view! {
        <p>
            {format!("You are invited to work with {partner_name}, as {role}: {}.", role.describe().to_lowercase())}
        </p>
        <FormProblems form=FORM/>
        <Form action="/do/invitation">
            <input type="hidden" name="token" value=token/>
            <TextField label="E-mail address" name="email" value=email autocomplete="username" readonly=true/>
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
            <Button kind=ButtonKind::Primary wide=true>"Join"</Button>
        </Form>
    }
}
