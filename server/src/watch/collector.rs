//! Spans on their way to a collector: OTLP over HTTP with JSON, in batches, never in a call's way. What the collector does
//! not take in time is dropped and counted.

use crate::tasks::Stop;
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use metrics::counter;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// Spans that wait to be sent; more are dropped.
const WAITING: usize = 8_192;
/// Spans of one request.
const BATCH: usize = 512;
/// How long spans wait for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The gateway's end.
#[derive(Debug, Clone)]
pub struct Collector {
    spans: mpsc::Sender<Value>,
}

/// The end that sends; a background task runs it.
pub struct Exporter {
    spans: mpsc::Receiver<Value>,
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
}

/// Both ends towards a collector, as `http://127.0.0.1:4318`.
pub fn connect(collector: &str) -> (Collector, Exporter) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build_http();
    let address = format!("{}/v1/traces", collector.trim_end_matches('/'));
    (Collector { spans: sender }, Exporter { spans: receiver, client, address })
}

impl Collector {
    pub fn send(&self, span: Value) {
        if self.spans.try_send(span).is_err() {
            counter!("turnpike_traces_dropped_total").increment(1);
        }
    }
}

impl Exporter {
    /// Sends batches until it is time to end, and then what is left.
    pub async fn run(mut self, mut stop: Stop) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let came = tokio::select! {
                came = self.spans.recv_many(&mut batch, BATCH) => came,
                () = stop.requested() => break,
            };
            if came == 0 {
                return;
            }
            self.deliver(&mut batch).await;
            if came < BATCH {
                // So that the next ones travel together.
                tokio::select! {
                    () = sleep(GATHER) => {}
                    () = stop.requested() => break,
                }
            }
        }
        self.spans.close();
        while self.spans.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(&mut batch).await;
        }
    }

    async fn deliver(&self, batch: &mut Vec<Value>) {
        let spans = std::mem::take(batch);
        let sent = spans.len() as u64;
        match self.send(spans).await {
            Ok(()) => counter!("turnpike_traces_sent_total").increment(sent),
            Err(error) => {
                counter!("turnpike_traces_dropped_total").increment(sent);
                tracing::warn!(error, address = self.address, "the collector did not take the traces");
            }
        }
    }

    async fn send(&self, spans: Vec<Value>) -> Result<(), String> {
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "turnpike"}}]},
            "scopeSpans": [{"scope": {"name": "gateway"}, "spans": spans}],
        }]});
        let request = Request::post(&self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| error.to_string())?;
        let answer =
            timeout(DEADLINE, self.client.request(request)).await.map_err(|_| "it took too long".to_owned())?;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::StopSwitch;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    #[tokio::test]
    async fn spans_arrive_in_one_request_and_none_waits_for_a_collector_that_is_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (collector, exporter) = connect(&address);
        collector.send(json!({"name": "a"}));
        collector.send(json!({"name": "b"}));
        let (switch, stop) = StopSwitch::new();
        let running = tokio::spawn(exporter.run(stop));
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(r#"{"name":"b"}"#) {
            assert_ne!(stream.read_buf(&mut seen).await.expect("bytes"), 0);
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n") && text.contains(r#"{"name":"a"}"#), "{text}");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("sent");
        drop(listener);
        for _ in 0..2 * WAITING {
            collector.send(json!({"name": "lost"}));
        }
        switch.stop();
        drop((collector, stream));
        timeout(Duration::from_secs(60), running).await.expect("it ends").expect("no panic");
    }
}
