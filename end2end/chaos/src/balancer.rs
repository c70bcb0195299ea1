//! A load balancer as plain as they come: connections go to the gateways in turn; one whose /ready does not say 200, or which
//! refuses a connection, is passed over. It never sends anything twice.

use crate::{Trouble, world::get_status};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::sleep,
};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A gateway behind it.
struct Back {
    port: u16,
    up: AtomicBool,
}

/// A running balancer; it ends with the process.
pub struct Balancer {
    port: u16,
}

impl Balancer {
    /// In front of gateways, each with its port and its admin listener's.
    pub async fn start(nodes: &[(u16, u16)]) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let mut backs = Vec::new();
        for (gateway, admin) in nodes {
            let back = Arc::new(Back { port: *gateway, up: AtomicBool::new(true) });
            tokio::spawn(look(back.clone(), *admin));
            backs.push(back);
        }
        let (backs, turn) = (Arc::new(backs), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (backs, turn) = (backs.clone(), turn.clone());
                tokio::spawn(async move { pass(client, &backs, turn.fetch_add(1, Relaxed)).await });
            }
        });
        Ok(Self { port })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }
}

async fn look(back: Arc<Back>, admin: u16) {
    loop {
        back.up.store(get_status(admin, "/ready", "").await == Some(200), Relaxed);
        sleep(LOOK_EVERY).await;
    }
}

async fn pass(mut client: TcpStream, backs: &[Arc<Back>], turn: usize) {
    let in_turn = || (0..backs.len()).filter_map(|step| backs.get((turn + step) % backs.len()));
    let (up, down) = (in_turn().filter(|back| back.up.load(Relaxed)), in_turn().filter(|back| !back.up.load(Relaxed)));
    for back in up.chain(down) {
        if let Ok(mut gateway) = TcpStream::connect(("127.0.0.1", back.port)).await {
            let _ = (client.set_nodelay(true), gateway.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut gateway).await;
            return;
        }
    }
}
