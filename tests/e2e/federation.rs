//! `federation_label` in front of a Prometheus, beside a Cortex that federates by itself: equal answers. docs/federation.md lists the differences.
//! `corpus` asks both what Prometheus's own tests ask. `mimir` compares with a Mimir.

mod corpus;
mod mimir;

use crate::generator::Rng;
use crate::support::compare::content;
use crate::support::cortex::{self, Cortex};
use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::process::Process;
use crate::support::remote_write::{Sample, Series, Value};
use crate::support::scripted::{SCRIPT, Scripted, Step};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

const BOTH: &str = "team-a|team-b";

/// How many queries are generated; each is asked at one time and over a range.
const GENERATED: u64 = 250;

/// The same data in both: Prometheus with the tenant in a label, behind the filter; Cortex with the tenant in its header.
struct Twins {
    envoy: Envoy,
    prometheus: (Process, u16),
    cortex: Cortex,
}

fn twins() -> &'static Twins {
    static TWINS: LazyLock<Twins> = LazyLock::new(|| {
        let all: Vec<(&str, Vec<Series>)> =
            data::TENANTS.into_iter().chain(["empty"]).map(|tenant| (tenant, series(tenant))).collect();
        let cortex = Cortex::start("federation-cortex");
        for (tenant, series) in &all {
            if !series.is_empty() {
                cortex.write(tenant, series);
            }
        }
        let prometheus = cortex::prometheus("federation-prometheus", &all);
        let plugin = json!({"tenant_federation": {"enabled": true}, "federation_label": true, "default_tenant_id": ""});
        let envoy = Setup::shipped(prometheus.1).plugin(plugin).start("envoy-federation");
        let twins = Twins { envoy, prometheus, cortex };
        let ready = || {
            let query = instant("count(up)");
            let [ours, theirs] = twins.both("/api/v1/query", &query, BOTH);
            ours.json()["data"]["result"][0]["value"][1] == "6" && theirs.json()["data"]["result"][0]["value"][1] == "6"
        };
        twins.cortex.wait_until(ready);
        twins
    });
    TWINS.prometheus.0.used();
    &TWINS
}

/// The series of a tenant: some have labels of the names that are exchanged.
fn series(tenant: &str) -> Vec<Series> {
    if tenant == "empty" {
        return Vec::new();
    }
    let mut all = data::series(tenant);
    let own = [("__tenant_id__", tenant)];
    let more = [
        ("both", &[("__tenant_id__", "stored"), ("tenant_id", "own")][..], 1.0),
        ("both", &[("__tenant_id__", "other"), ("tenant_id", "team-a")], 2.0),
        ("one", &[("tenant_id", "team-b")], 3.0),
        ("one", &[("tenant_id", "team-a")], 4.0),
        ("other", &own, 5.0),
    ];
    for (name, labels, value) in more {
        let labels = labels.iter().copied().chain([("__name__", name), ("job", "api")]);
        let labels = labels.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let samples = (0..=60).map(|step| Sample {
            milliseconds: (data::end() - 60 * 15 + step * 15) * 1000,
            value: Value::Float(value),
        });
        all.push(Series { labels, samples: samples.collect(), exemplars: Vec::new() });
    }
    all
}

impl Twins {
    fn both(&self, path: &str, parameters: &str, tenants: &str) -> [Response; 2] {
        let target = |prefix: &str| format!("{prefix}{path}?{parameters}");
        let ours = Request::get(&target("")).tenant(tenants).send(self.envoy.port());
        let theirs = Request::get(&target("/prometheus")).header("x-scope-orgid", tenants).send(self.cortex.port());
        [ours, theirs]
    }

    /// Whether both answer alike: with the same data, or with an error of the same type. A difference is returned.
    fn difference(&self, path: &str, parameters: &str, tenants: &str) -> Option<String> {
        let [ours, theirs] = self.both(path, parameters, tenants);
        difference_of(path, parameters, &ours, &theirs)
    }

    #[track_caller]
    fn assert_same(&self, path: &str, parameters: &str) {
        if let Some(difference) = self.difference(path, parameters, BOTH) {
            panic!("{difference}");
        }
    }
}

fn difference_of(path: &str, parameters: &str, ours: &Response, theirs: &Response) -> Option<String> {
    let [mine, other] = [ours, theirs].map(|answer| {
        let content = content(answer);
        let data = match &content["data"]["result"] {
            Json::Null => content["data"].clone(),
            result => result.clone(),
        };
        (content["status"].clone(), data)
    });
    let shown = |answer: &Response| answer.text().chars().take(1500).collect::<String>();
    let what = format!("{path} {parameters}\n  ours:   {}\n  theirs: {}", shown(ours), shown(theirs));
    (mine != other).then_some(what)
}

fn instant(query: &str) -> String {
    form(&[("query", query), ("time", &(data::end() - 60).to_string())])
}

fn range(query: &str) -> String {
    let (start, end) = ((data::end() - 600).to_string(), data::end().to_string());
    form(&[("query", query), ("start", &start), ("end", &end), ("step", "60")])
}

fn times() -> String {
    form(&[("start", &data::start().to_string()), ("end", &data::end().to_string())])
}

/// Asserts that each query has equal answers in both, and says how many have any data.
fn assert_queries_same(queries: impl IntoIterator<Item = String>) -> usize {
    let twins = twins();
    let (mut differences, mut with_data) = (Vec::new(), 0);
    for query in queries {
        for (path, parameters) in [("/api/v1/query", instant(&query)), ("/api/v1/query_range", range(&query))] {
            if let Some(difference) = twins.difference(path, &parameters, BOTH) {
                differences.push(format!("{query}\n  {difference}"));
            }
        }
        let [ours, _] = twins.both("/api/v1/query", &instant(&query), BOTH);
        with_data += usize::from(ours.text().contains("\"value\""));
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences[..differences.len().min(8)].join("\n")
    );
    with_data
}

const QUERIES: &[&str] = &[
    "up",
    r#"up{__tenant_id__="team-a"}"#,
    r#"up{__tenant_id__!="team-a"}"#,
    r#"up{__tenant_id__=~".*-b|nobody"}"#,
    r#"up{__tenant_id__!~".*-b"}"#,
    r#"up{__tenant_id__="nobody"}"#,
    r#"up{__tenant_id__=""}"#,
    r#"up{"__tenant_id__"="team-b"}"#,
    "sum by (__tenant_id__) (temperature)",
    "sum by (tenant_id) (one)",
    "sum by (tenant_id, __tenant_id__, original___tenant_id__) (both)",
    "sum without (__tenant_id__) (both)",
    "count by (original___tenant_id__) (both or other)",
    r#"both{original___tenant_id__="stored"}"#,
    r#"both{original___tenant_id__!="stored",tenant_id="team-a"}"#,
    r#"{tenant_id=~"team-.+"}"#,
    r#"{original___tenant_id__!=""}"#,
    "temperature / on (__tenant_id__, instance) up",
    "both * on (__tenant_id__) group_left (owner) max by (__tenant_id__, owner) (up)",
    "both - ignoring (original___tenant_id__, tenant_id) group_left () one{tenant_id=\"team-a\"}",
    "up * on () group_left (tenant_id) one",
    r#"label_replace(both, "tenant_id", "$1", "__tenant_id__", "(.*)")"#,
    r#"label_replace(both, "__tenant_id__", "$1", "original___tenant_id__", "(.*)")"#,
    r#"label_replace(both, "x", "__tenant_id__ $1", "tenant_id", "(.*)")"#,
    r#"label_replace(up, "__tenant_id__", "", "", "")"#,
    r#"sum by (__tenant_id__) (label_replace(one, "tenant_id", "x", "", ""))"#,
    r#"label_join(both, "original___tenant_id__", "/", "__tenant_id__", "tenant_id")"#,
    r#"count_values("__tenant_id__", one)"#,
    r#"count_values by (__tenant_id__) ("tenant_id", both)"#,
    r#"sort_by_label(both, "__tenant_id__", "tenant_id")"#,
    r#"absent(up{__tenant_id__="nobody"})"#,
    r#"absent(nothing{__tenant_id__="team-a",tenant_id="x"})"#,
    r#"absent(nothing{__tenant_id__=~"team-a"})"#,
    r#"absent_over_time(nothing{__tenant_id__="team-b"}[5m])"#,
    r#"topk by (__tenant_id__) (1, temperature)"#,
    r#"bottomk(1, temperature{__tenant_id__="team-a"})"#,
    r#"quantile by (__tenant_id__) (0.5, temperature)"#,
    r#"topk(scalar(count(up{__tenant_id__="team-a"})), temperature)"#,
    "max_over_time(sum by (__tenant_id__) (temperature)[10m:1m])",
    r#""__tenant_id__""#,
    "scalar(up{__tenant_id__=\"team-a\"})",
    "histogram_quantile(0.9, sum by (le, __tenant_id__) (rate(http_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.5, rate(latency_seconds[5m]))",
    "one and on (__tenant_id__) up unless on (tenant_id) both",
    "up + on (__tenant_id__) up",
    r#"label_replace(up, "__tenant_id__", "same", "", "") + up"#,
    r#"sum by ("__tenant_id__") (rate(http_requests_total{code=~"5.."}[5m]))"#,
];

#[test]
fn queries_have_cortex_s_answers() {
    let with_data = assert_queries_same(QUERIES.iter().map(ToString::to_string));
    assert!(with_data > 35, "{with_data} have data");
}

#[test]
fn queries_of_the_other_tests_have_cortex_s_answers() {
    let with_data = assert_queries_same(crate::queries::all().map(str::to_owned));
    assert!(with_data > 20, "{with_data} have data");
}

/// A query of types that fit, over this data and the labels that are exchanged.
struct Made(Rng);

impl Made {
    fn label(&mut self) -> &'static str {
        self.0.pick(&[
            "__tenant_id__",
            "__tenant_id__",
            "tenant_id",
            "original___tenant_id__",
            "job",
            "instance",
            "code",
            "owner",
        ])
    }

    fn labels(&mut self) -> String {
        let count = self.0.pick(&[0, 1, 1, 2, 2, 3]);
        (0..count).map(|_| self.label()).collect::<Vec<_>>().join(", ")
    }

    fn selector(&mut self) -> String {
        let name = self.0.pick(&["up", "temperature", "both", "one", "other", "http_requests_total"]);
        let count = self.0.pick(&[0, 0, 1, 1, 2]);
        let matchers = (0..count).map(|_| {
            let label = self.label();
            let op = self.0.pick(&["=", "!=", "=~", "!~"]);
            let value = self.0.pick(&["team-a", "team-b", "team-.*", "", "stored", "api", "one:80", "own", "nobody"]);
            format!("{label}{op}\"{value}\"")
        });
        format!("{name}{{{}}}", matchers.collect::<Vec<_>>().join(","))
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.selector();
        }
        match self.0.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
            0 => self.selector(),
            1 | 2 => {
                let aggregator = self.0.pick(&["sum", "avg", "count", "min", "max", "group"]);
                let grouping = self.0.pick(&["by", "without"]);
                format!("{aggregator} {grouping} ({}) ({})", self.labels(), self.vector(depth - 1))
            }
            3 => {
                let operator = self.0.pick(&["+", "*", "/", ">", "== bool", "and", "or", "unless"]);
                let matching = self.0.pick(&["on", "ignoring"]);
                let sides = [self.vector(depth - 1), self.vector(depth - 1)];
                format!("({}) {operator} {matching} ({}) ({})", sides[0], self.labels(), sides[1])
            }
            4 => {
                let include = self.labels();
                let sides = [self.vector(depth - 1), self.vector(depth - 1)];
                format!("({}) * on (__tenant_id__) group_left ({include}) ({})", sides[0], sides[1])
            }
            5 => format!(
                r#"label_replace({}, "{}", "{}", "{}", "(.*)")"#,
                self.vector(depth - 1),
                self.label(),
                self.0.pick(&["$1", "x-$1", "__tenant_id__", ""]),
                self.label()
            ),
            6 => format!(
                r#"label_join({}, "{}", "-", "{}", "{}")"#,
                self.vector(depth - 1),
                self.label(),
                self.label(),
                self.label()
            ),
            7 => format!(r#"count_values("{}", {})"#, self.label(), self.vector(depth - 1)),
            8 => format!("{}({}[5m])", self.0.pick(&["rate", "avg_over_time", "count_over_time"]), self.selector()),
            _ => format!("absent({})", self.vector(depth - 1)),
        }
    }
}

#[test]
fn generated_queries_have_cortex_s_answers() {
    let queries = (0..GENERATED).map(|seed| {
        let mut made = Made(Rng::new(seed));
        let depth = made.0.pick(&[0, 1, 2, 2, 3]);
        made.vector(depth)
    });
    let with_data = assert_queries_same(queries);
    println!("{with_data} of {GENERATED} generated queries have data");
    assert!(with_data > GENERATED as usize / 4, "{with_data}");
}

#[test]
fn series_labels_and_values_are_cortex_s() {
    let twins = twins();
    for selectors in [
        &["up"][..],
        &[r#"both{__tenant_id__="team-a"}"#],
        &[r#"{original___tenant_id__="stored"}"#, r#"one{tenant_id="team-b"}"#],
        &[r#"up{__tenant_id__="nobody"}"#],
    ] {
        let pairs: Vec<(&str, &str)> = selectors.iter().map(|selector| ("match[]", *selector)).collect();
        let parameters = format!("{}&{}", form(&pairs), times());
        for path in ["series", "labels", "label/job/values", "label/__tenant_id__/values", "label/tenant_id/values"] {
            twins.assert_same(&format!("/api/v1/{path}"), &parameters);
        }
        twins.assert_same("/api/v1/label/original___tenant_id__/values", &parameters);
    }
    for path in ["labels", "label/__tenant_id__/values", "label/tenant_id/values", "label/__name__/values"] {
        twins.assert_same(&format!("/api/v1/{path}"), &times());
    }
    // A tenant without data is named all the same.
    let parameters = times();
    assert_eq!(twins.difference("/api/v1/label/__tenant_id__/values", &parameters, "team-a|empty"), None);
    let [ours, _] = twins.both("/api/v1/label/__tenant_id__/values", &parameters, "team-a|empty");
    assert_eq!(ours.json()["data"], json!(["empty", "team-a"]));
    let [ours, _] = twins.both("/api/v1/labels", &parameters, BOTH);
    let names: Vec<String> = serde_json::from_value(ours.json()["data"].clone()).unwrap();
    assert!(names.is_sorted() && names.contains(&"__tenant_id__".to_owned()), "{names:?}");
}

#[test]
fn exemplars_are_cortex_s() {
    let twins = twins();
    for query in ["http_requests_total", r#"rate(http_requests_total{__tenant_id__="team-b"}[5m])"#] {
        let parameters = format!("{}&{}", form(&[("query", query)]), times());
        twins.assert_same("/api/v1/query_exemplars", &parameters);
        let [ours, _] = twins.both("/api/v1/query_exemplars", &parameters, BOTH);
        assert!(ours.text().contains("\"__tenant_id__\""), "{}", ours.text());
    }
}

/// With one tenant, the label is not there, in both.
#[test]
fn with_one_tenant_nothing_changes() {
    let twins = twins();
    for query in [r#"up{__tenant_id__="team-a"}"#, r#"sum by (__tenant_id__) (up)"#] {
        assert_eq!(twins.difference("/api/v1/query", &instant(query), "team-a"), None, "{query}");
    }
    let [ours, theirs] = twins.both("/api/v1/query", &instant("up"), "team-a");
    assert!(ours.text().contains(r#""tenant_id":"team-a""#), "{}", ours.text());
    assert!(!theirs.text().contains("tenant_id"), "{}", theirs.text());
}

/// What Cortex loses, the filter keeps: a stored label of the name that Cortex makes.
#[test]
fn a_label_that_cortex_overwrites_is_kept() {
    let twins = twins();
    let series = |labels: &[(&str, &str)]| Series {
        labels: labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        samples: vec![Sample { milliseconds: data::end() * 1000, value: Value::Float(1.0) }],
        exemplars: Vec::new(),
    };
    let labels = [("__name__", "lost"), ("__tenant_id__", "x"), ("original___tenant_id__", "y")];
    // A tenant of its own, so that the other tests don't see it.
    twins.cortex.write("team-c", &[series(&labels)]);
    let stored: Vec<(&str, &str)> = labels.into_iter().chain([("tenant_id", "team-c")]).collect();
    crate::support::remote_write::write(twins.prometheus.1, "/api/v1/write", None, &[series(&stored)]);
    let query = form(&[("query", "lost"), ("time", &data::end().to_string())]);
    twins.cortex.wait_until(|| twins.both("/api/v1/query", &query, "team-c|empty")[1].text().contains("lost"));
    let [ours, theirs] = twins.both("/api/v1/query", &query, "team-c|empty");
    let metric = |answer: &Response| answer.json()["data"]["result"][0]["metric"].clone();
    assert_eq!(
        metric(&ours),
        json!({"__name__": "lost", "__tenant_id__": "team-c", "original___tenant_id__": "x", "tenant_id": "y"})
    );
    assert_eq!(metric(&theirs), json!({"__name__": "lost", "__tenant_id__": "team-c", "original___tenant_id__": "x"}));
    let [ours, theirs] = twins.both("/api/v1/labels", &times(), "team-c|empty");
    assert_eq!(ours.json()["data"], json!(["__name__", "__tenant_id__", "original___tenant_id__", "tenant_id"]));
    assert_eq!(theirs.text().matches("original___tenant_id__").count(), 2, "{}", theirs.text());
}

/// Whatever is asked, only the tenants that are named are seen.
#[test]
fn exchanged_names_open_nothing() {
    let twins = twins();
    for query in [
        r#"{__name__=~".+"}"#,
        r#"{tenant_id=~".*",__name__="up"}"#,
        r#"up{__tenant_id__=~".*",tenant_id=""}"#,
        r#"up or up{original___tenant_id__=~".*"}"#,
        r#"label_replace(up, "__tenant_id__", "team-a", "", "")"#,
        r#"label_replace(up, "tenant_id", "team-a", "__tenant_id__", ".*")"#,
    ] {
        let answer =
            Request::get(&format!("/api/v1/query?{}", instant(query))).tenant("team-a|empty").send(twins.envoy.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        for mark in data::marks("team-b") {
            // Some of team-a's own labels have this value.
            let text = answer.text().replace(r#""tenant_id":"team-b""#, "");
            assert!(!text.contains(&mark), "{query}: {text}");
        }
    }
}

/// Names that grow make an answer longer than what came. Envoy holds nothing of it back, so that neither its buffer's limit nor its memory has to
/// do with the answer's length; rules, of which it could hold the headers back, are as well.
#[test]
fn a_large_answer_grows_while_it_streams() {
    let upstream = Scripted::start();
    let plugin = json!({"tenant_federation": {"enabled": true}, "federation_label": true});
    let envoys = [true, false].map(|stop| {
        Setup::shipped(upstream.port)
            .plugin(plugin.clone())
            .stop_iteration(stop)
            .start(&format!("envoy-federation-large-{stop}"))
    });
    let send = |body: &str| {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        vec![Step::Send([head.as_bytes(), body.as_bytes()].concat())]
    };
    // Megabytes of short label sets: nearly all of it grows.
    let series = r#"{"metric":{"tenant_id":"a"},"value":[1,"2"]}"#;
    let vector = |label: &str| {
        let result = vec![series.replace("tenant_id", label); 80_000].join(",");
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
    };
    let rule =
        r#"{"name":"r","query":"sum by (tenant_id) (m)","labels":{"tenant_id":"a"},"health":"ok","type":"recording"}"#;
    let rules = |label: &str| {
        let rules = vec![rule.replace("tenant_id", label); 20_000].join(",");
        format!(r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","rules":[{rules}]}}]}}}}"#)
    };
    for (path, body, expected) in [
        ("/api/v1/query?query=m", vector("tenant_id"), vector("__tenant_id__")),
        ("/api/v1/rules", rules("tenant_id"), rules("__tenant_id__")),
    ] {
        upstream.steps(path, send(&body));
        for envoy in &envoys {
            let before = envoy.process().resident_kib();
            let answer = Request::get(path).tenant("a|b").header(SCRIPT, path).send(envoy.port());
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text() == expected, "{path}: {} bytes of {}", answer.body.len(), expected.len());
            let after = envoy.process().resident_kib();
            assert!(after < before + (24 << 10), "{path}: {before} KiB before, {after} KiB after");
            envoy.assert_healthy();
        }
    }
}
