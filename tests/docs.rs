//! What the documentation says, compared with the code.
#![cfg(not(target_family = "wasm"))]

/// Metadata as Envoy writes it.
#[path = "../src/bin/tenancyctl/evidence.rs"]
#[allow(dead_code)]
mod evidence;

use promql_tenancy_filter::config::{self, Config};
use promql_tenancy_filter::exchange::Line;
use promql_tenancy_filter::request::{self, Head};
use promql_tenancy_filter::{go::form, promql, rejection, stats, tenant};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows whose first cell is code.
fn rows(markdown: &str) -> Vec<Vec<&str>> {
    let rows = markdown.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_configuration_table_has_every_key_with_its_default() {
    let text = read("docs/configuration.md");
    let documented: Vec<(String, String)> = rows(&text)
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].trim_matches('`').replace("\\|", "|")))
        .collect();
    let default = |key: &config::Key| if key.default.is_empty() { "none" } else { key.default }.to_owned();
    let mut settings: Vec<(String, String)> =
        config::keys().iter().map(|key| (key.name.to_owned(), default(key))).collect();
    let mut documented = documented;
    documented.sort();
    settings.sort();
    assert_eq!(documented, settings);
}

#[test]
fn keys_in_the_readme_are_keys() {
    let text = read("README.md");
    let (_, table) = text.split_once("## Configuration").expect("the section");
    let (table, _) = table.split_once("\n## ").expect("another section");
    let known: Vec<&str> = config::keys().iter().map(|key| key.name).collect();
    let keys: Vec<String> = rows(table).iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert!(keys.len() > 4 && keys.iter().all(|key| known.contains(&key.as_str())), "{keys:?}");
}

#[test]
fn the_stats_table_has_every_stat_with_its_type_unit_and_tags() {
    let text = read("docs/stats.md");
    let documented: Vec<Vec<String>> = rows(&text)
        .iter()
        .filter(|row| row[0].starts_with("`tenancy_"))
        .map(|row| row[..4].iter().map(|cell| cell.replace('`', "")).collect())
        .collect();
    let known: Vec<Vec<String>> = stats::ALL
        .iter()
        .map(|stat| {
            let kind = format!("{:?}", stat.kind).to_lowercase();
            let tags = [if stat.is_scoped { "tenant handler" } else { "" }, stat.tag].join(" ");
            vec![stat.name.to_owned(), kind, stat.unit.to_owned(), tags.trim().to_owned()]
        })
        .collect();
    assert_eq!(documented, known);
}

/// What is to be read in docs: pictures stand beside it.
fn pages() -> Vec<std::path::PathBuf> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let is_text = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension != "png");
    docs.map(|entry| entry.unwrap().path()).filter(is_text).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = pages();
    let others = ["README.md", "SECURITY.md", "CODE_OF_CONDUCT.md"].map(|name| root.join(name));
    for document in docs.into_iter().chain(others) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap();
            let exists = link.starts_with("http") || document.parent().unwrap().join(file).exists();
            assert!(exists, "{}: {link}", document.display());
        }
    }
}

/// A table ends at the first line that is no row: what looks like a row behind an empty line would be shown as text.
#[test]
fn tables_are_not_torn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut tables = 0;
    for document in docs.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(&document).unwrap();
        let is_row = |line: &str| line.starts_with('|') && line.ends_with('|');
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_row(line)) {
            if at == 0 || !is_row(lines[at - 1]) {
                let is_head = lines.get(at + 1).is_some_and(|next| next.starts_with("|---"));
                assert!(is_head, "{}: a table begins without a head: {line}", document.display());
                tables += 1;
            }
            // A `|` in code is written `\|`.
            let cells = |line: &str| line.replace("\\|", "").matches('|').count();
            assert!(
                at == 0 || !is_row(lines[at - 1]) || cells(line) == cells(lines[at - 1]),
                "{}: {line}",
                document.display()
            );
        }
    }
    assert!(tables > 20, "{tables}");
}

#[test]
fn the_pages_that_keys_name_speak_of_them() {
    for key in config::keys() {
        assert!(read(key.docs).contains(&format!("`{}", key.name)), "{}: {}", key.docs, key.name);
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let text = read("docs/bounds.md");
    let row = |name: &str| {
        let row = text.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap_or_else(|| panic!("{name}"));
        row.split(" | ").nth(1).expect("a limit").replace(',', "")
    };
    for (name, limit) in [
        ("MAX_LENGTH", format!("{} MiB", promql::MAX_LENGTH >> 20)),
        ("MAX_TOKENS", promql::MAX_TOKENS.to_string()),
        ("MAX_DEPTH", format!("{} levels", promql::MAX_DEPTH)),
        ("MAX_PRINTING", promql::MAX_PRINTING.to_string()),
        ("MAX_TREE", promql::MAX_TREE.to_string()),
        ("MAX_SEARCH_TERM", format!("{} bytes", promql_tenancy_filter::api::MAX_SEARCH_TERM)),
        ("MAX_WRITTEN", format!("{} MiB", promql::MAX_WRITTEN >> 20)),
        ("MAX_PAIRS", form::MAX_PAIRS.to_string()),
        ("MAX_CORTEX_ID", format!("{} bytes", tenant::MAX_CORTEX_ID)),
        ("MAX_THANOS_ID", format!("{} bytes", tenant::MAX_THANOS_ID)),
        ("MAX_HEADER", format!("{} bytes", tenant::MAX_HEADER)),
    ] {
        assert_eq!(row(name), limit, "{name}");
    }
}

#[test]
fn the_filter_in_the_readme_is_a_valid_configuration() {
    let text = read("README.md");
    let (_, block) = text.split_once("value: |\n").expect("a configuration");
    let (block, _) = block.split_once("```").expect("its end");
    let config = Config::parse(block.trim().as_bytes()).unwrap();
    let default = config.explain().into_iter().find(|setting| setting.key == "default_tenant_id").unwrap();
    assert!(config.can_hold_heads() && default.value == "\"\"", "it is the safe one");
    assert!(text.contains("per_connection_buffer_limit_bytes: 2097152") && text.contains("stats_config"));
    let shipped = read("envoy/promql_tenancy.yaml");
    let (_, block) = shipped.split_once("value: |\n").expect("a configuration");
    Config::parse(block.trim().as_bytes()).unwrap();
}

#[test]
fn runbook_has_every_reason_of_a_refusal() {
    let text = read("docs/runbook.md");
    let (_, table) = text.split_once("## Refusals").expect("the section");
    let (table, _) = table.split_once("\n## ").expect("another section");
    let documented: BTreeSet<String> = rows(table).iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert!(documented.len() > 30, "{documented:?}");
    assert_eq!(documented, rejection::reasons().into_iter().map(str::to_owned).collect());
}

#[test]
fn runbook_has_every_log_line() {
    let text = read("docs/runbook.md");
    let (_, table) = text.split_once("## Log lines").expect("the section");
    let (table, _) = table.split_once("\n## ").expect("another section");
    let rows = rows(table);
    let first = |row: &Vec<&str>| row[0].split('`').nth(1).expect("a line").trim_end_matches(": ").to_owned();
    let documented: BTreeSet<String> = rows.iter().map(first).collect();
    let line = |line: Line| line.begin().replace(env!("CARGO_PKG_VERSION"), "<version>");
    assert_eq!(documented, Line::ALL.map(line).into());
}

#[test]
fn the_changelog_speaks_of_this_version() {
    let text = read("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let heading = |name: &str| text.lines().any(|line| line.starts_with(&format!("## [{name}]")));
    // Before its release, what it brings stands under "Unreleased".
    assert!(heading(version) || heading("Unreleased"), "{version}");
}

#[test]
fn versions_in_the_guides_are_those_that_are_built_and_tested() {
    let versions = read("scripts/versions.env");
    let envoy = versions.lines().find_map(|line| line.strip_prefix("ENVOY_VERSION=")).expect("Envoy's version");
    let expected = [("envoyproxy/envoy:v", envoy), ("promql-tenancy-filter:", env!("CARGO_PKG_VERSION"))];
    let mut found = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (image, version) in expected {
            for (at, _) in text.match_indices(image) {
                assert!(text[at + image.len()..].starts_with(version), "{}: {image}", path.display());
                found += 1;
            }
        }
    }
    assert!(found > 1);
}

#[test]
fn configurations_in_the_guides_are_valid() {
    let text = read("docs/getting-started.md");
    let (_, json) = text.split_once("```json\n").expect("a configuration");
    let (json, rest) = json.split_once("```").expect("its end");
    Config::parse(json.as_bytes()).unwrap();
    let (_, block) = rest.split_once("value: |\n").expect("the filter's");
    let (block, _) = block.split_once("```").expect("its end");
    let config = Config::parse(block.trim().as_bytes()).unwrap();
    assert_eq!(config.explain().len(), Config::parse(json.as_bytes()).unwrap().explain().len());
}

/// The models of docs/who-sees-what.md: each configuration is read, and each row of the table behind it is what becomes of `up`.
#[test]
fn the_models_do_what_the_page_says() {
    let query = "/api/v1/query?query=up";
    // In the order of the rows: the path, and what the token says.
    let mut requests = [
        (query, json!({"tenant": "team-a"})),
        ("/api/v1/query?query=up&namespace=shop", json!({})),
        (query, json!({"team": "shop"})),
        (query, json!({"team": "till"})),
        (query, json!({"team": "team-a", "clusters": ["us", "eu"]})),
        ("/t/team-b/api/v1/query?query=up", json!({"groups": ["/sre"]})),
        (query, json!({"groups": ["/staff", "/team-a"]})),
        (query, json!({"realm_access": {"roles": ["offline_access", "team-b", "team-a"]}})),
        (query, json!({"tenant": "team-a"})),
        (query, json!({})),
        (query, json!({})),
    ]
    .into_iter();
    let page = read("docs/who-sees-what.md");
    for block in page.split("```json\n").skip(1) {
        let (json, rest) = block.split_once("```").expect("its end");
        let config = Config::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}{error}"));
        let (_, table) = rest.split_once("| becomes |\n|---|---|\n").expect("what becomes of requests");
        for row in table.lines().take_while(|line| line.starts_with('|')) {
            let (path, token) = requests.next().expect("as many requests as rows");
            let metadata = evidence::encode(&json!({"envoy.filters.http.jwt_authn": {"payload": token}}));
            let headers: [(&[u8], &[u8]); 2] = [(b":method", b"GET"), (b":path", path.as_bytes())];
            let head = Head {
                headers: &headers,
                evidence: Some(&metadata),
                label_evidence: Some(&metadata),
                end_of_stream: true,
                now_ms: None,
            };
            let decided = request::decide(&head, &config, &RefCell::default());
            let forward = decided.unwrap_or_else(|refused| panic!("{row}: {}", refused.rejection.message()));
            let target = String::from_utf8(forward.forwarded().unwrap().path.unwrap()).unwrap();
            let pairs: Vec<_> = form::pairs(target.split_once('?').unwrap().1.as_bytes()).map(Result::unwrap).collect();
            let [query] = pairs.as_slice() else { panic!("{row}: {target}") };
            let shown =
                row.replace("\\|", "\u{0}").split('|').nth(2).unwrap().trim().trim_matches('`').replace('\0', "|");
            assert_eq!(String::from_utf8_lossy(&query.value), shown, "{row}");
        }
    }
    assert!(requests.next().is_none(), "as many rows as requests");
}

#[test]
fn every_guide_is_in_the_readme() {
    let readme = read("README.md");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            assert!(readme.contains(&format!("(docs/{name})")), "README.md has no link to docs/{name}");
        }
    }
}

#[test]
fn the_picture_is_of_the_dashboard_as_it_is() {
    let picture = read("docs/dashboard.svg");
    let dashboard: serde_json::Value = serde_json::from_str(&read("examples/grafana/tenants.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        // scripts/dashboard-svg writes what it asked into the picture.
        let queries = panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap());
        let queries =
            queries.collect::<Vec<_>>().join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let drawn = picture.split("<g>").find(|group| group.contains(&format!(">{title}</text>")));
        let drawn = drawn.unwrap_or_else(|| panic!("{title}: run scripts/picture"));
        assert!(drawn.contains(&format!("<desc>{queries}</desc>")), "{title} asks something else: run scripts/picture");
    }
    assert_eq!(picture.matches("<g>").count(), panels.len(), "run scripts/picture");
    assert!(picture.len() < 150_000, "{} bytes", picture.len());
}

#[test]
fn rates_have_units_per_second_and_what_must_not_happen_is_red() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("examples/grafana/tenants.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let (title, shown) = (panel["title"].as_str().unwrap(), &panel["fieldConfig"]["defaults"]);
        let query = panel["targets"][0]["expr"].as_str().unwrap();
        let is_rate = query.contains("rate(") && !query.contains("histogram_quantile") && !query.contains(" / ");
        let unit = shown["unit"].as_str().unwrap();
        assert_eq!(is_rate, ["reqps", "cps", "mps", "Bps"].contains(&unit), "{title}: {unit}");
        if title == "Configurations refused" || title == "Filter traps" {
            let steps = shown["thresholds"]["steps"].as_array().unwrap();
            let colors: Vec<_> =
                steps.iter().map(|step| (step["color"].as_str().unwrap(), step["value"].as_f64())).collect();
            assert!(
                matches!(colors[..], [("green", None), ("red", Some(least))] if least > 0.0 && least < 0.1),
                "{colors:?}"
            );
            assert_eq!(shown["color"]["mode"], "thresholds");
        }
    }
}

/// Lines without comments and indentation; a list's dash is indentation.
fn plain_lines(yaml: &str) -> Vec<&str> {
    let uncommented = yaml.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim());
    uncommented
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.trim_start_matches("- "))
        .collect()
}

#[test]
fn bootstraps_of_other_sources_differ_in_the_source_only() {
    let shipped = read("envoy/envoy.yaml");
    let (before, rest) = shipped.split_once("- name: promql_tenancy").expect("the filter");
    let (_, after) = rest.split_once("- name: envoy.filters.http.router").expect("the router");
    let (_, before) = before.split_once("\nadmin:").expect("the admin page");
    let filter = read("envoy/promql_tenancy.yaml");
    let (_, filter) = filter.split_once("config:").expect("the plugin");
    let (filter, _) = filter.split_once("value: |").expect("its configuration");
    for name in ["mtls", "jwt", "keycloak", "static", "ext_authz", "ext_authz_parameter"] {
        let example = read(&format!("envoy/{name}.yaml"));
        let lines = plain_lines(&example);
        for part in [before, filter, after] {
            let mut rest = lines.iter();
            for line in plain_lines(part) {
                assert!(rest.any(|other| *other == line), "envoy/{name}.yaml lacks, or has elsewhere: {line}");
            }
        }
        let (_, block) = example.split_once("value: |\n").expect("a configuration");
        let (block, _) = block.split_once("- name:").expect("the router");
        Config::parse(block.trim().as_bytes()).unwrap();
    }
}
