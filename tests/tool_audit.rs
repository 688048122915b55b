//! `tenancyctl audit`: what is found in files as Grafana, Prometheus, Mimir and proxies write them.
#![cfg(feature = "cli")]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// A folder of one test.
fn folder(name: &str) -> PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn audit(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tenancyctl")).arg("audit").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The findings of one file: place and reason.
fn findings(name: &str, text: &str, more: &[&str]) -> (i32, Value, Vec<String>) {
    let path = folder(name).join(name);
    std::fs::write(&path, text).unwrap();
    let (status, out, err) = audit(&[&["--json", path.to_str().unwrap()], more].concat());
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let line =
        |finding: &Value| format!("{}: {}", finding["place"].as_str().unwrap(), finding["reason"].as_str().unwrap());
    let lines = report["findings"].as_array().unwrap().iter().map(line).collect();
    (status, report, lines)
}

fn dashboard() -> Value {
    json!({
        "title": "D", "time": {"from": "now-6h", "to": "now"},
        "__inputs": [{"name": "DS_LOKI", "type": "datasource", "pluginId": "loki"}],
        "templating": {"list": [
            {"name": "ds", "type": "datasource", "query": "prometheus"},
            {"name": "job", "type": "query", "datasource": {"uid": "$ds"}, "query": "label_values(up{cluster=\"eu\"}, job)", "current": {"value": "$__all"}},
            {"name": "tenant", "type": "query", "query": {"query": "label_values(up, tenant_id)", "refId": "x"}},
            {"name": "result", "type": "query", "query": "query_result(up{)"},
            {"name": "lines", "type": "query", "datasource": "${DS_LOKI}", "query": "label_values(x)"},
        ]},
        "annotations": {"list": [{"name": "Deploys", "expr": "changes(x{tenant_id=\"b\"}[5m])", "datasource": "$ds"}]},
        "panels": [
            {"title": "Good", "type": "graph", "datasource": {"type": "prometheus", "uid": "$ds"}, "targets": [
                {"refId": "A", "expr": "sum by (job) (rate(x{job=~\"$job\",node=~\"${node:regex}\"}[$__rate_interval])) / $__interval_ms"},
                {"refId": "B", "expr": "topk([[n]], increase(x[$__range] offset ${offset}))", "instant": true},
                {"refId": "C", "expr": "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")"},
            ]},
            {"title": "Logs", "type": "logs", "datasource": {"type": "loki"}, "targets": [{"expr": "{a=\"b\"} |= \"x\""}]},
            {"title": "Row", "type": "row", "panels": [
                {"title": "Other", "type": "stat", "targets": [{"refId": "A", "expr": "x{tenant_id=~\"b|c\"}"}]},
                {"title": "Broken", "type": "stat", "targets": [{"refId": "Z", "expr": "sum(x"}]},
            ]},
        ],
    })
}

#[test]
fn dashboards_are_read_with_their_variables() {
    let (status, report, lines) = findings("dashboard.json", &dashboard().to_string(), &[]);
    assert_eq!(status, 1);
    assert_eq!(
        lines,
        [
            "annotation \"Deploys\": other_tenant",
            "panel \"Other\" query A: other_tenant",
            "panel \"Broken\" query Z: query_syntax",
            "variable \"tenant\": tenant_names",
            "variable \"result\": query_syntax",
        ]
    );
    assert_eq!((&report["queries"], &report["affected"]), (&json!(9), &json!(5)));
    assert_eq!(report["other_data_sources"], json!({"loki": 2}));
    assert_eq!(report["reasons"]["other_tenant"], 2);
    assert_eq!(report["findings"][1]["query"], "x{tenant_id=~\"b|c\"}");
}

#[test]
fn what_an_upstream_isolates_by_the_header_keeps_its_meaning() {
    let config = folder("cortex").join("cortex.json");
    std::fs::write(&config, r#"{"upstream": "cortex", "limits": {"max_query_length": "1h"}}"#).unwrap();
    let (_, _, lines) =
        findings("dashboard-cortex.json", &dashboard().to_string(), &["--config", config.to_str().unwrap()]);
    assert!(!lines.iter().any(|line| line.contains("other_tenant") || line.contains("tenant_names")), "{lines:?}");
    // Six hours of a dashboard whose tenant may ask for one.
    assert!(lines.contains(&"panel \"Good\" query A: max_query_length".to_owned()), "{lines:?}");
}

#[test]
fn rule_files_and_namespaces_are_read_with_their_lines() {
    let rules = "groups:\n- name: g\n  rules:\n  - alert: Gone\n    expr: absent(up{job=\"x\"})\n  - record: a:b\n    expr: |\n      sum(\n        rate(x[5m])\n      ) by (job)\n  - record: one\n    expr: 1\n  - alert: Bad\n    expr: up{\n";
    let (status, report, lines) = findings("rules.yml", rules, &[]);
    assert_eq!(status, 1);
    assert_eq!(
        lines,
        ["line 5: group \"g\", alert \"Gone\": absent", "line 14: group \"g\", alert \"Bad\": query_syntax"]
    );
    assert_eq!(report["queries"], 4);

    let namespaces = "team:\n- name: g\n  rules:\n  - record: r\n    expr: info(up)\n";
    let (_, _, lines) = findings("namespaces.yaml", namespaces, &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("namespace \"team\": line 5: group \"g\", record \"r\": "), "{lines:?}");

    let resource =
        format!("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  {}", rules.replace('\n', "\n  "));
    assert_eq!(findings("resource.yaml", &resource, &[]).2.len(), 2);
    let map = json!({"kind": "ConfigMapList", "items": [{"kind": "ConfigMap", "data": {"d.json": dashboard().to_string(), "r.yaml": rules}}]});
    let (_, _, lines) = findings("map.json", &map.to_string(), &[]);
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(lines.contains(&"d.json: panel \"Other\" query A: other_tenant".to_owned()), "{lines:?}");
}

#[test]
fn logs_say_each_thing_once() {
    let log = "\
[2026-11-29T10:00:00Z] \"GET /api/v1/query?query=up HTTP/1.1\" 200 -
[2026-11-29T10:00:01Z] \"GET /api/v1/status/tsdb HTTP/1.1\" 200 -
[2026-11-29T10:00:02Z] \"GET /api/v1/status/tsdb HTTP/1.1\" 200 -
{\"method\":\"GET\",\"path\":\"/api/v1/query?query=up%7Btenant_id%3D%22b%22%7D\"}
{\"params\":{\"query\":\"sum(up\"}}
\"GET /graph HTTP/1.1\"
";
    let (status, report, lines) = findings("access.log", log, &[]);
    assert_eq!(status, 1);
    assert_eq!(lines, ["line 2: forbidden_path", "line 4: other_tenant", "line 5: query_syntax"]);
    assert_eq!((&report["findings"][0]["times"], &report["unread_lines"]), (&json!(2), &json!(1)));
}

#[test]
fn lines_and_statuses_are_those_of_the_contract() {
    let folder = folder("lines");
    let path = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = path("good.yml", "groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(up)\n");
    let (status, out, _) = audit(&[&good]);
    assert_eq!((status, out.as_str()), (0, "1 query in 1 file: 0 would be refused or changed in meaning\n"));
    let bad = path("bad.yml", "groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(up{tenant_id=\"b\"})\n");
    let (status, out, _) = audit(&[&bad]);
    assert_eq!(status, 1);
    assert!(
        out.starts_with(&format!("{bad}: line 5: group \"g\", record \"r\": other_tenant: tenant_id=\"b\"\n")),
        "{out}"
    );
    assert!(out.contains("       1  other_tenant: a matcher on an enforced label asks for another value"), "{out}");
    let long =
        path("long.yml", "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: |\n      up\n        or absent(up)\n");
    let (_, out, _) = audit(&[&long]);
    // The text of the expression begins on the line after its key.
    let place = "line 6: group \"g\", alert \"a\"";
    assert!(out.starts_with(&format!("{long}: {place}: absent: up or absent(up)\n")), "a finding is one line: {out}");
    let other = path("other.yaml", "kind: Pod\n");
    assert_eq!(audit(&[&other]).0, 2);
    assert_eq!(audit(&["no-such-file.json"]).0, 2);
    // Of a folder, what is something else is counted.
    let (status, out, _) = audit(&[folder.to_str().unwrap()]);
    assert!(status == 1 && out.contains("1 files are no dashboard, rule file or log"), "{out}");
}
