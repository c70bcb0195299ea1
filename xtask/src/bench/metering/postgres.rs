//! The server's private Postgres, asked from outside.

use crate::{Outcome, process};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Longer than any of it should take.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Postgres {
    address: String,
    folder: PathBuf,
}

/// A session that keeps the shipper waiting.
pub struct Held(Child);

impl Postgres {
    /// That of the data directory.
    pub fn of(data: &Path) -> Outcome<Self> {
        let file = data.join("postgres/data/postmaster.pid");
        let pid = fs::read_to_string(&file).map_err(|why| format!("{}: {why}.", file.display()))?;
        let mut lines = pid.lines().skip(3);
        let (Some(port), Some(socket)) = (lines.next(), lines.next()) else {
            return Err(format!("{} does not say where Postgres is.", file.display()));
        };
        let address = format!("host={socket} port={port} user=turnpike dbname=turnpike");
        Ok(Self { address, folder: data.to_owned() })
    }

    /// What a statement gives, one line for each row.
    pub fn ask(&self, statement: &str) -> Outcome<String> {
        let arguments = ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", &self.address, "-c", statement];
        Ok(process::read(process::program("psql", arguments, &self.folder))?.trim().to_owned())
    }

    /// Events that were taken in so far, of all lanes.
    pub fn shipped(&self) -> Outcome<u64> {
        number(&self.ask("select coalesce(sum(sequence), 0) from spool_positions")?)
    }

    /// Returns as soon as so many events are in.
    pub fn wait_for(&self, events: u64) -> Outcome {
        let begin = Instant::now();
        while self.shipped()? < events {
            if begin.elapsed() > PATIENCE {
                return Err(format!("{events} events were not in after {} s.", PATIENCE.as_secs()));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// How many are in when no more come.
    pub fn settled(&self) -> Outcome<u64> {
        loop {
            let one = self.shipped()?;
            sleep(Duration::from_millis(600));
            if self.shipped()? == one {
                return Ok(one);
            }
        }
    }

    /// Takes a lock that each batch needs.
    pub fn hold_shipping(&self) -> Outcome<Held> {
        let mut psql = Command::new("psql")
            .args(["--no-psqlrc", "-qAt", "-d", &self.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| format!("psql does not start: {why}."))?;
        let script = "begin; lock table spool_positions in exclusive mode;\n";
        let input = psql.stdin.as_mut().ok_or("psql has no input")?;
        input.write_all(script.as_bytes()).and_then(|()| input.flush()).map_err(|why| format!("psql: {why}."))?;
        let held = Held(psql);
        let begin = Instant::now();
        let locked = "select count(*) from pg_locks where mode = 'ExclusiveLock' and granted
                          and relation = 'spool_positions'::regclass";
        while self.ask(locked)? == "0" {
            if begin.elapsed() > PATIENCE {
                return Err("The shipper could not be held.".to_owned());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(held)
    }

    /// Writes the events since then into a file, as COPY reads them.
    pub fn write_rows(&self, folder: &Path, after: u64) -> Outcome<PathBuf> {
        let path = folder.join("rows.bin");
        // One lane has them all or several share them: the newest are the same number either way.
        let newest = self.shipped()?.saturating_sub(after);
        self.ask(&format!(
            "\\copy (select * from usage_events order by at desc limit {newest}) to '{}' (format binary)",
            path.display()
        ))?;
        Ok(path)
    }
}

impl Held {
    /// Lets the shipper go on, and says since when.
    pub fn release(mut self) -> Outcome<Instant> {
        drop(self.0.stdin.take());
        let ended = self.0.wait().map_err(|why| format!("psql was lost: {why}."))?;
        if ended.success() { Ok(Instant::now()) } else { Err(format!("psql failed: {ended}.")) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn number(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| format!("Postgres gave `{text}` where a number was wanted."))
}
