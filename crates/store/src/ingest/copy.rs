//! Raw events by binary COPY: nothing to escape, nothing to parse.
//!
//! The format is PostgreSQL's "COPY binary": a header, then for each row the number of fields and each field as length and
//! bytes (length -1 is null), then a trailer of -1. Integers are big-endian.

use super::signed;
use domain::usage::{MeterKind, Metered, Outcome, UsageEvent, cloud_event::hex, whole_micros};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

const COLUMNS: i16 = 34;
const STATEMENT: &str = "copy usage_events (partner_id, at, node, lane, sequence, request_id, app_id, key_id, team_id, \
     member_id, environment, plan_version_id, product_id, operation_id, method, path, status, outcome, refusal, units, \
     bytes_in, bytes_out, duration_us, upstream_us, credits, period_start, period_end, epoch, region, trace_id, price_rule, \
     meters, allocation_id, allocated) from stdin with (format binary)";

/// Postgres counts from 2000-01-01T00:00:00Z.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The version of jsonb's binary form, which goes before its text.
const JSONB: u8 = 1;
/// With the flags, and the length of the header's extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// How much is handed to the socket at once.
const CHUNK: usize = 256 * 1024;

/// Rows as they go to Postgres.
pub(super) struct Rows(Vec<u8>);

impl Rows {
    /// None yet, of about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Copies them in. On an error the transaction is to be rolled back.
    pub(super) async fn copy(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
        let mut copy = tx.copy_in_raw(STATEMENT).await?;
        copy.send(HEADER.as_slice()).await?;
        for chunk in self.0.chunks(CHUNK) {
            copy.send(chunk).await?;
        }
        copy.send((-1_i16).to_be_bytes().as_slice()).await?;
        copy.finish().await?;
        Ok(())
    }

    /// One event's.
    pub(super) fn add<Text: AsRef<str>>(&mut self, node: &str, lane: u16, sequence: u64, event: &UsageEvent<Text>) {
        self.0.extend_from_slice(&COLUMNS.to_be_bytes());
        self.uuid(event.partner.0);
        self.instant(event.at);
        self.text(node);
        self.field(&i32::from(lane).to_be_bytes());
        self.count(sequence);
        self.text(event.request_id.as_ref());
        self.uuid(event.app.0);
        self.uuid(event.key.0);
        self.uuid_if_any(event.team.map(|id| id.0));
        self.uuid_if_any(event.member.map(|id| id.0));
        self.text(event.environment.code());
        self.uuid_if_any(event.plan_version.map(|id| id.0));
        self.uuid_if_any(event.product.map(|id| id.0));
        self.uuid_if_any(event.operation.map(|id| id.0));
        self.text(event.method.as_ref());
        self.text(event.path.as_ref());
        self.field(&i16::try_from(event.status).unwrap_or(i16::MAX).to_be_bytes());
        self.text(event.outcome.code());
        match event.outcome {
            Outcome::Refused(code) => self.text(code.describe().code),
            _ => self.null(),
        }
        for count in [event.units, event.bytes_in, event.bytes_out, event.duration_us, event.upstream_us, event.credits]
        {
            self.count(count);
        }
        match event.period {
            Some(period) => [period.start, period.end].into_iter().for_each(|instant| self.instant(instant)),
            None => (0..2).for_each(|_| self.null()),
        }
        self.count(event.epoch);
        self.text(event.region.as_ref());
        match &event.trace_id {
            Some(trace_id) => self.field(trace_id),
            None => self.null(),
        }
        self.text(event.price_rule.as_ref());
        match event.meters.as_slice() {
            [] => self.null(),
            meters => self.field(&[&[JSONB], meters_text(meters).as_bytes()].concat()),
        }
        // As it is summed up: of the event's credits, so never more than those.
        let own = event.of_allocation();
        self.uuid_if_any(own.map(|own| own.allocation.0));
        self.count(own.map_or(0, |own| own.units));
    }

    fn instant(&mut self, at: Timestamp) {
        self.field(&whole_micros(at).saturating_sub(EPOCH_MICROS).to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).unwrap_or(0);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn null(&mut self) {
        self.0.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// A text column cannot hold NUL; an event is never refused for one.
    fn text(&mut self, text: &str) {
        if text.contains('\0') {
            self.field(text.replace('\0', "\u{fffd}").as_bytes())
        } else {
            self.field(text.as_bytes())
        }
    }

    fn uuid(&mut self, id: Uuid) {
        self.field(id.as_bytes());
    }

    fn uuid_if_any(&mut self, id: Option<Uuid>) {
        match id {
            Some(id) => self.uuid(id),
            None => self.null(),
        }
    }

    fn count(&mut self, count: u64) {
        self.field(&signed(count).to_be_bytes());
    }
}

/// A list, which keeps its order, of code and quantity; with the kind where it is no sum, and the item where there is one.
fn meters_text<Text: AsRef<str>>(meters: &[Metered<Text>]) -> String {
    let one = |metered: &Metered<Text>| match (metered.kind, metered.item) {
        (MeterKind::Sum, None) => serde_json::json!([metered.meter.as_ref(), metered.quantity]),
        (kind, None) => serde_json::json!([metered.meter.as_ref(), metered.quantity, kind.code()]),
        (kind, Some(item)) => serde_json::json!([metered.meter.as_ref(), metered.quantity, kind.code(), hex(item)]),
    };
    serde_json::Value::Array(meters.iter().map(one).collect()).to_string().replace("\\u0000", "\u{fffd}")
}
