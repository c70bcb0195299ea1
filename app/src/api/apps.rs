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

/// Makes a team.
#[server(prefix = "/do", endpoint = "teams/create")]
pub async fn create_team(#[server(default)] name: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.create_team(cx.viewer.partner, &name, actor, cx.now).await?;
        Ok(Done::go("/apps").saying("Team created. Put an app into it on the app's page."))
    };
    form::answer("teams/create", "/apps", &[("name", &name)], outcome.await)
}

/// Puts an app into a team, or into none.
#[server(prefix = "/do", endpoint = "apps/team")]
pub async fn set_app_team(app: String, #[server(default)] team: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/apps/{app}");
    let outcome = async {
        let cx = viewer::member()?;
        let id = form::id(&app)?;
        let team = if team.is_empty() { None } else { Some(form::id(&team)?) };
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.set_app_team(cx.viewer.partner, id, team, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Team changed. Calls count for it from now on."))
    };
    form::answer("apps/team", &back, &[], outcome.await)
}
