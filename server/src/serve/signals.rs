//! The signals that end a server.

use tokio::signal::unix::{SignalKind, signal};

/// Returns at SIGTERM, Ctrl-C or SIGHUP; a second one ends the process at once.
pub async fn end() -> std::io::Result<()> {
    next().await?;
    tokio::spawn(async {
        if next().await.is_ok() {
            tracing::warn!("ended at once; what was in flight is lost, what was recorded is not");
            std::process::exit(130);
        }
    });
    Ok(())
}

async fn next() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
