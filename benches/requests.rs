//! What a request costs beside its query: forms read and written, the whole decision on a head and on a form, a configuration read.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::go::form;
use promql_tenancy_filter::request::{Head, decide};
use std::cell::RefCell;
use std::hint::black_box;

const QUERY: &[u8] = include_bytes!("queries/typical.promql");

fn forms(c: &mut Criterion) {
    let mut group = c.benchmark_group("forms");
    for size in [1 << 10, 100 << 10] {
        let mut form = Vec::new();
        while form.len() < size {
            form::append(&mut form, b"match[]", QUERY);
        }
        group.throughput(Throughput::Bytes(form.len() as u64));
        group.bench_with_input(BenchmarkId::new("read and written", form.len()), &form, |b, form| {
            b.iter(|| {
                let mut out = Vec::with_capacity(form.len());
                for pair in form::pairs(black_box(form)) {
                    let pair = pair.expect("a form");
                    form::append(&mut out, &pair.key, &pair.value);
                }
                out
            });
        });
    }
    group.finish();
}

fn decisions(c: &mut Criterion) {
    let config = Config::parse(b"{}").expect("a configuration");
    let memo = RefCell::default();
    let asked = |number: usize| {
        let mut query = Vec::new();
        form::append(&mut query, b"query", &[QUERY, format!(" + {number}").as_bytes()].concat());
        form::append(&mut query, b"time", b"1767225600");
        query
    };
    let query = asked(0);
    let target = [b"/api/v1/query?", query.as_slice()].concat();
    let head = |method, path, more: &[(&'static [u8], &'static [u8])]| -> Vec<(&[u8], &[u8])> {
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b":authority", b"prometheus:9090"),
            (b":path", path),
            (b":method", method),
            (b":scheme", b"http"),
            (b"thanos-tenant", b"team-a"),
            (b"user-agent", b"Grafana/12.1.0"),
            (b"accept-encoding", b"gzip"),
            (b"x-forwarded-for", b"10.0.0.1"),
            (b"x-forwarded-proto", b"http"),
            (b"x-request-id", b"5b5b2d1e-1c9d-4b7e-9b0a-1d8f2b1d7a10"),
        ];
        headers.extend(more);
        headers
    };
    let get = head(b"GET".as_slice(), target.as_slice(), &[]);
    let form: &[(&[u8], &[u8])] =
        &[(b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"400")];
    let post = head(b"POST".as_slice(), b"/api/v1/query".as_slice(), form);

    // So many that none comes again before another took its place in the memo.
    const NEW: usize = 20_000;
    let targets: Vec<Vec<u8>> = (0..NEW).map(|number| [b"/api/v1/query?", asked(number).as_slice()].concat()).collect();
    let forms: Vec<Vec<u8>> = (0..NEW).map(asked).collect();
    let mut group = c.benchmark_group("decide");
    group.bench_function("get", |b| {
        let mut targets = targets.iter().cycle();
        b.iter(|| {
            let headers = head(b"GET", targets.next().expect("endless"), &[]);
            let head =
                Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
            decide(black_box(&head), &config, &memo).expect("forwarded")
        });
    });
    group.bench_function("get, as before", |b| {
        let head = Head { headers: &get, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
        b.iter(|| decide(black_box(&head), &config, &memo).expect("forwarded"));
    });
    let decide_form = |query: &[u8]| {
        let head = Head { headers: &post, evidence: None, label_evidence: None, end_of_stream: false, now_ms: None };
        let decided = decide(black_box(&head), &config, &memo).expect("decided");
        let forward = decided.forwarded().expect("forwarded");
        forward.body.finish(black_box(query), None, &memo).expect("a form")
    };
    group.bench_function("form", |b| {
        let mut forms = forms.iter().cycle();
        b.iter(|| decide_form(forms.next().expect("endless")));
    });
    group.bench_function("form, as before", |b| b.iter(|| decide_form(&query)));
    group.finish();
}

fn configurations(c: &mut Criterion) {
    let overrides: Vec<String> =
        (0..10_000).map(|n| format!(r#""tenant-{n}":{{"max_query_points":{}}}"#, 11_000 + n)).collect();
    let json = format!(r#"{{"overrides":{{{}}}}}"#, overrides.join(","));
    let mut group = c.benchmark_group("configuration");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("10,000 overrides", |b| b.iter(|| Config::parse(black_box(json.as_bytes())).expect("valid")));
    group.finish();
}

criterion_group!(benches, forms, decisions, configurations);
criterion_main!(benches);
