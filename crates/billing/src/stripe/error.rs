//! What Stripe said no to, and what we do not know.

/// Why there is no answer to work with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StripeError {
    /// No whole answer came. Whether the request was carried out is not known.
    #[error("Stripe did not answer: {0}")]
    Unreachable(String),
    /// Stripe answered with an error.
    #[error("Stripe answered {status}: {message}")]
    Refused {
        status: u16,
        /// As `invalid_request_error`.
        kind: String,
        /// As `resource_missing`; empty where there is none.
        code: String,
        message: String,
        /// Whether this is the answer to an earlier request with the same key, given again.
        replayed: bool,
    },
    /// The answer is not what the API promises.
    #[error("Stripe's answer could not be read: {0}")]
    Unreadable(String),
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

impl StripeError {
    /// Whether the same request may get through later, without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unreadable(_) => true,
            Self::Refused { status, .. } => matches!(status, 409 | 429 | 500..) || self.is_other_request(),
            Self::Settings(_) => false,
        }
    }

    /// Whether Stripe said no without doing anything.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, .. }) && !self.is_passing()
    }

    /// The key was used before with other parameters; another key is used the next time.
    pub fn is_other_request(&self) -> bool {
        matches!(self, Self::Refused { status: 400, kind, .. } if kind == "idempotency_error")
    }

    /// A failure that Stripe remembers for this key and would answer with again.
    pub fn is_remembered_failure(&self) -> bool {
        matches!(self, Self::Refused { status: 500.., replayed: true, .. })
    }

    /// A meter event with this identifier is there already, which is what we wanted.
    pub fn is_duplicate_event(&self) -> bool {
        matches!(self, Self::Refused { status: 400, code, message, .. }
            if code == "duplicate_meter_event" || message.contains("already exists with identifier"))
    }

    /// The key is not accepted: nothing else will be either.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// The key is accepted, and may not do this: others of its rights hold.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
    }

    /// What was to be paid back is paid back already, all of it.
    pub fn is_refunded_already(&self) -> bool {
        matches!(self, Self::Refused { status: 400, code, .. } if code == "charge_already_refunded")
    }

    /// It charges nothing so small.
    pub fn is_too_small(&self) -> bool {
        matches!(self, Self::Refused { status: 400, code, .. } if code == "amount_too_small")
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
