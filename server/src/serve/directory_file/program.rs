//! Which build this program is, by the build id that the linker writes into it: a hash of all that it made. It stands in the first
//! pages of the file, so it costs no time; a program without one is told from none.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::OnceLock,
};

const NOTES: u32 = 4;
/// Of the notes that GNU's tools write.
const BUILD_ID: u32 = 3;
/// The head of a file of 64 bits.
const HEAD_BYTES: usize = 64;
/// Notes take a few hundred bytes.
const MOST_NOTES: u64 = 64 << 10;

/// This build's id in hexadecimal digits, where it has one.
pub fn build() -> Option<&'static str> {
    static BUILD: OnceLock<Option<String>> = OnceLock::new();
    // The file that runs, also where another one has taken its name.
    BUILD.get_or_init(|| build_id(&mut File::open("/proc/self/exe").ok()?)).as_deref()
}

/// Of an ELF file of 64 bits in little-endian order, as all are that we run on.
fn build_id(file: &mut (impl Read + Seek)) -> Option<String> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head).ok()?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (size, count) = (u64::from(u16_at(&head, 0x36)?), u64::from(u16_at(&head, 0x38)?));
    let mut table = vec![0; usize::try_from(size * count).ok()?];
    file.seek(SeekFrom::Start(u64_at(&head, 0x20)?)).ok()?;
    file.read_exact(&mut table).ok()?;
    for entry in table.chunks_exact(usize::try_from(size).ok().filter(|size| *size > 0)?) {
        if u32_at(entry, 0)? != NOTES {
            continue;
        }
        let (offset, length, align) = (u64_at(entry, 0x08)?, u64_at(entry, 0x20)?, u64_at(entry, 0x30)?);
        let mut notes = Vec::new();
        file.seek(SeekFrom::Start(offset)).ok()?;
        file.take(length.min(MOST_NOTES)).read_to_end(&mut notes).ok()?;
        if let Some(id) = id_in(&notes, if align == 8 { 8 } else { 4 }) {
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }
    None
}

/// Each note is the lengths of its name and of what it says, its kind, and both, padded.
fn id_in(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    loop {
        let (name, said, kind) = (u32_at(notes, 0)? as usize, u32_at(notes, 4)? as usize, u32_at(notes, 8)?);
        let begins = 12_usize.checked_add(name)?.checked_next_multiple_of(align)?;
        let ends = begins.checked_add(said)?;
        if kind == BUILD_ID && notes.get(12..12 + name)? == b"GNU\0" {
            return notes.get(begins..ends).filter(|id| !id.is_empty());
        }
        notes = notes.get(ends.checked_next_multiple_of(align)?..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn note(name: &[u8], kind: u32, said: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for number in [name.len() as u32, said.len() as u32, kind] {
            note.extend_from_slice(&number.to_le_bytes());
        }
        for part in [name, said] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    /// A program of two tables' entries, the second of which are its notes.
    fn program(id: &[u8]) -> Vec<u8> {
        let notes =
            [note(b"GNU\0", 1, &[0; 16]), note(b"Own\0", BUILD_ID, b"no"), note(b"GNU\0", BUILD_ID, id)].concat();
        let mut program = vec![0; HEAD_BYTES + 2 * 56];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[0x20] = HEAD_BYTES as u8;
        program[0x36] = 56;
        program[0x38] = 2;
        let entry = HEAD_BYTES + 56;
        program[entry] = NOTES as u8;
        program[entry + 8] = (HEAD_BYTES + 2 * 56) as u8;
        program[entry + 0x20..entry + 0x24].copy_from_slice(&(notes.len() as u32).to_le_bytes());
        program[entry + 0x30] = 4;
        program.extend_from_slice(&notes);
        program
    }

    #[test]
    fn two_builds_of_the_same_length_are_told_apart() {
        let of = |id: &[u8]| build_id(&mut Cursor::new(program(id)));
        assert_eq!(of(b"\x01\xab\x00\x03"), Some("01ab0003".to_owned()));
        assert_ne!(of(b"\x01\xab\x00\x03"), of(b"\x01\xab\x00\x04"));
        assert_eq!(of(b""), None);
    }

    #[test]
    fn what_is_no_program_or_is_cut_off_has_no_build() {
        let whole = program(b"\x01\xab\x00\x03");
        for length in 0..whole.len() {
            assert_eq!(build_id(&mut Cursor::new(&whole[..length])), None, "{length} bytes");
        }
        for byte in 0..whole.len() {
            // Whatever it says, it is read to its end.
            let mut bad = whole.clone();
            bad[byte] ^= 0xff;
            build_id(&mut Cursor::new(bad));
        }
    }

    /// Else every start would read the whole directory from Postgres.
    #[test]
    #[cfg(target_os = "linux")]
    fn this_very_program_has_one() {
        assert!(build().is_some_and(|id| id.len() >= 16), "{:?}", build());
    }
}
