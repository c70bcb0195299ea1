//! Inviting, and who was invited.

use super::{grantable, title};
use crate::{
    components::{
        Badge, Button, ButtonKind, Card, Cell, Choice, Column, DataTable, EmptyState, Form, IconName, RadioCards,
        RelativeTime, Size, TextField,
    },
    flash::flash,
    pages::form_problems::FormProblems,
    viewer::MemberViewer,
};
use domain::role::MemberRole;
use jiff::Timestamp;
use leptos::prelude::*;
use store::Member;

const FORM: &str = "members/invite";

/// The form, with what each role may do.
#[component]
pub fn InviteForm(viewer: MemberViewer) -> impl IntoView {
    let flash = flash();
    let choices =
        grantable(viewer.role).into_iter().map(|role| Choice::new(role.code(), title(role)).hint(role.describe()));
    let choices = choices.collect::<Vec<_>>();
    view! {
        <Card title="Invite somebody" id="invite" description="They get a mail with a link that works for 24 hours.">
            <FormProblems form=FORM/>
            <Form action="/do/members/invite" label="Invite somebody">
                <TextField
                    label="E-mail address"
                    name="email"
                    kind="email"
                    autocomplete="off"
                    value=flash.typed(FORM, "email", "")
                    error=flash.problem(FORM, "email")
                    maxlength=254
                    required=true
                />
                <RadioCards
                    legend="Role"
                    name="role"
                    choices
                    value=flash.typed(FORM, "role", MemberRole::Developer.code())
                    error=flash.problem(FORM, "role")
                    required=true
                />
                <div class="form-actions">
                    <Button kind=ButtonKind::Primary icon=IconName::Mail>"Send the invitation"</Button>
                </div>
            </Form>
        </Card>
    }
}

/// Who has not answered yet.
#[component]
pub fn Invited(invited: Vec<Member>, viewer: MemberViewer, now: Timestamp) -> impl IntoView {
    let decides = viewer.role.may_grant(MemberRole::Viewer);
    let body = if invited.is_empty() {
        let text = if decides {
            "Everybody who was invited has joined. Invite a colleague below."
        } else {
            "Everybody who was invited has joined."
        };
        view! { <EmptyState title="No invitation is waiting" text icon=IconName::Mail/> }.into_any()
    } else {
        let mut columns = vec![Column::text("E-mail"), Column::text("Role"), Column::text("Invited")];
        if decides {
            columns.push(Column::actions());
        }
        let rows = invited.into_iter().map(|member| view! { <InvitedRow member viewer=viewer.clone() decides now/> });
        let rows = rows.collect_view();
        view! { <DataTable caption="Invitations that wait" caption_hidden=true columns stack=true>{rows}</DataTable> }
            .into_any()
    };
    view! {
        <FormProblems form="members/invite-again"/>
        <FormProblems form="members/withdraw"/>
        <Card title="Invitations" flush=true>{body}</Card>
    }
}

#[component]
fn InvitedRow(member: Member, viewer: MemberViewer, decides: bool, now: Timestamp) -> impl IntoView {
    let may = viewer.role.may_grant(member.role);
    let id = member.id.to_string();
    let email = member.email.clone();
    let button = move |action: &'static str, label: &'static str, id: String, email: String| {
        view! {
            <form method="post" action=action>
                <input type="hidden" name="member" value=id/>
                <Button size=Size::Small kind=ButtonKind::Quiet>
                    {label} <span class="visually-hidden">{format!(" to {email}")}</span>
                </Button>
            </form>
        }
    };
    let actions = decides.then(|| {
        let both = may.then(|| {
            view! {
                <div class="row-actions">
                    {button("/do/members/invite-again", "Send again", id.clone(), email.clone())}
                    {button("/do/members/withdraw", "Withdraw", id, email)}
                </div>
            }
        });
        view! { <Cell actions=true>{both}</Cell> }
    });
    view! {
        <tr>
            <Cell label="E-mail" head=true><span class="address">{member.email}</span></Cell>
            <Cell label="Role"><Badge text=title(member.role)/></Cell>
            <Cell label="Invited"><RelativeTime at=member.created_at now/></Cell>
            {actions}
        </tr>
    }
}
