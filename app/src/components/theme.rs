//! Light, dark or as the system says: kept in the cookie `theme`, put on `<html data-theme>` by the server.

use super::{Icon, IconName};
use leptos::prelude::*;

/// Which colours a person wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// As the cookie, the form and `data-theme` write it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads a cookie or form value; anything unknown means the system's choice.
    pub fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.code() == code).unwrap_or_default()
    }
}

/// Three small buttons that post `theme` (and `next`, the page to come back to) to `/do/theme`.
#[component]
pub fn ThemeSwitch(
    /// The theme in force.
    theme: Theme,
    /// The path to come back to.
    #[prop(into)]
    next: String,
) -> impl IntoView {
    let choice = move |of: Theme, label: &'static str, icon: IconName| {
        view! {
            <button type="submit" name="theme" value=of.code() title=label aria-pressed=(of == theme).to_string()>
                <Icon name=icon />
                <span class="visually-hidden">{label}</span>
            </button>
        }
    };
    view! {
        <form method="post" action="/do/theme" class="theme-switch" aria-label="Colour theme">
            <input type="hidden" name="next" value=next />
            {choice(Theme::System, "Same as the system", IconName::Monitor)}
            {choice(Theme::Light, "Light", IconName::Sun)}
            {choice(Theme::Dark, "Dark", IconName::Moon)}
        </form>
    }
}
