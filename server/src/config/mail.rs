//! How mails leave.

use super::{Reader, Secret};

/// Who sends mails, and over which server.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `Name <address>`.
    pub from: String,
    /// `None`: mails stay in the database and the dev inbox shows them.
    pub smtp: Option<Smtp>,
}

/// One SMTP server.
#[derive(Debug, Clone)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// Plain at first, then upgraded; refused where the server offers no upgrade.
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all: for a relay on the same machine.
    None,
}

impl Mail {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let from = reader.text("TURNPIKE_MAIL_FROM").unwrap_or_else(|| "Turnpike <turnpike@localhost>".to_owned());
        if from.parse::<lettre::message::Mailbox>().is_err() {
            reader
                .problem("TURNPIKE_MAIL_FROM", format!("{from:?} is not a sender, as Turnpike <turnpike@example.com>"));
        }
        let choices = [("starttls", SmtpTls::Starttls), ("tls", SmtpTls::Tls), ("none", SmtpTls::None)];
        let tls = reader.choice("TURNPIKE_SMTP_TLS", &choices, SmtpTls::Starttls);
        let usual_port = match tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        };
        let port = reader.number("TURNPIKE_SMTP_PORT", 1, u16::MAX).unwrap_or(usual_port);
        let user = reader.text("TURNPIKE_SMTP_USER");
        let password = reader.secret("TURNPIKE_SMTP_PASSWORD");
        if user.is_some() != password.is_some() {
            reader.problem("TURNPIKE_SMTP_USER", "user and password belong together: set both or neither");
        }
        let smtp = reader.text("TURNPIKE_SMTP_HOST").map(|host| Smtp { host, port, tls, user, password });
        Self { from, smtp }
    }
}
