//! `/team`: who belongs to the company, what they may do, and who is invited.

mod invite;
mod people;

use crate::{
    components::PageHeader,
    frames::MemberFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::role::MemberRole;
use leptos::prelude::*;

#[component]
pub fn TeamPage() -> impl IntoView {
    let cx = viewer::member();
    page(async move {
        let cx = cx?;
        let all = cx.state.store.members(cx.viewer.partner).await?;
        let (members, invited): (Vec<_>, Vec<_>) = all.into_iter().partition(|member| member.has_password);
        let viewer = cx.viewer.clone();
        let now = cx.now;
        let may_invite = viewer.role.may_grant(MemberRole::Viewer);
        let description = if may_invite {
            "The people of your company, and what each of them may do."
        } else {
            "The people of your company. Owners and admins can invite, change and remove."
        };
        Ok(view! {
            <PageTitle text="Team"/>
            <MemberFrame cx path="/team">
                <PageHeader title="Team" description/>
                <div class="stack">
                    <people::Members members viewer=viewer.clone() now/>
                    <invite::Invited invited viewer=viewer.clone() now/>
                    {may_invite.then(|| view! { <invite::InviteForm viewer/> })}
                </div>
            </MemberFrame>
        })
    })
}

/// The roles that this viewer may give, from the most able.
fn grantable(role: MemberRole) -> Vec<MemberRole> {
    MemberRole::ALL.into_iter().filter(|other| role.may_grant(*other)).collect()
}

/// `Owner`, as it stands in a list.
pub fn title(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Owner => "Owner",
        MemberRole::Admin => "Admin",
        MemberRole::Developer => "Developer",
        MemberRole::Billing => "Billing",
        MemberRole::Viewer => "Viewer",
    }
}
