//! The Go program of this folder: built once, then asked about a file.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What it prints about a file, or why it does not like it.
pub fn manifests(command: &str, file: &Path) -> Result<String, String> {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);
    let output = Command::new(&*PROGRAM).arg(command).arg(file).output().expect("the program runs");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("it prints UTF-8")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The JSON values that it prints.
pub fn json(command: &str, file: &Path) -> Vec<Value> {
    let text = manifests(command, file).unwrap_or_else(|problem| panic!("{problem}"));
    serde_json::Deserializer::from_str(&text).into_iter().map(|value| value.expect("JSON")).collect()
}

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    // Two test programs build it, perhaps at the same time: each has its own.
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("manifests-{}", env!("CARGO_CRATE_NAME")));
    let output = Command::new("go").arg("build").arg("-o").arg(&binary).arg(".").current_dir(&source).output();
    match output {
        Err(error) => panic!("a Go is needed on the PATH, to build tests/manifests: {error}"),
        Ok(output) if !output.status.success() => {
            panic!("go build in tests/manifests failed: {}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) => binary,
    }
}
