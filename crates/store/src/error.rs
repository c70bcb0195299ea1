//! What can go wrong, in two voices: sentences for the person who asked, and Postgres itself.

use domain::plan::Problem;

/// SQLSTATE `character_not_in_repertoire`.
const NOT_IN_ENCODING: &str = "22021";

/// Why a function of the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such thing, or not this partner's.
    #[error("not found")]
    NotFound,
    /// It would contradict something that already exists.
    #[error("{message}")]
    Conflict {
        /// The form field that it belongs to, empty where it belongs to none.
        field: String,
        message: String,
    },
    /// The value itself cannot be taken.
    #[error("{message}")]
    Invalid { field: String, message: String },
    /// Postgres did not answer, or answered with what should never happen.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
}

impl StoreError {
    /// A contradiction, told to the person who caused it; `field` may be empty.
    pub fn conflict(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Conflict { field: field.into(), message: message.into() }
    }

    /// A value that cannot be taken, and the field that it stands in.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }
}

impl StoreError {
    /// Whether it is these data that Postgres does not take, and not Postgres that is away: others can be stored meanwhile.
    pub fn is_of_data(&self) -> bool {
        // SQLSTATE classes of data exceptions and violated constraints.
        let of_data = |code: &str| code.starts_with("22") || code.starts_with("23");
        match self {
            Self::Unavailable(error) => {
                error.as_database_error().and_then(|error| error.code()).is_some_and(|code| of_data(&code))
            }
            _ => true,
        }
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        Self::invalid(problem.field, problem.message)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::RowNotFound) {
            return Self::NotFound;
        }
        let told = error.as_database_error().and_then(|error| match error.code().as_deref() {
            // Somebody sent a NUL, which Postgres' texts cannot hold.
            Some(NOT_IN_ENCODING) => Some(Self::invalid("", "A text holds a character that cannot be kept; remove it")),
            _ => error.constraint().and_then(explain),
        });
        told.unwrap_or(Self::Unavailable(error))
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Constraints that a person can run into, in words for that person. The others are defects and stay errors.
fn explain(constraint: &str) -> Option<StoreError> {
    let conflict = |field, message| Some(StoreError::conflict(field, message));
    let invalid = |field, message| Some(StoreError::invalid(field, message));
    match constraint {
        "members_by_email" | "operators_by_email" => conflict("email", "This e-mail address already has an account"),
        "keys_by_identity" => {
            conflict("identity", "This identity is registered already; revoke it where it is before it moves")
        }
        "members_email_check" => invalid("email", "Enter an e-mail address of 3 to 254 characters"),
        "partners_code_key" | "products_code_key" | "plans_code_key" | "apps_by_code" | "keys_by_code" => {
            conflict("code", "This code is taken; choose another")
        }
        "partners_code_check" | "products_code_check" | "plans_code_check" => {
            invalid("code", "A code is 1 to 64 lower-case letters, digits and inner hyphens")
        }
        "partners_name_check" | "products_name_check" => invalid("name", "Enter a name of 1 to 200 characters"),
        "plans_name_check" | "apps_name_check" | "keys_name_check" | "api_tokens_name_check" | "teams_name_check" => {
            invalid("name", "Enter a name of 1 to 100 characters")
        }
        "products_route_key" => conflict("route", "Another product already has this route; choose another"),
        "products_timeout_ms_check" => invalid("timeout_ms", "A timeout is 1 to 600000 milliseconds"),
        "operations_weight_check" => invalid("weight", "A weight is 0 to 1000000 units"),
        "one_active_subscription" => {
            conflict("plan", "The plan was just changed by somebody else; load the page again")
        }
        "one_requested_subscription" => conflict("plan", "A plan is already waiting for approval"),
        "plan_versions_pkey" => conflict("", "Somebody else just changed this plan; load the page again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{StoreError, test_db};

    #[tokio::test]
    async fn a_text_with_nul_is_the_senders_fault_and_not_an_outage() {
        let store = test_db::store().await;
        let found = store.find_partner_by_code("a\0b").await;
        assert!(matches!(found, Err(StoreError::Invalid { .. })), "{found:?}");
    }
}
