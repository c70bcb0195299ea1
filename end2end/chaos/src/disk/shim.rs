//! The failing disk: a library in C that is put between the server and the system (see `shim.c`), and what a loss of power leaves
//! behind by its journal.

use crate::{Trouble, world::Random};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A built shim, and where it keeps its journal.
pub struct Shim {
    library: PathBuf,
    journal: PathBuf,
}

/// What the journal tells.
#[derive(Debug, Default)]
pub struct Faults {
    pub failed_syncs: u64,
    pub lies: u64,
    pub failed_writes: u64,
    pub syncs: u64,
    /// What the disk does not have, by inode.
    lost: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Shim {
    /// Compiles it into that folder.
    pub fn build(folder: &Path) -> Result<Self, Trouble> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        fs::write(&source, include_str!("shim.c"))?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-pthread", "-Wall", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = cc.output().map_err(|error| format!("no C compiler: {error}"))?;
        if !output.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(Self { library, journal: folder.join("journal") })
    }

    /// What a server needs in its environment to be under it.
    pub fn environment(&self, mut settings: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        settings.push(("LD_PRELOAD", self.library.display().to_string()));
        settings
    }

    pub fn journal(&self) -> String {
        self.journal.display().to_string()
    }

    /// What happened so far.
    pub fn faults(&self) -> Result<Faults, Trouble> {
        let mut faults = Faults::default();
        // Written and not synced, by inode.
        let mut dirty = BTreeMap::<u64, Vec<(u64, u64)>>::new();
        for line in fs::read_to_string(&self.journal)?.lines() {
            let mut words = line.split(' ');
            let what = words.next().unwrap_or_default();
            let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>()?;
            let inode = *numbers.first().ok_or("a journal line without an inode")?;
            match (what, numbers.as_slice()) {
                ("W", [_, from, to]) => {
                    dirty.entry(inode).or_default().push((*from, *to));
                    // Written anew, the system keeps it again.
                    let lost = faults.lost.entry(inode).or_default();
                    *lost = lost.iter().flat_map(|range| without(*range, (*from, *to))).collect();
                }
                ("S", _) => {
                    faults.syncs += 1;
                    dirty.remove(&inode);
                }
                ("F" | "L", _) => {
                    *(if what == "F" { &mut faults.failed_syncs } else { &mut faults.lies }) += 1;
                    faults.lost.entry(inode).or_default().extend(dirty.remove(&inode).unwrap_or_default());
                }
                _ => faults.failed_writes += 1,
            }
        }
        for (inode, ranges) in dirty {
            faults.lost.entry(inode).or_default().extend(ranges);
        }
        Ok(faults)
    }
}

impl Faults {
    /// Makes the segments below that folder what a loss of power leaves of them: what the disk does not have is gone, where it was
    /// the end of a file, now cut off and now never written. Says how many bytes that were.
    pub fn cut_power(&self, folder: &Path, random: &mut Random) -> Result<u64, Trouble> {
        let mut bytes = 0;
        for lane in fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
            for segment in fs::read_dir(lane.path())?.flatten() {
                let Some(lost) = self.lost.get(&segment.metadata()?.ino()) else { continue };
                let file = fs::File::options().write(true).open(segment.path())?;
                for (from, to) in lost {
                    let to = (*to).min(file.metadata()?.len());
                    if *from >= to {
                        continue;
                    }
                    bytes += to - from;
                    file.write_all_at(&vec![0; usize::try_from(to - from)?], *from)?;
                }
                let mut end = file.metadata()?.len();
                if random.below(2) == 0 {
                    while let Some((from, _)) = lost.iter().find(|(from, to)| *from < end && *to >= end) {
                        end = *from;
                    }
                    file.set_len(end)?;
                }
            }
        }
        Ok(bytes)
    }
}

/// A range without another.
fn without((from, to): (u64, u64), (cut_from, cut_to): (u64, u64)) -> impl Iterator<Item = (u64, u64)> {
    let parts = [(from, to.min(cut_from)), (from.max(cut_to), to)];
    parts.into_iter().filter(|(from, to)| from < to)
}
