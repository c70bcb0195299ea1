//! An upstream whose answers' heads a test writes. Each body is the request's target and a number of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_blocking,
};

type Script = Arc<dyn Fn(&str) -> String + Send + Sync>;

#[derive(Clone)]
pub struct Scripted {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
}

impl Scripted {
    /// `script` gets the request as text, with field names in small letters, and writes the answer's fields; a status
    /// line may come before them.
    pub async fn start(script: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scripted = Self { address: listener.local_addr().expect("an address"), count: Arc::default() };
        let (script, count): (Script, _) = (Arc::new(script), scripted.count.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, script.clone(), count.clone()));
            }
        });
        scripted
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub async fn wait_for(&self, count: usize) {
        for _ in 0..500 {
            if self.count() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} requests came", self.count());
    }
}

async fn serve(mut stream: TcpStream, script: Script, count: Arc<AtomicUsize>) {
    while let Some(seen) = read(&mut stream).await {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let script = script.clone();
        let asked = seen.clone();
        let fields = spawn_blocking(move || script(&asked)).await.expect("a script");
        let status = if fields.starts_with("HTTP/") { "" } else { "HTTP/1.1 200 OK\r\n" };
        let bodiless = fields.contains(" 304 ") || seen.starts_with("HEAD");
        let body =
            if bodiless { String::new() } else { format!("{} {number}", seen.split(' ').nth(1).unwrap_or_default()) };
        let length = if fields.contains("content-length") || bodiless {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let answer = format!("{status}{fields}{length}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() || fields.contains("content-length") {
            return;
        }
    }
}

/// A request whose body, if it has one, comes with its length.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut some).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&some[..read]),
            _ => return None,
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let length = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while bytes.len() < head + length.unwrap_or(0) {
        match stream.read(&mut some).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&some[..read]),
            _ => return None,
        }
    }
    let lines = String::from_utf8_lossy(&bytes).into_owned();
    let small = |line: &str| match line.split_once(": ") {
        Some((name, value)) if !name.contains(' ') => format!("{}: {value}", name.to_ascii_lowercase()),
        _ => line.to_owned(),
    };
    Some(lines.split("\r\n").map(small).collect::<Vec<_>>().join("\r\n"))
}
