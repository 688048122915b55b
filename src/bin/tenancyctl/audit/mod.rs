//! `tenancyctl audit`: which queries of dashboards, rules and logs would be refused, or would mean something else, behind the filter.
//!
//! - `files`: what a file is, and the queries in it
//! - `grafana`: dashboards; `variables`: their variables and macros
//! - `rules`: rule files of Prometheus, Thanos and Mimir; `logs`: access logs and query logs
//! - `judge`: what becomes of one query

mod files;
mod grafana;
mod judge;
mod logs;
mod rules;
mod variables;

use super::{Failure, configuration, confined, print};
use clap::Args;
use judge::{Asked, Judge};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Find the queries that would be refused, or would mean something else, behind the filter
///
/// FILE is a Grafana dashboard (JSON), a rule file of Prometheus or Thanos, rule namespaces of Mimir, a PrometheusRule, a ConfigMap that holds
/// such files, an access log or Prometheus's query log; or a folder of them. Each query is decided as the filter would, for one tenant.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Audit {
    /// Files or folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The plugin's configuration, as JSON or YAML, or a file of Envoy's that holds it; the defaults without it
    #[arg(long)]
    config: Option<PathBuf>,
    /// The tenant whose limits and matchers count; some tenant without it
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    labels: confined::Labels,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl audit dashboards/ rules.yml
  tenancyctl audit --config plugin.json --tenant team-a grafana/*.json
  tenancyctl audit --config plugin.json envoy-access.log
  tenancyctl audit dashboards/ --json | jq '.reasons'

Each finding is one line: FILE: PLACE: reason: what becomes of the query

Exit status:
  0  no query would be refused or changed in meaning
  1  some would
  2  a file that can't be read, wrong usage";

/// A query, and where it stands.
pub struct Item {
    pub place: String,
    pub asked: Asked,
}

/// What was found in one file.
#[derive(Default)]
pub struct Found {
    pub items: Vec<Item>,
    /// What is not asked of a Prometheus: by what it is asked.
    pub others: BTreeMap<String, usize>,
    /// Lines of a log without a request to the API.
    pub unread_lines: usize,
}

struct Line {
    file: String,
    place: String,
    reason: &'static str,
    detail: String,
    query: String,
    times: usize,
}

impl Audit {
    pub fn run(&self) -> Result<(), Failure> {
        let config = configuration(self.config.as_ref())?;
        let judge = Judge::new(&config, self.tenant.as_deref(), &self.labels)?;
        let mut lines: Vec<Line> = Vec::new();
        let (mut queries, mut read, mut affected) = (0, 0, 0);
        let mut none: Vec<String> = Vec::new();
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        let mut unread_lines = 0;
        for (path, is_given) in files::all(&self.files)? {
            let name = path.display().to_string();
            let found = if is_given || files::has_known_ending(&path) { files::read(&path)? } else { None };
            let Some(found) = found else {
                if is_given {
                    return Err(Failure::Broken(format!("{name}: no dashboard, rule file or log")));
                }
                none.push(name);
                continue;
            };
            read += 1;
            queries += found.items.len();
            unread_lines += found.unread_lines;
            found.others.into_iter().for_each(|(kind, count)| *others.entry(kind).or_default() += count);
            // The same finding many times, as in logs, is one line.
            let mut known: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
            for item in &found.items {
                let findings = judge.findings(&item.asked);
                affected += usize::from(!findings.is_empty());
                for (reason, detail) in findings {
                    let key = (reason, detail.clone());
                    if let Some(line) =
                        known.get(&key).and_then(|index| lines.get_mut(*index)).filter(|_| item.asked.is_logged())
                    {
                        line.times += 1;
                        continue;
                    }
                    known.insert(key, lines.len());
                    let (file, place, query) = (name.clone(), item.place.clone(), item.asked.text().to_owned());
                    lines.push(Line { file, place, reason, detail, query, times: 1 });
                }
            }
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        lines.iter().for_each(|line| *reasons.entry(line.reason).or_default() += line.times);
        if self.json {
            let findings: Vec<Value> = lines.iter().map(Line::json).collect();
            let document = json!({"files": read, "queries": queries, "affected": affected, "reasons": reasons, "findings": findings,
                "other_data_sources": others, "unread_lines": unread_lines, "other_files": none});
            print(&format!("{document:#}\n"))?;
        } else {
            let mut out = String::new();
            lines.iter().for_each(|line| out += &line.text());
            let (queries, files) = (counted(queries, "query", "queries"), counted(read, "file", "files"));
            out += &format!("{queries} in {files}: {affected} would be refused or changed in meaning\n");
            reasons
                .iter()
                .for_each(|(reason, count)| out += &format!("{count:>8}  {reason}: {}\n", judge::meaning(reason)));
            let kinds: Vec<String> = others.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
            if !kinds.is_empty() {
                out += &format!("not for a Prometheus, and left out: {}\n", kinds.join(", "));
            }
            if unread_lines > 0 {
                out += &format!("{unread_lines} lines of logs have no request to the API\n");
            }
            if !none.is_empty() {
                out += &format!("{} files are no dashboard, rule file or log\n", none.len());
            }
            print(&out)?;
        }
        if lines.is_empty() { Ok(()) } else { Err(Failure::No(None)) }
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl Line {
    fn text(&self) -> String {
        let times = if self.times > 1 { format!(" (and {} more)", self.times - 1) } else { String::new() };
        let text = format!("{}: {}: {}: {}{times}", self.file, self.place, self.reason, self.detail);
        // Queries and titles may have several lines; a finding has one.
        text.lines().map(str::trim).collect::<Vec<_>>().join(" ") + "\n"
    }

    fn json(&self) -> Value {
        json!({"file": self.file, "place": self.place, "reason": self.reason, "detail": self.detail, "query": self.query, "times": self.times})
    }
}
