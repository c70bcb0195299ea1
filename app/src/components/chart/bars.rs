//! Counts per hour, day or name, stacked where there are several series.

use super::{
    Frame, Series, Threshold,
    scale::{HEIGHT, WIDTH, height, round_up},
};
use crate::components::highlight::push_escaped;
use leptos::prelude::*;

/// Stacked bars, one per label. `description` says in one sentence what the chart shows, for those who cannot see it.
#[component]
pub fn BarChart(
    #[prop(into)] title: String,
    #[prop(optional, into)] description: String,
    /// `calls`, `ms`.
    #[prop(optional, into)]
    unit: String,
    labels: Vec<String>,
    series: Vec<Series>,
    #[prop(optional, into)] threshold: Option<Threshold>,
    /// Labels of which something is missing are hatched, by their place; none where it is left out.
    #[prop(optional)]
    incomplete: Vec<bool>,
) -> impl IntoView {
    let column = |at: usize| {
        series.iter().filter_map(|series| series.values.get(at).copied().flatten()).fold(0, u64::saturating_add)
    };
    let largest = (0..labels.len()).map(column).max().unwrap_or(0);
    let largest = largest.max(threshold.as_ref().map_or(0, |threshold| threshold.value));
    let frame = Frame { title, description, unit, labels, series, threshold, incomplete, top: round_up(largest) };
    let shapes = draw(&frame);
    frame.render(shapes)
}

fn draw(frame: &Frame) -> String {
    let mut svg = grid();
    let columns = frame.labels.len().max(1) as u64;
    let step = WIDTH / columns;
    let gap = if columns > 90 { step / 10 } else { step / 5 };
    for column in 0..frame.labels.len() {
        let left = WIDTH * column as u64 / columns;
        svg.push_str("<g class=\"chart-column\"><title>");
        push_escaped(&mut svg, &frame.tip(column));
        svg.push_str("</title>");
        svg.push_str(&format!("<rect class=\"chart-hit\" x=\"{left}\" y=\"0\" width=\"{step}\" height=\"{HEIGHT}\"/>"));
        let mut below: u64 = 0;
        let mut known = false;
        for series in &frame.series {
            let Some(value) = series.values.get(column).copied().flatten() else { continue };
            known = true;
            let from = height(below, frame.top);
            below = below.saturating_add(value);
            // What is there is seen: a small count beside large ones is a thin line, not nothing.
            let tall = (height(below, frame.top) - from).max(u64::from(value > 0) * 8);
            let top = HEIGHT.saturating_sub(from + tall);
            svg.push_str(&format!(
                "<rect class=\"chart-bar {}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{tall}\"/>",
                series.tone.class(),
                left + gap / 2,
                step - gap
            ));
        }
        if frame.is_incomplete(column) {
            svg.push_str(&format!("<path class=\"chart-hatch\" d=\"{}\"/>", hatch(left, left + step)));
        } else if !known {
            let y = HEIGHT - 24;
            svg.push_str(&format!(
                "<rect class=\"chart-gap\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"24\"/>",
                left + gap / 2,
                step - gap
            ));
        }
        svg.push_str("</g>");
    }
    push_threshold(&mut svg, frame);
    svg
}

/// Slanted lines over the whole height, so that it is seen without colours and behind no bar.
fn hatch(left: u64, right: u64) -> String {
    let rise = HEIGHT / 12;
    (1..=12).map(|line| format!("M{left} {}L{right} {}", line * rise, (line - 1) * rise)).collect()
}

/// Three lines across: top, middle, bottom.
pub(super) fn grid() -> String {
    let middle = HEIGHT / 2;
    format!("<path class=\"chart-grid\" d=\"M0 0H{WIDTH}M0 {middle}H{WIDTH}M0 {HEIGHT}H{WIDTH}\"/>")
}

pub(super) fn push_threshold(svg: &mut String, frame: &Frame) {
    if let Some(threshold) = &frame.threshold {
        let y = HEIGHT - height(threshold.value, frame.top);
        svg.push_str(&format!("<path class=\"chart-limit\" d=\"M0 {y}H{WIDTH}\"/>"));
    }
}
