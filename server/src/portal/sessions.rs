//! tower-sessions' store in Postgres. Only SHA-256 of a session's id is kept, so that a copy of the table signs nobody in.

use app::state::Clock;
use sha2::{Digest, Sha256};
use store::Store;
