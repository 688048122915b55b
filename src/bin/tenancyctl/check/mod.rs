//! `tenancyctl check`: every mistake in what users have, a plugin's configuration or a file around it, and the configuration in force.
//!
//! - `document`: YAML and JSON with the lines of its values
//! - `mistake`: what is found
//! - `plugin`: the filter's configuration, and what holds it in Envoy
//! - `envoy`: a bootstrap, and files that Envoy discovers; `kubernetes`: Istio's and Envoy Gateway's resources

pub mod document;
mod envoy;
mod kubernetes;
mod mistake;
mod plugin;

use super::{Failure, confined, print, read};
use anstyle::Style;
use clap::Args;
use document::Node;
use envoy::Discovered;
use kubernetes::Around;
use mistake::{Found, Mistake};
use plugin::Plugin;
use promql_tenancy_filter::api::Honours;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::tenant::Source;
use serde_json::json;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Find every mistake in a configuration, and print what is in force, every default made explicit
///
/// FILE is the plugin's configuration, as JSON or YAML, or a file that holds it: a bootstrap of Envoy's, a file that Envoy discovers,
/// Istio's WasmPlugin or EnvoyFilter, Envoy Gateway's EnvoyExtensionPolicy, or a ConfigMap with files of Envoy's. Of these, what surrounds the plugin is
/// checked too: failure policy, misspelt keys, buffer limits, tags of stats, and other filters that stand where they let requests past.
/// Files that belong together are checked together; a file that a bootstrap has Envoy discover is looked for beside it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// Files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
    /// Print what this tenant is confined to and why, and its limits, instead of the configuration
    #[arg(long, conflicts_with = "json")]
    tenant: Option<String>,
    #[command(flatten)]
    labels: confined::Labels,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl check plugin.json
  tenancyctl check envoy/envoy.yaml                              # and envoy/promql_tenancy.yaml, which it discovers
  tenancyctl check wasmplugin.yaml envoyfilter.yaml
  helm template . | tenancyctl check -
  tenancyctl check plugin.json --tenant team-a --label cluster=eu
  echo '{\"upstream\": \"cortex\"}' | tenancyctl check -
  echo '{\"tenant_heder\": \"X-Tenant\"}' | tenancyctl check -    # tenant_heder: unknown key; known are …

Each mistake is one line: FILE:LINE: PLACE: what is wrong: what to do";

const KEY: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

/// A file, and the documents in it.
struct File {
    name: String,
    text: String,
    documents: Vec<Node>,
}

/// What was found in all files.
struct Report {
    mistakes: Vec<Mistake>,
    /// With the file and the place of each.
    plugins: Vec<(String, Plugin)>,
}

impl Check {
    pub fn run(&self) -> Result<(), Failure> {
        let mut files = Vec::new();
        let mut mistakes = Vec::new();
        for path in &self.files {
            let name = path.display().to_string();
            let bytes = read(path)?;
            files.push(File::read(name, &String::from_utf8_lossy(&bytes), &mut mistakes));
        }
        add_discovered(&self.files, &mut files, &mut mistakes)?;
        let report = report(&files, mistakes);
        if self.json {
            print(&format!("{:#}\n", report.json()))?;
            return if report.mistakes.is_empty() { Ok(()) } else { Err(Failure::No(None)) };
        }
        match &self.tenant {
            Some(tenant) => print(&report.of_tenant(tenant, &self.labels)?)?,
            None => print(&report.settings())?,
        }
        if report.mistakes.is_empty() {
            return Ok(());
        }
        Err(Failure::No(Some(report.mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))))
    }
}

impl File {
    fn read(name: String, text: &str, mistakes: &mut Vec<Mistake>) -> File {
        let mut documents = Vec::new();
        match Node::read(text, 1) {
            Ok(read) => {
                for document in read {
                    for (text, line) in kubernetes::files(&document) {
                        // What else a ConfigMap holds need not be YAML.
                        documents.extend(Node::read(text, line).unwrap_or_default());
                    }
                    documents.push(document);
                }
            }
            // A configuration of the plugin's: its own reader says what is wrong with it.
            Err(_) if is_object(text) => {}
            Err(unreadable) => mistakes.push(Mistake {
                file: name.clone(),
                line: Some(unreadable.line),
                place: String::new(),
                wrong: format!("neither YAML nor JSON: {}", unreadable.problem),
                advice: String::new(),
            }),
        }
        File { name, text: text.to_owned(), documents }
    }
}

/// Whether a text is JSON, or means to be.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn report(files: &[File], mistakes: Vec<Mistake>) -> Report {
    let all: Vec<&Node> = files.iter().flat_map(|file| &file.documents).collect();
    let around = Around { documents: &all };
    let mut report = Report { mistakes, plugins: Vec::new() };
    let mut discovered = Vec::new();
    let mut chains = 0;
    for file in files {
        let mut found = Found { file: &file.name, mistakes: Vec::new() };
        for document in &file.documents {
            for (name, plugin) in envoy::resources(document, &mut found) {
                discovered.push(Discovered { name, config: plugin.config.clone(), stops: plugin.stops });
                report.plugins.push((file.name.clone(), plugin));
            }
        }
        report.mistakes.append(&mut found.mistakes);
    }
    for file in files {
        let mut found = Found { file: &file.name, mistakes: Vec::new() };
        let mut plugins = Vec::new();
        for document in &file.documents {
            match document.word("kind") {
                "WasmPlugin" => plugins.extend(kubernetes::istio(document, &around, &mut found)),
                "EnvoyFilter" => plugins.extend(kubernetes::istio_native(document, &around, &mut found)),
                "EnvoyExtensionPolicy" => {
                    plugins.extend(kubernetes::gateway(document, &around, &mut found));
                    plugins.extend(kubernetes::gateway_native(document, &around, &mut found));
                }
                "" => {
                    let (count, more) = envoy::chains(document, &discovered, &mut found);
                    chains += count;
                    plugins.extend(more);
                }
                _ => {}
            }
        }
        report.mistakes.append(&mut found.mistakes);
        report.plugins.extend(plugins.into_iter().map(|plugin| (file.name.clone(), plugin)));
    }
    if report.plugins.is_empty() && chains == 0 && report.mistakes.is_empty() {
        plain(files, &mut report);
    }
    report
}

/// Files without a chain of filters hold a part of one, or the plugin's configuration alone.
fn plain(files: &[File], report: &mut Report) {
    for file in files {
        let mut found = Found { file: &file.name, mistakes: Vec::new() };
        let foreign = ["kind", "static_resources", "dynamic_resources", "resources", "@type"];
        for document in &file.documents {
            document.walk("", &mut |path, node| {
                if node.get("vm_config").is_some() && node.get("configuration").is_some() {
                    report.plugins.push((file.name.clone(), plugin::wasm(node, path, &mut found)));
                }
            });
        }
        if !report.plugins.is_empty() {
            report.mistakes.append(&mut found.mistakes);
            continue;
        }
        let holds_more = |document: &Node| foreign.iter().any(|key| document.get(key).is_some());
        let configuration = match &file.documents[..] {
            documents if documents.iter().any(holds_more) => None,
            _ if is_object(&file.text) || file.text.trim().is_empty() => {
                Some(plugin::text_config(&file.text, 1, "", &mut found))
            }
            [document] if !document.members().is_empty() => Some(plugin::tree_config(document, "", &mut found)),
            _ => None,
        };
        match configuration {
            Some((config, line, place)) => {
                let stops = config.as_ref().is_some_and(Config::can_hold_heads);
                report.plugins.push((file.name.clone(), Plugin { place, line, config, stops }));
            }
            None => {
                let advice = "the filter's name, or its module's, has to contain promql_tenancy";
                found.add(1, "", "the filter is not in this file", advice);
            }
        }
        report.mistakes.append(&mut found.mistakes);
    }
}

impl Report {
    fn json(&self) -> serde_json::Value {
        let plugins = self.plugins.iter().filter_map(|(file, plugin)| {
            let settings = plugin.config.as_ref()?.explain();
            let settings = settings.into_iter().map(|setting| {
                let value = serde_json::from_str(&setting.value).unwrap_or(serde_json::Value::Null);
                (setting.key.to_owned(), json!({"value": value, "default": !setting.given}))
            });
            let settings: serde_json::Map<_, _> = settings.collect();
            Some(json!({"file": file, "place": plugin.place, "dry_run": plugin.config.as_ref()?.dry_run_says(), "settings": settings}))
        });
        json!({
            "plugins": plugins.collect::<Vec<_>>(),
            "mistakes": self.mistakes.iter().map(Mistake::json).collect::<Vec<_>>(),
        })
    }

    fn settings(&self) -> String {
        let mut out = String::new();
        for (name, config) in self.configs() {
            out.push_str(&name);
            warn(config, &mut out);
            explain(config, &mut out);
        }
        out
    }

    /// What one tenant is confined to, and its limits.
    fn of_tenant(&self, tenant: &str, labels: &confined::Labels) -> Result<String, Failure> {
        let mut out = String::new();
        for (name, config) in self.configs() {
            out.push_str(&name);
            warn(config, &mut out);
            // Where the configuration names the tenants, their names are a question, and no claim.
            let is_fixed = matches!(config.source(), Source::Static(tenants) if **tenants.joined() == *tenant);
            let tenants = confined::tenants(config, (!is_fixed).then_some(tenant))?;
            out.push_str(&confined::all(config, &tenants, labels)?);
            // Writing to a String can't fail.
            let _ =
                writeln!(out, "header    {}: {}", config.forward_tenant_header(), config.forwarded(&tenants, false));
            for id in tenants.ids() {
                limits(&mut out, config, Some(id), id);
            }
        }
        Ok(out)
    }

    /// Each configuration that is valid, with a line that names it where there are several.
    fn configs(&self) -> impl Iterator<Item = (String, &Config)> {
        let configs = || self.plugins.iter().filter_map(|(file, plugin)| Some((file, plugin, plugin.config.as_ref()?)));
        let is_one = configs().count() == 1;
        configs().map(move |(file, plugin, config)| match is_one {
            true => (String::new(), config),
            false => (format!("{KEY}{file}: {}{KEY:#}\n", plugin.place), config),
        })
    }
}

/// Says loudly what must not be overlooked.
fn warn(config: &Config, out: &mut String) {
    if let Some(says) = config.dry_run_says() {
        // Writing to a String can't fail.
        let _ = writeln!(out, "{KEY}DRY RUN: TENANTS ARE NOT ISOLATED: {says}{KEY:#}\n");
    }
}

fn explain(config: &Config, out: &mut String) {
    let settings = config.explain();
    let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    for setting in settings {
        // Writing to a String can't fail.
        let value = if setting.value.is_empty() { "not set" } else { &setting.value };
        let origin = if setting.given { "" } else { " (default)" };
        // Each tenant has lines of its own below.
        let is_by_tenant = ["overrides", "tenant_selectors"].contains(&setting.key);
        let value = if is_by_tenant && setting.given { "…" } else { value };
        let (key, meaning) = (setting.key, setting.meaning);
        let _ = writeln!(out, "{KEY}{key:width$}{KEY:#}  {value}{origin}\n{:width$}  {NOTE}# {meaning}{NOTE:#}", "");
    }
    let selectors: Vec<(Cow<'_, str>, String)> =
        config.own_scopes().map(|(id, scope)| (id, scope.selector())).collect();
    if !selectors.is_empty() {
        let _ = writeln!(out, "\n{KEY}tenants with a selector of their own{KEY:#}");
    }
    for (tenant, selector) in selectors {
        let _ = writeln!(out, "  {tenant:31}  {selector}");
    }
    let without = if config.overridden().next().is_some() { "every other tenant" } else { "every tenant" };
    for tenant in config.overridden().map(Some).chain([None]) {
        let tenant = tenant.as_deref();
        if tenant.is_some() || !config.effective(tenant).is_empty() {
            limits(out, config, tenant, tenant.unwrap_or(without));
        }
    }
}

fn limits(out: &mut String, config: &Config, tenant: Option<&str>, name: &str) {
    let limits = config.effective(tenant);
    let _ = writeln!(out, "\n{KEY}limits of {name}{KEY:#}");
    for limit in &limits {
        let origin = if limit.is_override { "overrides" } else { "limits" };
        let _ = writeln!(out, "  {:31}  {} ({origin})", limit.name, limit.value);
        let note = match limit.upstream {
            Some(Honours::As(how)) => ["the upstream is told by ", how].concat(),
            Some(Honours::Not) => "nothing enforces it: the upstream has no parameter for it".to_owned(),
            None => continue,
        };
        let _ = writeln!(out, "  {:31}  {NOTE}# {note}{NOTE:#}", "");
    }
    if limits.is_empty() {
        out.push_str("  none\n");
    }
}

/// Reads the files that Envoy would discover, where they stand beside the file that says so.
fn add_discovered(given: &[PathBuf], files: &mut Vec<File>, mistakes: &mut Vec<Mistake>) -> Result<(), Failure> {
    for path in given {
        let name = path.display().to_string();
        let documents = files.iter().filter(|file| file.name == name).flat_map(|file| &file.documents);
        let paths: Vec<String> = documents.flat_map(envoy::discovered_paths).collect();
        for discovered in paths {
            let beside = Path::new(&discovered).file_name().map(|file| path.with_file_name(file)).unwrap_or_default();
            let is_read = given.iter().any(|other| other.file_name() == beside.file_name());
            if !is_read && beside.is_file() && !files.iter().any(|file| Path::new(&file.name) == beside) {
                let bytes = read(&beside)?;
                files.push(File::read(beside.display().to_string(), &String::from_utf8_lossy(&bytes), mistakes));
            }
        }
    }
    Ok(())
}

/// The configuration in a file, or in one beside it that Envoy discovers, for commands that need one.
pub fn only_config(path: &Path) -> Result<Config, Failure> {
    let name = path.display().to_string();
    let mut mistakes = Vec::new();
    let mut files = vec![File::read(name.clone(), &String::from_utf8_lossy(&read(path)?), &mut mistakes)];
    add_discovered(&[path.to_owned()], &mut files, &mut mistakes)?;
    let mut report = report(&files, mistakes);
    let mut configs = report.plugins.drain(..).filter_map(|(_, plugin)| plugin.config);
    match (configs.next(), configs.next()) {
        (Some(config), None) => Ok(config),
        (Some(_), Some(_)) => Err(Failure::Broken(format!("{name}: several configurations: which one is meant?"))),
        (None, _) => {
            drop(configs);
            if report.mistakes.is_empty() {
                return Err(Failure::Broken(format!("{name}: there is no configuration of the filter in it")));
            }
            Err(Failure::No(Some(report.mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))))
        }
    }
}
