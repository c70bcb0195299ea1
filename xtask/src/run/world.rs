//! One running installation with its example: the payments API, the server, and where wanted the stand-in for Stripe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::options::Options;
use super::turnpike::{self, Turnpike};
use super::{Ports, leftovers, partner};
use crate::service::Services;
use crate::{Outcome, http, process, progress, workspace};

/// Everything that was started, and what people need to know about it.
pub struct World {
    pub services: Services,
    pub ports: Ports,
    /// From the first program started to the first ready answer.
    pub start: Duration,
    pub memory: Memory,
    pub operator_link: String,
    pub logs: PathBuf,
    data_dir: PathBuf,
}

impl World {
    /// Starts on what `var` holds; an empty one is set up with the example.
    pub fn start(var: &Path, site: &Path, options: Options) -> Outcome<Self> {
        let ports = options.ports;
        let data_dir = leftovers::data_dir(var);
        let program = workspace::program("turnpike", options.release);
        let mut turnpike = Turnpike::new(program, &data_dir, site, ports);
        if options.stand_in {
            turnpike = turnpike.with_stand_in(ports);
        }
        let mut services = Services::new(&var.join("log"))?;
        let begin = Instant::now();
        progress::step("Starting", || {
            services.start("payments-api", payments_api(options))?;
            if options.stand_in {
                services.start("stripe-stand-in", stand_in(options))?;
            }
            services.start("turnpike", turnpike.serve())?;
            services.wait("turnpike", Duration::from_secs(120), || {
                http::get(ports.admin, "/ready", &[]).is_some_and(|answer| answer.status == 200)
            })
        })?;
        let start = begin.elapsed();
        let (memory, operator_link) = progress::step("Setting up the example", || {
            let applied = turnpike.apply(&example_for(var, ports)?)?;
            let mut memory = Memory::read(var);
            memory.learn(&applied);
            if let Some(sign_in) = partner::accept(&applied, ports.portal)? {
                memory.partner = Some(sign_in);
            }
            memory.write(var)?;
            Ok((memory, turnpike.operator_link()?))
        })?;
        Ok(Self { services, ports, start, memory, operator_link, logs: var.join("log"), data_dir })
    }

    /// Stops everything; what did not stop by itself is killed and named.
    pub fn stop(&mut self) -> Outcome {
        let killed = self.services.stop();
        leftovers::stop_postgres(&self.data_dir);
        if killed.is_empty() {
            return Ok(());
        }
        Err(format!("Killed, because it did not stop in time: {}. The next start recovers.", killed.join(", ")))
    }
}

fn payments_api(options: Options) -> Command {
    let program = workspace::program("payments-api", options.release);
    process::program(&program.to_string_lossy(), ["--port", &options.ports.payments.to_string()], &workspace::root())
}

fn stand_in(options: Options) -> Command {
    let program = workspace::program("stripe-stand-in", options.release);
    let port = options.ports.stripe.to_string();
    let webhook = format!("http://127.0.0.1:{}/webhooks/stripe", options.ports.portal);
    let arguments = ["--port", &port, "--webhook", &webhook, "--webhook-secret", turnpike::STRIPE_WEBHOOK_SECRET];
    process::program(&program.to_string_lossy(), arguments, &workspace::root())
}

/// `examples/turnpike.yaml`, pointed at where the payments API listens in this run.
fn example_for(var: &Path, ports: Ports) -> Outcome<PathBuf> {
    let example = workspace::root().join("examples/turnpike.yaml");
    if ports.payments == Ports::USUAL.payments {
        return Ok(example);
    }
    let text = fs::read_to_string(&example).map_err(|why| format!("{} cannot be read: {why}.", example.display()))?;
    let usual = format!("127.0.0.1:{}", Ports::USUAL.payments);
    // Documents are named relative to the file, which moves.
    let document =
        ("document: payments-api", format!("document: {}/examples/payments-api", workspace::root().display()));
    if !(text.contains(&usual) && text.contains(document.0)) {
        return Err(format!("{} names neither {usual} nor its document; run with the usual ports.", example.display()));
    }
    let moved = var.join("turnpike.yaml");
    let text = text.replace(&usual, &format!("127.0.0.1:{}", ports.payments)).replace(document.0, &document.1);
    fs::write(&moved, text).map_err(|why| format!("{} cannot be written: {why}.", moved.display()))?;
    Ok(moved)
}
