//! What the portal and the console share: side navigation on a wide screen, a top bar with a drawer on a narrow one.
//! The drawer is a popover, so it opens without script.

use super::{Icon, IconName, Logo, MaybeText, Theme, ThemeSwitch};
use leptos::prelude::*;

/// A link of the side navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavItem {
    pub label: String,
    pub href: String,
    pub icon: IconName,
}

impl NavItem {
    pub fn new(label: impl Into<String>, href: impl Into<String>, icon: IconName) -> Self {
        Self { label: label.into(), href: href.into(), icon }
    }
}

/// Links that belong together; the first group usually has no heading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NavGroup {
    pub heading: Option<String>,
    pub items: Vec<NavItem>,
}

impl NavGroup {
    pub fn new(items: Vec<NavItem>) -> Self {
        Self { heading: None, items }
    }

    pub fn headed(heading: impl Into<String>, items: Vec<NavItem>) -> Self {
        Self { heading: Some(heading.into()), items }
    }
}

/// The longest `href` that `path` is, or is below.
fn current_of(nav: &[NavGroup], path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let below = |href: &str| path == href || path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/'));
    let hrefs = nav.iter().flat_map(|group| &group.items).map(|item| item.href.as_str());
    hrefs.filter(|href| below(href)).max_by_key(|href| href.len()).map(str::to_owned)
}

/// All that differs between the two.
pub(super) struct Frame {
    pub class: &'static str,
    pub brand: String,
    pub home: &'static str,
    /// Below the brand: whose pages these are.
    pub whose: AnyView,
    pub nav: Vec<NavGroup>,
    pub path: String,
    pub person: MaybeText,
    pub theme: Theme,
    pub banner: AnyView,
    pub content: AnyView,
}

impl Frame {
    pub fn render(self) -> impl IntoView {
        let current = current_of(&self.nav, &self.path);
        let groups = self.nav.into_iter().map(|group| nav_group(group, current.as_deref())).collect_view();
        view! {
            <div class=self.class>
                <header class="frame-top">
                    <button type="button" class="icon-button" popovertarget="frame-side">
                        <Icon name=IconName::Menu />
                        <span class="visually-hidden">"Menu"</span>
                    </button>
                    <a href=self.home class="frame-brand"><Logo name=self.brand.clone() /></a>
                </header>
                <nav class="frame-side" id="frame-side" popover="auto" aria-label="Main">
                    <a href=self.home class="frame-brand"><Logo name=self.brand /></a>
                    <div class="frame-whose">{self.whose}</div>
                    <div class="frame-nav">{groups}</div>
                    <div class="frame-foot">
                        {self.person.map(|person| view! { <p class="frame-person" title=person.clone()>{person.clone()}</p> })}
                        <div class="frame-foot-row">
                            <ThemeSwitch theme=self.theme next=self.path />
                            <form method="post" action="/do/sign-out">
                                <button type="submit" class="icon-button" title="Sign out">
                                    <Icon name=IconName::SignOut />
                                    <span class="visually-hidden">"Sign out"</span>
                                </button>
                            </form>
                        </div>
                    </div>
                </nav>
                <div class="frame-main">
                    {self.banner}
                    <main id="main" class="frame-content" tabindex="-1">{self.content}</main>
                </div>
            </div>
        }
    }
}

fn nav_group(group: NavGroup, current: Option<&str>) -> impl IntoView + use<> {
    let items = group.items.into_iter().map(|item| {
        let here = (current == Some(item.href.as_str())).then_some("page");
        view! {
            <li>
                <a href=item.href aria-current=here>
                    <Icon name=item.icon />
                    <span>{item.label}</span>
                </a>
            </li>
        }
    });
    let items = items.collect_view();
    view! {
        {group.heading.map(|heading| view! { <p class="frame-nav-heading">{heading}</p> })}
        <ul>{items}</ul>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_page_is_the_current_one() {
        let item = |href: &str| NavItem::new("x", href, IconName::Key);
        let nav = [NavGroup::new(vec![item("/"), item("/keys"), item("/usage"), item("/usage/requests")])];
        let current = |path: &str| current_of(&nav, path);
        assert_eq!(current("/keys/key_1?tab=limits").as_deref(), Some("/keys"));
        assert_eq!(current("/usage/requests/r1").as_deref(), Some("/usage/requests"));
        assert_eq!(current("/keyring"), None);
        assert_eq!(current("/").as_deref(), Some("/"));
    }
}
