//! Usage that is told over `POST /api/events`, and what became of each event.

use super::{
    calendar,
    ledger::{Adjusted, Operation, Stretch, Use},
    partner::Partner,
};
use crate::{Trouble, portal::Rest};
use serde_json::{Value, json};

/// Events in one request.
const BATCH: usize = 1_000;
/// Who tells it.
pub(super) const SOURCE: &str = "chaos";

/// An event on its way.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub id: String,
    pub at: i64,
    pub operation: Operation,
    pub units: i64,
    pub is_test: bool,
}

impl Told {
    fn written(&self, source: &str, partner: &str) -> Value {
        let data = json!({ "units": self.units, "product": "payments", "operation": self.operation.code(),
            "environment": if self.is_test { "test" } else { "live" } });
        json!({ "specversion": "1.0", "type": "io.turnpike.usage.v2", "source": source, "id": self.id,
            "time": calendar::text(self.at), "subject": partner, "data": data })
    }
}

impl Partner {
    /// A new event at that instant, of 1 to 5 units.
    pub fn event(&mut self, at: i64) -> Told {
        self.told += 1;
        let operation = Operation::ALL[usize::from(self.random.below(3) == 0)];
        let units = 1 + i64::try_from(self.random.below(5)).unwrap_or_default();
        Told { id: format!("u{}", self.told), at, operation, units, is_test: false }
    }

    /// An instant of the stretch, by chance.
    pub fn instant(&mut self, stretch: Stretch) -> i64 {
        let length = (stretch.to - stretch.from).unsigned_abs().max(1);
        stretch.from + self.random.below(length).cast_signed()
    }

    /// Tells so many events over the stretch, and writes down what was taken.
    pub async fn use_over(&mut self, rest: &Rest, stretch: Stretch, events: u64) -> Result<(), Trouble> {
        let mut left = usize::try_from(events)?;
        while left > 0 {
            let batch: Vec<Told> = (0..left.min(BATCH))
                .map(|_| {
                    let at = self.instant(stretch);
                    self.event(at)
                })
                .collect();
            left -= batch.len();
            self.tell(rest, &batch).await?;
        }
        Ok(())
    }

    /// Tells these events and writes down what was taken, at once or as late. What is neither keeps the experiment from going on.
    pub async fn tell(&mut self, rest: &Rest, events: &[Told]) -> Result<(), Trouble> {
        for (told, result) in events.iter().zip(tell(rest, &self.id, SOURCE, events).await?) {
            let Told { at, operation, units, is_test, .. } = *told;
            match &*result {
                _ if is_test => {}
                "accepted" => {
                    self.ledger.add(Use { at, operation, units, is_prepaid: false, is_refused: false });
                }
                "late" => {
                    // The part that it is of has an invoice, even where we have not seen that yet.
                    let on = self.bills.max(if at < self.change { 1 } else { 2 });
                    self.ledger.adjusted.push(Adjusted { at, operation, units, on });
                }
                other => return Err(format!("{} was not taken: {other}", told.id).into()),
            }
        }
        Ok(())
    }
}

/// What became of each event: `accepted`, `late`, `duplicate`, `conflict` or `invalid`. At most a thousand are told at once.
pub(super) async fn tell(rest: &Rest, partner: &str, source: &str, events: &[Told]) -> Result<Vec<String>, Trouble> {
    let body: Vec<Value> = events.iter().map(|told| told.written(source, partner)).collect();
    let answer = rest.post("/api/events", &json!(body)).await?;
    let results = answer["results"].as_array().ok_or("no results")?;
    if results.len() != events.len() {
        return Err(format!("{} results for {} events", results.len(), events.len()).into());
    }
    Ok(results.iter().map(|result| result["result"].as_str().unwrap_or_default().to_owned()).collect())
}
