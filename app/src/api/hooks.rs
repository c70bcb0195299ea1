//! Forms about hooks: where usage events are sent to as they are taken in.

use leptos::prelude::*;

/// Makes a hook; its secret is shown by the next page and never again.
#[server(prefix = "/do", endpoint = "console/hooks/create")]
pub async fn create_hook(
    #[server(default)] url: String,
    #[server(default)] partner: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        hooks, viewer,
    };
    use domain::id::PartnerId;
    use store::{Actor, StoreError, hooks::NewHook};
    const LIST: &str = "/console/hooks";
    let outcome = async {
        let cx = viewer::operator()?;
        let may_be_private = cx.state.settings.hooks_may_be_private;
        hooks::enter_url(&url, may_be_private).map_err(|wrong| Failure::field("url", wrong))?;
        let partner: Option<PartnerId> = match partner.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| Failure::field("partner", "Choose from the list"))?),
        };
        let id = hooks::new_id();
        let (text, sealed_secret) = hooks::new_secret(&cx.state.secrets, id);
        let new = NewHook { id, partner, url: url.trim().to_owned(), sealed_secret };
        match cx.state.store.create_hook(&new, Actor::Operator(cx.viewer.id), cx.now).await {
            Ok(()) => Ok(Done::go(LIST).saying("It gets what is taken in from now on.").showing(text)),
            Err(StoreError::NotFound) => Err(Failure::field("partner", "Choose from the list")),
            Err(error) => Err(error.into()),
        }
    }
    .await;
    form::answer("hooks/create", LIST, &[("url", &url), ("partner", &partner)], outcome)
}

/// Does one thing to a hook: `pause`, `resume`, `rotate`, `test` or `delete`.
#[server(prefix = "/do", endpoint = "console/hooks/change")]
pub async fn change_hook(
    #[server(default)] hook: String,
    #[server(default)] change: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        hooks, viewer,
    };
    use domain::id::HookId;
    use store::Actor;
    const LIST: &str = "/console/hooks";
    let outcome = async {
        let cx = viewer::operator()?;
        let id: HookId = form::id(&hook)?;
        let (store, actor) = (&cx.state.store, Actor::Operator(cx.viewer.id));
        match change.as_str() {
            "pause" => {
                store.set_hook_state(id, false, actor, cx.now).await?;
                Ok(Done::go(LIST).saying("It is paused, and goes on where it was when you resume it."))
            }
            "resume" => {
                store.set_hook_state(id, true, actor, cx.now).await?;
                Ok(Done::go(LIST).saying("It goes on where it was."))
            }
            "rotate" => {
                let (text, sealed) = hooks::new_secret(&cx.state.secrets, id);
                store.rotate_hook_secret(id, &sealed, actor, cx.now).await?;
                Ok(Done::go(LIST).saying("Both secrets sign for a day.").showing(text))
            }
            "test" => {
                store.ask_hook_test(id, cx.now).await?;
                Ok(Done::go(LIST)
                    .saying("A test is on its way. Open this page again in a moment to see what became of it."))
            }
            "delete" => {
                store.delete_hook(id, actor, cx.now).await?;
                Ok(Done::go(LIST).saying("It is deleted, and gets nothing more."))
            }
            _ => Err(Failure::whole("Nothing was changed. Load the page again.")),
        }
    }
    .await;
    form::answer("hooks/change", LIST, &[], outcome)
}
