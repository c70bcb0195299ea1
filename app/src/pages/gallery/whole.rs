//! All components in one of the three frames.

use super::{actions, charts, code, forms, lists, plans, words};
use crate::components::*;
use jiff::Timestamp;
use leptos::prelude::*;

/// Which of the three frames to show the components in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GalleryShell {
    #[default]
    Portal,
    Console,
    Public,
}

impl GalleryShell {
    pub fn from_code(code: &str) -> Self {
        match code {
            "console" => Self::Console,
            "public" => Self::Public,
            _ => Self::Portal,
        }
    }
}

/// All components. `now` is the moment that "ago" counts from.
#[component]
pub fn Gallery(shell: GalleryShell, theme: Theme, now: Timestamp) -> impl IntoView {
    let content = view! {
        <Breadcrumbs trail=vec![Crumb::new("Development", "/gallery"), Crumb::new("Design", "/gallery")] current="Gallery" />
        <PageHeader
            title="Gallery"
            description="Every component in every state. What is not here does not exist."
            beside=view! { <Badge text="Development" tone=Tone::Warning /> }
        >
            <ButtonLink href="/gallery?shell=console">"Console"</ButtonLink>
            <ButtonLink href="/gallery?shell=public">"Public"</ButtonLink>
            <Button kind=ButtonKind::Primary icon=IconName::Plus action="button">
                "Create key"
            </Button>
        </PageHeader>
        <Tabs
            label="Gallery"
            current="/gallery"
            tabs=vec![
                Tab::new("All", "/gallery"),
                Tab::new("Portal", "/gallery?shell=portal").count(3),
                Tab::new("Console", "/gallery?shell=console").count(1204),
                Tab::new("Public", "/gallery?shell=public"),
            ]
        />
        <Stack>
            <charts::Figures />
            <charts::Charts />
            <lists::Tables now />
            <lists::Facts now />
            <forms::Forms />
            <actions::Actions />
            <words::Words now />
            <words::States />
            <code::Code />
            <plans::Plans />
        </Stack>
        <ToastRegion>
            <Toast tone=Tone::Success text="Plan changed to Pro." />
            <Toast tone=Tone::Danger text="The key could not be revoked. Nothing was changed. Try again in a moment." />
        </ToastRegion>
    };
    match shell {
        GalleryShell::Portal => view! {
            <PortalShell
                brand="Northwind Payments"
                partner="Acme Robotics"
                live=Some(false)
                nav=navigation()
                path="/gallery"
                person="ada@acme.example"
                theme
                banner=view! {
                    <Notice tone=Tone::Warning>
                        "You are at 92 % of this month's calls. " <a href="/plan">"Compare plans"</a>
                    </Notice>
                }
            >
                {content}
            </PortalShell>
        }
        .into_any(),
        GalleryShell::Console => view! {
            <ConsoleShell brand="Northwind Payments" nav=navigation() path="/gallery" person="op@northwind.example" theme>
                {content}
            </ConsoleShell>
        }
        .into_any(),
        GalleryShell::Public => view! {
            <PublicShell
                brand="Northwind Payments"
                path="/gallery"
                theme
                links=vec![("Pricing".into(), "/pricing".into()), ("Error codes".into(), "/docs/errors".into())]
                actions=view! {
                    <ButtonLink href="/sign-in" kind=ButtonKind::Quiet>
                        "Sign in"
                    </ButtonLink>
                    <ButtonLink href="/sign-up" kind=ButtonKind::Primary>
                        "Sign up"
                    </ButtonLink>
                }
            >
                <plans::SignIn />
                {content}
            </PublicShell>
        }
        .into_any(),
    }
}

fn navigation() -> Vec<NavGroup> {
    vec![
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
                NavItem::new("Invoices", "/invoices", IconName::Receipt),
                NavItem::new("Gallery", "/gallery", IconName::Box),
            ],
        ),
    ]
}
