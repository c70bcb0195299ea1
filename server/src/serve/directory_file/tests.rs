//! What a start without Postgres believes.

use super::*;
use domain::{
    directory::{Key, KeyKind},
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
};
use jiff::SignedDuration;
use uuid::Uuid;

const DAY: u64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn key(number: u128) -> Key {
    Key {
        id: KeyId(Uuid::from_u128(number)),
        hash: [7; 32],
        partner: PartnerId(Uuid::from_u128(1)),
        app: AppId(Uuid::from_u128(1)),
        team: None,
        environment: Environment::Live,
        kind: KeyKind::Key,
        allowed_addresses: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        revoked_at: None,
    }
}

/// The next version, in which this key is as it is here.
fn changed(place: &Place, directory: &mut Directory, key: Key) -> (i64, Vec<u8>) {
    let since = directory.version;
    let found = Directory { version: since + 1, keys: vec![key.clone()], ..Directory::default() };
    let changes = Changes { since, products: Vec::new(), partners: Vec::new(), keys: vec![key.id], found };
    let line = place.line(&changes, at(1)).expect("a line");
    directory.apply(changes).expect("it follows");
    (since, line)
}

fn folder() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(folder.path()).expect("a data directory");
    (folder, Place::new(data, Arc::new(Secrets::from_master([7; 32])), DAY))
}

/// The directory that a start one second after the first write believes.
fn believed(place: &Place) -> Option<Directory> {
    read(place, at(2)).expect("believed").map(|kept| kept.directory)
}

#[test]
fn what_was_kept_is_read_and_a_changed_byte_anywhere_is_not_believed() {
    let (_folder, place) = folder();
    assert_eq!(believed(&place), None);
    let mut directory = Directory { version: 7, ..Directory::default() };
    let mut file = DirectoryFile::new(place.clone());
    file.keep(&directory, at(1)).expect("kept");
    assert_eq!(believed(&place), Some(directory.clone()));
    let (since, line) = changed(&place, &mut directory, key(1));
    file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    for path in [place.data.directory(), place.data.directory_changes()] {
        let good = fs::read(&path).expect("a file");
        // Without the last line's end it is one that was cut off.
        for byte in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[byte] ^= 1;
            fs::write(&path, bad).expect("written");
            assert!(matches!(read(&place, at(2)), Err(Unbelievable::Changed(_))), "byte {byte} of {}", path.display());
        }
        fs::write(&path, good).expect("written");
    }
    assert_eq!(believed(&place), Some(directory));
    let other = Place::new(place.data.clone(), Arc::new(Secrets::from_master([8; 32])), DAY);
    assert!(matches!(read(&other, at(2)), Err(Unbelievable::Changed(_))), "of another installation");
}

#[test]
fn a_change_that_was_taken_out_is_missed_once_postgres_was_asked_after_it() {
    let (_folder, place) = folder();
    let (mut file, mut directory) = (DirectoryFile::new(place.clone()), Directory::default());
    file.keep(&directory, at(1)).expect("kept");
    let (since, line) = changed(&place, &mut directory, key(1));
    file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    place.note_checked(directory.version, at(2)).expect("noted");
    fs::remove_file(place.data.directory_changes()).expect("removed");
    assert!(matches!(read(&place, at(3)), Err(Unbelievable::Shortened(_))));
    // A Postgres that was put back to an earlier instant has lower versions, and what is kept then is newer than the note.
    file.keep(&Directory::default(), at(5)).expect("kept");
    assert_eq!(read(&place, at(6)).expect("believed").expect("a directory").at, at(5));
}

#[test]
fn its_age_counts_from_the_last_time_that_postgres_was_asked_and_has_a_limit() {
    let (_folder, place) = folder();
    let directory = Directory { version: 7, ..Directory::default() };
    let mut file = DirectoryFile::new(place.clone());
    file.keep(&directory, at(1)).expect("kept");
    let limit = i64::try_from(DAY).expect("a number");
    assert!(read(&place, at(1 + limit)).is_ok());
    assert!(matches!(read(&place, at(2 + limit)), Err(Unbelievable::TooOld { age, .. }) if age == DAY + 1));
    assert!(file.is_note_due(7, at(100)) && !file.is_note_due(7, at(159)) && file.is_note_due(7, at(160)));
    assert!(!file.is_note_due(8, at(400)), "which is not on disk");
    place.note_checked(7, at(160)).expect("noted");
    assert_eq!(read(&place, at(2 + limit)).expect("believed").expect("a directory").at, at(160));
    assert_eq!(place.freshness().age(at(170)), 10);
}

#[test]
fn it_says_whether_this_very_program_has_kept_it() {
    let (_folder, place) = folder();
    let (mut file, mut directory) = (DirectoryFile::new(place.clone()), Directory::default());
    let by_this = || read(&place, at(9)).expect("believed").expect("a directory").by_this_program;
    file.keep(&directory, at(1)).expect("kept");
    assert!(by_this());
    let (since, line) = changed(&place, &mut directory, key(1));
    file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    assert!(by_this(), "and what changed since");
    // A program that knows nothing of this writes the whole anew, the same or another.
    let ours = fs::read(place.data.directory()).expect("a file");
    let theirs = line::seal(serde_json::to_vec(&directory).expect("JSON"), Part::Whole, at(2), &place.secrets);
    fs::write(place.data.directory(), theirs).expect("written");
    assert!(!by_this());
    fs::write(place.data.directory(), &ours).expect("written");
    assert!(by_this());
    let note = |text: &[u8], part| line::seal(text.to_vec(), part, at(1), &place.secrets);
    let own = keeper(&ours);
    let other = [b"1-1-1 ", line::seal_of(&ours)].concat();
    for bad in [note(&other, Part::Keeper), note(&own, Part::Checked), own, Vec::new()] {
        fs::write(place.data.directory_keeper(), bad).expect("written");
        assert!(!by_this());
    }
    fs::remove_file(place.data.directory_keeper()).expect("removed");
    assert!(!by_this());
}

#[test]
fn changes_are_kept_beside_the_whole_and_a_revoked_key_stays_revoked() {
    let (_folder, place) = folder();
    let (mut file, mut directory) = (DirectoryFile::new(place.clone()), Directory::default());
    directory.keys = vec![key(1), key(2)];
    file.keep(&directory, at(1)).expect("kept");
    let whole = fs::read(place.data.directory()).expect("a file");
    for key in [Key { revoked_at: Some(Timestamp::UNIX_EPOCH), ..key(1) }, key(3)] {
        let (since, line) = changed(&place, &mut directory, key);
        file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    }
    assert_eq!(fs::read(place.data.directory()).expect("a file"), whole, "the whole was not written again");
    let kept = believed(&place).expect("a directory");
    assert_eq!(kept, directory);
    assert!(kept.keys.len() == 3 && kept.keys[0].revoked_at.is_some());
}

#[test]
fn a_line_that_was_cut_off_ends_what_is_believed_and_the_next_process_writes_the_whole() {
    let (_folder, place) = folder();
    let (mut file, mut directory) = (DirectoryFile::new(place.clone()), Directory::default());
    file.keep(&directory, at(1)).expect("kept");
    let (since, line) = changed(&place, &mut directory, key(1));
    file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    let before = directory.clone();
    let (_, line) = changed(&place, &mut directory, key(2));
    append(&place.data.directory_changes(), &line[..line.len() / 2]).expect("cut off");
    assert_eq!(believed(&place), Some(before));

    let mut file = DirectoryFile::new(place.clone());
    let (since, line) = changed(&place, &mut directory, key(3));
    file.keep_changes(since, &line, &directory, at(1)).expect("kept");
    assert_eq!(believed(&place), Some(directory));
}

#[test]
fn lines_of_versions_that_the_whole_has_are_passed_over_and_a_gap_ends_them() {
    let (_folder, place) = folder();
    let mut directory = Directory::default();
    let mut lines = [key(1), key(2), key(3)].map(|key| (changed(&place, &mut directory, key).1, directory.clone()));
    let (last, whole) = (lines[2].1.clone(), lines[0].1.clone());
    DirectoryFile::new(place.clone()).keep(&whole, at(1)).expect("kept");
    let text = lines.each_ref().map(|(line, _)| line.as_slice()).concat();
    append(&place.data.directory_changes(), &text).expect("added");
    assert_eq!(believed(&place), Some(last));

    lines.swap(1, 2);
    fs::write(place.data.directory_changes(), lines.map(|(line, _)| line).concat()).expect("written");
    assert_eq!(believed(&place), Some(whole));
}
