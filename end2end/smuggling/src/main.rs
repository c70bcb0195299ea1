//! Sends requests that parsers disagree about, byte by byte, and looks at what arrives behind the gateway.
//!
//! `smuggling listen PORT` is the recorder: an upstream with a strict parser of its own that writes down each connection's
//! bytes. `smuggling attack` sends the corpus to the doors it is given and judges. Promise: for each case the upstream sees
//! exactly one well-formed request or none, whether it stands behind the gateway alone or behind another server that the
//! gateway forwards to; and no spelling of a path reaches what the product does not have. It shares no code with the
//! gateway.

mod attack;
mod corpus;
mod judge;
mod message;
mod paths;
mod recorder;

use std::process::ExitCode;

const USAGE: &str = "\
smuggling listen PORT LOG
smuggling relay PORT TO
smuggling attack KEY RESULT NAME=PORT/route=LOG[,naive] ...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["listen", port, log] => recorder::listen(port, log),
        ["relay", port, to] => recorder::relay(port, to),
        ["attack", key, result, doors @ ..] if !doors.is_empty() => attack::run(key, result, doors),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
