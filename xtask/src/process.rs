//! Running other programs to their end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::{Outcome, workspace};

/// What cargo tells a program of itself begins so.
const OWN: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];

/// The cargo that runs us, in the checkout.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    // Build scripts that look at these would run again, and all that depends on them, whenever somebody builds by hand and
    // then by this program.
    let own = |name: &OsStr| name.to_str().is_some_and(|name| OWN.iter().any(|own| name.starts_with(own)));
    for (name, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
        command.env_remove(name);
    }
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    if std::env::var_os("CI").is_some() {
        // Built once and thrown away: what would speed the next build up only costs time and disk.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Any program, in a folder.
pub fn program<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(folder);
    command
}

/// Runs it with its output shown as it comes; fails where it fails.
pub fn show(mut command: Command) -> Outcome {
    let name = name_of(&command);
    let status = command.stdin(Stdio::null()).status().map_err(|why| format!("{name} does not start: {why}."))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status}); what it said is above.")) }
}

/// Runs it in silence and gives what it wrote; what it said on stderr becomes the problem where it fails.
pub fn read(mut command: Command) -> Outcome<String> {
    let name = name_of(&command);
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("{name} does not start: {why}."))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {}", said.trim()))
}

/// Whether it can be run and succeeds; nothing is shown.
pub fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Sends a signal to a process, or to a process group where the number is negative. The shell's own `kill`, because a
/// slim system has no other.
pub fn signal(name: &str, process: &str) {
    succeeds(program("sh", ["-c", &format!("kill -s {name} -- {process}")], Path::new("/")));
}

/// Runs it with its output shown as it comes, and gives the lines of both streams as well, without colours.
pub fn show_and_read(command: Command) -> Outcome<(bool, Vec<String>)> {
    each_line(command, |line| println!("{line}"))
}

/// Runs it, and gives the lines of both streams as they came, without colours.
pub fn read_lines(command: Command) -> Outcome<(bool, Vec<String>)> {
    each_line(command, |_| {})
}

fn each_line(mut command: Command, show: impl Fn(&str)) -> Outcome<(bool, Vec<String>)> {
    let name = name_of(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| format!("{name} does not start: {why}."))?;
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, send.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, send.clone());
    }
    drop(send);
    let mut lines = Vec::new();
    for line in receive {
        show(&line);
        lines.push(without_colours(&line));
    }
    let status = child.wait().map_err(|why| format!("{name} was lost: {why}."))?;
    Ok((status.success(), lines))
}

fn forward(stream: impl Read + Send + 'static, send: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
}

fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    match command.get_args().next() {
        Some(first) => format!("{program} {}", first.to_string_lossy()),
        None => program,
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colours("\u{1b}[32;1m     Summary\u{1b}[0m [ 1 s]"), "     Summary [ 1 s]");
    }

    #[test]
    fn both_streams_and_the_end_are_seen() {
        let (well, lines) =
            show_and_read(program("sh", ["-c", "echo out; echo err >&2; exit 3"], Path::new("/"))).unwrap();
        assert!(!well);
        assert!(lines.contains(&"out".to_owned()) && lines.contains(&"err".to_owned()));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let problem = show(program("no-such-program", ["x"], Path::new("/"))).unwrap_err();
        assert!(problem.starts_with("no-such-program x does not start"));
    }
}
