//! Forms about apps.

use leptos::prelude::*;

/// Makes an app.
#[server(prefix = "/do", endpoint = "apps/create")]
pub async fn create_app(#[server(default)] name: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        let app =
            cx.state.store.create_app(cx.viewer.partner, &store::NewApp::named(name.trim()), actor, cx.now).await?;
        Ok(Done::go(format!("/apps/{app}")).saying("App created. Now create its first key."))
    };
    form::answer("apps/create", "/apps", &[("name", &name)], outcome.await)
}

/// Gives an app another name.
#[server(prefix = "/do", endpoint = "apps/rename")]
pub async fn rename_app(app: String, #[server(default)] name: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let id = form::id(&app)?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.rename_app(cx.viewer.partner, id, name.trim(), actor, cx.now).await?;
        Ok(Done::go(&back).saying("Name changed."))
    };
    form::answer("apps/rename", &back, &[("name", &name)], outcome.await)
}

/// Archives an app and revokes its keys.
#[server(prefix = "/do", endpoint = "apps/archive")]
pub async fn archive_app(app: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.archive_app(cx.viewer.partner, form::id(&app)?, actor, cx.now).await?;
        Ok(Done::go("/apps").saying("App archived. Its keys no longer work."))
    };
    form::answer("apps/archive", &back, &[], outcome.await)
}
