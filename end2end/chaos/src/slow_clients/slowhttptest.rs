//! The referee: slowhttptest from Debian, where it is installed. It says for each second whether the service could be used.

use std::process::Stdio;
use tokio::process::Command;

/// Its own attacks one after the other; what was found amiss. `None` where the program is not there.
pub async fn attack(port: u16, seconds: u64) -> Option<Vec<String>> {
    let length = seconds.clamp(5, 30).to_string();
    let url = format!("http://127.0.0.1:{port}/payments/payments");
    let mut broken = Vec::new();
    for (name, mode) in [("slow heads", "-H"), ("slow bodies", "-B"), ("ranges", "-R"), ("slow reads", "-X")] {
        let run = Command::new("slowhttptest")
            .args([mode, "-c", "2000", "-r", "500", "-i", "5", "-p", "3", "-l", &length, "-u", &url])
            .stdin(Stdio::null())
            .output()
            .await
            .ok()?;
        let output = String::from_utf8_lossy(&run.stdout);
        if output.contains("service available:   NO") || !output.contains("service available") {
            broken.push(format!(", but not during {name}"));
        }
    }
    Some(broken)
}
