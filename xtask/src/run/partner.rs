//! The example's partner: their invitation is accepted as they would do it in the portal, so that there is somebody to
//! sign in as.

use std::fs::File;
use std::io::Read;

use serde_json::Value;

use super::memory::SignIn;
use crate::{Outcome, http};

/// Accepts the first invitation in what `turnpike apply` answered; `None` where there is none.
pub fn accept(applied: &Value, portal: u16) -> Outcome<Option<SignIn>> {
    let Some(invitation) = applied["invitations"].get(0) else { return Ok(None) };
    let text = |name: &str| invitation[name].as_str().unwrap_or_default();
    let (email, link) = (text("email"), text("link"));
    let token = link.split_once("token=").map_or("", |(_, token)| token);
    let password = new_password()?;
    let form = [("token", token), ("name", "Olivia Owner"), ("password", &password)];
    let answer = http::post(portal, "/do/invitation", &form).ok_or("The portal does not answer.")?;
    match answer.header("location") {
        Some(place) if place.ends_with("/home") => Ok(Some(SignIn { email: email.to_owned(), password })),
        _ => Err(format!("The portal did not take the invitation of {email}: it answered {}.", answer.status)),
    }
}

/// Twenty random letters and digits.
fn new_password() -> Outcome<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0_u8; 20];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|why| format!("/dev/urandom cannot be read: {why}."))?;
    Ok(random.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect())
}
