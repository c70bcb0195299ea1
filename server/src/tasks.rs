//! What runs beside the requests.
//!
//! A task takes no input, looks at the state of things, and does what is missing: so it may run twice, be late, or be
//! killed half way, and the next run makes it good. It runs on a period and on a nudge, which only makes it sooner. It
//! does not retry, because it will run again, after a failure within seconds. A failure is logged when it begins and when it ends, not each time.

pub mod allot_credit;
pub mod apply_webhooks;
pub mod board;
pub mod change_plans;
pub mod close_journal;
pub mod close_periods;
pub mod compare_with_stripe;
pub mod drop_old_usage;
pub mod dun_partners;
pub mod follow_clock;
pub mod follow_directory;
pub mod keep_keys;
pub mod make_partitions;
pub mod make_usage_days;
pub mod move_plans;
pub mod purge_caches;
pub mod push_to_stripe;
pub mod reconcile_usage;
pub mod send_documents;
pub mod send_hooks;
pub mod send_mail;
pub mod settle_credit;
pub mod ship_spool;
pub mod sweep_sessions;
pub mod tell_tallies;
pub mod tend_leases;
pub mod top_up_credit;
pub mod watch_spool;

use crate::logs;
use board::Board;
use std::{error::Error, future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

/// The longest pause after a failure: what was down comes back at no particular time.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long a run may take: a connection that went silent for ever must not end a task for ever. Far longer than any work.
fn longest(period: Duration) -> Duration {
    (period * 60).max(Duration::from_secs(60))
}

/// Why a run failed; it is logged and the task goes on.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// Makes a task run now instead of at its next turn. Nudges that come while it runs count as one.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    pub fn nudge(&self) {
        self.0.notify_one();
    }

    async fn nudged(&self) {
        self.0.notified().await;
    }
}

/// Tells everything that it is time to end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of [`Stop`].
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

impl StopSwitch {
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(receiver))
    }

    /// All who wait for the end go on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when it is time to end.
    pub async fn requested(&mut self) {
        // An error means that the switch is gone, which is the end too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// All running tasks.
pub struct Tasks {
    running: JoinSet<()>,
    stop: Stop,
    board: Board,
}

impl Tasks {
    pub fn new(stop: Stop, board: Board) -> Self {
        Self { running: JoinSet::new(), stop, board }
    }

    /// Runs `run` now, then each `period` and at each nudge, until the end.
    pub fn every<Run, Running>(&mut self, name: &'static str, period: Duration, nudge: Nudge, run: Run)
    where
        Run: Fn() -> Running + Send + 'static,
        Running: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.every_at_leisure(name, period, longest(period), nudge, run);
    }

    /// The same for what may rightly take longer, as long as there is work: up to `longest`.
    pub fn every_at_leisure<Run, Running>(
        &mut self,
        name: &'static str,
        period: Duration,
        longest: Duration,
        nudge: Nudge,
        run: Run,
    ) where
        Run: Fn() -> Running + Send + 'static,
        Running: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let (mut stop, board) = (self.stop.clone(), self.board.clone());
        self.running.spawn(async move {
            while !stop.is_requested() {
                // A task of its own: a panic ends this run only, and no transaction is cut off by the end.
                let mut running = tokio::spawn(run());
                let outcome = match timeout(longest, &mut running).await {
                    Ok(outcome) => outcome.unwrap_or_else(|panic| Err(panic.into())),
                    Err(_) => {
                        running.abort();
                        Err("it took too long and was given up".into())
                    }
                };
                let pause = if outcome.is_ok() { period } else { period.min(AFTER_FAILURE) };
                report(&board, name, outcome);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = nudge.nudged() => {}
                    () = stop.requested() => {}
                }
            }
        });
    }

    /// Runs something that looks after its own pace and ends when it is told to.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// Waits until all tasks have ended, at most until `deadline`.
    pub async fn finish(mut self, deadline: Instant) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout_at(deadline, all).await.is_err() {
            tracing::warn!("some background tasks did not end in time; the next start does what they left");
        }
    }
}

/// Notes how a run ended, and logs it where it ended otherwise than the one before.
pub fn report(board: &Board, name: &'static str, outcome: Result<(), TaskError>) {
    match outcome {
        Ok(()) => {
            if board.succeeded(name) {
                tracing::info!(task = name, "works again");
            }
        }
        Err(error) => {
            let message = logs::chain(error.as_ref());
            metrics::counter!("turnpike_task_failures_total", "task" => name).increment(1);
            if board.failed(name, &message) {
                tracing::warn!(task = name, error = message, "failed; it will be tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests;
