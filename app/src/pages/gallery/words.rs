//! Badges, notices, figures in text, icons; and what stands where content would.

use super::samples::{LONG, before};
use crate::components::*;
use domain::money::{Currency, Money};
use jiff::Timestamp;
use leptos::prelude::*;

#[component]
pub fn Words(now: Timestamp) -> impl IntoView {
    view! {
        <Columns>
            <Card title="Words and figures">
                <Stack>
                    <Cluster>
                        <Badge text="Draft" />
                        <Badge text="Trial" tone=Tone::Info />
                        <Badge text="Active" tone=Tone::Success />
                        <Badge text="Past due" tone=Tone::Warning />
                        <Badge text="Suspended" tone=Tone::Danger />
                        <EnvironmentBadge live=true />
                        <EnvironmentBadge live=false />
                    </Cluster>
                    <Cluster>
                        {["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"].map(|method| view! { <MethodBadge method /> })}
                    </Cluster>
                    <Cluster>{[200, 201, 304, 402, 429, 503].map(|code| view! { <StatusCode code /> })}</Cluster>
                    <DescriptionList>
                        <Description label="Figure">
                            <Figure value=1_204_331 unit="calls" />
                        </Description>
                        <Description label="Money">
                            <MoneyText amount=Money::new(Currency::Eur, 1_234_500_000) />
                            ", "
                            <MoneyText amount=Money::new(Currency::Usd, 125) />
                            ", "
                            <MoneyText amount=Money::new(Currency::Usd, -3_000_000) />
                        </Description>
                        <Description label="Moment">
                            <TimeText at=before(now, 70) />
                            ", "
                            <RelativeTime at=before(now, 70) now />
                        </Description>
                        <Description label="Key">
                            <KeyHint start="tp_live_4fQz" />
                        </Description>
                    </DescriptionList>
                </Stack>
            </Card>
            <Card title="Icons">
                <ul class="gallery-icons">
                    {IconName::ALL
                        .map(|name| view! { <li title=format!("{name:?}")><Icon name /></li> })
                        .into_iter()
                        .collect_view()}
                </ul>
            </Card>
        </Columns>
    }
}

#[component]
pub fn States() -> impl IntoView {
    view! {
        <Stack tight=true>
            <Notice>"A neutral remark with " <a href="/gallery">"a link"</a> "."</Notice>
            <Notice tone=Tone::Info title="New version">"Plan version 4 is in force from 1 December."</Notice>
            <Notice tone=Tone::Success>"Key revoked."</Notice>
            <Notice tone=Tone::Warning title="92 % of this month's calls are used">
                "At 100 % further calls are refused until 1 December."
            </Notice>
            <Notice tone=Tone::Danger title="Your account is suspended">{LONG}</Notice>
        </Stack>
        <Skeleton kind=SkeletonKind::Stats count=4 />
        <Columns>
            <Card title="Loading text"><Skeleton count=4 /></Card>
            <Card title="Loading a chart"><Skeleton kind=SkeletonKind::Chart /></Card>
        </Columns>
    }
}
