//! Long texts of forms that came back with errors: too long for the flash cookie, kept in memory for a while so that nothing
//! typed is lost. A few of them, the oldest go first; a restart forgets them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// How many drafts are kept.
const MOST: usize = 8;

static DRAFTS: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());

/// Keeps a text; gives the name under which the next page finds it.
pub fn keep(text: String) -> String {
    let mut bytes = [0_u8; 16];
    crate::secrets::fill_random(&mut bytes);
    let name = URL_SAFE_NO_PAD.encode(bytes);
    let mut drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
    drafts.push_back((name.clone(), text));
    if drafts.len() > MOST {
        drafts.pop_front();
    }
    name
}

/// The text of that name, while it is kept.
pub fn find(name: &str) -> Option<String> {
    let drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
    drafts.iter().find(|(kept, _)| kept == name).map(|(_, text)| text.clone())
}
