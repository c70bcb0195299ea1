//! `/settings`: the company, oneself, and where one is signed in.

mod company;
mod own;
mod sessions;

pub use sessions::session_hash;

use crate::{
    components::PageHeader,
    frames::MemberFrame,
    page::{PageTitle, page},
    session, viewer,
};
use leptos::prelude::*;
use store::Account;

#[component]
pub fn SettingsPage() -> impl IntoView {
    let cx = viewer::member();
    // Sessions live in real time, whatever a test clock says.
    let this_one = session::own_id_hash();
    page(async move {
        let cx = cx?;
        let real_now = jiff::Timestamp::now();
        let sessions = cx.state.store.own_sessions(Account::Member(cx.viewer.id), real_now).await?;
        let viewer = cx.viewer.clone();
        Ok(view! {
            <PageTitle text="Settings"/>
            <MemberFrame cx path="/settings">
                <PageHeader title="Settings" description="Your company, your account, and where you are signed in."/>
                <div class="stack">
                    <company::Company viewer=viewer.clone()/>
                    <own::OwnName viewer/>
                    <own::OwnPassword/>
                    <sessions::Sessions sessions this_one now=real_now/>
                </div>
            </MemberFrame>
        })
    })
}
