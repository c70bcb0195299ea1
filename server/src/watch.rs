//! What is told of calls as they end: log lines, and spans for a collector.

mod call_log;
mod collector;
mod span;

use crate::config::{CallLog, Watch};
use collector::Collector;
use gateway::{Ended, Watcher};
use std::sync::Arc;

pub use collector::Exporter;

/// The gateway's watcher, as the configuration wants it.
#[derive(Debug)]
pub struct Calls {
    log: CallLog,
    collector: Option<Collector>,
}

/// The watcher, if anything is to be told, and the exporter that a background task has to run.
pub fn start(config: &Watch) -> (Option<Arc<dyn Watcher>>, Option<Exporter>) {
    let (collector, exporter) = config.collector.as_deref().map(collector::connect).unzip();
    if config.log == CallLog::Off && collector.is_none() {
        return (None, None);
    }
    (Some(Arc::new(Calls { log: config.log, collector })), exporter)
}

impl Watcher for Calls {
    fn traces(&self) -> bool {
        self.collector.is_some()
    }

    fn ended(&self, call: &Ended<'_>) {
        call_log::write(self.log, call);
        if let (Some(collector), Some(trace)) = (&self.collector, call.trace.filter(|trace| trace.sampled)) {
            collector.send(span::of(call, trace));
        }
    }
}
