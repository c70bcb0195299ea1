//! What earlier runs left: a Postgres whose server was killed, and the data itself for `--fresh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::{Outcome, process, progress};

/// Where the server keeps Postgres data that its user cannot reach in the data directory; `data/postgres` is then a link.
const REACHABLE: &str = "/var/lib/turnpike";

/// Deletes everything of an installation.
pub fn empty(var: &Path) -> Outcome {
    if !var.exists() {
        return Ok(());
    }
    progress::step("Emptying var", || {
        stop_postgres(&data_dir(var));
        if let Ok(elsewhere) = fs::read_link(data_dir(var).join("postgres"))
            && elsewhere.starts_with(REACHABLE)
            && elsewhere.exists()
        {
            remove(&elsewhere)?;
        }
        remove(var)
    })
}

/// The data directory of the server.
pub fn data_dir(var: &Path) -> PathBuf {
    var.join("data")
}

/// Stops a Postgres that its server did not stop. A server that ends well leaves nothing to do here.
pub fn stop_postgres(data_dir: &Path) {
    let Ok(data) = data_dir.join("postgres/data").canonicalize() else { return };
    let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let Some(pid) = pid.lines().next().map(str::trim).filter(|pid| is_at_work_in(pid, &data)) else { return };
    process::signal("INT", pid);
    for _ in 0..100 {
        if !is_at_work_in(pid, &data) {
            return;
        }
        sleep(Duration::from_millis(20));
    }
}

fn is_at_work_in(pid: &str, data: &Path) -> bool {
    fs::read_link(Path::new("/proc").join(pid).join("cwd")).is_ok_and(|folder| folder == data)
}

fn remove(folder: &Path) -> Outcome {
    fs::remove_dir_all(folder).map_err(|why| format!("{} cannot be emptied: {why}.", folder.display()))
}
