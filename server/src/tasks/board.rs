//! How each task is doing: what `/status` shows, and how a failure is logged once.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A board that all tasks write on.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, TaskState>>>);

/// The last that is known of one task, in real time.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TaskState {
    pub last_success: Option<Timestamp>,
    /// Since when and why it fails; absent while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Nodes whose usage it waits for; absent while there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Waiting>,
    /// When the wait began and when it was last told, in real time.
    #[serde(skip)]
    wait: Option<Wait>,
}

/// A node that has not shipped all of its usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub node: String,
    /// Until when its usage is complete, by the clock that events have.
    pub since: Timestamp,
}

#[derive(Debug, Clone)]
struct Wait {
    began: Timestamp,
    told: Option<Timestamp>,
}

/// A wait this short is ordinary, as after a test clock was moved.
const SHORT_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// Between two reminders of a wait.
const REMIND_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// A failure that has not ended.
#[derive(Debug, Clone, Serialize)]
pub struct Failing {
    pub since: Timestamp,
    pub message: String,
}

impl Board {
    /// Notes a success; true where it ends a failure.
    pub fn succeeded(&self, name: &'static str) -> bool {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tasks.entry(name).or_default();
        state.last_success = Some(Timestamp::now());
        state.failing.take().is_some()
    }

    /// Notes a failure; true where it is new.
    pub fn failed(&self, name: &'static str, message: &str) -> bool {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tasks.entry(name).or_default();
        let new = state.failing.as_ref().is_none_or(|failing| failing.message != message);
        let since = state.failing.take().map_or_else(Timestamp::now, |failing| failing.since);
        state.failing = Some(Failing { since, message: message.to_owned() });
        new
    }

    /// Notes which nodes a task waits for, if any; true where it is time to tell the operator. `now` is real time.
    pub fn waits(&self, name: &'static str, nodes: Vec<Waiting>, now: Timestamp) -> bool {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tasks.entry(name).or_default();
        state.waits_for = nodes;
        if state.waits_for.is_empty() {
            state.wait = None;
            return false;
        }
        let wait = state.wait.get_or_insert(Wait { began: now, told: None });
        let due = wait.told.map_or_else(|| wait.began + SHORT_WAIT, |told| told + REMIND_EVERY);
        if now >= due {
            wait.told = Some(now);
        }
        now >= due
    }

    /// All tasks by name.
    pub fn read(&self) -> BTreeMap<&'static str, TaskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
