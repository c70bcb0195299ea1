//! `/`: what Turnpike is, for somebody who is not signed in.

use crate::{page::{PageTitle, page}, viewer};
use leptos::prelude::*;

#[component]
pub fn LandingPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        Ok(view! {
            <PageTitle text="Welcome"/>
            <main id="main"><h1>{cx.state.settings.provider_name.clone()}</h1></main>
        })
    })
}
