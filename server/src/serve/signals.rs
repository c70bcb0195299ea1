//! The signals that end a server.

use tokio::signal::unix::{SignalKind, signal};

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// The terminal is gone.
    Ends,
    /// Files are to be read again; who reads them listens for it.
    Reloads,
}

/// Returns at SIGTERM, Ctrl-C or, where it ends, SIGHUP; a second one ends the process at once.
pub async fn end(hang_up: HangUp) -> std::io::Result<()> {
    next(hang_up).await?;
    tokio::spawn(async move {
        if next(hang_up).await.is_ok() {
            tracing::warn!("ended at once; what was in flight is lost, what was recorded is not");
            std::process::exit(130);
        }
    });
    Ok(())
}

async fn next(meaning: HangUp) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv(), if meaning == HangUp::Ends => {}
    }
    Ok(())
}
