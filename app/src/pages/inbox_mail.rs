//! `/dev/inbox/{id}`: one mail as text, its links made to follow. The HTML form is shown as source: it is not ours to run.

use crate::{
    components::{Breadcrumbs, Card, CodeBlock, Crumb, Description, DescriptionList, PageHeader, TimeText},
    frames::PublicFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

#[component]
pub fn InboxMailPage() -> impl IntoView {
    let cx = viewer::anyone();
    let id = use_params_map().with_untracked(|params| params.get("id"));
    page(async move {
        let cx = cx?;
        let id = id.and_then(|id| id.parse::<i64>().ok()).ok_or(PageError::NotFound)?;
        let mail = cx.state.store.mail_to_anybody(id).await?;
        let portal = cx.state.settings.portal_url.clone();
        let text = pieces(&mail.body_text, &portal).into_iter().map(|piece| match piece {
            Piece::Text(text) => text.into_any(),
            Piece::Link(address) => {
                let shown = address.clone();
                view! { <a href=address>{shown}</a> }
            }
            .into_any(),
        });
        let text = text.collect_view();
        Ok(view! {
            <PageTitle text=mail.subject.clone()/>
            <PublicFrame cx path=format!("/dev/inbox/{id}")>
                <div class="stack">
                <Breadcrumbs trail=vec![Crumb::new("Inbox", "/dev/inbox")] current=mail.subject.clone()/>
                <PageHeader title=mail.subject/>
                    <Card>
                        <DescriptionList>
                            <Description label="To">{mail.recipient}</Description>
                            <Description label="Written"><TimeText at=mail.created_at seconds=true/></Description>
                            {mail.last_error.map(|error| view! { <Description label="Last error">{error}</Description> })}
                        </DescriptionList>
                    </Card>
                    <Card title="Text">
                        <div class="mail-text">{text}</div>
                    </Card>
                    <details class="mail-source">
                        <summary>"The HTML form, as source"</summary>
                        <CodeBlock code=mail.body_html title="HTML" short=true/>
                    </details>
                </div>
            </PublicFrame>
        })
    })
}

/// A stretch of a mail's text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Link(String),
}

/// Cuts a text at its addresses. Only the portal's own become links, so that nothing typed into a form can.
fn pieces(text: &str, portal: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = find_address(rest, portal) {
        let (before, from) = rest.split_at(start);
        let end = from.find(char::is_whitespace).unwrap_or(from.len());
        let (address, after) = from.split_at(end);
        let bare = address.trim_end_matches(['.', ',', ')']);
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Link(bare.to_owned()));
        rest = if bare.len() == address.len() { after } else { from.get(bare.len()..).unwrap_or(after) };
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}

/// Where the portal's address begins, as a whole address and not as the beginning of another host's name.
fn find_address(text: &str, portal: &str) -> Option<usize> {
    let whole = |at: &usize| {
        text.get(at + portal.len()..).is_some_and(|after| {
            !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '@' | ':' | '.'))
        })
    };
    text.match_indices(portal).map(|(at, _)| at).find(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_portals_own_addresses_become_links() {
        let text = "See http://p.example/verify?token=a-b_c.\nNot http://p.example.evil/x nor http://q.example/y";
        let found = pieces(text, "http://p.example");
        assert_eq!(found.get(1), Some(&Piece::Link("http://p.example/verify?token=a-b_c".to_owned())));
        let links = found.iter().filter(|piece| matches!(piece, Piece::Link(_))).count();
        assert_eq!(links, 1, "{found:?}");
        let joined: String = found
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) | Piece::Link(text) => text.as_str(),
            })
            .collect();
        assert_eq!(joined, text);
    }
}
