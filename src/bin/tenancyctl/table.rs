//! The API table as Markdown: the text of docs/api-table.md.

use promql_tenancy_filter::api::{Answer, Kind, Parameter, Path, Route, Rule, TABLE, Upstream};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# The API table

Written by `tenancyctl route`, from the one table that the filter decides by; a test compares them.

Paths stand below each of `path_prefixes`, and are matched literally. A path that is in no row is refused with 404, another
method with 405, and what can't be scoped to a tenant with 403. Of the parameters, in URL and form, only those of the row are
forwarded, and those of `extra_parameters`; all others are dropped.

With `enforce_tenancy: false` (the default for `upstream: cortex`) the same paths, methods and parameters hold, but queries and
selectors are passed on without being rewritten: the upstream isolates tenants by the header.
";

const NOTES: &str = "
## What a parameter may hold

A value that no upstream could read as its kind is refused with 400; all finer judgement is the upstream's. An empty value is an
absent one. A parameter that is not marked as repeated may be given once in the URL and once in the form.

- `query`: every one is rewritten, in the URL and in the form. An absent or empty one selects nothing; the upstream refuses it.
- `match[]`: every one is rewritten, and an empty one is refused, as upstream does. A request without any gains one, in the URL
  or, where a form follows, in the form.
  On `rules`, one is added only with `match_rules`; with `shared_rules` they are passed on without being rewritten. The answer is
  filtered either way: see [answers](answers.md).
- `storeMatch[]`: refused, since the answer, and its warnings, would tell which stores there are. Dropping it instead would
  answer from more stores than were asked for.
- `replicaLabels[]`: refused where it names the tenant label.
- `include_metadata`: dropped, since its texts are every tenant's.
- `match`, `extra_filters` and the like are known to no row, so they are dropped; `extra_parameters` can't bring them back.

";

pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for (title, wanted) in [("Served", true), ("Refused with 403", false)] {
        let rows: Vec<&Route> = TABLE.iter().filter(|route| serves(route) == wanted).collect();
        // Writing to a String can't fail, here and below.
        let _ = write!(out, "\n## {title}\n\n");
        if wanted {
            out.push_str("| path | upstream | methods | request | parameters | answer |\n|---|---|---|---|---|---|\n");
        } else {
            out.push_str("| path | upstream | why |\n|---|---|---|\n");
        }
        for route in rows {
            let (path, upstreams) = (path(route), upstreams(route));
            let _ = match route.rule {
                Rule::Refuse(reason) => writeln!(out, "| {path} | {upstreams} | {reason} |"),
                Rule::Queries | Rule::Selectors | Rule::Filtered | Rule::Forward | Rule::Passthrough => writeln!(
                    out,
                    "| {path} | {upstreams} | {} | {} | {} | {} |",
                    route.methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(" "),
                    request(route),
                    list(route.parameters.iter().map(|parameter| parameter.name)),
                    answer(route.answer),
                ),
            };
        }
    }
    out.push_str(NOTES);
    out.push_str("| kind | parameters |\n|---|---|\n");
    for (kind, parameters) in kinds() {
        let _ = writeln!(out, "| {kind} | {parameters} |");
    }
    out
}

fn serves(route: &Route) -> bool {
    match route.rule {
        Rule::Queries | Rule::Selectors | Rule::Filtered | Rule::Forward | Rule::Passthrough => true,
        Rule::Refuse(_) => false,
    }
}

fn path(route: &Route) -> String {
    match route.path {
        Path::Exact(path) => format!("`{path}`"),
        Path::Below(path) => format!("`{path}*`"),
        Path::Around(before, after) => format!("`{before}<name>{after}`"),
    }
}

fn upstreams(route: &Route) -> String {
    if route.upstreams.len() == Upstream::ALL.len() {
        return "all".to_owned();
    }
    route.upstreams.iter().map(|upstream| upstream.name()).collect::<Vec<_>>().join(", ")
}

fn request(route: &Route) -> &'static str {
    match route.rule {
        Rule::Queries => "each query is rewritten",
        Rule::Selectors => "each selector gains the matcher; one is added where there is none",
        Rule::Filtered if route.parameters.iter().any(|parameter| parameter.kind == Kind::Selector) => {
            "forwarded; its selectors gain the matcher"
        }
        Rule::Filtered => "forwarded",
        Rule::Forward => "forwarded",
        Rule::Passthrough => "forwarded as it came",
        Rule::Refuse(_) => "refused",
    }
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Messages => "its messages filtered",
        Answer::Analyzed => "its messages filtered, and `analysis`",
        Answer::Explained => "its messages filtered, and its plan",
        Answer::Lines => "its messages filtered, line by line",
        Answer::Text => "text",
        Answer::Rules | Answer::Alerts => "filtered by label",
        Answer::Exemplars => "filtered by series label",
        Answer::Untouched => "as it is",
        Answer::None => "none",
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

/// Each kind, with its parameters in the order of their names.
fn kinds() -> Vec<(String, String)> {
    let mut kinds: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for Parameter { name, kind, repeated } in TABLE.iter().flat_map(|route| route.parameters) {
        let names = kinds.entry((Kind::name(*kind), *repeated)).or_default();
        if !names.contains(name) {
            names.push(name);
        }
    }
    kinds
        .into_iter()
        .map(|((kind, repeated), mut names)| {
            names.sort_unstable();
            let repeated = if repeated { " (repeated)" } else { "" };
            (format!("{kind}{repeated}"), list(names.into_iter()))
        })
        .collect()
}
