//! The signals that end a server.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// The terminal is gone.
    Ends,
    /// Files are to be read again; who reads them listens for it.
    Reloads,
}

/// Catches the signals from the moment it is made: one that comes before anybody waits for it is not lost, and does not end
/// the process the way an uncaught one does.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    meaning: HangUp,
}

impl Signals {
    /// # Errors
    /// The system lets no handler be put in.
    pub fn catch(meaning: HangUp) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            meaning,
        })
    }

    /// Returns at SIGTERM, Ctrl-C or, where it ends, SIGHUP; a second one ends the process at once.
    pub async fn end(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("ended at once; what was in flight is lost, what was recorded is not");
            std::process::exit(130);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv(), if self.meaning == HangUp::Ends => {}
        }
    }
}
