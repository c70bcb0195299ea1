//! What a limit and a quota are, for somebody who has just met one.

use crate::{
    components::{Card, Column, DataTable, Description, DescriptionList, Prose},
    pages::pricing::tier,
};
use leptos::prelude::*;
use store::Subscription;

/// What the viewer's own company may do.
#[component]
pub fn OwnPlan(own: Subscription) -> impl IntoView {
    let limits = tier::limits(&own.terms);
    let limits = if limits.is_empty() { "None".to_owned() } else { limits.join(", ") };
    let quota = tier::quota(&own.terms).unwrap_or_else(|| "None".to_owned());
    view! {
        <Card title="Your own limits">
            <DescriptionList>
                <Description label="Plan">{own.plan_name}</Description>
                <Description label="Limits">{limits}</Description>
                <Description label="Quota">{quota}</Description>
            </DescriptionList>
        </Card>
    }
}

/// Limits: sliding windows, what counts, how to stay below.
#[component]
pub fn Windows() -> impl IntoView {
    view! {
        <Card title="How limits count">
            <Prose>
                <p>
                    "A limit is a number of calls within a window: a second, a minute, an hour or a day. A plan may have several; "
                    "a call passes if all of them have room. Windows slide: \"100 calls a minute\" holds for any 60 seconds, not "
                    "from the top of one minute to the next, so there is no moment at which waiting calls may all start at once."
                </p>
                <p>
                    "Limits are counted for your whole company and for each environment: test calls take nothing from live ones, "
                    "and a second key does not bring a second allowance. A refused call is not billed."
                </p>
            </Prose>
            <DataTable
                caption="What helps"
                columns=vec![Column::text("If you see 429"), Column::text("then")]
            >
                <tr>
                    <td>"now and then, in peaks"</td>
                    <td>"wait for Retry-After and try again, as the samples below do"</td>
                </tr>
                <tr>
                    <td>"from several workers at once"</td>
                    <td>"share one queue between them and read RateLimit before you are refused: slow down when r is small"</td>
                </tr>
                <tr>
                    <td>"while asking for the same thing again"</td>
                    <td>"keep the answer for a while instead of asking each time"</td>
                </tr>
                <tr>
                    <td>"all day"</td>
                    <td>"choose a plan with higher limits; it is in force within a second, and keys stay the same"</td>
                </tr>
            </DataTable>
        </Card>
    }
}

/// The quota: units of a period, and why waiting a minute does not help.
#[component]
pub fn QuotaEnd() -> impl IntoView {
    view! {
        <Card title="How a quota counts">
            <Prose>
                <p>
                    "A quota is a number of units for a billing period. Most calls use one unit; the reference page of an operation "
                    "says how many it uses. Trying again soon does not help: the units come back when the next period starts, or "
                    "at once with a larger plan."
                </p>
                <p>
                    "Test calls use nothing of it and are never charged. Some plans bill what goes beyond the quota, or only warn; "
                    "then this answer does not occur. The plan page says which of them yours is."
                </p>
            </Prose>
        </Card>
    }
}
