//! Calls through the gateway, one after the other on one connection.

use super::{
    ledger::{Operation, Use},
    partner::Partner,
};
use crate::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that was answered.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub id: String,
    pub used: Use,
}

/// Makes so many calls at about that instant of the clock. 200 and, where `is_prepaid`, 402 are what may come back.
pub(super) async fn call(
    port: u16,
    partner: &mut Partner,
    (calls, at, is_prepaid): (u64, i64, bool),
) -> Result<Vec<Called>, Trouble> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut called = Vec::new();
    for _ in 0..calls {
        partner.told += 1;
        let id = format!("chaos-{}-{}", partner.code, partner.told);
        let operation = Operation::ALL[usize::from(partner.random.below(2) == 0)];
        let request = Request::builder()
            .method(operation.method())
            .uri("/payments/payments")
            .header("host", format!("127.0.0.1:{port}"))
            .header("authorization", format!("Bearer {}", partner.key))
            .header("x-request-id", &id)
            .body(Empty::new())?;
        let ask = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            response.into_body().collect().await?;
            Ok::<_, Trouble>(status)
        };
        let (units, is_refused) = match timeout(PATIENCE, ask).await?? {
            200 => (operation.weight(), false),
            402 if is_prepaid => (0, true),
            status => return Err(format!("call {id} was answered {status}").into()),
        };
        called
            .push(Called { id, used: Use { at, operation, units, is_prepaid: is_prepaid && !is_refused, is_refused } });
    }
    Ok(called)
}
