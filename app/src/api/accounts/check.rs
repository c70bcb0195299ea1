//! What is right about a name, an address and a password, before anything is done with them.

use crate::{form::Failure, passwords};

/// The name without what does not belong into one, if 1 to 100 characters are left.
pub fn clean_name(name: &str) -> Option<String> {
    let name = one_line(name);
    (1..=100).contains(&name.chars().count()).then_some(name)
}

/// The company's name, 1 to 200 characters.
pub fn clean_company(name: &str) -> Option<String> {
    let name = one_line(name);
    (1..=200).contains(&name.chars().count()).then_some(name)
}

/// The address without spaces around it, if it has the form of one. Whether it exists, only a mail can tell.
pub fn clean_email(email: &str) -> Option<String> {
    let email = email.trim();
    let (local, host) = email.rsplit_once('@')?;
    let plain = email.len() <= 254
        && email.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>(),;:\"\\[]".contains(c));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let host_is_one = host.split('.').count() > 1 && host.split('.').all(label);
    (plain && !local.is_empty() && local.len() <= 64 && !local.contains('@') && host_is_one).then(|| email.to_owned())
}

/// What is wrong with a new password, given the words that it must not consist of.
pub fn password_problem(password: &str, own: &[&str]) -> Option<Failure> {
    let local_parts = own.iter().filter_map(|word| word.split_once('@').map(|(local, _)| local));
    let words: Vec<&str> = own.iter().copied().chain(local_parts).collect();
    passwords::problem(password, &words).map(|problem| Failure::field("password", problem))
}

fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_form_of_addresses() {
        for good in ["ada@example.com", " ada+x@mail.example.co.uk ", "ünal@exämple.com"] {
            assert!(clean_email(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a b@example.com",
            "a@b@example.com",
            "ada@-x.com",
            "ada@example.com\r\nBcc: x@example.com",
            "Ada <ada@example.com>",
        ] {
            assert_eq!(clean_email(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_one_line() {
        assert_eq!(clean_name(" Ada\r\n  Lovelace ").as_deref(), Some("Ada Lovelace"));
        assert_eq!(clean_name(" \t "), None);
        assert_eq!(clean_name(&"x".repeat(101)), None);
    }

    #[test]
    fn a_password_is_not_the_own_address() {
        assert!(password_problem("ada.lovelace1", &["ada.lovelace@example.com"]).is_some());
        assert!(password_problem("a violet toll gate", &["ada.lovelace@example.com"]).is_none());
    }
}
