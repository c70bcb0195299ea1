//! A connection to a name: all its addresses are tried, each only where it may be connected to.

use super::{
    address::Reach,
    resolve::{Candidates, Resolver, Unresolved},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

/// The head start of an address over the next (RFC 8305 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// All addresses of the name are of a kind that is not allowed.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to {address}, which connections may not go to")]
pub(crate) struct NotAllowed {
    address: IpAddr,
}

/// Connects to the first address that answers. The address that is checked is the one that is connected to.
///
/// # Errors
/// Holds an [`Unresolved`] or a [`NotAllowed`] where those are the reason, else what the last address said.
pub(crate) async fn connect(resolver: &Arc<Resolver>, host: &str, port: u16, reach: Reach) -> io::Result<TcpStream> {
    let candidates = resolver.resolve(host).await.map_err(|error: Unresolved| io::Error::other(error))?;
    let mut allowed = Vec::new();
    let mut refused = None;
    for ip in candidates.addresses() {
        if reach.includes(ip) {
            allowed.push(ip);
        } else {
            refused = Some(ip);
        }
    }
    let stream = match (allowed.as_slice(), refused) {
        ([], Some(address)) => return Err(io::Error::other(NotAllowed { address })),
        ([only], _) => TcpStream::connect(SocketAddr::new(*only, port)).await?,
        _ => race(&candidates, allowed, port).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn race(candidates: &Candidates, addresses: Vec<IpAddr>, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    let mut waiting = addresses.into_iter();
    let mut started = Vec::new();
    let mut attempts = JoinSet::new();
    loop {
        let next = waiting.next();
        if let Some(ip) = next {
            started.push(ip);
            attempts.spawn(async move { (ip, TcpStream::connect(SocketAddr::new(ip, port)).await) });
        }
        // Until one answers, or it is the next one's turn.
        let answered = tokio::select! {
            answered = attempts.join_next() => answered,
            () = sleep(HEAD_START), if waiting.len() > 0 => continue,
        };
        match answered {
            Some(Ok((winner, Ok(stream)))) => {
                // Whoever was there before and has not answered yet is slower than its successors.
                started.iter().take_while(|ip| **ip != winner).for_each(|ip| candidates.shun(*ip));
                return Ok(stream);
            }
            Some(Ok((ip, Err(error)))) => {
                candidates.shun(ip);
                last = error;
            }
            Some(Err(_)) => {}
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ports::Names, upstream::resolve::Freshness};
    use std::{pin::Pin, time::Instant};
    use tokio::net::TcpListener;

    #[derive(Debug)]
    struct Fixed(Vec<IpAddr>);

    impl Names for Fixed {
        fn look_up<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    fn leading_to(addresses: &[&str]) -> Arc<Resolver> {
        let ips = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Resolver::new(Arc::new(Fixed(ips)), Freshness::default())
    }

    #[tokio::test]
    async fn all_addresses_are_tried_until_one_answers() {
        let listener = TcpListener::bind("127.0.0.3:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // Nobody listens at the others.
        let resolver = leading_to(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
        for _ in 0..6 {
            let stream = connect(&resolver, "api.internal", port, Reach::Private).await.expect("a connection");
            assert_eq!(stream.peer_addr().expect("an address").ip().to_string(), "127.0.0.3");
        }
        drop(listener);
        assert!(connect(&resolver, "api.internal", port, Reach::Private).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_has_only_a_short_head_start() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // A network for documentation: packets to it vanish, or are refused at once where there is no route.
        let resolver = leading_to(&["127.0.0.1", "192.0.2.1"]);
        for round in 0..6 {
            let began = Instant::now();
            connect(&resolver, "api.internal", port, Reach::Private).await.expect("a connection");
            // Without the head start's end it would wait for the silent one until the connect's own deadline.
            assert!(began.elapsed() < HEAD_START * 120, "round {round}: {:?}", began.elapsed());
            println!("round {round}: {:?}", began.elapsed());
        }
    }

    #[tokio::test]
    async fn a_name_that_moves_to_a_private_address_is_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        for disguise in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::1"] {
            let error =
                connect(&leading_to(&[disguise]), "api.example", port, Reach::Public).await.expect_err(disguise);
            assert!(error.get_ref().is_some_and(|inner| inner.is::<NotAllowed>()), "{disguise}: {error}");
            let literal = connect(&leading_to(&[]), disguise, port, Reach::Public).await;
            assert!(literal.is_err(), "{disguise}");
        }
        assert!(connect(&leading_to(&["127.0.0.1"]), "api.internal", port, Reach::Private).await.is_ok());
        let metadata = connect(&leading_to(&["169.254.169.254"]), "api.internal", 80, Reach::Private).await;
        assert!(metadata.is_err_and(|error| error.to_string().contains("169.254.169.254")));
    }
}
