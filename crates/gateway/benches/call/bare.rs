//! A proxy that decides nothing, in the gateway's shape.

use hyper::{body::Incoming, client::conn::http1 as client, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, net::SocketAddr, rc::Rc, sync::mpsc, thread};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::{LocalSet, spawn_local},
};

type Sender = client::SendRequest<Incoming>;

/// Starts it on a thread of its own.
pub fn start(upstream: SocketAddr) -> SocketAddr {
    let (ready, address) = mpsc::channel();
    let serve = move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            ready.send(listener.local_addr().expect("an address")).expect("somebody waits");
            let pool: Rc<RefCell<Vec<Sender>>> = Rc::default();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                let pool = pool.clone();
                spawn_local(async move {
                    let service = service_fn(|request| forward(pool.clone(), upstream, request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    };
    thread::Builder::new().name("bare".to_owned()).spawn(serve).expect("a thread");
    address.recv().expect("its address")
}

async fn forward(
    pool: Rc<RefCell<Vec<Sender>>>,
    upstream: SocketAddr,
    mut request: http::Request<Incoming>,
) -> hyper::Result<http::Response<Incoming>> {
    let pooled = pool.borrow_mut().pop();
    let mut sender = match pooled {
        Some(mut sender) => {
            sender.ready().await?;
            sender
        }
        None => {
            let stream = TcpStream::connect(upstream).await.expect("an upstream");
            stream.set_nodelay(true).expect("an option");
            let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
            spawn_local(connection);
            sender
        }
    };
    let target = request.uri().path_and_query().expect("a path").clone();
    *request.uri_mut() = target.into();
    let response = sender.send_request(request).await?;
    // It is ready again once the body was read; whoever takes it waits for that.
    pool.borrow_mut().insert(0, sender);
    Ok(response)
}
