//! Light, dark, or as the system says: kept in a cookie for a year.

use leptos::prelude::*;

/// Sets the theme and returns to where the switch was used.
#[server(prefix = "/do", endpoint = "theme")]
pub async fn set_theme(theme: String, #[server(default)] next: String) -> Result<(), ServerFnError> {
    let code = crate::components::Theme::from_code(&theme).code();
    crate::form::set_cookie(&format!("theme={code}; Path=/; Max-Age=31536000; Secure; SameSite=Lax"));
    crate::form::see_other(&next);
    Ok(())
}
