//! OpenAPI documents: read, check, filter by entitlement, describe.
