//! A line of a file that this installation believes only as it has written it: JSON, what it is and when Postgres said so, and
//! HMAC-SHA-256 over all of that in base64, with tabs between them. JSON as we write it holds neither tab nor line end.

use app::secrets::Secrets;
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;

/// What a line is, so that none can stand for another.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Whole,
    Change,
    /// A version that was the newest.
    Checked,
    /// Which program kept a whole directory.
    Keeper,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Whole => "directory",
            Self::Change => "change",
            Self::Checked => "checked",
            Self::Keeper => "keeper",
        }
    }
}

/// An opened line.
#[derive(Debug)]
pub struct Line<'a> {
    pub json: &'a [u8],
    pub at: Timestamp,
}

/// The line, with its end.
pub fn seal(json: Vec<u8>, part: Part, at: Timestamp, secrets: &Secrets) -> Vec<u8> {
    let mut line = json;
    line.extend_from_slice(format!("\t{} {at}", part.name()).as_bytes());
    let seal = BASE64_STANDARD.encode(secrets.sign_file(&line));
    line.extend_from_slice(format!("\t{seal}\n").as_bytes());
    line
}

/// What a line holds, if it is just as it was written.
pub fn open<'a>(line: &'a [u8], part: Part, secrets: &Secrets) -> Option<Line<'a>> {
    let line = line.strip_suffix(b"\n")?;
    let (signed, seal) = split(line)?;
    let seal: [u8; 32] = BASE64_STANDARD.decode(seal).ok()?.try_into().ok()?;
    if secrets.sign_file(signed) != seal {
        return None;
    }
    let (json, said) = split(signed)?;
    let (name, at) = str::from_utf8(said).ok()?.split_once(' ')?;
    (name == part.name()).then_some(Line { json, at: at.parse().ok()? })
}

/// The seal of a line that was opened.
pub fn seal_of(line: &[u8]) -> &[u8] {
    split(line).map_or(&[], |(_, seal)| seal.trim_ascii_end())
}

/// Around the last tab.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = line.iter().rposition(|byte| *byte == b'\t')?;
    Some((line.get(..tab)?, line.get(tab + 1..)?))
}
