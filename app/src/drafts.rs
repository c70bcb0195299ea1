//! Long texts of forms that came back with errors: too long for the flash cookie, kept in memory for a while so that nothing
//! typed is lost. So many of them and so many bytes, the oldest go first; a restart forgets them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// How many drafts are kept.
const MOST: usize = 256;
/// How many bytes of them, and of the newest in any case.
const MOST_BYTES: usize = 32 * 1024 * 1024;

static DRAFTS: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());

/// Keeps a text; gives the name under which the next page finds it.
pub fn keep(text: String) -> String {
    let mut bytes = [0_u8; 16];
    crate::secrets::fill_random(&mut bytes);
    let name = URL_SAFE_NO_PAD.encode(bytes);
    let mut drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
    drafts.push_back((name.clone(), text));
    make_room(&mut drafts);
    name
}

fn make_room(drafts: &mut VecDeque<(String, String)>) {
    let mut bytes: usize = drafts.iter().map(|(_, text)| text.len()).sum();
    while drafts.len() > MOST || (drafts.len() > 1 && bytes > MOST_BYTES) {
        bytes -= drafts.pop_front().map_or(0, |(_, text)| text.len());
    }
}

/// The text of that name, while it is kept.
pub fn find(name: &str) -> Option<String> {
    let drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
    drafts.iter().find(|(kept, _)| kept == name).map(|(_, text)| text.clone())
}

/// As a restart does.
#[cfg(test)]
pub(crate) fn forget_all() {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_for_what_is_long() {
        let draft = |name: &str, bytes: usize| (name.to_owned(), "x".repeat(bytes));
        let mut drafts = VecDeque::from([draft("a", 1), draft("b", MOST_BYTES / 2), draft("c", MOST_BYTES / 2)]);
        make_room(&mut drafts);
        assert_eq!(drafts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        drafts.push_back(draft("d", MOST_BYTES + 1));
        make_room(&mut drafts);
        assert_eq!(drafts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["d"], "the newest stays");
        drafts.extend((0..MOST).map(|_| draft("e", 0)));
        make_room(&mut drafts);
        assert_eq!((drafts.len(), drafts[0].0.as_str()), (MOST, "e"));
    }
}
