//! The members' table.

use super::{grantable, title};
use crate::{
    components::{Badge, Button, ButtonKind, ButtonLink, Card, Cell, Column, DataTable, Size, TimeText, Tone},
    pages::form_problems::FormProblems,
    viewer::MemberViewer,
};
use domain::role::MemberRole;
use jiff::Timestamp;
use leptos::prelude::*;
use store::Member;

#[component]
pub fn Members(members: Vec<Member>, viewer: MemberViewer, now: Timestamp) -> impl IntoView {
    let _ = now;
    let owners =
        members.iter().filter(|member| member.role == MemberRole::Owner && member.disabled_at.is_none()).count();
    let decides = viewer.role.may_grant(MemberRole::Viewer);
    let mut columns = vec![Column::text("Name"), Column::text("E-mail"), Column::text("Role"), Column::text("Since")];
    if decides {
        columns.push(Column::actions());
    }
    let count = members.len();
    let rows = members.into_iter().map(|member| {
        let last_owner = member.role == MemberRole::Owner && owners == 1;
        view! { <Row member viewer=viewer.clone() decides last_owner/> }
    });
    let rows = rows.collect_view();
    let caption = if count == 1 { "One member".to_owned() } else { format!("{count} members") };
    view! {
        <FormProblems form="members/role"/>
        <Card title="Members" description=caption flush=true>
            <DataTable caption="Members" caption_hidden=true columns stack=true>{rows}</DataTable>
        </Card>
    }
}

#[component]
fn Row(member: Member, viewer: MemberViewer, decides: bool, last_owner: bool) -> impl IntoView {
    let own = member.id == viewer.id;
    let may = decides && !last_owner && (own || viewer.role.may_grant(member.role));
    let name = if member.name.is_empty() { member.email.clone() } else { member.name.clone() };
    let about = if last_owner {
        view! { <Badge text=title(member.role)/> <span class="error-hint">" The last owner stays."</span> }.into_any()
    } else if may {
        view! { <RoleForm id=member.id.to_string() role=member.role viewer_role=viewer.role whose=name.clone()/> }
            .into_any()
    } else {
        view! { <Badge text=title(member.role)/> }.into_any()
    };
    let whose = format!(" {name}");
    let actions = decides.then(|| {
        let remove = may.then(|| {
            view! {
                <ButtonLink href=format!("/team/{}/remove", member.id) kind=ButtonKind::Quiet size=Size::Small>
                    {if own { "Leave" } else { "Remove" }}
                    <span class="visually-hidden">{whose}</span>
                </ButtonLink>
            }
        });
        view! { <Cell actions=true>{remove}</Cell> }
    });
    view! {
        <tr>
            <Cell label="Name" head=true>
                {name} " "
                {own.then(|| view! { <Badge text="You" tone=Tone::Info/> })}
                {member.disabled_at.map(|_| view! { <Badge text="Disabled" tone=Tone::Warning/> })}
                {member.email_verified_at.is_none().then(|| view! { <Badge text="Address not confirmed" tone=Tone::Warning/> })}
            </Cell>
            <Cell label="E-mail"><span class="address">{member.email.clone()}</span></Cell>
            <Cell label="Role">{about}</Cell>
            <Cell label="Since"><TimeText at=member.created_at date=true/></Cell>
            {actions}
        </tr>
    }
}

/// A small form in the row: works without script, so it has a button of its own.
#[component]
fn RoleForm(id: String, role: MemberRole, viewer_role: MemberRole, whose: String) -> impl IntoView {
    let options = grantable(viewer_role).into_iter().map(|choice| {
        view! { <option value=choice.code() selected=choice == role title=choice.describe()>{title(choice)}</option> }
    });
    let options = options.collect_view();
    view! {
        <form method="post" action="/do/members/role" class="role-form">
            <input type="hidden" name="member" value=id/>
            <div class="select">
                <select class="input" name="role" aria-label=format!("Role of {whose}")>{options}</select>
            </div>
            <Button size=Size::Small>"Change" <span class="visually-hidden">{format!(" the role of {whose}")}</span></Button>
        </form>
    }
}
