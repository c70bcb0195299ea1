//! `/check-your-mail`: the same page after every form that may or may not have sent something.

use crate::{
    components::{ButtonLink, Icon, IconName, SignInCard},
    frames::PublicFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;

#[component]
pub fn CheckMailPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        let settings = cx.state.settings.clone();
        let inbox = (settings.development && !settings.mail_is_sent).then(|| {
            view! {
                <div class="mail-inbox">
                    <p>"This is a development install: mail is not sent, it waits in the inbox."</p>
                    <ButtonLink href="/dev/inbox" icon=IconName::Inbox wide=true>"Open the inbox"</ButtonLink>
                </div>
            }
        });
        Ok(view! {
            <PageTitle text="Check your mail"/>
            <PublicFrame cx path="/check-your-mail">
                <SignInCard
                    title="Check your mail"
                    below=|| view! { <p><a href="/sign-in">"Back to sign-in"</a></p> }
                >
                    <p class="mail-icon"><Icon name=IconName::Mail/></p>
                    <p>"If the address is right, a mail is on its way. Open the link in it to go on."</p>
                    <p class="error-hint">
                        "Nothing there after a few minutes? Look among unwanted mail, and check the address for typing errors. "
                        "You can send the form again; an older link then stops working."
                    </p>
                    {inbox}
                </SignInCard>
            </PublicFrame>
        })
    })
}
