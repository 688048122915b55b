//! The checks of each row of the API table. They are made of the table, so that a new row is checked as soon as it is there.

use super::alerts;
use super::calls;
use super::check::{Check, Expect};
use super::data::Pair;
use super::deployment::Deployment;
use super::queries;
use promql_tenancy_filter::api::{Kind, Method, Parameter, Part, Path, Route, Rule, TABLE, Times};
use promql_tenancy_filter::tenant::Source;
use promql_tenancy_filter::wire::protobuf::{write_bytes, write_number};
use promql_tenancy_filter::wire::snappy;

/// What stands for all that is below a path. Nothing of it does anything, whoever serves it.
const BELOW: &[(&str, &[&str])] = &[
    ("/api/v1/status/", &["tsdb", "config", "flags", "runtimeinfo"]),
    ("/debug/", &["pprof/cmdline"]),
    ("/api/v1/notifications/", &["live-is-not-asked"]),
];
/// Below these, and everywhere else: a name that nothing has. An administrator's request could do harm.
const NOWHERE: &str = "tenancyctl-verify";

struct Maker<'m> {
    deployment: &'m Deployment<'m>,
    pair: &'m Pair<'m>,
    checks: &'m mut Vec<Check>,
}

pub fn checks(deployment: &Deployment<'_>, pair: &Pair<'_>, checks: &mut Vec<Check>) {
    let mut maker = Maker { deployment, pair, checks };
    for route in TABLE.iter().filter(|route| route.upstreams.contains(&deployment.upstream)) {
        for path in paths(route, pair) {
            maker.row(route, &path);
        }
    }
    calls::checks(deployment, pair, maker.checks);
}

pub fn paths(route: &Route, pair: &Pair<'_>) -> Vec<String> {
    match route.path {
        Path::Exact(path) => vec![path.to_owned()],
        Path::Around(before, _) if matches!(route.rule, Rule::Alertmanager(_)) => vec![format!("{before}{NOWHERE}")],
        Path::Around(before, after) => {
            let labels = ["__name__", pair.label].into_iter().chain(pair.marks.first().map(|(label, _)| &**label));
            labels.map(|label| format!("{before}{label}{after}")).collect()
        }
        Path::Below(base) => {
            let known = BELOW.iter().find(|(below, _)| *below == base).map_or([].as_slice(), |(_, known)| known);
            known.iter().chain([&NOWHERE]).map(|name| format!("{base}{name}")).collect()
        }
    }
}

impl Maker<'_> {
    fn add(
        &mut self,
        group: &'static str,
        what: String,
        method: &str,
        path: &str,
        parameters: &[(&str, &str)],
        expect: Expect,
    ) {
        // A tenant that can't be named was refused before.
        let Ok(ask) = self.deployment.request(&self.pair.own.id, method, path, parameters) else { return };
        self.checks.push(Check { group, what: format!("{method}: {what}"), own: self.pair.number, ask, expect });
    }

    fn row(&mut self, route: &Route, path: &str) {
        let is_off = route.switch.is_some_and(|switch| !self.deployment.config.serves(switch));
        let target = self.deployment.plain("GET", path).target;
        let found = self.deployment.config.find(target.as_bytes());
        if found.is_some_and(|(found, _)| found.route.rule == Rule::Passthrough) {
            self.unchecked(route.handler, path, "passthrough_paths names it: it is forwarded as it comes");
            return;
        }
        // An earlier row of the table serves it, and has checks of its own.
        if found.is_some_and(|(found, _)| found.route.path != route.path) {
            return;
        }
        // The upstream's web pages get an answer without data in its place.
        let is_neutral = self.deployment.has("ui") && route.neutral.is_some();
        let refused =
            if self.deployment.is_configured() && !is_neutral { Expect::Status(403) } else { Expect::Anything };
        match route.rule {
            Rule::Refuse(_) if self.deployment.has("ui") => {
                self.add(route.handler, format!("{path}, with ui"), "GET", path, &[], Expect::Anything);
            }
            Rule::Refuse(_) => self.add(route.handler, path.to_owned(), "GET", path, &[], Expect::Status(403)),
            Rule::Queries => self.queries(route, path),
            Rule::RemoteRead | Rule::ByHeaderUnread => {
                let expect = if is_off { refused } else { Expect::Anything };
                self.remote_read(route, path, expect);
            }
            Rule::Write(_) => self.write(route, path),
            Rule::Selectors | Rule::Filtered | Rule::Metadata | Rule::ByHeader | Rule::Forward if is_off => {
                self.add(route.handler, format!("{path}, which is off"), "GET", path, &[], refused);
            }
            Rule::Selectors => self.selectors(route, path),
            Rule::Filtered | Rule::Metadata | Rule::ByHeader => {
                let metric = self.pair.other.metric.clone();
                let narrowed: Vec<(&str, &str)> =
                    if has(route, "metric") { vec![("metric", &metric)] } else { Vec::new() };
                self.add(route.handler, path.to_owned(), "GET", path, &[], Expect::Anything);
                if !narrowed.is_empty() {
                    self.add(route.handler, format!("{path} of a metric"), "GET", path, &narrowed, Expect::Anything);
                }
            }
            Rule::Forward => {
                let query = queries::with(&self.pair.own.own, &queries::matcher(self.pair, "=", &self.pair.other.id));
                let parameters: Vec<(&str, &str)> =
                    if route.reads_expressions() { vec![("query", &query)] } else { Vec::new() };
                for method in route.methods.iter().filter(|method| **method != Method::Head) {
                    // What a client wrote comes back to it.
                    self.add(route.handler, path.to_owned(), method.name(), path, &parameters, Expect::Anything);
                }
            }
            Rule::Alertmanager(Part::ByHeader) => {
                self.unchecked(
                    route.handler,
                    path,
                    "Cortex's and Mimir's own Alertmanager knows the tenant by the header alone",
                );
            }
            Rule::Alertmanager(_) => alerts::row(self.deployment, self.pair, route, path, self.checks),
            // The same for everybody.
            Rule::Page | Rule::Home => {
                self.add(route.handler, path.to_owned(), "GET", path, &[], Expect::Anything);
            }
            Rule::Passthrough | Rule::Grpc(_) => {}
        }
    }

    fn queries(&mut self, route: &Route, path: &str) {
        let all = queries::all(self.pair);
        for (index, query) in all.into_iter().filter(|query| query.is_basic || route.handler == "query").enumerate() {
            let mut parameters = vec![("query", query.text.as_str())];
            let times = self.times(route);
            parameters.extend(times.iter().map(|(name, value)| (*name, value.as_str())));
            // An explanation is no list of series, and exemplars may be none.
            let expect = match query.expect {
                Expect::Data if !matches!(route.handler, "query" | "query_range") => Expect::Anything,
                Expect::Nothing if route.handler.ends_with("explain") => Expect::Anything,
                expect => expect,
            };
            for (number, method) in route.methods.iter().enumerate() {
                // Each query once, by one method after the other; the basic ones by all.
                if query.is_basic || (index + number) % route.methods.len() == 0 {
                    self.add(route.handler, query.what.to_owned(), method.name(), path, &parameters, expect);
                }
            }
        }
    }

    fn selectors(&mut self, route: &Route, path: &str) {
        let Some(name) = route.parameters.iter().find(|parameter| parameter.kind == Kind::Selector) else { return };
        let name: &str = name.name;
        let own = self.pair.own.own.clone();
        let asked = queries::with(&own, &queries::matcher(self.pair, "=", &self.pair.other.id));
        let everybody = queries::with(&own, &queries::matcher(self.pair, "=~", ".+"));
        let is_of_series = matches!(route.handler, "series" | "federate");
        let series = if is_of_series { Expect::Series } else { Expect::Anything };
        let mut variants: Vec<(&str, Vec<&str>, Expect)> = vec![
            ("no selector", vec![], Expect::Anything),
            ("its own series", vec![&own], if is_of_series { Expect::Data } else { Expect::Anything }),
            ("the series of it", vec![&own], series),
            ("the other tenant by name", vec![&asked], series),
            ("every tenant", vec![&everybody], series),
            ("two selectors", vec![&own, &asked], series),
        ];
        let foreign = self.pair.foreign.clone();
        if let Some(foreign) = &foreign {
            variants.push(("what only the other tenant has", vec![foreign], Expect::Nothing));
        }
        let times = self.times(route);
        for (what, selectors, expect) in variants {
            // Without a selector, the series are all that the tenant has, or all that there are.
            let is_bounded = has(route, "limit");
            if selectors.is_empty() && is_of_series && !is_bounded {
                continue;
            }
            let mut parameters: Vec<(&str, &str)> = selectors.iter().map(|selector| (name, *selector)).collect();
            parameters.extend(times.iter().map(|(name, value)| (*name, value.as_str())));
            if is_bounded {
                parameters.push(("limit", "1000"));
            }
            if has(route, "label") {
                parameters.push(("label", self.pair.label));
            }
            let expect = if expect == Expect::Data && route.handler == "federate" { Expect::Series } else { expect };
            for method in route.methods {
                self.add(route.handler, format!("{path}: {what}"), method.name(), path, &parameters, expect);
            }
        }
        if route.methods.contains(&Method::Post) {
            self.both(route.handler, path, name, &own, &asked, series);
        }
    }

    /// Upstreams read parameters of the URL and of the form: one in each.
    fn both(&mut self, group: &'static str, path: &str, name: &str, own: &str, asked: &str, expect: Expect) {
        let before = self.checks.len();
        self.add(
            group,
            format!("{path}: one selector in the URL, one in the form"),
            "POST",
            path,
            &[(name, own)],
            expect,
        );
        let pairs = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, asked).finish();
        for check in self.checks.iter_mut().skip(before) {
            let separator = if check.ask.target.contains('?') { '&' } else { '?' };
            check.ask.target = format!("{}{separator}{pairs}", check.ask.target);
        }
    }

    fn times(&self, route: &Route) -> Vec<(&'static str, String)> {
        let now = self.deployment.now;
        let before = now.saturating_sub(3_600).to_string();
        let takes = |name: &str| has(route, name);
        let mut all = Vec::new();
        match route.times {
            Times::Instant => all.push(("time", now.to_string())),
            Times::Range | Times::Between | Times::LastHour => {
                all.extend([("start", before), ("end", now.to_string())]);
            }
            Times::Now | Times::Message | Times::Unread => {}
        }
        if route.times == Times::Range {
            all.push(("step", "60".to_owned()));
        }
        all.retain(|(name, _)| takes(name));
        all
    }

    /// A message that asks for the other tenant's series.
    fn remote_read(&mut self, route: &Route, path: &str, expect: Expect) {
        let mut query = Vec::new();
        write_number(1, self.deployment.now.saturating_sub(3_600) * 1_000, &mut query);
        write_number(2, self.deployment.now * 1_000, &mut query);
        for matcher in [matcher("__name__", &self.pair.own.metric), matcher(self.pair.label, &self.pair.other.id)] {
            write_bytes(3, &matcher, &mut query);
        }
        let mut message = Vec::new();
        write_bytes(1, &query, &mut message);
        self.add(route.handler, format!("{path}: the other tenant's series"), "POST", path, &[], expect);
        if let Some(check) = self.checks.last_mut() {
            check.ask.headers.retain(|(name, _)| name != "content-type");
            let headers = [
                ("content-type", "application/x-protobuf"),
                ("content-encoding", "snappy"),
                ("x-prometheus-remote-read-version", "0.1.0"),
            ];
            check.ask.headers.extend(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
            check.ask.body = Some(snappy::encode_block(&message));
        }
    }

    /// Nothing is written: a request with an empty message, and with an empty tenant, which nobody takes.
    fn write(&mut self, route: &Route, path: &str) {
        let Source::Header { name, .. } = self.deployment.config.source() else {
            self.unchecked(route.handler, path, "it would write as a tenant");
            return;
        };
        let mut ask = self.deployment.plain("POST", path);
        ask.headers.push((name.to_string(), String::new()));
        ask.headers.push(("content-type".to_owned(), "application/x-protobuf".to_owned()));
        ask.body = Some(snappy::encode_block(b""));
        let what = format!("POST: {path}: nothing, for the empty tenant");
        self.checks.push(Check { group: route.handler, what, own: self.pair.number, ask, expect: Expect::Refused });
    }

    fn unchecked(&mut self, group: &'static str, path: &str, why: &'static str) {
        let ask = self.deployment.plain("GET", path);
        self.checks.push(Check {
            group,
            what: path.to_owned(),
            own: self.pair.number,
            ask,
            expect: Expect::Unchecked(why),
        });
    }
}

fn has(route: &Route, name: &str) -> bool {
    route.parameters.iter().any(|Parameter { name: other, .. }| *other == name)
}

/// An equal matcher, as a message: name 2, value 3, of the default type 0.
pub fn matcher(label: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(2, label.as_bytes(), &mut out);
    write_bytes(3, value.as_bytes(), &mut out);
    out
}
