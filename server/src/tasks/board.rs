//! How each task is doing: what `/status` shows, and how a failure is logged once.

use jiff::Timestamp;
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
}

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

    /// All tasks by name.
    pub fn read(&self) -> BTreeMap<&'static str, TaskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
