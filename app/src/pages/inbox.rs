//! `/dev/inbox`: the mails of a development install, which are not sent. Hidden everywhere else.

use crate::{
    components::{Badge, Card, Cell, Column, DataTable, EmptyState, IconName, PageHeader, RelativeTime, Tone},
    frames::PublicFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;
use store::Mail;

/// As many as the page shows; older ones are of no use while developing.
const MOST: u32 = 200;

#[component]
pub fn InboxPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        let mails = cx.state.store.all_mails(MOST).await?;
        let now = cx.now;
        let list = if mails.is_empty() {
            view! {
                <EmptyState
                    title="No mail yet"
                    text="Mail that the portal would send appears here: sign up, ask for a new password or invite somebody."
                    icon=IconName::Inbox
                >
                    <a class="button button-secondary" href="/sign-up">"Sign up"</a>
                </EmptyState>
            }
            .into_any()
        } else {
            let columns =
                vec![Column::text("Subject"), Column::text("To"), Column::text("When"), Column::text("State")];
            let rows = mails.into_iter().map(|mail| view! { <MailRow mail now/> }).collect_view();
            view! {
                <Card flush=true><DataTable caption="Mails, newest first" caption_hidden=true columns stack=true>{rows}</DataTable></Card>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Inbox"/>
            <PublicFrame cx path="/dev/inbox">
                <div class="stack">
                <PageHeader
                    title="Inbox"
                    description="Every mail of this development install, newest first. Only a development install has this page."
                />
                {list}
                </div>
            </PublicFrame>
        })
    })
}

#[component]
fn MailRow(mail: Mail, now: jiff::Timestamp) -> impl IntoView {
    let (text, tone) = if mail.sent_at.is_some() {
        ("Sent", Tone::Success)
    } else if mail.last_error.is_some() {
        ("Trying again", Tone::Warning)
    } else {
        ("Kept here", Tone::Neutral)
    };
    view! {
        <tr>
            <Cell label="Subject" head=true><a href=format!("/dev/inbox/{}", mail.id)>{mail.subject}</a></Cell>
            <Cell label="To"><span class="address">{mail.recipient}</span></Cell>
            <Cell label="When"><RelativeTime at=mail.created_at now/></Cell>
            <Cell label="State"><Badge text tone/></Cell>
        </tr>
    }
}
