//! Changes that nobody who is honest makes.

use crate::{Trouble, cluster::Cluster, world::Random};

/// One kind of change.
#[derive(Clone, Copy)]
pub(super) struct Fault {
    pub name: &'static str,
    table: Table,
    /// What is done to a row, or `delete`, or `double`.
    change: &'static str,
    /// Rows that it can be done to.
    rows: &'static str,
    /// Which of its meters is named.
    meter: &'static str,
    /// The hour before is named, too.
    moved: bool,
}

/// What a fault has to be found by.
pub(super) struct Named {
    /// As `turnpike reconcile` names them: partner, hour and meter.
    pub lines: Vec<String>,
    partner: String,
    /// Days that the alarms of this fault can be of.
    days: Vec<String>,
}

#[derive(Clone, Copy)]
struct Table {
    name: &'static str,
    /// What makes a row one.
    key: &'static [&'static str],
    /// The hour that is named, of the row `f`.
    hour: &'static str,
}

const EVENTS: Table =
    Table { name: "usage_events", key: &["node", "lane", "sequence"], hour: "date_trunc('hour', f.at, 'UTC')" };
const HOURLY: Table = Table {
    name: "usage_hourly",
    key: &[
        "partner_id",
        "hour",
        "environment",
        "product_id",
        "operation_id",
        "app_id",
        "key_id",
        "team_id",
        "member_id",
        "plan_version_id",
        "outcome",
        "status_class",
    ],
    hour: "f.hour",
};
const DAILY: Table = Table {
    name: "usage_daily",
    key: &[
        "partner_id",
        "day",
        "environment",
        "product_id",
        "operation_id",
        "app_id",
        "key_id",
        "team_id",
        "member_id",
        "plan_version_id",
        "outcome",
        "status_class",
    ],
    hour: "(f.day::timestamp at time zone 'UTC')",
};
const OPERATION_DAILY: Table = Table {
    name: "usage_operation_daily",
    key: &["partner_id", "day", "environment", "product_id", "operation_id", "outcome", "status_class"],
    hour: "(f.day::timestamp at time zone 'UTC')",
};
const BRIEF: Table = Table {
    name: "usage_brief",
    key: &["partner_id", "hour", "environment", "product_id", "outcome", "status_class"],
    hour: "f.hour",
};
const TALLIES: Table = Table {
    name: "gateway_tallies",
    key: &["partner_id", "hour", "environment", "node", "epoch", "lane", "part"],
    hour: "f.hour",
};
const METERS: Table = Table {
    name: "usage_meter_hourly",
    key: &[
        "partner_id",
        "hour",
        "product_id",
        "meter",
        "kind",
        "environment",
        "operation_id",
        "app_id",
        "key_id",
        "team_id",
        "member_id",
        "plan_version_id",
        "item",
    ],
    hour: "f.hour",
};
const LEVELS: Table = Table {
    name: "usage_gauge_levels",
    key: &["partner_id", "product_id", "meter", "environment", "item", "at", "node", "lane", "sequence"],
    hour: "date_trunc('hour', f.at, 'UTC')",
};
const LINES: Table = Table {
    name: "invoice_lines",
    key: &["partner_id", "invoice_id", "position"],
    hour: "(select date_trunc('hour', i.period_end - interval '1 microsecond', 'UTC') from invoices i
        where i.partner_id = f.partner_id and i.id = f.invoice_id)",
};

const fn fault(
    name: &'static str,
    table: Table,
    change: &'static str,
    rows: &'static str,
    meter: &'static str,
) -> Fault {
    Fault { name, table, change, rows, meter, moved: false }
}

const USED: &str = "f.units > 0";
const OF_BYTES: &str = "f.meter = 'bytes' and f.events > 0";
const OF_LEVELS: &str = "f.meter = 'running' and f.events > 0";

pub(super) const FAULTS: [Fault; 34] = [
    fault("a unit more in an event", EVENTS, "set units = t.units + 1", USED, "units"),
    fault("a unit less in an event", EVENTS, "set units = t.units - 1", USED, "units"),
    fault("an event taken out", EVENTS, "delete", USED, "calls"),
    fault("an event doubled", EVENTS, "double", USED, "calls"),
    Fault {
        moved: true,
        ..fault("an event moved by an hour", EVENTS, "set at = t.at - interval '1 hour'", USED, "calls")
    },
    fault(
        "a byte more on an event's meter",
        EVENTS,
        "set meters = jsonb_set(t.meters, '{0,1}', to_jsonb((t.meters -> 0 ->> 1)::bigint + 1))",
        "f.meters -> 0 ->> 0 = 'bytes'",
        "bytes: total",
    ),
    fault("a call more in an hourly sum", HOURLY, "set calls = t.calls + 1", USED, "calls"),
    fault("a call less in an hourly sum", HOURLY, "set calls = t.calls - 1", USED, "calls"),
    fault("a unit more in an hourly sum", HOURLY, "set units = t.units + 1", USED, "units"),
    fault("a unit less in an hourly sum", HOURLY, "set units = t.units - 1", USED, "units"),
    fault("an hourly sum taken out", HOURLY, "delete", USED, "calls"),
    fault("a call more in a day's sum", DAILY, "set calls = t.calls + 1", USED, "calls"),
    fault("a unit less in a day's sum", DAILY, "set units = t.units - 1", USED, "units"),
    fault("a day's sum taken out", DAILY, "delete", USED, "calls"),
    fault("a unit more in an operation's day", OPERATION_DAILY, "set units = t.units + 1", USED, "units"),
    fault("a call less in an operation's day", OPERATION_DAILY, "set calls = t.calls - 1", USED, "calls"),
    fault("an operation's day taken out", OPERATION_DAILY, "delete", USED, "calls"),
    fault("a unit more in a brief hour", BRIEF, "set units = t.units + 1", USED, "units"),
    fault("a brief hour taken out", BRIEF, "delete", USED, "calls"),
    fault("a call more in what a gateway told", TALLIES, "set calls = t.calls + 1", USED, "calls"),
    fault("a unit less in what a gateway told", TALLIES, "set units = t.units - 1", USED, "units"),
    fault("a tally taken out", TALLIES, "delete", USED, "calls"),
    fault("a unit more in a meter's sum", METERS, "set total = t.total + 1", OF_BYTES, "bytes: total"),
    fault("an event less in a meter's sum", METERS, "set events = t.events - 1", OF_BYTES, "bytes: events"),
    fault("another latest value of a gauge's hour", METERS, "set latest = t.latest + 1", OF_LEVELS, "running: latest"),
    fault("a meter's hour taken out", METERS, "delete", OF_BYTES, "bytes: total"),
    fault("a level more of a gauge", LEVELS, "set level = t.level + 1", "true", "running: level"),
    fault("a level less of a gauge", LEVELS, "set level = t.level - 1", "f.level > 0", "running: level"),
    fault("a level taken out", LEVELS, "delete", "f.level > 0", "running: levels"),
    fault("a unit more on an invoice", LINES, "set quantity = t.quantity + 1", "f.kind = 'usage'", "units"),
    fault("a unit less on an invoice", LINES, "set quantity = t.quantity - 1", "f.kind = 'usage'", "units"),
    fault("an invoice's line taken out", LINES, "delete", "f.kind = 'usage'", "units"),
    fault("a unit less on a meter's line", LINES, "set quantity = t.quantity - 1", "f.meter = 'bytes'", "bytes"),
    fault("an hour more on a gauge's line", LINES, "set quantity = t.quantity + 1", "f.meter = 'running'", "running"),
];

/// No trigger and no key stands in the way.
const OFF: &str = "set session_replication_role = replica;";

/// Where faults are is kept in the database: days of partners, and partners whose invoice is touched.
pub(super) fn prepare(cluster: &Cluster) -> Result<(), Trouble> {
    cluster
        .psql("create table chaos_cells (partner_id uuid not null, day date not null, is_whole boolean not null)")?;
    Ok(())
}

impl Fault {
    /// Whether it touches an invoice, which shows everything else of its partner.
    pub fn is_billed(&self) -> bool {
        self.table.name == LINES.name
    }

    /// Puts it in at a random row, as the fault of that number; what has to be named. `None` where each row is on a day that is
    /// touched, or beside one.
    pub fn put_in(&self, cluster: &Cluster, number: usize, random: &mut Random) -> Result<Option<Named>, Trouble> {
        let Self { table: Table { name, hour, .. }, change, rows, .. } = self;
        let (key, salt, is_whole) = (self.table.key(), random.below(u64::MAX), self.is_billed());
        let act = match *change {
            "delete" => format!("delete from {name} t using chaos_fault_{number} f where {key}"),
            "double" => format!("insert into {name} select * from chaos_fault_{number}"),
            set => format!("update {name} t {set} from chaos_fault_{number} f where {key}"),
        };
        let text = |hours: u8| {
            format!("to_char({hour} at time zone 'UTC' - interval '{hours} hours', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        };
        let said = cluster.psql(&format!(
            "{OFF} create table chaos_fault_{number} as select f.* from {name} f where {rows} and not exists (
                 select from chaos_cells c where c.partner_id = f.partner_id
                     and (c.is_whole or {is_whole} or abs(c.day - ({hour} at time zone 'UTC')::date) <= 1))
             order by md5(f::text || '{salt}') limit 1;
             {act};
             insert into chaos_cells select partner_id, ({hour} at time zone 'UTC')::date, {is_whole} from chaos_fault_{number} f;
             select partner_id, {}, {} from chaos_fault_{number} f",
            text(0),
            text(1),
        ))?;
        if said.trim().is_empty() {
            cluster.psql(&format!("drop table chaos_fault_{number}"))?;
            return Ok(None);
        }
        let [partner, hour, before] = said.trim().split('|').collect::<Vec<_>>()[..] else {
            return Err(format!("{}: {said}", self.name).into());
        };
        let partner = format!("partner_{}", partner.replace('-', ""));
        let hours = if self.moved { vec![hour, before] } else { vec![hour] };
        let line = |hour: &&str| format!("{partner}, hour {hour}, {}:", self.meter);
        let day = |hour: &&str| hour.split('T').next().unwrap_or_default().to_owned();
        Ok(Some(Named {
            lines: hours.iter().map(line).collect(),
            days: hours.iter().map(day).collect(),
            partner: partner.clone(),
        }))
    }

    /// Whether the alarm is one that this fault raises: of its partner and day, of its invoice, or of the numbers of records, which
    /// nobody can say whose they are.
    pub fn explains(&self, named: &Named, alarm: &str) -> bool {
        if alarm.starts_with("sequence: ") {
            return self.table.name == EVENTS.name;
        }
        let is_theirs = alarm.contains(&format!("{}, ", named.partner));
        is_theirs
            && (alarm.starts_with("invoice: ") || named.days.iter().any(|day| alarm.contains(&format!("hour {day}T"))))
    }
}

/// Takes back what was put in last, in that order.
pub(super) fn take_back(cluster: &Cluster, faults: &[Fault]) -> Result<(), Trouble> {
    let mut script = OFF.to_owned();
    for (number, fault) in faults.iter().enumerate() {
        let (name, key) = (fault.table.name, fault.table.key());
        script += &format!(
            "delete from {name} t using chaos_fault_{number} f where {key};
             insert into {name} select * from chaos_fault_{number};
             drop table chaos_fault_{number};"
        );
    }
    cluster.psql(&(script + "truncate chaos_cells"))?;
    Ok(())
}

impl Table {
    /// Whether the row `t` is the row `f`.
    fn key(&self) -> String {
        let of = |row: &str| self.key.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
        format!("({}) = ({})", of("t"), of("f"))
    }
}
