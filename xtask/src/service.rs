//! Programs that run until they are told to stop: each in a process group of its own, writing into a log file.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{Outcome, process};

/// How long the last one started (the server, which finishes what is in flight) may take to stop.
const PATIENCE: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(25);

/// Everything that was started, in order. Stops all of it when it is dropped, whatever the reason.
pub struct Services {
    running: Vec<Service>,
    logs: PathBuf,
    stop_wanted: Arc<AtomicBool>,
}

struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Services {
    /// From here on Ctrl-C, a hang-up and SIGTERM only ask to stop.
    pub fn new(logs: &Path) -> Outcome<Self> {
        fs::create_dir_all(logs).map_err(|why| format!("{} cannot be made: {why}.", logs.display()))?;
        let stop_wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop_wanted))
                .map_err(|why| format!("No signals: {why}."))?;
        }
        Ok(Self { running: Vec::new(), logs: logs.to_owned(), stop_wanted })
    }

    pub fn start(&mut self, name: &str, mut command: Command) -> Outcome {
        let log = self.logs.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|why| format!("{} cannot be written: {why}.", log.display()))?;
        let errors = file.try_clone().map_err(|why| why.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            // Ctrl-C in the terminal reaches us alone, so that we can stop things in order.
            .process_group(0)
            .spawn()
            .map_err(|why| format!("{name} does not start: {why}."))?;
        self.running.push(Service { name: name.to_owned(), child, log });
        Ok(())
    }

    /// The process that was started under that name.
    pub fn process(&self, name: &str) -> Outcome<u32> {
        let service = self.running.iter().find(|service| service.name == name);
        service.map(|service| service.child.id()).ok_or_else(|| format!("{name} was not started."))
    }

    /// Whether somebody pressed Ctrl-C.
    pub fn stop_wanted(&self) -> bool {
        self.stop_wanted.load(Ordering::Relaxed)
    }

    /// Fails where one of them has ended, with its last words.
    pub fn check(&mut self) -> Outcome {
        for service in &mut self.running {
            if let Ok(Some(status)) = service.child.try_wait() {
                let said = last_line(&service.log);
                return Err(format!(
                    "{} ended ({status}): {said} All of it is in {}.",
                    service.name,
                    service.log.display()
                ));
            }
        }
        Ok(())
    }

    /// Asks again and again until `ready` says yes; fails where one ends, time runs out or somebody wants to stop.
    pub fn wait(&mut self, what: &str, limit: Duration, ready: impl Fn() -> bool) -> Outcome {
        let start = Instant::now();
        while !ready() {
            self.check()?;
            if self.stop_wanted() {
                return Err("Stopped.".to_owned());
            }
            if start.elapsed() > limit {
                return Err(format!("{what} was not ready after {} s. See {}.", limit.as_secs(), self.logs.display()));
            }
            sleep(TICK);
        }
        Ok(())
    }

    /// Runs until Ctrl-C, or until one of them ends by itself.
    pub fn watch(&mut self) -> Outcome {
        while !self.stop_wanted() {
            self.check()?;
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Stops all, the last one started first; gives the names of those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        let mut killed = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while let Some(mut service) = self.running.pop() {
            signal("TERM", &service.child);
            while matches!(service.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(TICK);
            }
            if matches!(service.child.try_wait(), Ok(None)) {
                signal("KILL", &service.child);
                // Also where there is no shell to reach the group with; it cannot fail for a child that we have not collected.
                let _ = service.child.kill();
                // Collects the process; after SIGKILL there is nothing to wait for.
                let _ = service.child.wait();
                killed.push(service.name);
            }
        }
        killed
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal to the whole group of a child.
fn signal(name: &str, child: &Child) {
    process::signal(name, &format!("-{}", child.id()));
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing.").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        process::program("sh", ["-c", script], Path::new("/"))
    }

    fn services(name: &str) -> Services {
        Services::new(&std::env::temp_dir().join(format!("turnpike-{name}-{}", std::process::id()))).unwrap()
    }

    #[test]
    fn one_that_stops_when_asked_is_not_killed() {
        let mut services = services("asked");
        services.start("polite", shell("trap 'exit 0' TERM; while true; do sleep 0.02; done")).unwrap();
        sleep(Duration::from_millis(100));
        assert!(services.stop().is_empty());
    }

    #[test]
    fn one_that_does_not_listen_is_killed_in_time() {
        let mut services = services("deaf");
        services.start("deaf", shell("trap '' TERM; while true; do sleep 0.02; done")).unwrap();
        sleep(Duration::from_millis(100));
        let start = Instant::now();
        assert_eq!(services.stop(), ["deaf"]);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn one_that_ends_by_itself_is_named_with_its_last_words() {
        let mut services = services("ends");
        services.start("short", shell("echo no disk left.; exit 3")).unwrap();
        let problem = services.wait("short", Duration::from_secs(5), || false).unwrap_err();
        assert!(problem.contains("short ended") && problem.contains("no disk left."), "{problem}");
    }
}
