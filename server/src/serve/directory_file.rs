//! The last directory on disk, so that a gateway can start while Postgres is down: a whole one, beside it a line for each
//! change since, so that keeping one change of a large directory costs what the change is worth, and when Postgres last said that
//! this is the newest.
//!
//! Each line is sealed under the installation's secret, see [`Line`], so what somebody else has changed is not believed; nor is
//! what is older than `TURNPIKE_DIRECTORY_MAX_AGE`: a key that was revoked meanwhile would be let in. Who can write to the data
//! directory can put an earlier state of all these files back, and that one ages too.
//!
//! A start with Postgres takes it too where Postgres says that it is of the newest version, and of the edition that this version has there: reading that from the database is most of
//! what a start takes. Only what this very program has kept counts there, as another one may have known less of the directory.

mod line;
mod program;

use crate::data_dir::{DataDir, append, replace};
use app::secrets::Secrets;
use domain::directory::{Changes, Directory};
use jiff::Timestamp;
use line::{Line, Part};
use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

/// When the lines take more, the directory is written as a whole again.
const MOST_CHANGES: u64 = 4 << 20;
/// How often it is noted on disk that the directory is still the newest, in seconds at most.
const NOTE_EVERY: u64 = 60;

/// Where a node keeps its directory, under which secret, and how long it is believed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Place {
    data: DataDir,
    secrets: Arc<Secrets>,
    /// Seconds.
    max_age: u64,
    freshness: Freshness,
}

impl Place {
    /// `max_age` in seconds.
    pub fn new(data: DataDir, secrets: Arc<Secrets>, max_age: u64) -> Self {
        Self { data, secrets, max_age, freshness: Freshness::default() }
    }

    pub fn freshness(&self) -> Freshness {
        self.freshness.clone()
    }

    /// A change as a line of the file.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn line(&self, changes: &Changes, now: Timestamp) -> io::Result<Vec<u8>> {
        Ok(line::seal(serde_json::to_vec(changes)?, Part::Change, now, &self.secrets))
    }

    /// What notes on disk that this version was the newest at that instant.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written.
    pub fn note_checked(&self, version: i64, at: Timestamp) -> io::Result<()> {
        let line = line::seal(version.to_string().into_bytes(), Part::Checked, at, &self.secrets);
        replace(&self.data.directory_checked(), &line)
    }
}

/// When Postgres last said that the directory in force is the newest. Shared by those who follow it and those who are asked.
#[derive(Debug, Clone, Default)]
pub struct Freshness(Arc<AtomicI64>);

impl Freshness {
    pub fn note(&self, at: Timestamp) {
        self.0.fetch_max(at.as_second(), Relaxed);
    }

    /// Seconds since then; zero where it was never asked, as before the first directory.
    pub fn age(&self, now: Timestamp) -> u64 {
        match self.0.load(Relaxed) {
            0 => 0,
            at => u64::try_from(now.as_second() - at).unwrap_or(0),
        }
    }
}

/// What keeps it.
#[derive(Debug)]
pub struct DirectoryFile {
    place: Place,
    /// The version that the files make together, where this process has written all of it.
    version: Option<i64>,
    changes_bytes: u64,
    /// The version and the second of the last note, see [`Self::is_note_due`].
    noted: Option<(i64, i64)>,
}

impl DirectoryFile {
    pub const fn new(place: Place) -> Self {
        Self { place, version: None, changes_bytes: 0, noted: None }
    }

    /// Whether the files are known to make up the directory of that version.
    pub fn is_of(&self, version: i64) -> bool {
        self.version == Some(version)
    }

    /// Keeps this directory in the place of all before.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written.
    pub fn keep(&mut self, directory: &Directory, now: Timestamp) -> io::Result<()> {
        self.version = None;
        let Place { data, secrets, .. } = &self.place;
        let whole = line::seal(serde_json::to_vec(directory)?, Part::Whole, now, secrets);
        replace(&data.directory(), &whole)?;
        // Where this is not reached, its lines are of versions that the whole has in it.
        match fs::remove_file(data.directory_changes()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        replace(&data.directory_keeper(), &line::seal(keeper(&whole), Part::Keeper, now, secrets))?;
        (self.version, self.changes_bytes) = (Some(directory.version), 0);
        Ok(())
    }

    /// Adds the line of a change, see [`Place::line`], which led to this directory.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written; then the next change keeps all.
    pub fn keep_changes(&mut self, since: i64, line: &[u8], directory: &Directory, now: Timestamp) -> io::Result<()> {
        if self.version != Some(since) || self.changes_bytes > MOST_CHANGES {
            return self.keep(directory, now);
        }
        self.version = None;
        self.changes_bytes = append(&self.place.data.directory_changes(), line)?;
        self.version = Some(directory.version);
        Ok(())
    }

    /// Whether it is to be noted that this version was the newest at that instant; where it is, it is taken for done.
    pub fn is_note_due(&mut self, version: i64, at: Timestamp) -> bool {
        let period = i64::try_from(NOTE_EVERY.min(self.place.max_age / 4)).unwrap_or_default();
        let is_fresh =
            |(of, noted): (i64, i64)| of == version && (noted..noted + period.max(1)).contains(&at.as_second());
        // Files that do not make up this version must not be said to be the newest.
        let is_due = self.is_of(version) && !self.noted.is_some_and(is_fresh);
        if is_due {
            self.noted = Some((version, at.as_second()));
        }
        is_due
    }
}

/// Why what is on disk is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Unbelievable {
    #[error("{0} is not as this installation has written it: it was changed, or belongs to another TURNPIKE_SECRET")]
    Changed(String),
    #[error("the directory on disk is behind the one that Postgres had last: changes are missing from {0}")]
    Shortened(String),
    #[error(
        "the directory on disk was last compared with Postgres {age} seconds ago, and TURNPIKE_DIRECTORY_MAX_AGE allows {most}"
    )]
    TooOld { age: u64, most: u64 },
}

/// A directory from disk.
#[derive(Debug, PartialEq)]
pub struct Kept {
    pub directory: Directory,
    /// When Postgres last said that it is the newest.
    pub at: Timestamp,
    /// Whether this very program has kept it, and not the one before an upgrade.
    pub by_this_program: bool,
}

/// The directory that was kept, if there is one that can be read.
///
/// # Errors
/// There is one, and it is not to be believed.
pub fn read(place: &Place, now: Timestamp) -> Result<Option<Kept>, Unbelievable> {
    let path = place.data.directory();
    let Some(text) = read_file(&path) else { return Ok(None) };
    let sealed = line::open(&text, Part::Whole, &place.secrets).ok_or_else(|| Unbelievable::Changed(shown(&path)))?;
    let damaged = |error: &_| tracing::warn!(%error, path = %path.display(), "the last directory cannot be read");
    let Ok(mut directory) = serde_json::from_slice::<Directory>(sealed.json).inspect_err(damaged) else {
        return Ok(None);
    };
    directory.sort();
    let mut kept = Kept { directory, at: sealed.at, by_this_program: is_by_this_program(place, &text) };
    read_changes(place, &mut kept)?;
    if let Some((version, at)) = checked(place) {
        if version > kept.directory.version && at > kept.at {
            return Err(Unbelievable::Shortened(shown(&place.data.directory_changes())));
        }
        if version == kept.directory.version {
            kept.at = kept.at.max(at);
        }
    }
    place.freshness.note(kept.at);
    let age = place.freshness.age(now);
    if age > place.max_age {
        return Err(Unbelievable::TooOld { age, most: place.max_age });
    }
    Ok(Some(kept))
}

/// Takes in what changed. A last line that was cut off ends it, as a crash leaves it, and so does one that does not follow.
fn read_changes(place: &Place, kept: &mut Kept) -> Result<(), Unbelievable> {
    let path = place.data.directory_changes();
    let Some(text) = read_file(&path) else { return Ok(()) };
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") {
            tracing::warn!(path = %path.display(), "the last change of the directory was cut off");
            return Ok(());
        }
        let Line { json, at } =
            line::open(line, Part::Change, &place.secrets).ok_or_else(|| Unbelievable::Changed(shown(&path)))?;
        let changes: Changes = match serde_json::from_slice(json) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a change of the directory cannot be read");
                return Ok(());
            }
        };
        if changes.found.version <= kept.directory.version {
            // The whole has it in it.
            continue;
        }
        if kept.directory.apply(changes).is_none() {
            tracing::warn!(path = %path.display(), "the last changes of the directory have a gap");
            return Ok(());
        }
        kept.at = kept.at.max(at);
    }
    Ok(())
}

/// The newest version, and when Postgres said so last.
fn checked(place: &Place) -> Option<(i64, Timestamp)> {
    let text = read_file(&place.data.directory_checked())?;
    let sealed = line::open(&text, Part::Checked, &place.secrets)?;
    Some((str::from_utf8(sealed.json).ok()?.parse().ok()?, sealed.at))
}

/// What says that this program has written that file: what tells the program from the one that an upgrade puts in its place, and the
/// file's seal.
fn keeper(whole: &[u8]) -> Vec<u8> {
    let program = program::build().unwrap_or_default();
    [program.as_bytes(), b" ", line::seal_of(whole)].concat()
}

fn is_by_this_program(place: &Place, whole: &[u8]) -> bool {
    let said = read_file(&place.data.directory_keeper());
    let said = said.as_deref().and_then(|text| line::open(text, Part::Keeper, &place.secrets));
    program::build().is_some() && said.is_some_and(|said| said.json == keeper(whole))
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "what was kept of the directory cannot be read");
            None
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
