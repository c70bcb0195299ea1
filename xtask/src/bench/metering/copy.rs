//! Postgres' own COPY of rows that are all there, in one statement and one commit: nothing is decoded, summed or checked.

use super::postgres::Postgres;
use crate::Outcome;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// A table of the same columns as the events'.
#[derive(Clone, Copy)]
pub enum Twin {
    /// With the same indexes and partitions by day.
    Indexed,
    /// Without either.
    Plain,
}

impl Twin {
    /// How long COPY takes to commit the rows of the file.
    pub fn time(self, postgres: &Postgres, rows: &Path) -> Outcome<Duration> {
        postgres.ask(match self {
            Self::Indexed => {
                "create table twin (like usage_events including all) partition by range (at);
                 do $$ declare day date; begin
                     for day in select distinct (at at time zone 'UTC')::date from usage_events loop
                         execute format('create table %I partition of twin for values from (%L) to (%L)',
                             'twin_' || to_char(day, 'YYYYMMDD'), day::timestamp at time zone 'UTC',
                             (day + 1)::timestamp at time zone 'UTC');
                     end loop;
                 end $$;
                 create table twin_other partition of twin default;"
            }
            Self::Plain => "create table twin (like usage_events)",
        })?;
        let begin = Instant::now();
        postgres.ask(&format!("\\copy twin from '{}' (format binary)", rows.display()))?;
        let took = begin.elapsed();
        postgres.ask("drop table twin")?;
        Ok(took)
    }
}
