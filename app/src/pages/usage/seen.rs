//! What `/usage` shows, as it is stored.

use super::{asked::Asked, dimensions::DIMENSIONS};
use crate::{
    page::PageError,
    pages::time_text::local_zone,
    viewer::{Cx, MemberViewer},
};
use domain::{
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use store::usage::{Completeness, MeterQuery, MeterRow, Slice, Totals, UsageQuery, Window};

/// Earlier periods that the page offers.
const EARLIER: usize = 11;

/// What the page shows.
pub(super) struct Seen {
    /// The billing period that the picker stands at.
    pub(super) period: Period,
    /// What is counted: the period, a day or a year.
    pub(super) range: Period,
    pub(super) periods: Vec<Period>,
    pub(super) zone: TimeZone,
    pub(super) time_zone: String,
    pub(super) terms: Option<PlanTerms>,
    pub(super) totals: Totals,
    /// With the parts of the range that they are of.
    pub(super) windows: Vec<(Period, Totals)>,
    /// What is missing of the range.
    pub(super) known: Completeness,
    pub(super) slices: Vec<Slice>,
    pub(super) meters: Vec<MeterRow>,
    /// Of what the page is narrowed to.
    pub(super) names: Vec<(&'static str, String)>,
}

impl Seen {
    pub(super) async fn load(cx: &Cx<MemberViewer>, asked: &Asked) -> Result<Self, PageError> {
        let (store, partner, time_zone) = (&cx.state.store, cx.viewer.partner, &cx.viewer.time_zone);
        let subscription = store.subscription(partner).await?;
        let (cycle, counts_from, terms) = match subscription {
            // As the period that runs has it.
            Some(mut subscription) => {
                subscription.terms.quota = subscription.quota_at(asked.at.unwrap_or(cx.now));
                (subscription.cycle(), subscription.counts_from, Some(subscription.terms))
            }
            None => (Cycle::calendar_month(cx.now, time_zone).map_err(|_| PageError::Unavailable)?, None, None),
        };
        let mut periods = periods_back(&cycle, counts_from, cx.now);
        // Before that there is nothing to see.
        let created_at = store.partner(partner).await?.created_at;
        periods.retain(|period| period.end > created_at);
        let first = periods.last().map_or(cx.now, |period| period.start);
        let at = asked.at.filter(|at| (first..=cx.now).contains(at)).unwrap_or(cx.now);
        let period = cycle.counted_at(at, counts_from).map_err(|_| PageError::NotFound)?;
        let zone = local_zone(time_zone);
        let range = match asked.window {
            Window::Day if asked.exact.is_some() => asked.exact.unwrap_or(period),
            Window::Hour => day_of(at, &zone).unwrap_or(period),
            Window::Month => year_until(cx.now, &zone).unwrap_or(period),
            _ => period,
        };
        let filter = asked.filter;
        let query = UsageQuery { range, time_zone, window: asked.window, by: &[], filter };
        let known = store.completeness(partner, range, cx.now).await?;
        let answer = store.usage(partner, &query).await?;
        let mut windows: Vec<(Period, Totals)> =
            answer.windows.iter().map(|window| (*window, Totals::default())).collect();
        for row in answer.rows {
            if let Some((_, totals)) = windows.get_mut(row.window) {
                *totals = row.totals;
            }
        }
        let metered = MeterQuery { usage: UsageQuery::whole(range, filter), meter: None, now: cx.now };
        let meters = store.metered(partner, &metered).await?.rows;
        let mut names = Vec::new();
        for (code, _) in asked.narrowed() {
            let Some((_, _, dimension)) = DIMENSIONS.into_iter().find(|(known, ..)| *known == code) else { continue };
            let slices = store.usage_by(partner, dimension, range, &filter).await?;
            names.push((code, slices.into_iter().next().map(|slice| slice.name).unwrap_or_default()));
        }
        Ok(Self {
            period,
            range,
            periods,
            time_zone: time_zone.clone(),
            terms,
            totals: windows.iter().map(|(_, totals)| *totals).sum(),
            windows,
            meters,
            known,
            slices: store.usage_by(partner, asked.dimension, range, &filter).await?,
            names,
            zone,
        })
    }
}

fn day_of(at: Timestamp, zone: &TimeZone) -> Option<Period> {
    let start = at.to_zoned(zone.clone()).start_of_day().ok()?;
    let end = start.date().tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(Period { start: start.timestamp(), end: end.timestamp() })
}

/// The local month that holds `now`, and eleven before it.
fn year_until(now: Timestamp, zone: &TimeZone) -> Option<Period> {
    let month = now.to_zoned(zone.clone()).date().first_of_month();
    let start = month.checked_sub(11.months()).ok()?.to_zoned(zone.clone()).ok()?;
    let end = month.checked_add(1.month()).ok()?.to_zoned(zone.clone()).ok()?;
    Some(Period { start: start.timestamp(), end: end.timestamp() })
}

/// The current period and those before it, newest first; one that is counted in two parts is two.
fn periods_back(cycle: &Cycle, counts_from: Option<Timestamp>, now: Timestamp) -> Vec<Period> {
    let mut periods = Vec::new();
    let mut at = now;
    while periods.len() <= EARLIER {
        let Ok(period) = cycle.counted_at(at, counts_from) else { break };
        periods.push(period);
        let Ok(before) = period.start.checked_sub(1.second()) else { break };
        at = before;
    }
    periods
}
