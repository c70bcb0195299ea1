//! Buttons act, links go somewhere: two components that look alike.

use super::{Icon, IconName, MaybeText};
use leptos::prelude::*;

/// How loud. One primary button a page; danger only for what cannot be undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ButtonKind {
    Primary,
    #[default]
    Secondary,
    Quiet,
    Danger,
}

/// How large. Small in tables and card headings, large on landing pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    Small,
    #[default]
    Medium,
    Large,
}

pub(super) fn button_class(kind: ButtonKind, size: Size, wide: bool) -> String {
    let kind = match kind {
        ButtonKind::Primary => "button-primary",
        ButtonKind::Secondary => "button-secondary",
        ButtonKind::Quiet => "button-quiet",
        ButtonKind::Danger => "button-danger",
    };
    let size = match size {
        Size::Small => " button-small",
        Size::Medium => "",
        Size::Large => " button-large",
    };
    let wide = if wide { " button-wide" } else { "" };
    format!("button {kind}{size}{wide}")
}

/// Submits the form around it (or the one that `form` names).
#[component]
pub fn Button(
    #[prop(optional)] kind: ButtonKind,
    #[prop(optional)] size: Size,
    #[prop(optional)] icon: Option<IconName>,
    /// As wide as its container.
    #[prop(optional)]
    wide: bool,
    #[prop(optional)] disabled: bool,
    /// `submit` (default), `reset` or `button`.
    #[prop(default = "submit".to_owned(), into)]
    action: String,
    /// Sent with the form as `name=value` when this button is the one pressed.
    #[prop(optional, into)]
    name: MaybeText,
    #[prop(optional, into)] value: MaybeText,
    /// The id of a form elsewhere on the page.
    #[prop(optional, into)]
    form: MaybeText,
    children: Children,
) -> impl IntoView {
    view! {
        <button
            type=action
            class=button_class(kind, size, wide)
            disabled=disabled
            name=name.into_option()
            value=value.into_option()
            form=form.into_option()
        >
            {icon.map(|name| view! { <Icon name /> })}
            {children()}
        </button>
    }
}

/// A link that looks like a button: for going to a page or a download.
#[component]
pub fn ButtonLink(
    #[prop(into)] href: String,
    #[prop(optional)] kind: ButtonKind,
    #[prop(optional)] size: Size,
    #[prop(optional)] icon: Option<IconName>,
    /// As wide as its container.
    #[prop(optional)]
    wide: bool,
    /// The file name to save as, for downloads.
    #[prop(optional, into)]
    download: MaybeText,
    children: Children,
) -> impl IntoView {
    view! {
        <a href=href class=button_class(kind, size, wide) download=download.into_option()>
            {icon.map(|name| view! { <Icon name /> })}
            {children()}
        </a>
    }
}
