//! Sends the mails that wait, where an SMTP server is configured. Without one they stay, and the dev inbox shows them.

use super::TaskError;
use crate::{
    config::{Smtp, SmtpTls},
    logs,
};
use app::state::Clock;
use jiff::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::authentication::Credentials,
};
use std::time::Duration;
use store::{Mail, Store};

pub const NAME: &str = "send_mail";
pub const PERIOD: Duration = Duration::from_secs(2);
/// How many are taken at once; what is taken and not sent is due again after some minutes.
const AT_ONCE: u32 = 20;

/// A configured way out.
#[derive(Clone)]
pub struct Sender {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Sender {
    /// # Errors
    /// The sender's address or the server's name cannot be used.
    pub fn new(from: &str, smtp: &Smtp) -> Result<Self, TaskError> {
        let builder = match smtp.tls {
            SmtpTls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&smtp.host)?,
            SmtpTls::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&smtp.host)?,
            SmtpTls::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host),
        };
        let builder = builder.port(smtp.port).timeout(Some(Duration::from_secs(30)));
        let builder = match (&smtp.user, &smtp.password) {
            (Some(user), Some(password)) => {
                builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()))
            }
            _ => builder,
        };
        Ok(Self { server: builder.build(), from: from.parse()? })
    }

    async fn send(&self, mail: &Mail) -> Result<(), TaskError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(mail.recipient.parse()?)
            .subject(&mail.subject)
            .multipart(MultiPart::alternative_plain_html(mail.body_text.clone(), mail.body_html.clone()))?;
        self.server.send(message).await?;
        Ok(())
    }
}

/// Sends what is due. A mail that fails waits longer each time and holds up no other.
///
/// # Errors
/// Postgres does not answer, or a mail could not be sent.
pub async fn run(store: Store, clock: Clock, sender: Sender) -> Result<(), TaskError> {
    let mut failure = Ok(());
    for mail in store.take_mails_to_send(AT_ONCE, clock.now()).await? {
        let now: Timestamp = clock.now();
        match sender.send(&mail).await {
            Ok(()) => store.mail_was_sent(mail.id, now).await?,
            Err(error) => {
                store.mail_failed(mail.id, &logs::chain(error.as_ref()), now).await?;
                failure = Err(error);
            }
        }
    }
    failure
}

#[cfg(test)]
mod tests;
