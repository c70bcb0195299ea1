//! What a call counts for on meters besides `units`.

use serde::{Deserialize, Serialize};

/// What becomes of the values of many calls. An event keeps it, so that a meter that is changed later leaves its past as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterKind {
    /// They are added up.
    #[default]
    Sum,
    /// The largest of a stretch of time.
    Maximum,
    /// The last of a stretch of time.
    Latest,
    /// How many different ones there are.
    Unique,
    /// Levels of things, each of which holds until the next one: their average over the time, added up over the things.
    Gauge,
}

impl MeterKind {
    pub const ALL: [Self; 5] = [Self::Sum, Self::Maximum, Self::Latest, Self::Unique, Self::Gauge];

    /// As columns, files and addresses have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Maximum => "maximum",
            Self::Latest => "latest",
            Self::Unique => "unique",
            Self::Gauge => "gauge",
        }
    }

    /// For operators.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Maximum => "Largest",
            Self::Latest => "Latest",
            Self::Unique => "How many different ones",
            Self::Gauge => "Level, averaged over time",
        }
    }

    /// What of it a price is for, after the meter's name on invoices, bills and price cards; empty where the name says it.
    pub const fn priced(self) -> &'static str {
        match self {
            Self::Sum | Self::Unique => "",
            Self::Maximum => ", the largest",
            Self::Latest => ", the latest",
            Self::Gauge => ", hours",
        }
    }

    /// The kind of that [`Self::code`].
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What one call counts for on one meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered<Text = String> {
    /// The meter's code.
    pub meter: Text,
    pub kind: MeterKind,
    /// In whole units of the meter; 1 where it is `item` that counts.
    pub quantity: i64,
    /// The value that counts once ([`MeterKind::Unique`]), or the thing whose level it is ([`MeterKind::Gauge`]): a keyed hash.
    pub item: Option<[u8; 16]>,
}
