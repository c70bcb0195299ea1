//! `cargo xtask …`: every command that people type. One file per command, one per step.

mod bench;
mod build;
mod chaos;
mod check;
mod http;
mod install;
mod process;
mod progress;
mod run;
mod service;
mod site;
mod test;
mod workspace;

use std::process::ExitCode;

/// What a command gives back; a problem is one line that names its remedy.
type Outcome<T = ()> = Result<T, String>;

const HELP: &str = "\
Usage: cargo xtask <command>

  run     Build everything and run it: portal 3000, gateway 8080, admin and metrics 9090
            --fresh                  begin with empty data
            --port-base N            use ports N, N+1, N+2 and so on
            --with-stripe-stand-in   collect invoices through a stand-in for Stripe
            --release                build with optimisation
  test    Pass every test; ends with `N passed, N failed`
            --fast                   leave the browser out
  bench   Measure, and print: wasm, page, start, cold, limits, all,
            gateway, gateway-flood, gateway-idle, gateway-large, gateway-bodies, metering, usage-query, year;
            those of the gateway measure the program that TURNPIKE_BIN names, where it does
  chaos   Break a running server under load, and check what was promised
            kill --rounds N          with SIGKILL, N times; --nodes 2: two gateways
            credits --nodes N        while calls race for the last units of credit, on N gateways
            retries --keys N         while identical posts race on N Idempotency-Keys, on one gateway, then on two
            upstream PART            while the API fails, is overloaded or its name vanishes
            exhaustion PART          while open files or memory run out under a flood
            sizes                    with requests that are larger than anybody may send
            outage --nodes N         while Postgres is stopped, then while it hangs, under N gateways
            reconcile --faults N     while somebody changes N numbers of usage by SQL, each of which must be named
            postgres --case CASE     while it is stopped, frozen or resets for long, or down at a start; --seconds, --calls
            restore --seconds N      by a Postgres that is put back to N seconds ago
            disk --case CASE         by full disks of the usage log and of Postgres, and by one that fails
            spool --flips N          by a usage log that is cut at every byte, and by N with turned bits
            stripe --case CASE       while a stand-in for Stripe fails, is away for days or sends forged events; --partners, --units, --kills, --made
            month --events N         breaks nothing: a partner-month of N events in either mode of collecting, one number at every door
            purge --nodes N          of kept answers, timed on N gateways
            deploy --rounds N        by N restarts of gateways, changed policies, and Postgres away
            slow-clients             by 10,000 clients that hold connections and hardly use them
            http2-floods             by frames that cost their sender nothing
            crowd                    by changes among 100,000 keys while they call
            --control                with the safeguard off: the check must fail
  check   Let one judge run: cache, smuggling, fuzz --seconds N,
            rating --cases N         prices, by an oracle in exact fractions; --control
  build   Build the program as one file, optimised, with the site inside
            --tuned                  and again by what it does under load: for production
  wasm    Build the browser half into the site folder
  help    This text

CARGO_TARGET_DIR says where to build; without it ./target.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[] as &[String]),
    };
    let outcome = match command {
        "run" => run::run(rest),
        "test" => return test::run(rest),
        "bench" => bench::run(rest),
        "build" => build::run(rest),
        "chaos" => chaos::run(rest),
        "check" => check::run(rest),
        "wasm" => site::build().map(|site| println!("The site is in {}", site.display())),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(format!("There is no command `{other}`. cargo xtask help lists them.")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
