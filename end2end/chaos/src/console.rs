//! A token of the REST API, made as an operator makes it: by the link that the command line prints and the console's forms.

use crate::Trouble;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Signs the first operator in by what `operator-link` printed and makes a token with that scope.
pub async fn make_token(portal: u16, link: &str, scope: &str) -> Result<String, Trouble> {
    let token = link.trim().split_once("token=").ok_or("the link has no token")?.1.to_owned();
    let mut browser = Browser { port: portal, cookies: Vec::new() };
    let welcome = format!("token={token}&name=Chaos&password=correct-horse-battery-staple");
    browser.ask("POST", "/do/console/welcome", &welcome).await?;
    let form = format!("name=Chaos&scopes%5B%5D={}", scope.replace(':', "%3A"));
    browser.ask("POST", "/do/console/tokens/create", &form).await?;
    let page = browser.ask("GET", "/console/tokens", "").await?;
    let start = page.find("tp_api_").ok_or("the console shows no token")?;
    let is_of_token = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    Ok(page[start..].chars().take_while(|byte| is_of_token(*byte)).collect())
}

struct Browser {
    port: u16,
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn ask(&mut self, method: &str, path: &str, form: &str) -> Result<String, Trouble> {
        let port = self.port;
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let length = form.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{port}\r\naccept: text/html\r\norigin: http://localhost:{port}\r\n\
             sec-fetch-site: same-origin\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\
             cookie: {cookies}\r\nconnection: close\r\n\r\n{form}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        for line in answer.lines().take_while(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let pair = value.split(';').next().and_then(|pair| pair.split_once('='));
            if let Some((cookie, value)) = pair.filter(|_| name.eq_ignore_ascii_case("set-cookie")) {
                self.cookies.retain(|(known, _)| known != cookie);
                self.cookies.push((cookie.to_owned(), value.to_owned()));
            }
        }
        Ok(answer)
    }
}
