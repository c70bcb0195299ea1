//! Making the text of a key or token: what is shown once, and what is kept of it.

use app::secrets::{Secrets, fill_random};
use domain::key_text::{KeyKind, KeyText};
use store::NewSecret;

/// A new text and what the database keeps of it.
pub struct NewKeyText {
    pub text: KeyText,
    pub secret: NewSecret,
}

/// Draws a text from the system's generator.
pub fn new_key_text(secrets: &Secrets, kind: KeyKind) -> NewKeyText {
    let text = KeyText::generate(kind, fill_random);
    let secret = NewSecret { hash: secrets.hash_key(text.expose()), last_four: text.last_four().to_owned() };
    NewKeyText { text, secret }
}
