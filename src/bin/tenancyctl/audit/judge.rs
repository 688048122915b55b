//! What becomes of a query: it is decided as the filter decides, and what it would mean is compared with what it meant.

use super::super::naming::Identity;
use super::super::{Failure, confined};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::promql::Query;
use promql_tenancy_filter::request::{BodyDecision, Decision, Head, decide};
use promql_tenancy_filter::scope::{Fit, MatchOp, Matcher, OnConflict, Scope};
use promql_tenancy_filter::tenant::Source;
use serde_json::Value;
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};
use url::form_urlencoded;

/// The reasons that are no refusals.
const REPLACED: &str = "other_tenant";
const NAMES: &str = "tenant_names";
const ABSENT: &str = "absent";
const CUT: &str = "range_cut";
const EMPTY: &str = "empty";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Instant(String),
    /// Over the last seconds.
    Range {
        query: String,
        seconds: u64,
    },
    /// The expression of a rule, now.
    Rule(String),
    LabelValues {
        selector: Option<String>,
        label: String,
    },
    Selector(String),
    /// The names of all metrics or labels.
    Names,
    /// As a log has it.
    Request {
        method: String,
        target: String,
    },
    LoggedQuery(String),
}

impl Asked {
    /// Whether it stands in a log, where the same thing stands many times.
    pub fn is_logged(&self) -> bool {
        matches!(self, Asked::Request { .. } | Asked::LoggedQuery(_))
    }

    /// As it was judged, with values in the places of variables.
    pub fn text(&self) -> &str {
        match self {
            Asked::Instant(text) | Asked::Rule(text) | Asked::Selector(text) | Asked::LoggedQuery(text) => text,
            Asked::Range { query, .. } => query,
            Asked::LabelValues { selector, .. } => selector.as_deref().unwrap_or_default(),
            Asked::Names => "",
            Asked::Request { target, .. } => target,
        }
    }
}

/// What a reason means, for the summary.
pub fn meaning(reason: &str) -> &str {
    match reason {
        REPLACED => "a matcher on an enforced label asks for another value; it is replaced, or finds nothing",
        NAMES => "the values of an enforced label are the tenant's own alone",
        ABSENT => {
            "absent() holds where this tenant lacks the series, whoever else has them, and its result has the enforced labels"
        }
        CUT => "a limit of the tenant cuts the time range",
        EMPTY => "limits leave nothing of it: it is answered without the upstream",
        _ => "refused",
    }
}

pub struct Judge<'c> {
    config: &'c Config,
    labels: &'c confined::Labels,
    tenant: Option<String>,
    scope: Option<Scope>,
    /// The path below which the API stands.
    prefix: String,
    now: u64,
}

impl<'c> Judge<'c> {
    pub fn new(config: &'c Config, tenant: Option<&str>, labels: &'c confined::Labels) -> Result<Self, Failure> {
        let tenant = match config.source() {
            Source::Static(_) => tenant.map(str::to_owned),
            Source::Header { .. }
            | Source::Parameter(_)
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Metadata(_) => Some(tenant.map_or_else(|| some_tenant(config), str::to_owned)),
        };
        let tenants = confined::tenants(config, tenant.as_deref())?;
        let scope = match config.enforces() {
            true => Some(confined::scope(config, &tenants, &labels.values(config)?)?),
            false => None,
        };
        let value = config.explain().into_iter().find(|setting| setting.key == "path_prefixes");
        let prefixes: Vec<String> =
            value.and_then(|setting| serde_json::from_str(&setting.value).ok()).unwrap_or_default();
        let prefix = prefixes.into_iter().next().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        Ok(Judge { config, labels, tenant, scope, prefix, now })
    }

    /// What of it would be otherwise; empty where nothing would.
    pub fn findings(&self, asked: &Asked) -> Vec<(&'static str, String)> {
        let now = self.now.to_string();
        match asked {
            Asked::Instant(query) | Asked::Rule(query) | Asked::LoggedQuery(query) => {
                self.query("query", query, &[("query", query), ("time", &now)])
            }
            Asked::Range { query, seconds } => {
                let start = self.now.saturating_sub(*seconds).to_string();
                // Grafana asks for as many points as a panel has pixels.
                let step = (seconds / 1_000).max(15).to_string();
                self.query("query_range", query, &[("query", query), ("start", &start), ("end", &now), ("step", &step)])
            }
            Asked::LabelValues { selector, label } => {
                let mut findings = self.selector(selector.as_deref());
                if self.scope.as_ref().is_some_and(|scope| scope.names(label.as_bytes())) && findings.is_empty() {
                    findings.push((NAMES, format!("the values of {label}")));
                }
                findings
            }
            Asked::Selector(selector) => self.selector(Some(selector)),
            Asked::Names => self.selector(None),
            Asked::Request { method, target } => self.request(method, target),
        }
    }

    fn query(&self, path: &str, query: &str, parameters: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let target = self.target(path, parameters);
        let mut findings = self.decided("GET", &target, parameters);
        if findings.is_empty()
            && let Ok(query) = Query::parse(query.as_bytes())
        {
            findings = self.changed(&query);
        }
        findings
    }

    fn selector(&self, selector: Option<&str>) -> Vec<(&'static str, String)> {
        let parameters: Vec<(&str, &str)> = selector.map(|selector| ("match[]", selector)).into_iter().collect();
        let target = self.target("labels", &parameters);
        let mut findings = self.decided("GET", &target, &[]);
        if let Some(selector) = selector.filter(|_| findings.is_empty())
            && let Ok(query) = Query::parse_selector(selector.as_bytes())
        {
            findings = self.changed(&query);
        }
        findings
    }

    /// A request of a log: its path says what it asks for, its form is not in the log.
    fn request(&self, method: &str, target: &str) -> Vec<(&'static str, String)> {
        let mut findings = self.decided(method, target, &[]);
        let query = target.split_once('?').map_or("", |(_, query)| query);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !findings.is_empty() {
                break;
            }
            let parsed = match &*name {
                "query" => Query::parse(value.as_bytes()),
                "match[]" => Query::parse_selector(value.as_bytes()),
                _ => continue,
            };
            findings = parsed.map(|query| self.changed(&query)).unwrap_or_default();
        }
        findings
    }

    fn target(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}/api/v1/{path}?{query}", self.prefix)
    }

    /// What the filter decides. `parameters`: those whose times are compared with what is forwarded.
    fn decided(&self, method: &str, target: &str, parameters: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let identity = match Identity::new(self.config, self.tenant.as_deref(), None, target.to_owned()) {
            Ok(identity) => identity,
            Err(Failure::Broken(problem) | Failure::No(Some(problem))) => return vec![("tenant", problem)],
            Err(Failure::No(None) | Failure::Closed) => return Vec::new(),
        };
        let path = identity.path();
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b":method", method.as_bytes()), (b":path", path.as_bytes())];
        headers.extend(identity.header());
        headers.extend(self.labels.headers(self.config).map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let is_form = method == "POST";
        if is_form {
            headers.push((b"content-type", b"application/x-www-form-urlencoded"));
        }
        let evidence = self.labels.metadata(self.config);
        let now_ms = i64::try_from(self.now).ok().map(|now| now.saturating_mul(1_000));
        let head = Head {
            headers: &headers,
            evidence: identity.evidence(),
            label_evidence: evidence.as_deref(),
            end_of_stream: !is_form,
            now_ms,
        };
        let refused = |reason: &'static str, message: String| vec![(reason, message)];
        match decide(&head, self.config, &RefCell::default()) {
            Err(error) => refused(error.rejection.reason(), error.rejection.message().to_string()),
            Ok(Decision::Reply(reply)) => vec![(EMPTY, reply.reason.to_string())],
            Ok(Decision::Ask(_)) => Vec::new(),
            Ok(Decision::Forward(forward)) => {
                let cut = forward.path.as_deref().and_then(|path| cut(path, parameters));
                if let Some(cut) = cut {
                    return vec![(CUT, cut)];
                }
                // A form is not known; what a form without anything is refused for says nothing about it.
                if is_form && path.contains('?') {
                    return match forward.body.finish(b"", now_ms, &RefCell::default()) {
                        Ok(
                            BodyDecision::Forward(_)
                            | BodyDecision::Reply(_)
                            | BodyDecision::Confirm(_)
                            | BodyDecision::Spread(_),
                        ) => Vec::new(),
                        Err(rejection) => refused(rejection.reason(), rejection.message().to_string()),
                    };
                }
                Vec::new()
            }
        }
    }

    /// What a query that is forwarded does not mean any more.
    fn changed(&self, query: &Query<'_>) -> Vec<(&'static str, String)> {
        let Some(scope) = &self.scope else { return Vec::new() };
        let mut findings = Vec::new();
        for matcher in query.matchers().unwrap_or_default() {
            if scope.names(matcher.label.as_bytes()) && !self.chooses_own(scope, &matcher) {
                findings.push((REPLACED, matcher.to_string()));
            }
        }
        if calls_absent(query.text()) {
            findings.push((ABSENT, String::from_utf8_lossy(query.text()).trim().chars().take(200).collect()));
        }
        findings.dedup();
        findings
    }

    /// Whether the query's own matcher on an enforced label lets all pass that is the tenant's.
    fn chooses_own(&self, scope: &Scope, matcher: &Matcher) -> bool {
        let Ok(own) = Scope::new(vec![(matcher.clone(), OnConflict::Intersect)]) else {
            // Whatever matches the empty value, such as `.*` or a negative matcher, is asked of the tenant's values below.
            return self.accepts_all(scope, matcher);
        };
        let Ok(inside) = own.inside() else { return false };
        self.values(scope, matcher)
            .is_some_and(|values| values.iter().all(|value| inside.fit(0, value) != Fit::Refused))
    }

    fn accepts_all(&self, scope: &Scope, matcher: &Matcher) -> bool {
        let Some(values) = self.values(scope, matcher) else { return false };
        match matcher.op {
            MatchOp::Equal => false,
            MatchOp::NotEqual => values.iter().all(|value| **value != *matcher.value),
            MatchOp::Regex => matches!(&*matcher.value, ".*" | "|.*" | ".*|"),
            // As the pattern that it is the opposite of.
            MatchOp::NotRegex => {
                let positive = Matcher { op: MatchOp::Regex, ..matcher.clone() };
                let scope = Scope::new(vec![(positive, OnConflict::Intersect)]);
                let inside = scope.ok().and_then(|scope| scope.inside().ok());
                inside.is_some_and(|inside| values.iter().all(|value| inside.fit(0, value) == Fit::Refused))
            }
        }
    }

    /// The values that the scope allows the label; `None` where they are no list.
    fn values(&self, scope: &Scope, matcher: &Matcher) -> Option<Vec<String>> {
        let sets = scope.label_sets();
        let values = sets.iter().flatten().filter(|(label, _)| *label == &*matcher.label);
        let values: Vec<String> = values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// A tenant that is served: the first of `allowed_tenants`, or any.
fn some_tenant(config: &Config) -> String {
    let settings = config.explain();
    let allowed = settings.iter().find(|setting| setting.key == "allowed_tenants");
    let list: Vec<Value> = allowed.and_then(|allowed| serde_json::from_str(&allowed.value).ok()).unwrap_or_default();
    let mut ids = list.iter().filter_map(Value::as_str).filter(|id| config.tenants(id.as_bytes()).is_ok());
    ids.next().unwrap_or("tenant").to_owned()
}

/// How the forwarded times differ from those that were asked for.
fn cut(path: &[u8], parameters: &[(&str, &str)]) -> Option<String> {
    let query = path.splitn(2, |byte| *byte == b'?').nth(1)?;
    let forwarded: Vec<_> = form_urlencoded::parse(query).collect();
    parameters.iter().filter(|(name, _)| matches!(*name, "start" | "end" | "time")).find_map(|(name, asked)| {
        let (_, value) = forwarded.iter().find(|(other, _)| other == name)?;
        (value != asked).then(|| format!("{name} is moved from {asked} to {value}"))
    })
}

/// Whether `absent` or `absent_over_time` is called, outside of strings and comments.
fn calls_absent(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut quote = None;
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None, '"' | '\'' | '`') => quote = Some(char),
            (None, '#') => {
                let _ = chars.by_ref().find(|char| *char == '\n');
            }
            (None, char) => plain.push(char),
            (Some('"' | '\''), '\\') => {
                let _ = chars.next();
            }
            (Some(open), char) if open == char => quote = None,
            (Some(_), _) => {}
        }
    }
    let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':' | '.');
    ["absent", "absent_over_time"].iter().any(|name| {
        plain.match_indices(name).any(|(at, _)| {
            let before = plain.get(..at).and_then(|before| before.chars().next_back());
            let after = plain.get(at + name.len()..).unwrap_or_default();
            !before.is_some_and(is_word) && after.trim_start().starts_with('(')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(json: &str, asked: Asked) -> Vec<(&'static str, String)> {
        let config = Config::parse(json.as_bytes()).unwrap();
        let labels = confined::Labels::default();
        let judge = Judge::new(&config, Some("a"), &labels).ok().unwrap();
        judge.findings(&asked)
    }

    fn reasons(json: &str, query: &str) -> Vec<&'static str> {
        findings(json, Asked::Instant(query.to_owned())).into_iter().map(|(reason, _)| reason).collect()
    }

    #[test]
    fn a_query_that_is_only_confined_is_no_finding() {
        for query in [
            "up",
            "sum by (tenant_id) (rate(x[5m]))",
            "up{tenant_id=\"a\"}",
            "up{tenant_id=~\".*\"}",
            "up{tenant_id=~\".+\"}",
            "up{tenant_id!=\"\"}",
            "up{tenant_id!~\"b|c\"}",
            "x_absent + absent_x # absent(x)",
        ] {
            assert_eq!(reasons("{}", query), [] as [&str; 0], "{query}");
        }
    }

    #[test]
    fn another_tenant_is_one() {
        for query in [
            "up{tenant_id=\"b\"}",
            "up{tenant_id!=\"a\"}",
            "up{tenant_id=~\"b.*\"}",
            "up{tenant_id!~\"a|b\"}",
            "up{tenant_id=\"\"}",
        ] {
            assert_eq!(reasons("{}", query), [REPLACED], "{query}");
        }
        assert_eq!(reasons(r#"{"on_conflict": "reject"}"#, "up{tenant_id=\"b\"}").len(), 1);
        assert_ne!(reasons(r#"{"on_conflict": "reject"}"#, "up{tenant_id=\"b\"}"), [REPLACED]);
        // Isolated by its storage: the label is nobody's.
        assert_eq!(reasons(r#"{"upstream": "cortex"}"#, "up{tenant_id=\"b\"}"), [] as [&str; 0]);
    }

    #[test]
    fn absence_and_names_are_the_tenants_own() {
        assert_eq!(reasons("{}", "absent(up) or absent_over_time(up[5m])"), [ABSENT]);
        let names = Asked::LabelValues { selector: Some("up".to_owned()), label: "tenant_id".to_owned() };
        assert_eq!(findings("{}", names), [(NAMES, "the values of tenant_id".to_owned())]);
    }

    #[test]
    fn refusals_are_the_filters_own() {
        assert_eq!(reasons("{}", "up{").len(), 1);
        let limits = r#"{"limits": {"max_query_length": "1h"}}"#;
        assert_eq!(findings(limits, Asked::Range { query: "up".to_owned(), seconds: 7_200 }).len(), 1);
        assert_eq!(findings(limits, Asked::Range { query: "up".to_owned(), seconds: 600 }).len(), 0);
        let request = |method: &str, target: &str| {
            findings("{}", Asked::Request { method: method.to_owned(), target: target.to_owned() }).len()
        };
        assert_eq!(request("GET", "/api/v1/status/tsdb"), 1);
        assert_eq!(request("POST", "/api/v1/query"), 0);
        assert_eq!(request("GET", "/api/v1/query?query=up"), 0);
        let cut = r#"{"limits": {"max_query_lookback": "30m"}}"#;
        assert_eq!(findings(cut, Asked::Range { query: "up".to_owned(), seconds: 3_600 }).len(), 1);
    }
}
