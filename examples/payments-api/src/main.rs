//! The example upstream: a small payments API, kept in memory, on 127.0.0.1:4010.

use std::{process::ExitCode, time::Duration};

/// How long calls in flight may take once we are asked to stop; a search can be slower.
const PATIENCE: Duration = Duration::from_secs(3);

const USAGE: &str = "\
A small payments API to put Turnpike in front of. It keeps everything in memory and starts with the same data each time.

Usage: payments-api [--port PORT]

  --port PORT  Port on 127.0.0.1 [default: 4010]; 0 takes a free one
  --help       This text
";

#[tokio::main]
async fn main() -> ExitCode {
    let port = match port(std::env::args().skip(1)) {
        Ok(Some(port)) => port,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let listener = match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("Port {port} cannot be used: {error}. Choose another with --port.");
            return ExitCode::FAILURE;
        }
    };
    if let Ok(address) = listener.local_addr() {
        println!("The payments API is at http://{address}");
    }
    let (told, stopping) = tokio::sync::oneshot::channel();
    let until_told = async move {
        asked_to_stop().await;
        let _ = told.send(());
    };
    let too_long = async move {
        if stopping.await.is_ok() {
            tokio::time::sleep(PATIENCE).await;
        }
    };
    let served = tokio::select! {
        served = axum::serve(listener, payments_api::router()).with_graceful_shutdown(until_told) => served,
        () = too_long => Ok(()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The payments API stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The port to listen on, or `None` where help was asked for.
fn port(arguments: impl Iterator<Item = String>) -> Result<Option<u16>, String> {
    let mut port = 4010;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let value = match argument.split_once('=') {
            Some(("--port", value)) => value.to_owned(),
            None if argument == "--port" => arguments.next().ok_or("--port takes a number")?,
            None if argument == "--help" || argument == "-h" => return Ok(None),
            _ => return Err(format!("{argument} is not known")),
        };
        port = value.parse().map_err(|_| format!("{value:?} is not a port"))?;
    }
    Ok(Some(port))
}

/// Ctrl-C, or SIGTERM from whoever started us.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
