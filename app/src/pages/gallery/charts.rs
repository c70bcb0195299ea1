//! Figures, meters and charts: full, empty, with gaps, far too much.

use crate::components::*;
use leptos::prelude::*;

/// Numbers that look like a month of calls, without chance.
fn wave(length: u64, height: u64) -> Vec<u64> {
    (0..length)
        .map(|day| height / 4 + (day * 7919 % 13) * height / 26 + if day % 7 < 5 { height / 4 } else { 0 })
        .collect()
}

fn days(length: u64) -> Vec<String> {
    (1..=length).map(|day| format!("{day} Nov")).collect()
}

#[component]
pub fn Figures() -> impl IntoView {
    view! {
        <StatGrid>
            <Stat label="Calls this month" figure="1,204,331" delta="+12 % on October" tone=Tone::Success>
                <Sparkline label="Calls a day, last 30 days, rising" values=wave(30, 400) />
            </Stat>
            <Stat label="Errors" figure="0.4 %" delta="+0.1 % on October" tone=Tone::Danger hint="4,817 calls" />
            <Stat label="Latency, p95" figure="182 ms" hint="at the gateway" />
            <Stat label="Projected bill" figure="$2,481.36" hint="for November, before tax" />
        </StatGrid>
        <Columns>
            <Card title="Limits" description="Within and beyond.">
                <Stack>
                    <Meter label="Calls this month" used=4_210 limit=10_000 unit="calls" hint="Starts anew on 1 December." />
                    <Meter label="Calls this minute" used=92 limit=100 unit="calls" />
                    <Meter
                        label="Search"
                        used=12_400
                        limit=10_000
                        unit="calls"
                        hint="Beyond the quota. Further calls are billed at $0.002 each."
                    />
                    <Meter
                        label="Included"
                        used=5_000
                        limit=5_000
                        unit="units"
                        soft=true
                        hint="Further calls are served and billed."
                    />
                    <Meter label="Reports" used=318 limit=None unit="calls" />
                    <ProgressBar label="Import of operations" done=31 total=44 />
                </Stack>
            </Card>
            <Card title="First steps" description="Two of four done.">
                <Checklist steps=vec![
                    ChecklistStep::new("Create an app", "What your keys belong to.", "/apps", true),
                    ChecklistStep::new("Create a test key", "Test calls are never charged.", "/apps", true),
                    ChecklistStep::new("Make the first call", "Copy the curl line or try it in the docs.", "/products", false),
                    ChecklistStep::new("Go live", "Choose a plan and create a live key.", "/plan", false),
                ] />
            </Card>
        </Columns>
    }
}

#[component]
pub fn Charts() -> impl IntoView {
    let served = wave(30, 40_000);
    let gaps = wave(30, 180).into_iter().enumerate().map(|(day, value)| (day != 9 && day != 10).then_some(value));
    let hours: Vec<_> = (0..720).map(|hour| format!("{} Nov, {:02}:00", hour / 24 + 1, hour % 24)).collect();
    view! {
        <Columns>
            <Card>
                <BarChart
                    title="Calls a day"
                    description="Between 10,000 and 40,000 calls a day, fewer at weekends."
                    unit="calls"
                    labels=days(30)
                    series=vec![
                        Series::new("Served", Tone::Info, served),
                        Series::new("Limited", Tone::Warning, wave(30, 4_000)),
                        Series::new("Failed", Tone::Danger, wave(30, 900)),
                    ]
                />
            </Card>
            <Card>
                <LineChart
                    title="Latency"
                    description="Between 40 and 180 ms; no figures on 10 and 11 November."
                    unit="ms"
                    labels=days(30)
                    series=vec![
                        Series::new("p50", Tone::Neutral, wave(30, 60)),
                        Series::with_gaps("p95", Tone::Info, gaps.collect()),
                    ]
                    threshold=Threshold { label: "Agreed".to_owned(), value: 200 }
                />
            </Card>
            <Card>
                <BarChart
                    title="With a day missing"
                    description="Three days, the second not known."
                    labels=days(3)
                    series=vec![Series::with_gaps("Calls", Tone::Info, vec![Some(3), None, Some(1)])]
                    threshold=Threshold { label: "Limit".to_owned(), value: 4 }
                />
            </Card>
            <Card>
                <BarChart
                    title="With usage that is missing"
                    description="Four days; of the last two some usage is missing."
                    labels=days(4)
                    series=vec![Series::with_gaps("Calls", Tone::Info, vec![Some(3), Some(4), Some(1), None])]
                    incomplete=vec![false, false, true, true]
                />
            </Card>
            <Card>
                <BarChart title="Nothing yet" labels=vec![] series=vec![] />
            </Card>
        </Columns>
        <Card>
            <BarChart
                title="Far too much: 720 hours"
                description="Calls an hour in November."
                unit="calls"
                labels=hours
                series=vec![Series::new("Served", Tone::Info, wave(720, 2_000_000))]
            />
        </Card>
    }
}
