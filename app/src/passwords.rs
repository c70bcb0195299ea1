//! Passwords: Argon2id off the async threads, as many at once as there are cores, and the rules for a new one.
//!
//! Rules follow NIST SP 800-63B and ASVS 6.2: at least 8 characters, at most 1,000 bytes, no composition rules, not
//! among the commonest, not the company's or the person's own name.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::LazyLock;
use tokio::{sync::Semaphore, task::spawn_blocking};

static HASHING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

/// The commonest passwords of eight characters and more, in lower case.
const COMMON: &str = include_str!("passwords/common.txt");

/// Why a password cannot be taken, as a sentence; `context` holds words that it must not consist of.
pub fn problem(password: &str, context: &[&str]) -> Option<&'static str> {
    if password.chars().count() < 8 {
        return Some("Use at least 8 characters");
    }
    if password.len() > 1_000 {
        return Some("Use at most 1,000 characters");
    }
    let lower = password.to_lowercase();
    if COMMON.lines().any(|common| common == lower) {
        return Some("This password is among the commonest ones; choose another");
    }
    let own = |word: &&str| word.len() >= 4 && lower.contains(&word.to_lowercase()) && lower.len() < word.len() + 4;
    if context.iter().any(own) {
        return Some("This password is your own name or address; choose another");
    }
    None
}

/// The Argon2id hash in PHC form.
pub async fn hash(password: String) -> Option<String> {
    let _turn = HASHING.acquire().await.ok()?;
    let hashed =
        spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()).ok().map(|h| h.to_string()));
    hashed.await.ok().flatten()
}

/// Whether the password belongs to the hash. Without a hash the same work is done, so that the time tells nothing.
pub async fn verify(password: String, hash: Option<String>) -> bool {
    static NOBODY: LazyLock<Option<String>> =
        LazyLock::new(|| Argon2::default().hash_password(b"nobody has this").ok().map(|hash| hash.to_string()));
    let Ok(_turn) = HASHING.acquire().await else { return false };
    let checked = spawn_blocking(move || {
        let known = hash.is_some();
        let Some(text) = hash.or_else(|| NOBODY.clone()) else { return false };
        let Ok(parsed) = PasswordHash::new(&text) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hashed = hash("correct horse".to_owned()).await;
        assert!(hashed.as_deref().is_some_and(|text| text.starts_with("$argon2id$")));
        assert!(verify("correct horse".to_owned(), hashed.clone()).await);
        assert!(!verify("correct horsf".to_owned(), hashed).await);
        assert!(!verify("nobody has this".to_owned(), None).await);
    }

    #[test]
    fn weak_passwords_are_told_why() {
        for weak in ["short", "password1", "acme-payments1"] {
            assert!(problem(weak, &["acme-payments"]).is_some(), "{weak}");
        }
        assert_eq!(problem("a violet toll gate", &["acme"]), None);
    }
}
