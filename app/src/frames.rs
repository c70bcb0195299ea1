//! The shells with what each kind of viewer finds in them: navigation, names, notices.

use crate::{
    components::*,
    flash::flash,
    pages::unpaid::unpaid_notice,
    viewer::{Cx, MemberViewer, OperatorViewer, Viewer},
};
use leptos::prelude::*;

/// A member's page.
#[component]
pub fn MemberFrame(
    cx: Cx<MemberViewer>,
    /// The page's address, to mark where the viewer is.
    #[prop(into)]
    path: String,
    /// Environment that the page shows, where it shows one.
    #[prop(optional_no_strip, into)]
    live: Option<bool>,
    children: Children,
) -> impl IntoView {
    let theme = use_context::<Theme>().unwrap_or_default();
    let nav = vec![
        NavGroup::new(vec![
            NavItem::new("Home", "/home", IconName::Dashboard),
            NavItem::new("APIs and docs", "/products", IconName::Book),
            NavItem::new("Apps and keys", "/apps", IconName::Key),
        ]),
        NavGroup::headed(
            "Usage",
            vec![
                NavItem::new("Usage", "/usage", IconName::Chart),
                NavItem::new("Requests", "/requests", IconName::Terminal),
            ],
        ),
        NavGroup::headed(
            "Account",
            vec![
                NavItem::new("Plan", "/plan", IconName::Layers),
                NavItem::new("Credit", "/credit", IconName::Card),
                NavItem::new("Invoices", "/invoices", IconName::Receipt),
                NavItem::new("Team", "/team", IconName::Users),
                NavItem::new("API tokens", "/tokens", IconName::Lock),
                NavItem::new("Settings", "/settings", IconName::Settings),
            ],
        ),
    ];
    let suspended = cx.viewer.suspended.clone();
    let unpaid = unpaid_notice(&cx.viewer);
    let notice = flash().notice;
    view! {
        <PortalShell
            brand=cx.state.settings.provider_name.clone()
            partner=cx.viewer.partner_name.clone()
            live=live
            nav=nav
            path=path
            person=cx.viewer.email.clone()
            theme=theme
            banner=move || view! {
                {suspended
                    .map(|reason| {
                        let reason = if reason.is_empty() { reason } else { format!("{reason} ") };
                        view! {
                            <Notice tone=Tone::Danger title="Your account is suspended">
                                {reason} "Calls with your keys are refused. Contact the provider to have it reactivated."
                            </Notice>
                        }
                    })}
                {unpaid}
                {notice.map(|text| view! { <Notice tone=Tone::Success>{text}</Notice> })}
            }
        >
            {children()}
        </PortalShell>
    }
}

/// An operator's page.
#[component]
pub fn OperatorFrame(cx: Cx<OperatorViewer>, #[prop(into)] path: String, children: Children) -> impl IntoView {
    let theme = use_context::<Theme>().unwrap_or_default();
    let mut nav = vec![
        NavGroup::new(vec![
            NavItem::new("Overview", "/console", IconName::Dashboard),
            NavItem::new("Partners", "/console/partners", IconName::Building),
            NavItem::new("Usage", "/console/usage", IconName::Chart),
            NavItem::new("Requests for plans", "/console/requests", IconName::Inbox),
            NavItem::new("Trace a call", "/console/trace", IconName::ArrowRight),
            NavItem::new("Unknown requests", "/console/unknown-requests", IconName::Search),
        ]),
        NavGroup::headed(
            "Catalogue",
            vec![
                NavItem::new("Products", "/console/products", IconName::Box),
                NavItem::new("Plans", "/console/plans", IconName::Layers),
                NavItem::new("Credit packages", "/console/credit-packages", IconName::Card),
                NavItem::new("Coupons", "/console/coupons", IconName::Tag),
            ],
        ),
        NavGroup::headed(
            "Metering",
            vec![
                NavItem::new("Reconciliation", "/console/reconciliation", IconName::Success),
                NavItem::new("Contradicting events", "/console/conflicts", IconName::Copy),
                NavItem::new("Late usage", "/console/late-usage", IconName::Calendar),
                NavItem::new("Usage hooks", "/console/hooks", IconName::Terminal),
            ],
        ),
        NavGroup::headed(
            "Money",
            vec![
                NavItem::new("Invoices", "/console/invoices", IconName::Receipt),
                NavItem::new("Unpaid", "/console/unpaid", IconName::Warning),
                NavItem::new("Credit notes", "/console/credit-notes", IconName::File),
                NavItem::new("Disputes", "/console/disputes", IconName::Info),
                NavItem::new("Revenue", "/console/revenue", IconName::Book),
                NavItem::new("Corrections", "/console/corrections", IconName::Check),
                NavItem::new("Deliveries", "/console/deliveries", IconName::External),
                NavItem::new("Stripe events", "/console/stripe-events", IconName::Download),
                NavItem::new("Stripe drift", "/console/stripe-drift", IconName::Rotate),
            ],
        ),
        NavGroup::headed(
            "Installation",
            vec![
                NavItem::new("API tokens", "/console/tokens", IconName::Lock),
                NavItem::new("Audit log", "/console/audit", IconName::Shield),
            ],
        ),
    ];
    if cx.state.settings.development
        && let Some(installation) = nav.last_mut()
    {
        installation.items.push(NavItem::new("Test clock", "/console/clock", IconName::Clock));
        installation.items.push(NavItem::new("Dev inbox", "/dev/inbox", IconName::Mail));
    }
    let notice = flash().notice;
    let ahead = cx.state.clock.ahead_seconds();
    view! {
        <ConsoleShell
            brand=cx.state.settings.provider_name.clone()
            nav=nav
            path=path
            person=cx.viewer.email.clone()
            theme=theme
            banner=move || view! {
                {(ahead > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Warning>
                            {match ahead / 3_600 {
                                hours @ 0..48 => format!("The test clock is {hours} hours ahead of real time."),
                                hours => format!("The test clock is {} days ahead of real time.", hours / 24),
                            }}
                        </Notice>
                    })}
                {notice.map(|text| view! { <Notice tone=Tone::Success>{text}</Notice> })}
            }
        >
            {children()}
        </ConsoleShell>
    }
}

/// A page for everybody; its header knows who is signed in.
#[component]
pub fn PublicFrame(cx: Cx<Viewer>, #[prop(into)] path: String, children: Children) -> impl IntoView {
    let theme = use_context::<Theme>().unwrap_or_default();
    let links =
        vec![("Pricing".to_owned(), "/pricing".to_owned()), ("Error codes".to_owned(), "/docs/errors".to_owned())];
    let notice = flash().notice;
    let viewer = cx.viewer;
    view! {
        <PublicShell
            brand=cx.state.settings.provider_name.clone()
            path=path
            theme=theme
            links=links
            actions=move || match viewer {
                Viewer::Member(_) => view! { <ButtonLink href="/home">"To the portal"</ButtonLink> }.into_any(),
                Viewer::Operator(_) => view! { <ButtonLink href="/console">"To the console"</ButtonLink> }.into_any(),
                Viewer::Nobody => view! {
                    <ButtonLink href="/sign-in" kind=ButtonKind::Quiet>"Sign in"</ButtonLink>
                    <ButtonLink href="/sign-up" kind=ButtonKind::Primary>"Sign up"</ButtonLink>
                }
                .into_any(),
            }
        >
            {notice.map(|text| view! { <Notice tone=Tone::Success>{text}</Notice> })}
            {children()}
        </PublicShell>
    }
}
