//! How a server function answers a form: it always redirects (303), and leaves a [`Flash`] for the page that follows.

use crate::{flash::Flash, viewer::NotAllowed};
use billing::payment::StripePage;
use domain::plan::Problem;
use http::{HeaderValue, StatusCode, header};
use leptos::prelude::{ServerFnError, expect_context, use_context};
use leptos_axum::ResponseOptions;
use store::StoreError;

/// The form did what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Where to go next: a path of ours.
    pub to: String,
    pub notice: Option<String>,
    pub secret: Option<String>,
}

impl Done {
    pub fn go(to: impl Into<String>) -> Self {
        Self { to: to.into(), notice: None, secret: None }
    }

    /// One sentence for the next page, as "Key revoked."
    #[must_use]
    pub fn saying(mut self, notice: impl Into<String>) -> Self {
        self.notice = Some(notice.into());
        self
    }

    /// A key or token to show once.
    #[must_use]
    pub fn showing(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }
}

/// The form could not do it; the page shows why, beside the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub Vec<(String, String)>);

impl Failure {
    /// About one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self(vec![(field.to_owned(), message.into())])
    }

    /// About the whole form.
    pub fn whole(message: impl Into<String>) -> Self {
        Self::field("", message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::whole("This no longer exists. Somebody may have removed it."),
            StoreError::Conflict { field, message } | StoreError::Invalid { field, message } => {
                Self::field(field.as_ref(), message.to_string())
            }
            StoreError::Unavailable(cause) => {
                tracing::error!(%cause, "the store did not answer a form");
                Self::whole("The database did not answer, and nothing was changed. Try again in a moment.")
            }
        }
    }
}

impl From<NotAllowed> for Failure {
    fn from(_: NotAllowed) -> Self {
        Self::whole("Sign in first.")
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems.into_iter().map(|problem| (problem.field, problem.message)).collect())
    }
}

/// Answers the form called `form`, which stands on page `back`: on to the next page, or back with what was typed.
///
/// `typed` is kept for the form where it failed; it must hold no password.
pub fn answer(
    form: &str,
    back: &str,
    typed: &[(&str, &str)],
    outcome: Result<Done, Failure>,
) -> Result<(), ServerFnError> {
    let (to, flash) = match outcome {
        Ok(Done { to, notice, secret }) => (to, Flash { form: form.to_owned(), notice, secret, ..Flash::default() }),
        Err(Failure(problems)) => {
            let typed = typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            (back.to_owned(), Flash { form: form.to_owned(), problems, typed, ..Flash::default() })
        }
    };
    if flash != (Flash { form: form.to_owned(), ..Flash::default() }) {
        let secrets = expect_context::<crate::state::AppState>().secrets;
        set_cookie(&flash.to_cookie(&secrets, jiff::Timestamp::now()));
    }
    see_other(&to);
    Ok(())
}

/// Sends people to a page of Stripe's, or back with why not.
pub fn leave(form: &str, back: &str, outcome: Result<StripePage, Failure>) -> Result<(), ServerFnError> {
    match outcome {
        Ok(page) => {
            redirect(page.url());
            Ok(())
        }
        Err(failure) => answer(form, back, &[], Err(failure)),
    }
}

/// Reads an identifier from a hidden field. One that does not read was not written by our page.
pub fn id<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::whole("This no longer exists. Load the page again."))
}

/// Adds a Set-Cookie to the response.
pub fn set_cookie(cookie: &str) {
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(cookie)) {
        response.append_header(header::SET_COOKIE, value);
    }
}

/// Answers 303 to a path of ours. Anything else becomes the front page, so that no address can send people away.
pub fn see_other(to: &str) {
    redirect(if is_local_path(to) { to } else { "/" });
}

fn redirect(to: &str) {
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(to)) {
        response.insert_header(header::LOCATION, value);
        response.set_status(StatusCode::SEE_OTHER);
    }
}

/// Whether an address stays on this site: one slash, then no second slash or backslash, and only visible ASCII.
pub fn is_local_path(to: &str) -> bool {
    let bytes = to.as_bytes();
    bytes.first() == Some(&b'/')
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_followed() {
        for good in ["/", "/keys?x=1#y"] {
            assert!(is_local_path(good), "{good}");
        }
        for bad in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/a\r\nb", "/\t/evil"]
        {
            assert!(!is_local_path(bad), "{bad}");
        }
    }
}
