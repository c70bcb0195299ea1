//! How something moves: latency, balance, a trend beside a figure.

use super::{
    Frame, Series, Threshold,
    bars::{grid, push_threshold},
    scale::{HEIGHT, WIDTH, height, round_up},
};
use crate::components::highlight::push_escaped;
use leptos::prelude::*;

/// One line per series over the labels. `description` says in one sentence what the chart shows.
#[component]
pub fn LineChart(
    #[prop(into)] title: String,
    #[prop(optional, into)] description: String,
    /// `ms`, `calls`.
    #[prop(optional, into)]
    unit: String,
    labels: Vec<String>,
    series: Vec<Series>,
    #[prop(optional, into)] threshold: Option<Threshold>,
) -> impl IntoView {
    let largest = series.iter().flat_map(|series| series.values.iter().flatten()).copied().max().unwrap_or(0);
    let largest = largest.max(threshold.as_ref().map_or(0, |threshold| threshold.value));
    let frame =
        Frame { title, description, unit, labels, series, threshold, incomplete: Vec::new(), top: round_up(largest) };
    let shapes = draw(&frame);
    frame.render(shapes)
}

/// The line through the known values; a gap lifts the pen, a lone value becomes a dash.
fn path(values: &[Option<u64>], columns: usize, top: u64) -> String {
    let columns = columns.max(1) as u64;
    let step = WIDTH / columns;
    let mut path = String::new();
    let mut pen_down = false;
    for (column, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen_down = false;
            continue;
        };
        let x = WIDTH * column as u64 / columns + step / 2;
        let y = HEIGHT - height(*value, top);
        let alone = !pen_down && values.get(column + 1).copied().flatten().is_none();
        if alone {
            path.push_str(&format!("M{} {y}H{}", x.saturating_sub(step / 4), x + step / 4));
        } else {
            path.push_str(&format!("{}{x} {y}", if pen_down { 'L' } else { 'M' }));
        }
        pen_down = true;
    }
    path
}

fn draw(frame: &Frame) -> String {
    let mut svg = grid();
    for series in &frame.series {
        let path = path(&series.values, frame.labels.len(), frame.top);
        svg.push_str(&format!("<path class=\"chart-line {}\" d=\"{path}\"/>", series.tone.class()));
    }
    push_threshold(&mut svg, frame);
    let columns = frame.labels.len().max(1) as u64;
    for column in 0..frame.labels.len() {
        let left = WIDTH * column as u64 / columns;
        svg.push_str("<g class=\"chart-column\"><title>");
        push_escaped(&mut svg, &frame.tip(column));
        svg.push_str("</title>");
        let step = WIDTH / columns;
        svg.push_str(&format!(
            "<rect class=\"chart-hit\" x=\"{left}\" y=\"0\" width=\"{step}\" height=\"{HEIGHT}\"/></g>"
        ));
    }
    svg
}

/// A small line beside a figure; `label` says what it shows.
#[component]
pub fn Sparkline(#[prop(into)] label: String, values: Vec<u64>) -> impl IntoView {
    let top = round_up(values.iter().copied().max().unwrap_or(0));
    let values: Vec<Option<u64>> = values.into_iter().map(Some).collect();
    let line = path(&values, values.len(), top);
    view! {
        <svg
            class="sparkline"
            viewBox=format!("0 -40 {WIDTH} {}", HEIGHT + 80)
            preserveAspectRatio="none"
            role="img"
            aria-label=label
        >
            <path class="chart-line tone-info" d=line />
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_not_drawn_as_zero() {
        let drawn = path(&[Some(10), None, Some(10), Some(5)], 4, 10);
        assert_eq!(drawn.matches('M').count(), 2);
        assert!(!drawn.contains(&HEIGHT.to_string()), "{drawn}");
    }
}
