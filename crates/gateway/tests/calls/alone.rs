//! Tests that need a process of their own, because they look at all of it or change something for all of it.

use std::{env, process::Command};

/// Runs one ignored test, as `full_disk::name`, in a process of its own.
pub fn alone(name: &str) {
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", &format!("calls::{name}"), "--ignored", "--nocapture"])
        .output()
        .expect("a child");
    let (said, complained) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}
