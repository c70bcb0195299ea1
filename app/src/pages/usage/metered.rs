//! What was measured besides units.

use super::seen::Seen;
use crate::components::*;
use domain::{money::group_thousands, usage::MeterKind};
use jiff::Timestamp;
use leptos::prelude::*;

/// What was measured besides units, where anything was.
pub(super) fn measured(seen: &Seen, now: Timestamp) -> Option<AnyView> {
    let seconds = seen.range.end.min(now).duration_since(seen.range.start).as_secs().max(1);
    let rows = seen.meters.iter().cloned().map(|row| {
        let amount = match row.level_seconds {
            Some(level) => hundredths(level, seconds),
            None => grouped(row.quantity),
        };
        let amount = if row.unit.is_empty() { amount } else { format!("{amount} {}", row.unit) };
        view! {
            <tr>
                <Cell label="Meter" head=true>{format!("{} · {}", row.product_name, row.name)}</Cell>
                <Cell label="How">{how(row.kind)}</Cell>
                <Cell label="Amount" numeric=true>{amount}</Cell>
                <Cell label="Calls" numeric=true><Figure value=row.events/></Cell>
            </tr>
        }
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let columns = vec![Column::text("Meter"), Column::text("How"), Column::numeric("Amount"), Column::numeric("Calls")];
    let card = view! {
        <Card title="Meters" description="What else was measured in this time." flush=true>
            <DataTable caption="Meters" caption_hidden=true columns=columns stack=true>{rows.collect_view()}</DataTable>
        </Card>
    };
    Some(card.into_any())
}

const fn how(kind: MeterKind) -> &'static str {
    match kind {
        MeterKind::Sum => "In all",
        MeterKind::Maximum => "Largest",
        MeterKind::Latest => "Latest",
        MeterKind::Unique => "Different ones",
        MeterKind::Gauge => "On average",
    }
}

fn grouped(quantity: i64) -> String {
    let digits = group_thousands(quantity.unsigned_abs());
    if quantity < 0 { format!("−{digits}") } else { digits }
}

/// A level that was held for so many seconds, over that many, to two places.
fn hundredths(level_seconds: i64, seconds: i64) -> String {
    let hundredths = (i128::from(level_seconds) * 200 + i128::from(seconds)).div_euclid(i128::from(seconds) * 2);
    let whole = grouped(i64::try_from(hundredths / 100).unwrap_or(i64::MAX));
    if hundredths % 100 == 0 { whole } else { format!("{whole}.{:02}", hundredths % 100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_told_to_two_places_and_whole_where_it_is() {
        for (level_seconds, seconds, text) in
            [(14, 4, "3.50"), (12, 4, "3"), (0, 9, "0"), (1, 3, "0.33"), (2, 3, "0.67"), (4_000_004, 1_000, "4,000")]
        {
            assert_eq!(hundredths(level_seconds, seconds), text);
        }
        assert_eq!(grouped(-1_200), "\u{2212}1,200");
    }
}
