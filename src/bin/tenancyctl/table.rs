//! The API table as Markdown: the text of docs/api-table.md.

use promql_tenancy_filter::api::{
    Answer, Call, Empty, ErrorShape, Kind, Neutral, Parameter, Part, Path, Profile, Route, Rule, SERVICES, TABLE,
    Times, Upstream,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# The API table

Written by `tenancyctl route`, from the one table that the filter decides by; a test compares them.

Paths stand below each of `path_prefixes`, and are matched literally. A path that is in no row is refused with 404, another
method with 405, and what can't be scoped to a tenant with 403. Of the parameters, in URL and form, only those of the row are
forwarded, and those of `extra_parameters`; all others are dropped.

`times` says how an endpoint reads times, and so what [limits](tenant-limits.md) do with them; where they leave nothing of a request,
the answer is the empty one, and where there is none, a refusal. `evaluated` are queries, to which the limits of queries apply.

With `enforce_tenancy: false` (the default for `upstream: cortex`) the same paths, methods and parameters hold, but queries and
selectors are passed on without being rewritten: the upstream isolates tenants by the header. `mimir` is another name for `cortex`.
";

const NOTES: &str = "
## What a parameter may hold

A value that no upstream could read as its kind is refused with 400; all finer judgement is the upstream's. An empty value is an
absent one. A parameter that is not marked as repeated may be given once in the URL and once in the form.

- `query`: every one is rewritten, in the URL and in the form. An absent or empty one selects nothing; the upstream refuses it.
  Those of `format_query` and `parse_query` are read as queries are, [bounded](bounds.md), and forwarded as they came.
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

const PAGES: &str = "
## Web pages

With `ui`, by GET, without the query string, which the browser alone reads: see [web-pages.md](web-pages.md). An answer that is not the upstream's own file or page is an
error in JSON.

| upstream | pages | redirected to the first page | files |
|---|---|---|---|
";

const GRPC: &str = "
## gRPC

With `enable_grpc`, for `upstream: thanos`: see [grpc.md](grpc.md). Methods are called by POST with `application/grpc`, below no prefix. A
method that is in neither table is refused with UNIMPLEMENTED (12).

";

const UPSTREAMS: &str = "
## What each upstream is

The filter asks nothing else of `upstream` than its rows above, and these answers.

";

pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for (title, wanted) in [("Served", true), ("Refused with 403", false)] {
        let rows: Vec<&Route> = TABLE.iter().filter(|route| serves(route) == wanted).collect();
        // Writing to a String can't fail, here and below.
        let _ = write!(out, "\n## {title}\n\n");
        if wanted {
            out.push_str(
                "| path | upstream | methods | request | parameters | times | answer | empty answer | errors |\n\
                 |---|---|---|---|---|---|---|---|---|\n",
            );
        } else {
            out.push_str("| path | upstream | why |\n|---|---|---|\n");
        }
        for route in rows {
            let (path, upstreams) = (path(route), upstreams(route));
            let _ = match route.rule {
                Rule::Refuse(reason) => writeln!(out, "| {path} | {upstreams} | {reason}{} |", neutral(route)),
                Rule::Queries
                | Rule::Selectors
                | Rule::Filtered
                | Rule::Forward
                | Rule::ByHeader
                | Rule::ByHeaderUnread
                | Rule::RemoteRead
                | Rule::Write(_)
                | Rule::Grpc(_)
                | Rule::Metadata
                | Rule::Page
                | Rule::Home
                | Rule::Alertmanager(_)
                | Rule::Passthrough => writeln!(
                    out,
                    "| {path} | {upstreams} | {} | {} | {} | {} | {} | {} | {} |",
                    route.methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(" "),
                    switched(route),
                    list(route.parameters.iter().map(|parameter| parameter.name)),
                    times(route),
                    answer(route.answer),
                    route.empty.map_or("none", empty),
                    errors(route.errors),
                ),
            };
        }
    }
    out.push_str(PAGES);
    out.push_str(&pages());
    out.push_str(GRPC);
    out.push_str(&services());
    out.push_str(NOTES);
    out.push_str("| kind | parameters |\n|---|---|\n");
    for (kind, parameters) in kinds() {
        let _ = writeln!(out, "| {kind} | {parameters} |");
    }
    out.push_str(UPSTREAMS);
    out.push_str(&profiles());
    out
}

fn serves(route: &Route) -> bool {
    match route.rule {
        Rule::Queries
        | Rule::Selectors
        | Rule::Filtered
        | Rule::Forward
        | Rule::ByHeader
        | Rule::ByHeaderUnread
        | Rule::RemoteRead
        | Rule::Write(_)
        | Rule::Grpc(_)
        | Rule::Metadata
        | Rule::Page
        | Rule::Home
        | Rule::Alertmanager(_)
        | Rule::Passthrough => true,
        Rule::Refuse(_) => false,
    }
}

fn path(route: &Route) -> String {
    match route.path {
        Path::Exact(path) => format!("`{path}`"),
        Path::Below(path) => format!("`{path}*`"),
        Path::Around(before, "") => format!("`{before}<id>`"),
        Path::Around(before, after) => format!("`{before}<name>{after}`"),
    }
}

fn upstreams(route: &Route) -> String {
    if route.upstreams.len() == Upstream::ALL.len() {
        return "all".to_owned();
    }
    if Upstream::ALL.iter().all(|upstream| upstream.profile().serves_alerts != route.upstreams.contains(upstream)) {
        return "all but alertmanager".to_owned();
    }
    route.upstreams.iter().map(|upstream| upstream.name()).collect::<Vec<_>>().join(", ")
}

/// What is done with the request, and the key without which it is refused.
fn switched(route: &Route) -> String {
    let what = request(route);
    let what = route.switch.map_or(what.to_owned(), |switch| format!("with `{}`: {what}", switch.key()));
    what + &neutral(route)
}

/// What `ui` makes of a refusal.
fn neutral(route: &Route) -> String {
    match route.neutral {
        Some(Neutral::NoStream) => "; with `ui`: 204".to_owned(),
        Some(answer) => {
            let data =
                answer.body().strip_prefix(r#"{"status":"success","data":"#).and_then(|data| data.strip_suffix('}'));
            format!("; else with `ui`: `{}`", data.unwrap_or_default())
        }
        None => String::new(),
    }
}

fn request(route: &Route) -> &'static str {
    match route.rule {
        Rule::Queries => "each query is rewritten",
        Rule::Selectors => "each selector gains the matcher; one is added where there is none",
        Rule::Filtered if route.parameters.iter().any(|parameter| parameter.kind == Kind::Selector) => {
            if route.one_tenant {
                "forwarded, of one tenant; its selectors gain the matcher"
            } else {
                "forwarded; its selectors gain the matcher"
            }
        }
        Rule::Filtered if route.instead.is_some() => "`/api/v1/rules?type=alert` is asked instead",
        Rule::Filtered if route.one_tenant => "forwarded, of one tenant",
        Rule::Filtered => "forwarded",
        Rule::Forward if !route.needs_tenant => "forwarded, without a tenant, to whoever asks",
        Rule::Forward if route.reads_expressions() => "each expression is read and bounded, then forwarded as it came",
        Rule::Forward => "forwarded",
        Rule::ByHeader if route.one_tenant => "forwarded, of one tenant; refused with `enforce_tenancy: true`",
        Rule::ByHeader => "forwarded; refused with `enforce_tenancy: true`",
        Rule::ByHeaderUnread => {
            "forwarded, its body unread; with `enforce_tenancy: true` as for Prometheus; refused where limits apply that would have to read it"
        }
        Rule::Alertmanager(Part::ByHeader) => {
            "forwarded, its body unread, of one tenant, also without a prefix; refused with `enforce_tenancy: true`"
        }
        Rule::Alertmanager(Part::Alerts) => {
            "each matcher of the tenant's is added as `filter`; what is posted is written anew with the tenant's labels, or split by `alert_routes`"
        }
        Rule::Alertmanager(Part::Groups) => "each matcher of the tenant's is added as `filter`",
        Rule::Alertmanager(Part::Silences) => {
            "each matcher of the tenant's is added as `filter`; what is posted is written anew with them, and asked for first where it is an update"
        }
        Rule::Alertmanager(Part::Silence) => "with `call_out_cluster`: it is asked for first",
        Rule::Alertmanager(Part::Receivers) => "each matcher of the tenant's is added as `receiver_matchers`",
        Rule::Alertmanager(Part::Status) => "forwarded",
        Rule::Metadata => "by `names`, forwarded; of `targets`, their metadata is asked for",
        Rule::RemoteRead => "a message, written anew; each query gains the matcher",
        Rule::Write(_) if route.at_root => "forwarded unread, of one tenant; also without a prefix",
        Rule::Write(_) => "forwarded unread, of one tenant",
        Rule::Page => "forwarded, without its query string",
        Rule::Home => "redirected to the first page",
        Rule::Passthrough => "forwarded as it came",
        Rule::Grpc(_) => "its message is written anew, with the matchers",
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
        Answer::AlertsOfRules => "the alerts in the tenant's rules",
        Answer::Exemplars => "filtered by series label",
        Answer::Metadata => "filtered by the tenant's names, or made of its targets'",
        Answer::Targets => "filtered by label",
        Answer::TargetMetadata => "filtered by target label",
        Answer::Series => "its series' labels checked",
        Answer::Page => "the page with the tenant in its title, in no frame",
        Answer::Asset => "as it is, cached as the upstream says",
        Answer::Untouched | Answer::Alertmanager(Part::ByHeader) => "as it is",
        Answer::Alertmanager(Part::Alerts | Part::Groups) => {
            "filtered by label, and what silences and inhibits them by whose that is"
        }
        Answer::Alertmanager(Part::Silences | Part::Silence) => "filtered by matcher",
        Answer::Alertmanager(Part::Receivers) => "filtered by the receiver's label",
        Answer::Alertmanager(Part::Status) => "without the configuration and the peers",
        Answer::Grpc(Call::Exemplars | Call::Rules | Call::Targets | Call::Info) => "filtered by label",
        Answer::Grpc(Call::Series) => "each series checked by label, warnings filtered",
        Answer::Grpc(Call::Query | Call::QueryRange | Call::LabelNames | Call::LabelValues) => "warnings filtered",
        Answer::Grpc(Call::Health) => "the status",
        Answer::None => "none",
    }
}

/// How the endpoint reads times.
fn times(route: &Route) -> String {
    let times = match route.times {
        Times::Instant => "at `time`, or now",
        Times::Range => "at each `step` from `start` to `end`",
        Times::Between => "from `start` to `end`",
        Times::LastHour => "from `start`, or an hour ago, to `end`",
        Times::Now => "now",
        Times::Message => "from start to end of each query",
        Times::Unread => "none",
    };
    if route.evaluates { format!("evaluated {times}") } else { times.to_owned() }
}

fn empty(empty: Empty) -> &'static str {
    match empty {
        Empty::Vector => "vector; matrix for a range vector",
        Empty::Matrix => "matrix",
        Empty::List => "list",
        Empty::Lines => "last line",
        Empty::Frames => "no message",
        Empty::Message => "the upstream's",
    }
}

fn errors(shape: ErrorShape) -> &'static str {
    match shape {
        ErrorShape::Prometheus => "JSON",
        ErrorShape::Grpc => "gRPC status",
        ErrorShape::Alertmanager => "JSON string",
    }
}

/// The gRPC methods: those that are served, and the services that are refused.
fn services() -> String {
    let mut out = String::from("| method | handler | times | answer | empty answer |\n|---|---|---|---|---|\n");
    let (served, refused): (Vec<&Route>, Vec<&Route>) = SERVICES.iter().partition(|route| serves(route));
    for route in served {
        let empty = route.empty.map_or("none", empty);
        out += &format!(
            "| {} | `{}` | {} | {} | {empty} |\n",
            path(route),
            route.handler,
            times(route),
            answer(route.answer)
        );
    }
    out += "\nRefused with PERMISSION_DENIED (7):\n\n| methods | why |\n|---|---|\n";
    for route in refused {
        if let Rule::Refuse(reason) = route.rule {
            out += &format!("| {} | {reason} |\n", path(route));
        }
    }
    out
}

/// The web pages of each kind of upstream.
fn pages() -> String {
    let mut out = String::new();
    for upstream in Upstream::ALL {
        if let Some(pages) = &upstream.profile().pages {
            let names = |names: &[&str]| names.iter().map(|name| format!("`/{name}`")).collect::<Vec<_>>().join(" ");
            let (name, first) = (upstream.name(), names(&[pages.home]));
            out += &format!(
                "| {name} | {first} {} | {} | {} |\n",
                names(pages.others),
                names(pages.moved),
                names(pages.files)
            );
        }
    }
    out
}

/// What each kind of upstream is.
fn profiles() -> String {
    type Question = (&'static str, fn(&Profile) -> String);
    let questions: [Question; 10] = [
        ("header that names the tenant (`forward_tenant_header`)", |profile| format!("`{}`", profile.tenant_header)),
        ("isolates tenants by that header (`enforce_tenancy` is off)", |profile| yes_or_no(profile.isolates_tenants)),
        ("its API stands under (`path_prefixes`)", |profile| {
            profile.path_prefixes.iter().map(|prefix| format!("`{prefix:?}`")).collect::<Vec<_>>().join(", ")
        }),
        ("its API may stand at the root", |profile| yes_or_no(profile.not_at_root.is_none())),
        ("finds nothing by the tenant's label alone", |profile| yes_or_no(profile.needs_second_matcher)),
        ("may move times to multiples of the step", |profile| yes_or_no(profile.aligns_to_step)),
        ("may split queries", |profile| yes_or_no(profile.splits_queries)),
        ("step of a range query without one", |profile| {
            profile.default_step.map_or("none: refused".to_owned(), |step| {
                format!("1/{} of the range, at least {} s", step.parts, step.least_seconds)
            })
        }),
        ("reads downsampled data", |profile| yes_or_no(profile.downsampling.is_some())),
        ("takes alerts and silences, and answers no queries", |profile| yes_or_no(profile.serves_alerts)),
    ];
    let mut out = String::from("| |");
    Upstream::ALL.iter().for_each(|upstream| out += &format!(" {} |", upstream.name()));
    out += "\n|---|";
    out += &"---|".repeat(Upstream::ALL.len());
    for (question, answer) in questions {
        out += &format!("\n| {question} |");
        Upstream::ALL.iter().for_each(|upstream| out += &format!(" {} |", answer(upstream.profile())));
    }
    out.push('\n');
    out
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
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
