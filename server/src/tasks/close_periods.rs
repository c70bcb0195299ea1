//! Closes billing periods that have ended and whose usage is complete: each becomes an invoice.

use super::{
    Nudge, TaskError,
    board::{Board, Waiting},
};
use app::state::Clock;
use billing::Closing;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use store::{Store, ingest::NodeBehind};

pub const NAME: &str = "close_periods";
pub const PERIOD: Duration = Duration::from_secs(10);
/// All that is billed is compared first, each statement with a limit of its own.
pub const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long after its end a period is open for what comes late (`TURNPIKE_CLOSING_GRACE`).
    pub grace: SignedDuration,
    /// A gateway that ended as it should can begin again without Postgres for so long, and serve calls that nobody else knows of: so
    /// long it is waited for.
    pub unseen: SignedDuration,
}

impl Patience {
    /// A gateway does not begin from a directory on its disk that is older than `directory_max_age` seconds.
    pub fn new(grace: SignedDuration, directory_max_age: u64) -> Self {
        let unseen = i64::try_from(directory_max_age).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        Self { grace, unseen }
    }
}

/// # Errors
/// Postgres does not answer, or a partner's period could not be closed; the others were.
pub async fn run(
    store: Store,
    clock: Clock,
    Patience { grace, unseen }: Patience,
    push: Nudge,
    board: Board,
) -> Result<(), TaskError> {
    let now = clock.now();
    let ended_before = now.checked_sub(unseen).unwrap_or(Timestamp::UNIX_EPOCH);
    let closing = Closing { grace, ingested_through: store.ingested_through(ended_before).await? };
    let report = billing::close_due_periods(&store, closing, now).await?;
    let behind = if report.waiting > 0 { store.nodes_behind(now - grace, ended_before).await? } else { Vec::new() };
    let behind = behind.into_iter().map(|NodeBehind { node, since }| Waiting { node, since }).collect();
    tell(&board, behind, Timestamp::now());
    metrics::gauge!("turnpike_periods_in_doubt").set(report.doubtful.len() as f64);
    for (partner, finding) in &report.doubtful {
        tracing::warn!(%partner, %finding, "an invoice waits: two places that count usage do not say the same");
    }
    if !report.invoices.is_empty() {
        metrics::counter!("turnpike_invoices_closed_total").increment(report.invoices.len() as u64);
        push.nudge();
    }
    match report.problems.first() {
        None => Ok(()),
        Some((partner, error)) => {
            let of = partner.map_or_else(|| "final invoices".to_owned(), |partner| partner.to_string());
            Err(format!("{} periods could not be closed; {of}: {error}", report.problems.len()).into())
        }
    }
}

/// A node that is gone would hold all invoices back without a word.
fn tell(board: &Board, behind: Vec<Waiting>, now: Timestamp) {
    if board.waits(NAME, behind.clone(), now) {
        for Waiting { node, since } in behind {
            tracing::warn!(
                node,
                %since,
                "invoices wait: this node has not handed over its usage since then. Start it again; if it is gone for good, `turnpike forget-node` gives its usage up"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app;
    use store::{Actor, NewPlan, PlanMeta, test_db, test_db::world::World};

    #[tokio::test]
    async fn while_invoices_wait_for_a_node_the_board_names_it() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let clock = test_app::state(&store).clock;
        let (board, patience) = (Board::default(), Patience::new(SignedDuration::from_secs(1), 7 * 86_400));
        let terms = serde_json::from_value(
            serde_json::json!({"currency": "EUR", "products": [], "base_fee_micros": 1_000_000}),
        );
        let approval = domain::plan::Approval::Automatic;
        let meta = PlanMeta { name: "Small".to_owned(), summary: String::new(), position: 1, private: false, approval };
        let new = NewPlan { code: "small".to_owned(), meta, terms: terms.expect("terms") };
        let began = clock.now() - SignedDuration::from_hours(24 * 40);
        let plan = store.create_plan(&new, Actor::System, began).await.expect("a plan");
        store.choose_plan(world.partner, plan, Actor::System, began).await.expect("chosen");
        let heard = clock.now() - SignedDuration::from_hours(24 * 20);
        store.caught_up("lost", 0, heard).await.expect("noted");
        store.caught_up("here", 0, clock.now()).await.expect("noted");
        let waits_for = || board.read().get(NAME).map(|state| state.waits_for.clone()).unwrap_or_default();

        let run = || run(store.handle(), clock.clone(), patience, Nudge::default(), board.clone());
        run().await.expect("it waits");
        let named: Vec<_> = waits_for().into_iter().map(|waiting| (waiting.node, waiting.since.as_second())).collect();
        assert_eq!(named, [("lost".to_owned(), heard.as_second())]);
        store.forget_node("lost", None).await.expect("forgotten");
        run().await.expect("closed");
        assert_eq!(waits_for(), []);
    }
}
