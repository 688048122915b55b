//! Cortex and Thanos keep a tenant's samples in blocks, and their compactors delete the blocks that are too old. Both run here with what
//! `tenancyctl retention` prints, on blocks that they wrote themselves.

use super::{CONFIG, HOUR, now};
use crate::support::cortex::Cortex;
use crate::support::http::Request;
use crate::support::metrics::Metrics;
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::stores::receive;
use crate::support::{process, upstreams};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A block's age in hours. By the configuration, team-a keeps the first, team-b the first two, and team-c all.
const AGES: [i64; 3] = [1, 36, 72];
const KEPT: [(&str, &[i64]); 3] = [("team-a", &[1]), ("team-b", &[1, 36]), ("team-c", &AGES)];

/// One sample of each age, the oldest first.
fn series(now: i64, ages: &[i64]) -> Series {
    let sample = |hours: &i64| Sample { milliseconds: (now - hours * HOUR) * 1_000, value: Value::Float(1.0) };
    Series {
        labels: vec![("__name__".to_owned(), "work".to_owned())],
        samples: ages.iter().rev().map(sample).collect(),
        exemplars: Vec::new(),
    }
}

/// The ages of the blocks in a folder, by tenant.
fn ages(blocks: &Path, now: i64, tenant: impl Fn(&serde_json::Value) -> String) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for entry in std::fs::read_dir(blocks).into_iter().flatten().flatten() {
        // Other folders and files than those of blocks have none.
        let Ok(meta) = std::fs::read(entry.path().join("meta.json")) else { continue };
        let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
        let [from, until] = ["minTime", "maxTime"].map(|time| meta[time].as_i64().unwrap());
        let age = AGES.into_iter().find(|hours| (from..until).contains(&((now - hours * HOUR) * 1_000)));
        all.entry(tenant(&meta)).or_default().push(age.unwrap_or_else(|| panic!("{meta}")));
    }
    all.values_mut().for_each(|ages| ages.sort_unstable());
    all
}

/// What is printed for an upstream.
fn settings(name: &str, upstream: &str) -> String {
    let path = process::folder().join(format!("{name}.json"));
    std::fs::write(&path, CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    let output = command.arg("retention").arg(path).args(["--for", upstream]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn cortex_deletes_the_blocks_that_are_older_than_their_tenants_retention() {
    const NAME: &str = "cortex-retention";
    let printed = settings(NAME, "cortex");
    // The flag for tenants that are not listed stands in a comment.
    let default = printed.lines().find_map(|line| line.strip_prefix("#   ").filter(|line| line.starts_with('-')));
    let file = process::folder().join("retention-runtime.yaml");
    std::fs::write(&file, &printed).unwrap();
    let runtime = format!("-runtime-config.file={}", file.display());
    let at_once = ["-compactor.cleanup-interval=1s", "-compactor.deletion-delay=0s"];
    let arguments: Vec<String> = [&*runtime, default.unwrap()].into_iter().chain(at_once).map(str::to_owned).collect();
    let cortex = Cortex::start_with(NAME, &arguments);

    let now = now();
    for (tenant, _) in KEPT {
        cortex.write(tenant, &[series(now, &AGES)]);
    }
    let flushed = Request::new("POST", "/ingester/flush?wait=true").send(cortex.port());
    assert_eq!(flushed.status, 204, "{}", flushed.text());
    // The ingester makes blocks of two hours, and has uploaded one of each age and tenant.
    let metrics = || Metrics::read(&Request::get("/metrics").send(cortex.port()).text());
    assert_eq!(metrics().sum("cortex_ingester_shipper_uploads_total", &[]), 9.0);

    let left = |tenant: &str| {
        let blocks = ages(&Cortex::blocks(NAME, tenant), now, |_| String::new());
        blocks.into_values().next().unwrap_or_default()
    };
    cortex.wait_until(|| KEPT.iter().all(|(tenant, kept)| left(tenant).len() <= kept.len()));
    // What is left stays, also when all have been looked at again.
    let rounds = || metrics().sum("cortex_compactor_block_cleanup_completed_total", &[("user_status", "active")]);
    let before = rounds();
    cortex.wait_until(|| rounds() >= before + 2.0);
    let metrics = metrics();
    for (tenant, kept) in KEPT {
        assert_eq!(left(tenant), kept, "{tenant}");
        let by_retention = [("user", tenant), ("reason", "retention")];
        let marked = metrics.sum("cortex_compactor_blocks_marked_for_deletion_total", &by_retention);
        assert_eq!(marked as usize, AGES.len() - kept.len(), "{tenant}");
    }
}

/// What is printed for Thanos: whose blocks each compactor takes, and its flags as a shell reads them.
fn compactors(printed: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in printed.lines().skip_while(|line| line.starts_with("# One") || line.starts_with("# to carry")) {
        match (line.strip_prefix("# "), all.last_mut()) {
            (Some(blocks), _) => all.push((blocks.to_owned(), String::new())),
            (None, Some((_, flags))) => *flags += &format!(" {line}"),
            (None, None) => panic!("{printed}"),
        }
    }
    all
}

/// Copies the oldest block of team-b without the label, as if it were nobody's.
fn copy_without_tenant(blocks: &Path, now: i64) {
    let oldest = |meta: &serde_json::Value| {
        let end = meta["maxTime"].as_i64().unwrap() / 1_000;
        meta["thanos"]["labels"]["tenant_id"] == "team-b" && end < now - 48 * HOUR
    };
    for entry in std::fs::read_dir(blocks).unwrap().flatten() {
        let mut meta: serde_json::Value =
            serde_json::from_slice(&std::fs::read(entry.path().join("meta.json")).unwrap()).unwrap();
        if oldest(&meta) {
            // The last character is of the random part.
            let mut id = entry.file_name().into_string().unwrap();
            let last = id.pop();
            id.push(if last == Some('0') { '1' } else { '0' });
            let copy = blocks.join(&id);
            let copied = Command::new("cp").arg("-r").arg(entry.path()).arg(&copy).status().unwrap();
            assert!(copied.success());
            meta["ulid"] = id.clone().into();
            meta["compaction"]["sources"] = serde_json::json!([id]);
            meta["thanos"]["labels"].as_object_mut().unwrap().remove("tenant_id");
            std::fs::write(copy.join("meta.json"), meta.to_string()).unwrap();
            return;
        }
    }
    panic!("no old block of team-b");
}

/// Three Receives write a block of each tenant, one for each age: each writes all that it has of a tenant into one block. By the label `age`, compactors
/// do not compact them with each other.
fn receives_blocks(name: &str, bucket: &str, now: i64) {
    let receives = AGES.map(|hours| {
        let (objects, label) = (format!("--objstore.config={bucket}"), format!("--label=age=\"{hours}h\""));
        let (process, http, write) = receive(&format!("{name}-{hours}h"), process::free_port(), &[&objects, &label]);
        (process, http, write, hours)
    });
    for (process, http, write, hours) in &receives {
        process.wait_until(|| upstreams::answers(*http));
        for (tenant, _) in KEPT {
            remote_write::write(*write, "/api/v1/receive", Some(tenant), &[series(now, &[*hours])]);
        }
        // It writes its blocks, and uploads them, before it ends.
        process.signal(libc::SIGTERM);
    }
    for (process, ..) in receives {
        process.used();
        let ended = process.ends_within(Duration::from_secs(60));
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

#[test]
fn thanos_deletes_the_blocks_that_are_older_than_their_tenants_retention() {
    const NAME: &str = "thanos-retention";
    let compactors = compactors(&settings(NAME, "thanos"));
    let blocks: Vec<&str> = compactors.iter().map(|(blocks, _)| &**blocks).collect();
    assert_eq!(blocks, ["team-a", "team-c: kept", "all others", "blocks of no tenant that is served: kept"]);
    let folder = process::folder().join(NAME);
    let blocks = folder.join("bucket");
    let bucket = format!("{{type: FILESYSTEM, config: {{directory: {}}}}}", blocks.display());
    let now = now();
    receives_blocks(NAME, &bucket, now);
    copy_without_tenant(&blocks, now);
    let left =
        || ages(&blocks, now, |meta| meta["thanos"]["labels"]["tenant_id"].as_str().unwrap_or_default().to_owned());
    let mut expected: BTreeMap<String, Vec<i64>> =
        KEPT.iter().map(|(tenant, _)| (tenant.to_string(), AGES.to_vec())).collect();
    expected.insert(String::new(), vec![72]);
    assert_eq!(left(), expected);

    for (number, (tenant, flags)) in compactors.iter().enumerate() {
        let data = folder.join(number.to_string());
        // Read by a shell, as an operator pastes it. Without `--wait`, it ends when there is nothing left to do.
        let line = format!(
            "exec \"$0\" compact --http-address=127.0.0.1:0 --data-dir=\"$1\" --objstore.config=\"$2\" \
             --consistency-delay=0s --delete-delay=0s{flags}"
        );
        // Thanos marks blocks in one round, and deletes them in the next.
        for _ in 0..2 {
            let mut command = Command::new("sh");
            command.args(["-c", &line]).arg(process::program("TENANCY_THANOS")).arg(&data).arg(&bucket);
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{tenant}: {flags}: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Each takes its own tenant's blocks, and no others.
        for (of, kept) in KEPT.iter().filter(|(of, _)| of == tenant || (*of, &**tenant) == ("team-b", "all others")) {
            expected.insert(of.to_string(), kept.to_vec());
        }
        assert_eq!(left(), expected, "{tenant}: {flags}");
    }
}
