//! The site inside the binary, for a program that is one file: written to the data directory at the start, so that it is
//! served like a built site.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

#[derive(rust_embed::Embed)]
#[folder = "$TURNPIKE_SITE_DIR"]
struct Files;

/// Writes the files below `data_dir`; gives the site's folder.
pub fn unpack(data_dir: &Path) -> io::Result<PathBuf> {
    let site = data_dir.join("site");
    for name in Files::iter() {
        let Some(file) = Files::get(&name) else { continue };
        let path = site.join(name.as_ref());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if fs::read(&path).ok().as_deref() != Some(file.data.as_ref()) {
            fs::write(path, &file.data)?;
        }
    }
    Ok(site)
}
