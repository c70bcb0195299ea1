//! Folders of files: walked in a fixed order, hashed, copied.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cannot;
use crate::Outcome;

/// Every file below a folder, sorted; none where there is no such folder.
pub fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).map_err(|why| cannot(folder, &why))? {
        let path = entry.map_err(|why| cannot(folder, &why))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a folder; gives the path of each file in it, with slashes, and its hash.
pub fn copy(from: &Path, to: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut copied = BTreeMap::new();
    for file in files(from)? {
        let inside = file.strip_prefix(from).map_err(|why| why.to_string())?;
        let target = to.join(inside);
        let content = fs::read(&file).map_err(|why| cannot(&file, &why))?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|why| cannot(parent, &why))?;
        }
        fs::write(&target, &content).map_err(|why| cannot(&target, &why))?;
        copied.insert(inside.to_string_lossy().replace('\\', "/"), short_hash(&content));
    }
    Ok(copied)
}

/// One hash over the names and contents of all files below a folder.
pub fn hash_of_folder(folder: &Path) -> Outcome<String> {
    let mut lines = String::new();
    for file in files(folder)? {
        let content = fs::read(&file).map_err(|why| cannot(&file, &why))?;
        lines.push_str(&format!("{} {}\n", hash(&content), file.display()));
    }
    Ok(hash(lines.as_bytes()))
}

/// SHA-256 in hex.
pub fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Enough of the hash to tell any two builds apart, in a name.
pub fn short_hash(content: &[u8]) -> String {
    hash(content).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_and_a_renamed_file_change_the_hash_of_the_folder() {
        let folder = std::env::temp_dir().join(format!("turnpike-tree-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/a.css"), "a").unwrap();
        let first = hash_of_folder(&folder).unwrap();
        fs::write(folder.join("deep/a.css"), "b").unwrap();
        let changed = hash_of_folder(&folder).unwrap();
        fs::rename(folder.join("deep/a.css"), folder.join("deep/b.css")).unwrap();
        let renamed = hash_of_folder(&folder).unwrap();
        assert!(first != changed && changed != renamed);
        assert_eq!(copy(&folder, &folder.join("copy")).unwrap().keys().collect::<Vec<_>>(), ["deep/b.css"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
