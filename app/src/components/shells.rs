//! The three kinds of page: a partner's, an operator's, and everybody's.

use super::{Badge, EnvironmentBadge, Logo, MaybeText, NavGroup, Slot, Theme, ThemeSwitch, frame::Frame};
use leptos::prelude::*;

/// A partner's pages.
#[component]
pub fn PortalShell(
    /// The provider's name for the portal.
    #[prop(default = "Turnpike".to_owned(), into)]
    brand: String,
    /// The partner's name.
    #[prop(into)]
    partner: String,
    /// Which environment the page shows, where it shows one: `Some(true)` is live.
    #[prop(optional_no_strip, into)]
    live: Option<bool>,
    nav: Vec<NavGroup>,
    /// The address of this page, to mark the current link and to come back to.
    #[prop(into)]
    path: String,
    /// Who is signed in.
    #[prop(optional, into)]
    person: MaybeText,
    #[prop(optional)] theme: Theme,
    /// Above everything: `Notice`s about the account or the installation.
    #[prop(optional, into)]
    banner: Slot,
    children: Children,
) -> impl IntoView {
    let whose = view! {
        <span class="frame-whose-name">{partner}</span>
        {live.map(|live| view! { <EnvironmentBadge live /> })}
    };
    Frame {
        class: "frame frame-portal",
        brand,
        home: "/home",
        whose: whose.into_any(),
        nav,
        path,
        person,
        theme,
        banner: banner.run().into_any(),
        content: children().into_any(),
    }
    .render()
}

/// The operators' console: darker and of another accent, so that nobody takes one for the other.
#[component]
pub fn ConsoleShell(
    #[prop(default = "Turnpike".to_owned(), into)] brand: String,
    nav: Vec<NavGroup>,
    /// The address of this page, to mark the current link and to come back to.
    #[prop(into)]
    path: String,
    /// Who is signed in.
    #[prop(optional, into)]
    person: MaybeText,
    #[prop(optional)] theme: Theme,
    #[prop(optional, into)] banner: Slot,
    children: Children,
) -> impl IntoView {
    let whose = view! { <Badge text="Operator console" /> };
    Frame {
        class: "frame frame-console",
        brand,
        home: "/console",
        whose: whose.into_any(),
        nav,
        path,
        person,
        theme,
        banner: banner.run().into_any(),
        content: children().into_any(),
    }
    .render()
}

/// Everybody's pages: landing, prices, docs without an account.
#[component]
pub fn PublicShell(
    #[prop(default = "Turnpike".to_owned(), into)] brand: String,
    /// The address of this page.
    #[prop(into)]
    path: String,
    #[prop(optional)] theme: Theme,
    /// Links in the header: label and address.
    #[prop(optional)]
    links: Vec<(String, String)>,
    /// On the header's right: sign in, sign up, or "to the portal".
    #[prop(optional, into)]
    actions: Slot,
    children: Children,
) -> impl IntoView {
    let links = links.into_iter().map(|(label, href)| {
        let here = (href == path).then_some("page");
        view! { <li><a href=href aria-current=here>{label}</a></li> }
    });
    let links = links.collect_view();
    let name = brand.clone();
    view! {
        <div class="public">
            <header class="public-header">
                <a href="/" class="frame-brand"><Logo name=brand /></a>
                <nav aria-label="Main"><ul>{links}</ul></nav>
                <div class="public-actions">{actions.run()}</div>
            </header>
            <main id="main" class="public-content" tabindex="-1">{children()}</main>
            <footer class="public-footer">
                <p>{name}</p>
                <ThemeSwitch theme next=path />
            </footer>
        </div>
    }
}

/// One form in the middle of a page: sign in, sign up, reset, invitations.
#[component]
pub fn SignInCard(
    #[prop(into)] title: String,
    #[prop(optional, into)] description: MaybeText,
    /// Below the card: "No account yet?" and its link.
    #[prop(optional, into)]
    below: Slot,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="sign-in">
            <div class="sign-in-card">
                <h1>{title}</h1>
                {description.map(|text| view! { <p class="sign-in-description">{text}</p> })}
                {children()}
            </div>
            {below.map(|below| view! { <div class="sign-in-below">{below}</div> })}
        </div>
    }
}
