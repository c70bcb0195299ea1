//! What is told of calls as they end.

use super::Reader;

/// Log lines and traces of calls.
#[derive(Debug, Clone)]
pub struct Watch {
    pub log: CallLog,
    /// Where spans go, without `/v1/traces`.
    pub collector: Option<String>,
}

/// Which calls get a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLog {
    Off,
    /// Refused ones, those that the upstream failed, and those that the client left.
    Trouble,
    All,
}

impl Watch {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let choices = [("off", CallLog::Off), ("trouble", CallLog::Trouble), ("all", CallLog::All)];
        let collector = reader.text("TURNPIKE_OTLP_ENDPOINT");
        if collector.as_ref().is_some_and(|address| !address.starts_with("http://")) {
            reader.problem(
                "TURNPIKE_OTLP_ENDPOINT",
                "write http:// and the collector's host and port, as http://127.0.0.1:4318; one beside Turnpike passes spans on",
            );
        }
        Self { log: reader.choice("TURNPIKE_CALL_LOG", &choices, CallLog::Off), collector }
    }
}
