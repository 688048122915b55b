//! The short form of the soak test: two rounds of tests/soak/soak.py. `scripts/soak` runs an hour of it.

use crate::support::process;
use std::process::Command;

#[test]
fn mixed_traffic_with_faults_leaks_nothing_and_is_counted_exactly() {
    for variable in ["TENANCY_ENVOY", "TENANCY_PROMETHEUS", "TENANCY_WASM_TRAP"] {
        process::program(variable);
    }
    let mut command = Command::new("python3");
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["tests/soak/soak.py", "--seconds", "24", "--round", "12", "--restart-every", "2", "--rate", "30"]);
    let out = command.args(["--tenants", "40", "--progress"]).output().expect("python3");
    let [report, progress] = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(out.status.success(), "{report}\n{progress}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    let count = |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
    println!("{report}");
    assert!(count("/answers_checked") > 100 && count("/label_sets_checked") > 100, "{report}");
    assert!(count("/faults/traps") >= 4 && count("/faults/upstream_restarts") >= 1 && count("/faults/reloads") >= 6);
}
