//! Where one is signed in, and out again.

use crate::components::{Badge, Button, ButtonKind, Card, Cell, Column, DataTable, RelativeTime, Size, Tone};
use jiff::Timestamp;
use leptos::prelude::*;
use store::OwnSession;

#[component]
pub fn Sessions(
    sessions: Vec<OwnSession>,
    /// The hash of this browser's session id.
    this_one: Option<[u8; 32]>,
    now: Timestamp,
) -> impl IntoView {
    let others = sessions.iter().filter(|session| Some(session.id_hash) != this_one).count();
    let columns = vec![Column::text("Where"), Column::text("Since"), Column::text("Ends"), Column::actions()];
    let rows = sessions.into_iter().map(|session| view! { <Row own=Some(session.id_hash) == this_one session now/> });
    let rows = rows.collect_view();
    let end_others = move || {
        (others > 0).then(|| {
            view! {
                <form method="post" action="/do/settings/end-other-sessions">
                    <Button size=Size::Small>"Sign out all others"</Button>
                </form>
            }
        })
    };
    view! {
        <Card title="Sessions" description="Browsers in which you are signed in." actions=end_others flush=true>
            <DataTable caption="Sessions" caption_hidden=true columns stack=true>{rows}</DataTable>
        </Card>
    }
}

#[component]
fn Row(session: OwnSession, own: bool, now: Timestamp) -> impl IntoView {
    let program = session.data.get(crate::session::PROGRAM).and_then(|program| program.as_str());
    let program = program.unwrap_or("An unknown program").to_owned();
    let whose = format!(" {program}");
    let action = (!own).then(|| {
        view! {
            <form method="post" action="/do/settings/end-session">
                <input type="hidden" name="session" value=session_name(&session.id_hash)/>
                <Button size=Size::Small kind=ButtonKind::Quiet>
                    "Sign out" <span class="visually-hidden">{whose}</span>
                </Button>
            </form>
        }
    });
    view! {
        <tr>
            <Cell label="Where" head=true>
                {program} " "
                {own.then(|| view! { <Badge text="This one" tone=Tone::Info/> })}
            </Cell>
            <Cell label="Since"><RelativeTime at=session.created_at now/></Cell>
            <Cell label="Ends"><RelativeTime at=session.expires_at now/></Cell>
            <Cell actions=true>{action}</Cell>
        </tr>
    }
}

/// A session's name in the form: the hash of its id, which signs nobody in.
fn session_name(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that [`session_name`] wrote.
pub fn session_hash(name: &str) -> Option<[u8; 32]> {
    let mut hash = [0_u8; 32];
    if name.len() != 64 || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(name.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_name_reads_back() {
        let hash: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 7).expect("small"));
        assert_eq!(session_hash(&session_name(&hash)), Some(hash));
        assert_eq!(session_hash("zz"), None);
        assert_eq!(session_hash(&"+1".repeat(32)), None);
    }
}
