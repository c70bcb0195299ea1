//! A token of the REST API, made as an operator makes it: by the link that the command line prints and the console's forms.

use crate::{
    Trouble,
    portal::{Browser, encoded},
};

/// Signs the first operator in by what `operator-link` printed and makes a token with these scopes, a comma between them.
pub async fn make_token(portal: u16, link: &str, scopes: &str) -> Result<String, Trouble> {
    let token = link.trim().split_once("token=").ok_or("the link has no token")?.1.to_owned();
    let mut browser = Browser::new(portal);
    let welcome = format!("token={token}&name=Chaos&password=correct-horse-battery-staple");
    browser.ask("POST", "/do/console/welcome", &welcome).await?;
    let scopes: String = scopes.split(',').map(|scope| format!("&scopes%5B%5D={}", encoded(scope))).collect();
    browser.ask("POST", "/do/console/tokens/create", &format!("name=Chaos{scopes}")).await?;
    let page = browser.ask("GET", "/console/tokens", "").await?.text;
    let start = page.find("tp_api_").ok_or("the console shows no token")?;
    let is_of_token = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    Ok(page[start..].chars().take_while(|byte| is_of_token(*byte)).collect())
}
