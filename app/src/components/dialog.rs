//! Native dialogs opened without script (invoker commands), and the same question as a page of its own.

use super::{Button, ButtonKind, ButtonLink, Icon, IconName, MaybeText, Size, button::button_class};
use leptos::prelude::*;

/// A modal dialog. Opened by the `DialogButton` that names its id; closes by its cross, Escape or a click beside it.
#[component]
pub fn Dialog(#[prop(into)] id: String, #[prop(into)] title: String, children: Children) -> impl IntoView {
    let title_id = format!("{id}-title");
    let (named_by, own_id) = (title_id.clone(), id.clone());
    view! {
        <dialog class="dialog" id=own_id closedby="any" aria-labelledby=named_by>
            <header class="dialog-header">
                <h2 id=title_id>{title}</h2>
                <button type="button" class="icon-button" command="close" commandfor=id>
                    <Icon name=IconName::Close />
                    <span class="visually-hidden">"Close"</span>
                </button>
            </header>
            <div class="dialog-body">{children()}</div>
        </dialog>
    }
}

/// Opens a `Dialog`. What it does must also have a page of its own (see `Confirm`) for browsers before 2026.
#[component]
pub fn DialogButton(
    /// The dialog's id.
    #[prop(into)]
    dialog: String,
    #[prop(optional)] kind: ButtonKind,
    #[prop(optional)] size: Size,
    #[prop(optional)] icon: Option<IconName>,
    children: Children,
) -> impl IntoView {
    view! {
        <button
            type="button"
            class=button_class(kind, size, false)
            command="show-modal"
            commandfor=dialog
            aria-haspopup="dialog"
        >
            {icon.map(|name| view! { <Icon name /> })}
            {children()}
        </button>
    }
}

/// Asks before something that cannot be undone: the text, then a form that posts. Stands in a `Dialog` or on a page.
#[component]
pub fn Confirm(
    /// Where the form posts to.
    #[prop(into)]
    action: String,
    /// What will happen, in one or two sentences.
    #[prop(into)]
    text: String,
    /// The button: the verb and its object, `Revoke key`.
    #[prop(into)]
    confirm: String,
    /// Where "Cancel" goes: the page that the dialog is on.
    #[prop(into)]
    cancel: String,
    /// Cannot be undone.
    #[prop(optional)]
    danger: bool,
    /// Hidden inputs and further fields.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let kind = if danger { ButtonKind::Danger } else { ButtonKind::Primary };
    view! {
        <form method="post" action=action class="form">
            <p>{text}</p>
            {children.map(|children| children())}
            <div class="form-actions">
                <Button kind>{confirm}</Button>
                <ButtonLink href=cancel kind=ButtonKind::Quiet>"Cancel"</ButtonLink>
            </div>
        </form>
    }
}

/// A button that drops a small menu (popover). Children are `MenuLink`s and `MenuButton`s.
#[component]
pub fn Menu(
    /// Unique on the page.
    #[prop(into)]
    id: String,
    /// For screen readers; shown only with `shown`.
    #[prop(into)]
    label: String,
    /// Show the label on the button instead of three dots.
    #[prop(optional)]
    shown: bool,
    children: Children,
) -> impl IntoView {
    let face = if shown {
        view! {
            <span>{label}</span>
            <Icon name=IconName::ChevronDown />
        }
        .into_any()
    } else {
        view! {
            <Icon name=IconName::More />
            <span class="visually-hidden">{label}</span>
        }
        .into_any()
    };
    view! {
        <div class="menu">
            <button
                type="button"
                class=if shown { "button button-secondary" } else { "icon-button" }
                popovertarget=id.clone()
            >
                {face}
            </button>
            <div class="menu-list" popover="auto" id=id>
                {children()}
            </div>
        </div>
    }
}

/// A menu's link.
#[component]
pub fn MenuLink(
    #[prop(into)] href: String,
    #[prop(into)] label: String,
    #[prop(optional)] icon: Option<IconName>,
) -> impl IntoView {
    view! {
        <a class="menu-item" href=href>
            {icon.map(|name| view! { <Icon name /> })}
            {label}
        </a>
    }
}

/// A menu's action: a form of its own that posts `name=value`.
#[component]
pub fn MenuButton(
    #[prop(into)] action: String,
    #[prop(into)] label: String,
    #[prop(optional)] icon: Option<IconName>,
    #[prop(optional)] danger: bool,
    #[prop(optional, into)] name: MaybeText,
    #[prop(optional, into)] value: MaybeText,
) -> impl IntoView {
    view! {
        <form method="post" action=action>
            <button
                type="submit"
                class=if danger { "menu-item menu-danger" } else { "menu-item" }
                name=name.into_option()
                value=value.into_option()
            >
                {icon.map(|name| view! { <Icon name /> })}
                {label}
            </button>
        </form>
    }
}
