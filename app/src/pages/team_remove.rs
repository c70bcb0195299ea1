//! `/team/{member}/remove`: asks before somebody is removed, and for the password of the one who removes.

use crate::{
    components::{Breadcrumbs, Card, Confirm, Crumb, PageHeader, PasswordField},
    flash::flash,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::form_problems::FormProblems,
    viewer,
};
use domain::id::MemberId;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

const FORM: &str = "members/remove";

#[component]
pub fn TeamRemovePage() -> impl IntoView {
    let cx = viewer::member();
    let id = use_params_map().with_untracked(|params| params.get("member"));
    page(async move {
        let cx = cx?;
        let id: MemberId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let member = cx.state.store.member(cx.viewer.partner, id).await?;
        let own = id == cx.viewer.id;
        let title = if own { "Leave the company".to_owned() } else { format!("Remove {}", member.email) };
        let text = if own {
            "You are signed out at once and lose access to this company's apps, keys and invoices. Its keys go on working.".to_owned()
        } else {
            format!(
                "{} is signed out at once and can no longer sign in. Keys that they created go on working; \
                 revoke those that they have a copy of.",
                member.email
            )
        };
        let confirm = if own { "Leave" } else { "Remove" };
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx path="/team">
                <Breadcrumbs trail=vec![Crumb::new("Team", "/team")] current=title.clone()/>
                <PageHeader title/>
                <Card>
                    <FormProblems form=FORM/>
                    <Confirm action="/do/members/remove" text confirm cancel="/team" danger=true>
                        <input type="hidden" name="member" value=id.to_string()/>
                        <PasswordField
                            label="Your own password"
                            hint="To make sure that it is you."
                            error=flash().problem(FORM, "password")
                        />
                    </Confirm>
                </Card>
            </MemberFrame>
        })
    })
}
