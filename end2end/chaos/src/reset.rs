//! What stands between gateways and Postgres as a load balancer does, and can end all of its connections at once with a reset,
//! as a failover does.

use crate::Trouble;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// It ends with the process.
pub struct Proxy {
    port: u16,
    resets: watch::Sender<u64>,
    broken: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of that port of this machine.
    pub async fn start(to: u16) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (resets, broken) = (watch::Sender::new(0), Arc::<AtomicU64>::default());
        let (sender, counter) = (resets.clone(), broken.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, to, sender.subscribe(), counter.clone()));
            }
        });
        Ok(Self { port, resets, broken })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections, to both sides, by RST.
    pub fn reset_all(&self) {
        self.resets.send_modify(|times| *times += 1);
    }

    /// Connections that were ended so far.
    pub fn broken(&self) -> u64 {
        self.broken.load(Relaxed)
    }
}

async fn pass(mut client: TcpStream, to: u16, mut resets: watch::Receiver<u64>, broken: Arc<AtomicU64>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = resets.changed() => {}
    }
    // Closed without lingering, a connection ends by RST whatever is under way.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    broken.fetch_add(1, Relaxed);
}
