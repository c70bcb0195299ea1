//! The mails that accounts send, each as plain text and as HTML: one letter, filled in differently.
//!
//! Links are built from the configured portal address, never from what a request calls the host. The HTML escapes what
//! people typed; a subject is one line.

use crate::state::Settings;
use askama::Template;
use domain::{
    money::group_thousands,
    role::{MemberRole, OperatorRole},
};
use store::NewMail;

/// The one thing that the reader is asked to press.
struct Button {
    label: &'static str,
    link: String,
}

/// What is in a letter; the two templates lay it out.
struct Letter {
    heading: String,
    paragraphs: Vec<String>,
    button: Option<Button>,
    closing: &'static str,
}

#[derive(Template)]
#[template(path = "letter.txt", escape = "none")]
struct TextLetter<'a> {
    heading: &'a str,
    paragraphs: &'a [String],
    button: Option<&'a Button>,
    closing: &'a str,
    provider: &'a str,
    portal_url: &'a str,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct HtmlLetter<'a> {
    heading: &'a str,
    paragraphs: &'a [String],
    button: Option<&'a Button>,
    closing: &'a str,
    provider: &'a str,
    portal_url: &'a str,
}

/// To somebody who signed up: prove that the address is yours. `plan` is the code of the plan they began with.
pub fn verify_address(settings: &Settings, to: &str, name: &str, token: &str, plan: Option<&str>) -> NewMail {
    let mut link = link(settings, "/verify", token);
    if let Some(plan) = plan {
        link.push_str(&format!("&plan={plan}"));
    }
    letter(
        settings,
        to,
        format!("Confirm your e-mail address for {}", settings.provider_name),
        Letter {
            heading: "Confirm your e-mail address".to_owned(),
            paragraphs: vec![
                greeting(name),
                format!(
                    "You signed up to the developer portal of {}. Confirm this address, with the password that \
                     you chose, to open your account. The link works once, for 24 hours.",
                    settings.provider_name
                ),
            ],
            button: Some(Button { label: "Confirm the address", link }),
            closing: "If it was not you who signed up, leave this mail alone: without the link the account stays closed.",
        },
    )
}

/// To the owner of an address that somebody signed up with again.
pub fn already_registered(settings: &Settings, to: &str) -> NewMail {
    letter(
        settings,
        to,
        format!("You already have an account with {}", settings.provider_name),
        Letter {
            heading: "You already have an account".to_owned(),
            paragraphs: vec![
                "Somebody, probably you, signed up with this address, which already has an account. Nothing was changed."
                    .to_owned(),
                format!(
                    "Sign in with your password, or choose a new one at {}/reset if you have forgotten it.",
                    settings.portal_url
                ),
            ],
            button: Some(Button { label: "Sign in", link: format!("{}/sign-in", settings.portal_url) }),
            closing: "If it was not you, there is nothing to do: nobody learned that the account exists.",
        },
    )
}

/// To somebody who forgot the password; it is written before we look whether the address has an account.
pub fn reset_password(settings: &Settings, to: &str, token: &str) -> NewMail {
    letter(
        settings,
        to,
        format!("Choose a new password for {}", settings.provider_name),
        Letter {
            heading: "Choose a new password".to_owned(),
            paragraphs: vec![
                "You asked for a new password. The link below works once, for one hour. \
                 Choosing a new password signs you out everywhere else."
                    .to_owned(),
            ],
            button: Some(Button { label: "Choose a new password", link: link(settings, "/reset/choose", token) }),
            closing: "If it was not you who asked, leave this mail alone: your password stays as it is.",
        },
    )
}

/// To a member whose password has just changed.
pub fn password_changed(settings: &Settings, to: &str, name: &str) -> NewMail {
    letter(
        settings,
        to,
        format!("Your password for {} was changed", settings.provider_name),
        Letter {
            heading: "Your password was changed".to_owned(),
            paragraphs: vec![
                greeting(name),
                "Your password was changed just now, and all other sessions were signed out.".to_owned(),
            ],
            button: Some(Button { label: "It was not me", link: format!("{}/reset", settings.portal_url) }),
            closing: "If it was you, there is nothing to do.",
        },
    )
}

/// To somebody whom a colleague invited.
pub fn invitation(
    settings: &Settings,
    to: &str,
    company: &str,
    invited_by: &str,
    role: MemberRole,
    token: &str,
) -> NewMail {
    let by = if invited_by.is_empty() { "A colleague" } else { invited_by };
    letter(
        settings,
        to,
        format!("Join {company} on {}", settings.provider_name),
        Letter {
            heading: format!("Join {company}"),
            paragraphs: vec![
                format!(
                    "{by} invites you to work with {company} in the developer portal of {}, as {role}: {}.",
                    settings.provider_name,
                    lower_first(role.describe())
                ),
                "The link works once, for 24 hours.".to_owned(),
            ],
            button: Some(Button { label: "Accept the invitation", link: link(settings, "/invitation", token) }),
            closing: "If you do not know who invites you, leave this mail alone.",
        },
    )
}

/// To a new operator: the first sign-in.
pub fn operator_welcome(settings: &Settings, to: &str, role: OperatorRole, token: &str) -> NewMail {
    letter(
        settings,
        to,
        format!("You are an operator of {}", settings.provider_name),
        Letter {
            heading: "Set up your operator account".to_owned(),
            paragraphs: vec![format!(
                "You were made an operator of {}, as {role}. The link below sets your name and password. \
                 It works once, for 24 hours.",
                settings.provider_name
            )],
            button: Some(Button { label: "Set up the account", link: link(settings, "/console/welcome", token) }),
            closing: "If you did not expect this mail, leave it alone and tell your colleagues.",
        },
    )
}

/// News that asks for nothing; the button's link is a path of the portal.
pub fn notice(
    settings: &Settings,
    to: &str,
    subject: String,
    paragraphs: Vec<String>,
    (label, path): (&'static str, &str),
) -> NewMail {
    let button = Some(Button { label, link: format!("{}{path}", settings.portal_url) });
    let closing = "You get this mail because you may change your company's plan.";
    letter(settings, to, subject.clone(), Letter { heading: subject, paragraphs, button, closing })
}

/// To those of a partner who may see money: prepaid units are about to expire.
pub fn credit_expires(settings: &Settings, to: &str, expiring: &store::ExpiringCredit) -> NewMail {
    let when = match expiring.expires_at.in_tz(&expiring.time_zone) {
        Ok(local) => local.strftime("%-d %B %Y at %H:%M").to_string(),
        Err(_) => expiring.expires_at.to_string(),
    };
    let units = group_thousands(expiring.left);
    let (whose, by) = match expiring.products.as_str() {
        "" => (String::new(), "Calls use".to_owned()),
        products => (format!(", for calls of {products} only,"), format!("Calls of {products} use")),
    };
    letter(
        settings,
        to,
        format!("Prepaid units for {} expire on {when}", settings.provider_name),
        Letter {
            heading: "Prepaid units expire soon".to_owned(),
            paragraphs: vec![format!(
                "About {units} prepaid units of yours{whose} expire on {when} ({}). {by} what expires first, so nothing needs to be \
                 done for the units that you use until then.",
                expiring.time_zone
            )],
            button: Some(Button { label: "See your credit", link: format!("{}/home", settings.portal_url) }),
            closing: "You get this mail once for each grant of units, because you may see invoices.",
        },
    )
}

/// To those of a partner who may see money: what its standing order for credit did. Nothing where it did nothing.
pub fn topped_up(settings: &Settings, to: &str, news: &store::ToppedUp) -> Option<NewMail> {
    use store::ToppedUp;
    let (subject, heading, paragraph) = match news {
        ToppedUp::Nothing => return None,
        ToppedUp::Bought(purchase) => (
            format!("Prepaid units were bought for {}", purchase.cost),
            "Your credit was topped up",
            format!(
                "Your balance was low, so {} × {} were bought: {} units for {}. They can be used once invoice TP-{:06} is paid.",
                purchase.quantity,
                purchase.package.name,
                group_thousands(purchase.units),
                purchase.cost,
                purchase.number
            ),
        ),
        ToppedUp::Capped { top_up, spent } => (
            "Your credit is low and was not topped up".to_owned(),
            "The month's cap is reached",
            format!(
                "Fewer than {} units are left. Top-ups of this month cost {spent}, and another one would go beyond the {} that you \
                 allow in a month. Buy units yourself or raise the cap; else calls are refused when nothing is left.",
                group_thousands(top_up.below),
                top_up.monthly_cap
            ),
        ),
        ToppedUp::Failed(why) => (
            "Your credit is low and was not topped up".to_owned(),
            "Nothing could be bought",
            format!(
                "Your balance is low, and your standing order cannot be carried out: {}.",
                why.trim_end_matches('.')
            ),
        ),
    };
    let letter_of = Letter {
        heading: heading.to_owned(),
        paragraphs: vec![paragraph],
        button: Some(Button { label: "See your credit", link: format!("{}/credit", settings.portal_url) }),
        closing: "You get this mail because you may see invoices. You can stop the standing order on that page.",
    };
    Some(letter(settings, to, subject, letter_of))
}

/// About an invoice that is not paid; the button leads to it.
pub fn unpaid(
    settings: &Settings,
    to: &str,
    subject: String,
    paragraphs: Vec<String>,
    invoice: domain::id::InvoiceId,
) -> NewMail {
    let button =
        Some(Button { label: "See and pay the invoice", link: format!("{}/invoices/{invoice}", settings.portal_url) });
    let closing = "You get this mail because you may see your company's invoices. If it was paid in the last days, there is nothing to do.";
    letter(settings, to, subject.clone(), Letter { heading: subject, paragraphs, button, closing })
}

/// About a payment on a page of Stripe's; the button leads to a path of the portal.
pub fn paid(
    settings: &Settings,
    to: &str,
    subject: String,
    paragraphs: Vec<String>,
    (label, path): (&'static str, &str),
) -> NewMail {
    let button = Some(Button { label, link: format!("{}{path}", settings.portal_url) });
    let closing = "You get this mail because you may see your company's invoices.";
    letter(settings, to, subject.clone(), Letter { heading: subject, paragraphs, button, closing })
}

/// About a dispute; the button leads to its page, which is a path of the portal.
pub fn dispute(
    settings: &Settings,
    to: &str,
    subject: &str,
    paragraphs: Vec<String>,
    (page, closing): (&str, &'static str),
) -> NewMail {
    let button = Some(Button { label: "See the dispute", link: format!("{}{page}", settings.portal_url) });
    letter(settings, to, subject.to_owned(), Letter { heading: subject.to_owned(), paragraphs, button, closing })
}

fn letter(settings: &Settings, to: &str, subject: String, letter: Letter) -> NewMail {
    let Letter { heading, paragraphs, button, closing } = &letter;
    let (provider, portal_url) = (settings.provider_name.as_str(), settings.portal_url.as_str());
    let (paragraphs, button) = (paragraphs.as_slice(), button.as_ref());
    let text = TextLetter { heading, paragraphs, button, closing, provider, portal_url };
    let html = HtmlLetter { heading, paragraphs, button, closing, provider, portal_url };
    // The templates can fail only where writing to a String can.
    NewMail {
        recipient: to.to_owned(),
        subject: one_line(&subject),
        body_text: text.render().unwrap_or_default(),
        body_html: html.render().unwrap_or_default(),
    }
}

pub fn link(settings: &Settings, path: &str, token: &str) -> String {
    format!("{}{path}?token={token}", settings.portal_url)
}

fn greeting(name: &str) -> String {
    if name.is_empty() { "Hello,".to_owned() } else { format!("Hello {name},") }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn settings() -> Settings {
        Settings {
            provider_name: "Example Bank".to_owned(),
            provider_address: String::new(),
            portal_url: "https://developers.example".to_owned(),
            gateway_url: "https://api.example".to_owned(),
            gateway_address: "127.0.0.1:8080".to_owned(),
            development: true,
            mail_is_sent: false,
            stripe_is_on: false,
            has_stripe_account: false,
            invoice_sink: crate::state::InvoiceSink::default(),
            four_eyes: false,
            closing_grace: jiff::SignedDuration::from_mins(11),
            hooks_may_be_private: false,
        }
    }

    #[test]
    fn the_link_leads_to_the_configured_portal_in_both_forms() {
        let mail = verify_address(&settings(), "ada@example.com", "Ada", "abc-_1", Some("pro"));
        let link = "https://developers.example/verify?token=abc-_1";
        assert!(mail.body_text.contains(link), "{}", mail.body_text);
        let tag = mail.body_html.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
        let plain = tag.replace("&#38;", "&").replace("&amp;", "&");
        assert_eq!(plain, format!("{link}&plan=pro"), "{}", mail.body_html);
    }

    #[test]
    fn what_people_typed_stays_text() {
        let evil = "<script>alert(1)</script>\r\nBcc: everybody@example.com";
        let mail = invitation(&settings(), "ada@example.com", evil, evil, MemberRole::Viewer, "t");
        assert!(!mail.body_html.contains("<script>"), "{}", mail.body_html);
        assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    }
}
