//! The native tool, as its users call it.
#![cfg(feature = "cli")]

#[path = "tenancyctl/terminal.rs"]
mod terminal;

use promql_tenancy_filter::promql::ErrorKind;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 8] = ["check", "rewrite", "route", "verify", "audit", "retention", "schema", "completions"];

fn tenancyctl(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenancyctl"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // From a thread of its own: both pipes may be full at once. A tool that reads no input closes the pipe.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the writer ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit status"), text(stdout), text(stderr))
}

#[test]
fn check_makes_every_default_explicit() {
    let (status, out, err) = tenancyctl(&["check", "-"], r#"{"upstream": "cortex", "strip_headers": ["X-Debug"]}"#);
    assert_eq!((status, err.as_str()), (0, ""));
    for line in [
        r#"upstream               "cortex""#,
        r#"tenant_header          "thanos-tenant" (default)"#,
        r#"default_tenant_id      "default-tenant" (default)"#,
        r#"forward_tenant_header  "x-scope-orgid" (default)"#,
        r#"strip_headers          ["x-debug"]"#,
        r#"enforce_tenancy        false (default)"#,
        r#"allowed_tenants        not set (default)"#,
        r#"path_prefixes          ["/prometheus","/api/prom"] (default)"#,
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(out.lines().any(|other| words(other) == words(line)), "{line}\n{out}");
    }
}

#[test]
fn check_names_the_key_and_the_file() {
    let (status, out, err) = tenancyctl(&["check", "-"], r#"{"tenant_federation": {"enabled": 1}}"#);
    assert_eq!((status, out.as_str()), (1, ""));
    assert_eq!(err, "-:1: tenant_federation.enabled: expected true or false, found a number\n");
    let (status, _, err) = tenancyctl(&["check", "no-such-file.json"], "");
    assert_eq!(status, 2);
    assert!(err.starts_with("tenancyctl: no-such-file.json: "), "{err}");
    assert_eq!(tenancyctl(&["check"], "").0, 2, "usage");
}

#[test]
fn check_reads_the_file_that_envoy_discovers() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/promql_tenancy.yaml");
    let (status, out, err) = tenancyctl(&["check", shipped], "");
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("allow_on_headers_stop_iteration  true\n"), "{out}");
}

#[test]
fn every_command_reads_the_file_that_envoy_discovers() {
    let (status, out, err) = tenancyctl(&["rewrite", "--config", "envoy/envoy.yaml", "--tenant", "a", "up"], "");
    assert_eq!((status, out.as_str(), err.as_str()), (0, "up{tenant_id=\"a\"}\n", ""));
    let (_, _, err) = tenancyctl(&["retention", "envoy/envoy.yaml"], "");
    assert!(err.contains("--for <UPSTREAM>|--url <URL>"), "{err}");
}

/// A compactor's blocks, the patterns of the tenant label that it keeps and drops, and its retention.
type Compactor = (String, Vec<String>, Option<String>);

/// What `retention --for thanos` prints.
fn compactors(config: &str, more: &[&str]) -> (i32, Vec<Compactor>, String) {
    let arguments = [&["retention", "-", "--for", "thanos", "--json"], more].concat();
    let (status, out, err) = tenancyctl(&arguments, config);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    let compactor = |one: &serde_json::Value| {
        let flags: Vec<&str> = one["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
        let value = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
        let steps: serde_json::Value =
            serde_json::from_str(value("--selector.relabel-config").unwrap_or("[]")).unwrap();
        let step = |step: &serde_json::Value| format!("{} {}", step["action"], step["regex"]).replace('"', "");
        let steps = steps.as_array().unwrap().iter().map(step).collect();
        (one["blocks"].as_str().unwrap().to_owned(), steps, value("--retention.resolution-raw").map(str::to_owned))
    };
    (status, document["compactors"].as_array().unwrap().iter().map(compactor).collect(), err)
}

#[test]
fn each_block_has_one_compactor_and_none_deletes_what_no_setting_is_for() {
    let line = |blocks: &str, steps: &[&str], retention: Option<&str>| {
        let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
        (blocks.to_owned(), steps, retention.map(str::to_owned))
    };
    let both = r#""limits": {"retention_period": "2d"}, "overrides": {"a.b": {"retention_period": "1d"}, "c": {"retention_period": 0}}"#;
    let config = format!("{{{both}}}");
    let own = [line("a.b", &[r"keep a\\.b"], Some("1d")), line("c: kept", &["keep c"], None)];
    let nobody = line("blocks of no tenant that is served: kept", &["drop .+"], None);
    let others = line("all others", &["keep .+", r"drop a\\.b|c"], Some("2d"));
    let (status, found, _) = compactors(&config, &[]);
    assert_eq!((status, found), (0, [&own[..], &[others, nobody]].concat()));

    // Those that allowed_tenants does not name keep their data.
    let allowed = format!(r#"{{"allowed_tenants": ["c", "d", "a.b", {{"prefix": "e."}}], {both}}}"#);
    let served = r"a\\.b|c|d|e\\..*";
    let others = line("all others", &[&format!("keep {served}"), r"drop a\\.b|c"], Some("2d"));
    let nobody = line("blocks of no tenant that is served: kept", &[&format!("drop {served}")], None);
    let (status, found, _) = compactors(&allowed, &[]);
    assert_eq!((status, found), (0, [&own[..], &[others, nobody]].concat()));

    // Nor is the default that of tenants which may be in another's selector.
    let selectors = format!(r#"{{"tenant_selectors": {{"shop": "{{namespace=\"shop\"}}"}}, {both}}}"#);
    let (status, found, err) = compactors(&selectors, &[]);
    let kept = [line("a.b: kept", &[r"keep a\\.b"], None), line("c: kept", &["keep c"], None)];
    assert_eq!((status, found), (1, [&kept[..], &[line("all others: kept", &[r"drop a\\.b|c"], None)]].concat()));
    assert!(err.contains("all others: left out: a selector of tenant_selectors"), "{err}");

    // Without a default, nothing of theirs is deleted.
    let (status, found, _) = compactors(r#"{"overrides": {"a": {"retention_period": "1d"}}}"#, &[]);
    let others = line("all others: kept", &["drop a"], None);
    assert_eq!((status, found), (0, vec![line("a", &["keep a"], Some("1d")), others]));
}

/// Else the default would be that of a tenant which is not printed, and keeps everything.
#[test]
fn settings_of_single_tenants_say_nothing_of_the_others() {
    let config = r#"{"limits": {"retention_period": "2d"}, "overrides": {"a": {"retention_period": "1d"}, "c": {"retention_period": 0}}}"#;
    let (status, found, _) = compactors(config, &["--tenant", "d", "--tenant", "a", "--tenant", "d"]);
    let found: Vec<(&str, Option<&str>)> = found.iter().map(|(blocks, _, days)| (&**blocks, days.as_deref())).collect();
    assert_eq!((status, found), (0, vec![("a", Some("1d")), ("d", Some("2d"))]));

    let cortex = |more: &[&str]| tenancyctl(&[&["retention", "-", "--for", "cortex"], more].concat(), config).1;
    let all = cortex(&[]);
    assert!(all.contains("-compactor.blocks-retention-period=2d") && all.contains("\"c\""), "{all}");
    let one = cortex(&["--tenant", "d"]);
    let (comment, overrides) = one.split_once("overrides:\n").unwrap();
    assert_eq!(overrides, "  \"d\":\n    compactor_blocks_retention_period: 2d\n");
    assert!(comment.contains("Only of the tenants that --tenant names") && !comment.contains("2d"), "{one}");
}

#[test]
fn check_names_every_mistake() {
    let config = r#"{
        "upsteam": "thanos", "tenant_label_name": 5, "on_conflict": "replace", "on_conflict": "refuse",
        "limits": {"retention_period": "30", "max_query_points": -1},
        "overrides": {"team.a": {"max_query_lenth": "1d", "blocked_queries": [{"pattern": "up"}, {}, {"pattern": "("}]}, "a b": {}}
    }"#;
    let (status, out, err) = tenancyctl(&["check", "-"], config);
    assert_eq!((status, out.as_str()), (1, ""));
    for path in [
        "on_conflict: the key is given twice",
        "on_conflict: unknown value",
        "tenant_label_name: ",
        "limits.retention_period: ",
        "limits.max_query_points: ",
        "overrides.team.a.max_query_lenth: ",
        "overrides.team.a.blocked_queries[1]: ",
        "overrides.a b: ",
        "upsteam: unknown key; did you mean upstream?",
    ] {
        assert_eq!(
            err.lines().filter(|line| line.starts_with("-:") && line.contains(&format!(": {path}"))).count(),
            1,
            "{path}\n{err}"
        );
    }
    assert_eq!(err.lines().count(), 9, "{err}");
}

#[test]
fn check_names_what_has_no_effect() {
    let config = r#"{"upstream": "mimir", "shared_rules": true, "allowed_tenants": ["team-a"], "overrides": {"Team-a": {"max_query_length": "1d"}}}"#;
    let (status, out, err) = tenancyctl(&["check", "-"], config);
    assert!(status == 1 && out.contains("limits of Team-a"), "{out}");
    let lines = "-:1: shared_rules: has no effect: enforce_tenancy is false\n\
                 -:1: overrides.Team-a: has no effect: the tenant is not served, but team-a is\n";
    assert_eq!(err, lines);
}

#[test]
fn check_explains_the_limits_of_each_tenant() {
    let config = r#"{"limits": {"retention_period": "720h"}, "overrides": {"a": {"max_query_points": 100}, "b": {"retention_period": 0}}}"#;
    let (status, out, _) = tenancyctl(&["check", "-"], config);
    assert_eq!(status, 0);
    let words: Vec<&str> = out.split_once("limits of a\n").expect("a tenant").1.split_whitespace().collect();
    let expected = "retention_period 30d (limits) max_query_points 100 (overrides) limits of b none \
                    limits of every other tenant retention_period 30d (limits)";
    assert_eq!(words.join(" "), expected);
}

/// It is valid, and so no mistake, but must not be overlooked.
#[test]
fn check_says_first_that_a_dry_run_does_not_isolate() {
    let loud = |config: &str, arguments: &[&str]| {
        let (status, out, err) = tenancyctl(arguments, config);
        assert_eq!((status, err.as_str()), (0, ""));
        out.lines().next().unwrap().strip_prefix("DRY RUN: TENANTS ARE NOT ISOLATED: ").map(str::to_owned)
    };
    let of_one = r#"{"overrides": {"a": {"dry_run": true}}}"#;
    let check = ["check", "-"];
    assert_eq!(loud(r#"{"dry_run": true}"#, &check).unwrap(), "nothing is enforced, for any tenant");
    assert_eq!(loud(of_one, &check).unwrap(), "nothing is enforced for 1 tenants of overrides");
    assert!(loud(of_one, &["check", "--tenant", "a", "-"]).is_some());
    assert_eq!(loud("{}", &check), None);
    let (_, out, _) = tenancyctl(&["check", "--json", "-"], r#"{"dry_run": true}"#);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["plugins"][0]["dry_run"], "nothing is enforced, for any tenant");
    let (_, out, _) = tenancyctl(&["check", "-"], of_one);
    assert!(out.contains("limits of a\n") && out.contains("true: nothing is enforced (overrides)"), "{out}");
}

#[test]
fn rewrite_prints_the_enforced_query() {
    let (status, out, err) = tenancyctl(&["rewrite", "--tenant", "team-a", "up"], "");
    assert_eq!((status, out.as_str(), err.as_str()), (0, "up{tenant_id=\"team-a\"}\n", ""));
    let from_stdin = tenancyctl(&["rewrite", "--tenant", "team-a"], "up\n");
    assert_eq!((from_stdin.0, from_stdin.1), (status, out));
    let (status, out, err) = tenancyctl(&["rewrite", "--tenant", "team-a", "up{"], "");
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.starts_with("1:") && err.contains("parse error: "), "{err}");
}

#[test]
fn rewrite_follows_the_configuration() {
    let federated = r#"{"tenant_federation": {"enabled": true}, "tenant_label_name": "team"}"#;
    let (status, out, _) = tenancyctl(&["rewrite", "--tenant", "b|a", "--config", "-", "up"], federated);
    assert_eq!((status, out.as_str()), (0, "up{team=~\"a|b\"}\n"));
    for (tenant, message) in [("a|b", "several tenants"), ("", "empty"), ("a b", "not allowed")] {
        let (status, _, err) = tenancyctl(&["rewrite", "--tenant", tenant, "up"], "");
        assert!(status == 1 && err.contains(message), "{tenant}: {err}");
    }
    let (status, _, err) =
        tenancyctl(&["rewrite", "--tenant", "c", "--config", "-", "up"], r#"{"allowed_tenants": ["a"]}"#);
    assert!(status == 1 && err.contains("not in allowed_tenants"), "{err}");
}

#[test]
fn rewrite_reads_a_selector_as_one() {
    let (status, out, _) = tenancyctl(&["rewrite", "--tenant", "a", "--selector", "{job=\"x\"}"], "");
    assert_eq!((status, out.as_str()), (0, "{tenant_id=\"a\",job=\"x\"}\n"));
    assert_eq!(tenancyctl(&["rewrite", "--tenant", "a", "--selector", "sum(up)"], "").0, 1);
    assert_eq!(tenancyctl(&["rewrite", "--tenant", "a", "--selector", ""], "").0, 1);
}

#[test]
fn jsonl_answers_each_line_with_one() {
    let input = "\"up\"\n\"up{\"\n\"a\\u0022\"\nnot JSON\n{\"a\":1}\n\"1 + \\\"é\\\"\"";
    let (status, out, err) = tenancyctl(&["rewrite", "--tenant", "team-a", "--jsonl"], input);
    assert_eq!((status, err.as_str()), (0, ""));
    let answers: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), 6, "{out}");
    assert_eq!(answers[0], serde_json::json!({"ok": "up{tenant_id=\"team-a\"}"}));
    let error = &answers[1]["error"];
    assert_eq!(error["kind"], "syntax");
    assert!(error["message"].as_str().expect("text").starts_with("1:"), "{error}");
    assert!(error["start"].is_u64() && error["end"].is_u64());
    assert_eq!(answers[2]["error"]["kind"], "syntax");
    assert_eq!(answers[3]["error"]["kind"], "input");
    assert_eq!(answers[4]["error"]["kind"], "input");
    assert_eq!(answers[5], serde_json::json!({"ok": "1 + \"é\""}));
}

#[test]
fn jsonl_is_answered_line_by_line_where_a_program_waits() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenancyctl"))
        .args(["rewrite", "--tenant", "a", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    for _ in 0..3 {
        stdin.write_all(b"\"up\"\n").expect("it reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it answers");
        assert_eq!(line, "{\"ok\":\"up{tenant_id=\\\"a\\\"}\"}\n");
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_second_opinion_is_asked_for() {
    let (status, out, err) = tenancyctl(&["rewrite", "--tenant", "a", "--verify", "topk(scalar(x), y)"], "");
    assert_eq!((status, out.as_str()), (0, "topk(scalar(x{tenant_id=\"a\"}), y{tenant_id=\"a\"})\n"));
    assert_eq!(err, "verify: promql-parser agrees: the matcher is on all of 2 selectors\n");
    let (status, out, _) = tenancyctl(&["rewrite", "--tenant", "a", "--verify", "--jsonl"], "\"up\"\n");
    assert_eq!(status, 0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON"),
        serde_json::json!({"ok": "up{tenant_id=\"a\"}", "verify": {"opinion": "agrees", "selectors": 1}})
    );
}

#[test]
fn route_says_what_becomes_of_a_request() {
    let (status, out, err) = tenancyctl(
        &["route", "POST", "/api/v1/labels", "--tenant", "a", "--data", "start=1", "-H", "X-Scope-OrgID: b"],
        "",
    );
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "forwarded labels\ntenant    a\nconfined  tenant_id=\"a\"  tenant_label_name\npath      /api/v1/labels?match%5B%5D=%7Btenant_id%3D%22a%22%2C__name__%3D%22promql_tenancy_filter%3Anothing%22%7D\n            match[] = {tenant_id=\"a\",__name__=\"promql_tenancy_filter:nothing\"}\n\
         remove    x-scope-orgid\nset       thanos-tenant: a\n\
         body      start=1&match%5B%5D=%7Btenant_id%3D%22a%22%7D\n            start = 1\n            match[] = {tenant_id=\"a\"}\n"
    );
    let (status, out, err) = tenancyctl(&["route", "--config", "-", "GET", "/api/v1/metadata"], "{}");
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.starts_with("refused: 403 forbidden_path: "), "{err}");
    assert_eq!(tenancyctl(&["route", "GET"], "").0, 2, "usage");
}

const SCOPES: &str = r#"{
    "allowed_tenants": ["shop", "other"],
    "tenant_selectors": {"shop": "{namespace=~\"shop-.*\",cluster=\"eu\"}"},
    "enforced_labels": [
        {"label": "zone", "header": "X-Zone"},
        {"label": "env", "metadata": ["jwt", "payload", "env"]},
        {"label": "tier", "values": ["1"]}
    ],
    "overrides": {"shop": {"max_query_points": 11}}
}"#;

const WHY: &str = r#"confined  namespace=~"shop-.*"  tenant_selectors.shop
confined  cluster="eu"          tenant_selectors.shop
confined  zone="z1"             enforced_labels: the header x-zone
confined  env=~"dev|prod"       enforced_labels: the metadata jwt / payload / env
confined  tier="1"              enforced_labels: fixed
"#;

#[test]
fn what_a_tenant_is_confined_to_is_shown_with_the_key_behind_it() {
    let labels = ["--label", "zone=z1", "--label", "env=prod|dev"];
    let ask = |arguments: &[&str]| tenancyctl(&[arguments, &labels].concat(), SCOPES);

    let (status, out, err) = ask(&["check", "-", "--tenant", "shop"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with(&format!("{WHY}header    thanos-tenant: shop\n\nlimits of shop\n")), "{out}");
    assert!(out.contains("max_query_points"), "{out}");

    let (status, out, err) = ask(&["rewrite", "--config", "-", "--tenant", "shop", "--explain", "up"]);
    let written = r#"namespace=~"shop-.*",cluster="eu",zone="z1",env=~"dev|prod",tier="1""#;
    assert_eq!((status, out, err.as_str()), (0, format!("up{{{written}}}\n"), WHY));
    let (status, out, err) = ask(&["rewrite", "--config", "-", "--tenant", "shop", "--verify", "topk(scalar(x), y)"]);
    assert_eq!((status, out), (0, format!("topk(scalar(x{{{written}}}), y{{{written}}})\n")));
    assert_eq!(err, "verify: promql-parser agrees: the matcher is on all of 2 selectors\n");

    let (status, out, err) = ask(&["route", "--config", "-", "--tenant", "shop", "GET", "/api/v1/query?query=up"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains(&format!("tenant    shop\n{WHY}path ")), "{out}");
    assert!(out.contains(&format!("  query = up{{{written}}}\n")), "{out}");
    assert!(out.contains("remove    x-zone\n"), "{out}");

    // A tenant without a selector, and labels without a value.
    let (_, out, _) = ask(&["check", "-", "--tenant", "other"]);
    assert!(out.starts_with("confined  tenant_id=\"other\"  tenant_label_name\nconfined  zone="), "{out}");
    let (status, _, err) = tenancyctl(&["check", "-", "--tenant", "shop", "--label", "zone=z1"], SCOPES);
    assert_eq!(
        (status, err.as_str()),
        (1, "no value for the label \"env\": the metadata that has its value is absent\n")
    );
    let (status, _, err) =
        tenancyctl(&["rewrite", "--config", "-", "--tenant", "shop", "--label", "tier=2", "up"], SCOPES);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("takes no such label from a request"), "{err}");
    let route = ["route", "--config", "-", "--tenant", "shop", "GET", "/api/v1/query?query=up"];
    let (status, _, err) = tenancyctl(&route, SCOPES);
    assert!(status == 1 && err.starts_with("refused: 401 no_label_value: "), "{err}");
}

#[test]
fn check_lists_selectors_and_says_who_else_is_seen() {
    let (status, out, _) = tenancyctl(&["check", "-"], SCOPES);
    assert!(status == 0 && out.contains("tenants with a selector of their own\n  shop "), "{out}");
    assert!(out.contains(r#"{namespace=~"shop-.*",cluster="eu"}"#), "{out}");
    let shared = r#"{"upstream": "cortex", "shared_tenants": ["platform"], "tenant_federation": {"enabled": true}}"#;
    let (_, out, _) = tenancyctl(&["check", "-", "--tenant", "team-a"], shared);
    assert!(out.starts_with("confined  by the upstream, to the tenant in the header (enforce_tenancy)\nheader    x-scope-orgid: platform|team-a\n"), "{out}");
    let (_, out, _) = tenancyctl(&["check", "-", "--tenant", "team-a"], r#"{"shared_tenants": ["platform"]}"#);
    assert!(
        out.starts_with(
            "confined  tenant_id=~\"platform|team-a\"  tenant_label_name, with platform of shared_tenants\n"
        ),
        "{out}"
    );
    let view = r#"{"static_tenant_ids": ["ops"], "tenant_regex": "t.*"}"#;
    let (status, out, _) = tenancyctl(&["check", "-", "--tenant", "ops"], view);
    assert!(status == 0 && out.contains("tenant_id=~\"t.*\"  tenant_regex\n"), "{out}");
    assert_eq!(tenancyctl(&["check", "-", "--tenant", "third"], SCOPES).0, 1);
}

#[test]
fn route_takes_a_url_and_escapes_what_a_form_holds() {
    let url = "https://prometheus.example:9090/a/../api/v1/query?query=sum(up) by (job)#top";
    let (status, out, err) = tenancyctl(&["route", "GET", url, "--tenant", "a"], "");
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("  query = sum(up{tenant_id=\"a\"}) by (job)\n"), "{out}");
    // A path is what the client sends, byte by byte.
    assert_eq!(tenancyctl(&["route", "GET", "/a/../api/v1/query?query=up", "--tenant", "a"], "").0, 1);
    assert_eq!(tenancyctl(&["route", "GET", "http://[/api/v1/query", "--tenant", "a"], "").0, 2);
    let form = ["route", "POST", "/api/v1/series", "--tenant", "a", "--data-urlencode", "match[]=up{a=\"+ &%\"}"];
    let (status, out, _) = tenancyctl(&form, "");
    assert!(status == 0 && out.contains("  match[] = up{tenant_id=\"a\",a=\"+ &%\"}\n"), "{out}");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (status, out, err) = tenancyctl(&["completions", shell], "");
        assert_eq!((status, err.as_str()), (0, ""), "{shell}");
        for word in [&COMMANDS[..], &["data-urlencode"]].concat() {
            assert!(out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(tenancyctl(&["completions", "csh"], "").0, 2);
}

#[test]
fn what_is_no_terminal_gets_no_colours() {
    for arguments in [&["check", "-"][..], &["check", "no-such-file"], &["--help"], &["route", "GET", "/x"]] {
        let (_, out, err) = tenancyctl(arguments, "");
        assert!(!out.contains('\x1b') && !err.contains('\x1b'), "{arguments:?}");
    }
}

#[test]
fn the_kinds_in_the_help_are_those_of_the_code() {
    let (_, help, _) = tenancyctl(&["rewrite", "--help"], "");
    let kinds = [ErrorKind::Syntax, ErrorKind::TooLarge, ErrorKind::Info, ErrorKind::Reserved, ErrorKind::Conflict];
    let position = |kind: &ErrorKind| match kind {
        ErrorKind::Syntax => 0,
        ErrorKind::TooLarge => 1,
        ErrorKind::Info => 2,
        ErrorKind::Reserved => 3,
        ErrorKind::Conflict => 4,
    };
    let (_, list) = help.split_once("kind is ").expect("the sentence");
    let (list, _) = list.split_once(" where ").expect("its end");
    for (at, kind) in kinds.iter().enumerate() {
        assert_eq!(position(kind), at);
        assert!(list.split([' ', ',']).any(|word| word == kind.name()), "{}: {list}", kind.name());
    }
}

#[test]
fn the_table_in_the_docs_is_the_one_that_decides() {
    let (status, out, _) = tenancyctl(&["route"], "");
    assert_eq!(status, 0);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api-table.md");
    let docs = std::fs::read_to_string(path).expect("docs/api-table.md");
    assert!(
        docs == out,
        "docs/api-table.md is not what the filter does: write it anew with `tenancyctl route > docs/api-table.md`"
    );
}

#[test]
fn help_teaches_by_example() {
    for command in COMMANDS {
        let (status, out, _) = tenancyctl(&[command, "--help"], "");
        assert_eq!(status, 0);
        assert!(out.contains("Examples:\n  "), "{out}");
    }
    let (status, out, _) = tenancyctl(&["--help"], "");
    assert!(status == 0 && out.contains("Examples:\n"), "{out}");
    let (_, commands) = out.split_once("Commands:\n").expect("the list");
    let (commands, _) = commands.split_once("\n\n").expect("its end");
    let listed: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(listed.iter().all(|name| *name == "help" || COMMANDS.contains(name)), "{listed:?}");
}

#[test]
fn route_says_why_the_tenant_is_the_tenant() {
    let keycloak = r#"{"tenant_metadata": {"path": ["n", "roles"], "strip_prefix": "/", "drop_unknown": true}, "allowed_tenants": ["team-a", "team-b"],
        "tenant_path": "/t/"}"#;
    let route =
        |config: &str, arguments: &[&str]| tenancyctl(&[&["route", "--config", "-"], arguments].concat(), config);
    let claim = r#"["/team-a", "/team-b", "offline_access", "/x"]"#;
    let (status, out, err) = route(keycloak, &["--claim", claim, "GET", "/t/team-b/api/v1/status/buildinfo"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let expected = "forwarded buildinfo\ntenant    team-b\n          named by the metadata n \u{2192} roles\n            \"/team-a\" is the tenant team-a\n\
                    \u{20}           \"/team-b\" is the tenant team-b\n            \"offline_access\" does not begin with \"/\", and is dropped\n\
                    \u{20}           \"/x\" is no tenant that is served, and is dropped\n          chosen by the path: /t/team-b\nconfined  tenant_id=\"team-b\"  tenant_label_name\npath      /api/v1/status/buildinfo\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains("set       x-forwarded-prefix: /t/team-b\n"), "{out}");
    let (status, _, err) = route(keycloak, &["--claim", claim, "GET", "/api/v1/status/buildinfo"]);
    assert!(status == 1 && err.contains("the path does not choose, since it does not begin with /t/"), "{err}");
    let (status, out, _) = route(keycloak, &["--tenant", "team-a", "GET", "/api/v1/status/buildinfo"]);
    assert!(status == 0 && out.contains("\"/team-a\" is the tenant team-a"), "{out}");

    let groups = r#"{"tenant_metadata": ["n", "roles"], "tenant_groups": {"sre": ["a", "b"]}, "tenant_federation": {"enabled": true}}"#;
    let (status, out, _) = route(groups, &["--claim", "sre", "GET", "/api/v1/status/buildinfo"]);
    assert!(status == 0 && out.contains("tenant    a|b\n") && out.contains("\"sre\" is a group: a, b\n"), "{out}");
    let (status, _, err) = route(groups, &["--claim", r#"["sre", "ops"]"#, "GET", "/api/v1/status/buildinfo"]);
    assert!(
        status == 1 && err.contains("403 tenant_not_allowed") && err.contains("\"ops\" is not in tenant_groups\n"),
        "{err}"
    );
    assert_eq!(route(groups, &["--tenant", "a", "GET", "/api/v1/status/buildinfo"]).0, 2);

    let parameter = r#"{"tenant_parameter": "namespace"}"#;
    let (status, out, _) = route(parameter, &["--tenant", "a", "GET", "/api/v1/query?query=up"]);
    assert!(
        status == 0 && out.contains("named by the URL's parameter namespace\n") && !out.contains("namespace ="),
        "{out}"
    );
    assert_eq!(route(parameter, &["--claim", "a", "GET", "/api/v1/status/buildinfo"]).0, 2);

    let path = r#"{"tenant_path": "/t/", "allowed_tenants": ["a"]}"#;
    let (status, out, _) = route(path, &["--tenant", "a", "GET", "/api/v1/status/buildinfo"]);
    assert!(status == 0 && out.contains("chosen by the path: /t/a\n"), "{out}");
    let (_, out, _) = tenancyctl(&["route", "GET", "/api/v1/status/buildinfo"], "");
    assert!(out.contains("default_tenant_id, since the header thanos-tenant is absent\n"), "{out}");
}
