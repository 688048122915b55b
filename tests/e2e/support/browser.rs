//! A real browser, driven by the scripts in `tests/browser`. Its pictures stay in `target/tmp/web-pages`.

use super::envoy::Envoy;
use super::installed;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What it sees in a session with the pages of one kind of upstream.
pub fn session(envoy: &Envoy, kind: &str, name: &str) -> Value {
    run("session.mjs", envoy, kind, name)
}

/// What it sees of the login.
pub fn login(envoy: &Envoy, name: &str) -> Value {
    run("login.mjs", envoy, "", name)
}

fn run(script: &str, envoy: &Envoy, kind: &str, name: &str) -> Value {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-pages").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let asked = json!({
        "playwright": installed("install-playwright"),
        "chromium": installed("install-chromium"),
        // Another site than 127.0.0.1, as the browser sees it.
        "base": format!("http://localhost:{}", envoy.port()),
        "kind": kind,
        "folder": folder,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = Command::new(installed("install-node")).arg(script).arg(asked.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = ["problem", "steps", "errors", "failed"].map(|key| format!("{key} {:#}", seen[key])).join("\n");
    assert!(seen["done"] == true, "{name}: {told}");
    seen
}
