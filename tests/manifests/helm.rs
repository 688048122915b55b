//! Helm, built once from its Go module (scripts/install-helm), and what the chart becomes with a set of values.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The chart's folder, from the repository's root.
pub const CHART: &str = "charts/promql-tenancy-filter";

/// The sets of values that the tests render, as paths from the root; the place is that of Helm's chart-testing.
pub const VALUES: [&str; 2] =
    ["charts/promql-tenancy-filter/ci/minimal-values.yaml", "charts/promql-tenancy-filter/ci/everything-values.yaml"];

/// What Helm prints, or why it does not.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let output = Command::new(root().join("scripts/install-helm")).output().expect("scripts/install-helm runs");
        assert!(output.status.success(), "scripts/install-helm: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a path").trim_end().into()
    });
    // Neither the user's plugins nor repositories have a part in it.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    let mut command = Command::new(&*PROGRAM);
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(folder, home.join(folder));
    }
    let output = command.args(arguments).current_dir(root()).output().expect("helm runs");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("it prints UTF-8")),
        false => Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
    }
}

/// The chart, rendered as the release `query` in the namespace `monitoring`, in a file. `more` are further arguments.
pub fn render(name: &str, values: &str, more: &[&str]) -> Result<PathBuf, String> {
    let arguments = [&["template", "query", CHART, "--namespace", "monitoring", "--values", values], more].concat();
    let text = helm(&arguments)?;
    // Two test programs render, perhaps at the same time.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-{}-{name}.yaml", env!("CARGO_CRATE_NAME")));
    std::fs::write(&path, text).unwrap();
    Ok(path)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
