//! Charts drawn on the server: SVG for the shapes, HTML for the words (so that these stay readable at any width), and
//! the same figures as a table below. A missing figure is a gap, never a zero; one that may still grow is hatched.

mod bars;
mod lines;
mod scale;

pub use bars::BarChart;
pub use lines::{LineChart, Sparkline};

use super::Tone;
use domain::money::group_thousands;
use leptos::prelude::*;

/// One thing measured over all labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub name: String,
    pub tone: Tone,
    /// One per label; nothing where it is not known.
    pub values: Vec<Option<u64>>,
}

impl Series {
    /// All values known.
    pub fn new(name: impl Into<String>, tone: Tone, values: impl IntoIterator<Item = u64>) -> Self {
        Self { name: name.into(), tone, values: values.into_iter().map(Some).collect() }
    }

    /// Some values may be missing.
    pub fn with_gaps(name: impl Into<String>, tone: Tone, values: Vec<Option<u64>>) -> Self {
        Self { name: name.into(), tone, values }
    }
}

/// A line across the chart: a limit or a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    pub label: String,
    pub value: u64,
}

/// What a chart needs beside its shapes.
struct Frame {
    title: String,
    description: String,
    unit: String,
    labels: Vec<String>,
    series: Vec<Series>,
    threshold: Option<Threshold>,
    /// Labels of which something is missing; empty where all is known.
    incomplete: Vec<bool>,
    top: u64,
}

impl Frame {
    fn is_empty(&self) -> bool {
        self.labels.is_empty() || self.series.iter().all(|series| series.values.iter().all(Option::is_none))
    }

    fn is_incomplete(&self, column: usize) -> bool {
        self.incomplete.get(column).copied().unwrap_or_default()
    }

    fn value_text(&self, value: Option<u64>) -> String {
        match value {
            Some(value) => format!("{} {}", group_thousands(value), self.unit).trim_end().to_owned(),
            None => "no data".to_owned(),
        }
    }

    /// What a column says when pointed at.
    fn tip(&self, column: usize) -> String {
        let mut tip = self.labels.get(column).cloned().unwrap_or_default();
        for series in &self.series {
            let value = self.value_text(series.values.get(column).copied().flatten());
            tip.push_str(&format!("\n{}: {value}", series.name));
        }
        if self.is_incomplete(column) {
            tip.push_str("\nUsage is missing here");
        }
        tip
    }

    fn render(self, shapes: String) -> AnyView {
        if self.is_empty() {
            return view! {
                <figure class="chart">
                    <figcaption class="chart-title">{self.title}</figcaption>
                    <p class="chart-empty">"No figures for this time yet."</p>
                </figure>
            }
            .into_any();
        }
        let hatched = self.incomplete.contains(&true);
        let legend = (self.series.len() > 1 || hatched).then(|| {
            let items = self.series.iter().map(|series| {
                view! { <li class=series.tone.class()>{series.name.clone()}</li> }
            });
            let hatched = hatched.then(|| view! { <li class="chart-missing">"Hatched: usage is missing"</li> });
            view! { <ul class="chart-legend">{items.collect_view()} {hatched}</ul> }
        });
        let ticks = [self.top, self.top / 2, 0].map(|tick| view! { <span>{scale::short(tick)}</span> });
        let last = self.labels.len().saturating_sub(1);
        let mut marks = vec![0, last / 2, last];
        marks.dedup();
        let marks: Vec<_> = marks
            .into_iter()
            .filter_map(|mark| self.labels.get(mark).cloned())
            .map(|label| view! { <span>{label}</span> })
            .collect();
        let threshold = self.threshold.as_ref().map(|threshold| {
            let text = format!("{}: {}", threshold.label, self.value_text(Some(threshold.value)));
            view! { <p class="chart-threshold">{text}</p> }
        });
        let name = format!("{}. {}", self.title, self.description);
        let table = self.table();
        view! {
            <figure class="chart">
                <figcaption class="chart-title">
                    {self.title.clone()} {(!self.unit.is_empty()).then(|| view! { <span>{self.unit.clone()}</span> })}
                </figcaption>
                {legend}
                {threshold}
                <div class="chart-plot">
                    <div class="chart-y" aria-hidden="true">{ticks}</div>
                    <svg
                        class="chart-shapes"
                        viewBox=format!("0 0 {} {}", scale::WIDTH, scale::HEIGHT)
                        preserveAspectRatio="none"
                        role="img"
                        aria-label=name
                        inner_html=shapes
                    ></svg>
                    <div class="chart-x" aria-hidden="true">{marks}</div>
                </div>
                {table}
            </figure>
        }
        .into_any()
    }

    fn table(&self) -> impl IntoView + use<> {
        let heads =
            self.series.iter().map(|series| view! { <th scope="col" class="numeric">{series.name.clone()}</th> });
        let heads = heads.collect_view();
        let rows = self.labels.iter().enumerate().map(|(column, label)| {
            let cells = self.series.iter().map(|series| {
                let value = series.values.get(column).copied().flatten();
                view! { <td class="numeric">{value.map_or("no data".to_owned(), group_thousands)}</td> }
            });
            let label = if self.is_incomplete(column) { format!("{label} (incomplete)") } else { label.clone() };
            view! {
                <tr>
                    <th scope="row">{label}</th>
                    {cells.collect_view()}
                </tr>
            }
        });
        let rows = rows.collect_view();
        let title = self.title.clone();
        let name = format!("{title}, as a table");
        view! {
            <details class="chart-table">
                <summary>"Show as a table"</summary>
                <div class="table-scroll" tabindex="0" role="region" aria-label=name>
                    <table class="table table-dense">
                        <caption class="visually-hidden">{title}</caption>
                        <thead>
                            <tr>
                                <th scope="col">"When"</th>
                                {heads}
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
        }
    }
}
