//! A small SMTP server, and what reaches it.

use super::*;
use std::sync::{Arc, Mutex};
use store::{NewMail, test_db};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

type Letters = Arc<Mutex<Vec<String>>>;

/// Takes every letter but those to `refused@…`.
async fn smtp_server() -> (u16, Letters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let letters = Letters::default();
    let taken = letters.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, taken.clone()));
        }
    });
    (port, letters)
}

async fn converse(stream: tokio::net::TcpStream, letters: Letters) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut letter: Option<String> = None;
    write.write_all(b"220 test\r\n").await.expect("written");
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match &mut letter {
            Some(text) if line == "." => {
                letters.lock().expect("no panic").push(std::mem::take(text));
                letter = None;
                "250 taken\r\n"
            }
            Some(text) => {
                text.push_str(&line);
                text.push('\n');
                continue;
            }
            None if line.starts_with("RCPT TO:<refused@") => "550 no such person\r\n",
            None if line == "DATA" => {
                letter = Some(String::new());
                "354 go on\r\n"
            }
            None => "250 ok\r\n",
        };
        write.write_all(answer.as_bytes()).await.expect("written");
    }
}

fn mail(recipient: &str) -> NewMail {
    NewMail {
        recipient: recipient.to_owned(),
        subject: "Verify your address".to_owned(),
        body_text: "Open the link".to_owned(),
        body_html: "<p>Open the link</p>".to_owned(),
    }
}

#[tokio::test]
async fn a_letter_leaves_once_in_both_forms_and_a_refused_one_holds_up_no_other() {
    let store = test_db::store().await;
    let (port, letters) = smtp_server().await;
    let smtp = Smtp { host: "127.0.0.1".to_owned(), port, tls: SmtpTls::None, user: None, password: None };
    let sender = Sender::new("Turnpike <turnpike@example.com>", &smtp).expect("a sender");
    let clock = Clock::default();
    for recipient in ["refused@example.com", "ada@example.com"] {
        store.queue_mail(&mail(recipient), clock.now()).await.expect("queued");
    }
    assert!(run(store.handle(), clock.clone(), sender.clone()).await.is_err(), "the refused one is told");
    run(store.handle(), clock.clone(), sender).await.expect("nothing is due");
    let letters = letters.lock().expect("no panic").clone();
    assert_eq!(letters.len(), 1);
    for expected in ["To: ada@example.com", "Subject: Verify your address", "text/plain", "text/html", "Open the link"]
    {
        assert!(letters[0].contains(expected), "{expected} is not in:\n{}", letters[0]);
    }
    let mails = store.all_mails(10).await.expect("mails");
    let of = |recipient: &str| mails.iter().find(|mail| mail.recipient == recipient).expect("a mail").clone();
    assert!(of("ada@example.com").sent_at.is_some());
    let refused = of("refused@example.com");
    assert!(refused.sent_at.is_none() && refused.last_error.is_some_and(|error| error.contains("no such person")));
}
