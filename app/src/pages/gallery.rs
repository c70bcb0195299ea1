//! `/gallery`: every component in every state, in a development install only. `?shell=portal`, `console` or `public`
//! picks the frame.

mod actions;
mod charts;
mod code;
mod forms;
mod lists;
mod plans;
mod samples;
mod whole;
mod words;

use crate::{components::Theme, page::PageTitle, page::page, viewer};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use whole::{Gallery, GalleryShell};

#[component]
pub fn GalleryPage() -> impl IntoView {
    let cx = viewer::anyone();
    let shell = use_query_map().with_untracked(|query| query.get("shell").unwrap_or_default());
    page(async move {
        let now = cx?.now;
        let theme = use_context::<Theme>().unwrap_or_default();
        Ok(view! {
            <PageTitle text="Gallery" />
            <Gallery shell=GalleryShell::from_code(&shell) theme now />
        })
    })
}
