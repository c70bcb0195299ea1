//! What is printed once everything runs: where it is, how to get in, and a call to try.

use super::memory::SignIn;
use super::world::World;
use crate::progress;

/// The first call of the example: the product's route, then the operation's path.
const FIRST_CALL: &str = "/payments/payments";

pub fn print(world: &World) {
    let World { ports, .. } = world;
    println!();
    println!("Turnpike is running (started in {}).", progress::time(world.start));
    println!();
    println!("  Portal and console   http://localhost:{}", ports.portal);
    println!("  Gateway              http://localhost:{}", ports.gateway);
    println!("  Metrics and health   http://localhost:{}/metrics", ports.admin);
    println!("  Logs                 {}", world.logs.display());
    println!();
    println!("  Operator, once       {}", world.operator_link);
    if let Some(SignIn { email, password }) = &world.memory.partner {
        println!("  Partner              {email} with the password {password}");
    }
    println!();
    match world.memory.test_key() {
        Some(key) => {
            println!("A call that is limited and metered, and not charged, because the key is a test key:");
            println!();
            println!("  curl -i http://localhost:{}{FIRST_CALL} -H 'Authorization: Bearer {key}'", ports.gateway);
        }
        None => {
            println!("The test key of this data was shown once and is not kept. For a new one: cargo xtask run --fresh")
        }
    }
    println!();
    println!("Ctrl-C stops everything and keeps the data.");
}
