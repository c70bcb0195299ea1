//! Judges that share no code with us: each a folder of `end2end` with a package.json and a `test` script.

use std::fs;
use std::path::{Path, PathBuf};

use super::tally::{Count, Tally};
use crate::{Outcome, install, process, progress, workspace};

pub fn check(tally: &mut Tally) {
    let referees = folders();
    if referees.is_empty() {
        return;
    }
    tally.one("Building what the referees judge", || {
        process::show(process::cargo(["build", "--package", "server", "--package", "stripe-stand-in"]))
    });
    for folder in referees {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        tally.many(&format!("Referee: {name}"), || judge(&folder));
    }
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace::end2end()).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| folder.join("package.json").is_file()).collect();
    folders.sort();
    folders
}

fn judge(folder: &Path) -> Outcome<Count> {
    install::npm(folder)?;
    let mut command = process::program("npm", ["test", "--silent"], folder);
    for (name, program) in [("TURNPIKE_BIN", "turnpike"), ("STRIPE_STAND_IN_BIN", "stripe-stand-in")] {
        command.env(name, workspace::program(program, false));
    }
    let (well, lines) = process::show_and_read(command)?;
    let count = Count::of(well, &lines);
    if count == Count::default() {
        progress::note("It counted nothing, so its end counts as one.");
        return Ok(Count { passed: 1, failed: 0 });
    }
    Ok(count)
}
