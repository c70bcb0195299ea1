//! A partner's events with all that is kept of them, for others to read.

use super::Place;
use crate::{
    Store, StoreError,
    ingest::read_back::{event, event_columns},
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::{id::PartnerId, period::Period, usage::UsageEvent};
use sqlx::{Row as _, postgres::PgRow};

/// An event, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub place: Place,
    /// Who told it; empty for a gateway of ours.
    pub source: String,
    pub event: UsageEvent,
}

/// Some events of a partner, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

impl Store {
    /// Events in the range, oldest first, `after` the last one of the page before. They are as they were stored: corrections are
    /// told by [`Store::corrections_of`].
    pub async fn usage_events(
        &self,
        partner: PartnerId,
        range: Period,
        after: Option<&Place>,
        page_size: u16,
    ) -> Result<EventPage, StoreError> {
        let rows = sqlx::query(concat!(
            "select node, lane, source, ",
            event_columns!(),
            " from usage_events
             where partner_id = $1 and at >= $2 and at < $3 and kind <> 2
                 and ($4::timestamptz is null or (at, node, lane, sequence) > ($4, $5::text, $6::int, $7::bigint))
             order by at, node, lane, sequence limit $8"
        ))
        .bind(partner.0)
        .bind(Ts(after.map_or(range.start, |place| range.start.max(place.at()))))
        .bind(Ts(range.end))
        .bind(after.map(|place| Ts(place.at())))
        .bind(after.map(|place| place.node.as_str()))
        .bind(after.map(|place| i32::from(place.lane)))
        .bind(after.map(|place| i64::try_from(place.sequence).unwrap_or(i64::MAX)))
        .bind(i64::from(page_size) + 1)
        .fetch_all(self.pool())
        .await?;
        let mut events = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let more = events.len() > usize::from(page_size);
        events.truncate(usize::from(page_size));
        let next = events.last().filter(|_| more).map(|last| last.place.clone());
        Ok(EventPage { events, next })
    }
}

pub(crate) fn stored(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    let event = event(row)?;
    let lane: i32 = row.try_get("lane")?;
    let place = Place {
        at_us: event.at.as_microsecond(),
        lane: u16::try_from(lane).map_err(|error| unreadable("lane", error))?,
        sequence: row.count("sequence")?,
        node: row.try_get("node")?,
    };
    Ok(StoredEvent { place, source: row.try_get("source")?, event })
}
