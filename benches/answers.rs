//! What an answer costs: a megabyte of rules that is filtered by its labels, ten megabytes of samples that stream by.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use promql_tenancy_filter::answer::{Content, Documents, Filter, Labelled, Owner, Statistics};
use promql_tenancy_filter::scope::{OnConflict, Scope};
use std::fmt::Write;
use std::hint::black_box;

/// As Envoy reads from the upstream's connection, more or less.
const CHUNK: usize = 16 << 10;

fn owner() -> Owner {
    Owner::new(&Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)).expect("no pattern to run")
}

/// Groups of twenty rules of two tenants, each with two alerts, in so many bytes.
fn rules(size: usize) -> String {
    let mut body = r#"{"status":"success","data":{"groups":["#.to_owned();
    for group in 0.. {
        if body.len() > size {
            break;
        }
        let comma = if group == 0 { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"name":"group-{group}","file":"/etc/prometheus/rules/{group}.yml","rules":["#);
        for rule in 0..20 {
            let tenant = if rule % 2 == 0 { "team-a" } else { "team-b" };
            let comma = if rule == 0 { "" } else { "," };
            let alert = format!(
                r#"{{"labels":{{"alertname":"HighErrorRate","instance":"10.0.{group}.{rule}:9090","job":"api","severity":"page","tenant_id":"{tenant}"}},"annotations":{{"summary":"More than 5\u0025 of the requests fail on 10.0.{group}.{rule}"}},"state":"firing","activeAt":"2026-01-02T03:04:05.678901234Z","value":"5.123456789e-02"}}"#
            );
            let _ = write!(
                body,
                r#"{comma}{{"state":"firing","name":"HighErrorRate","query":"sum by (instance, job) (rate(http_requests_total{{code=~\"5..\",tenant_id=\"{tenant}\"}}[5m])) / sum by (instance, job) (rate(http_requests_total{{tenant_id=\"{tenant}\"}}[5m])) \u003e 0.05","duration":300,"keepFiringFor":0,"labels":{{"severity":"page","tenant_id":"{tenant}"}},"annotations":{{"summary":"More than 5% of the requests fail on {{{{ $labels.instance }}}}"}},"alerts":[{alert},{alert}],"health":"ok","evaluationTime":0.000512345,"lastEvaluation":"2026-01-02T03:04:05.678901234Z","type":"alerting"}}"#
            );
        }
        body.push_str(r#"],"interval":30,"limit":0,"evaluationTime":0.012345678,"lastEvaluation":"2026-01-02T03:04:05.678901234Z"}"#);
    }
    body.push_str("]}}");
    body
}

/// A range query's answer: series of 240 samples each, in so many bytes.
fn matrix(size: usize) -> String {
    let mut body = r#"{"status":"success","data":{"resultType":"matrix","result":["#.to_owned();
    for series in 0.. {
        if body.len() > size {
            break;
        }
        let comma = if series == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"metric":{{"__name__":"http_requests_total","instance":"10.0.0.{series}:9090","job":"api","tenant_id":"team-a"}},"values":["#
        );
        for sample in 0..240 {
            let comma = if sample == 0 { "" } else { "," };
            let _ = write!(body, r#"{comma}[{}.781,"{}.{series}"]"#, 1_435_781_430 + sample * 15, sample * 17);
        }
        body.push_str("]}");
    }
    body.push_str(r#"]},"warnings":["PromQL warning: x","receive series from team-b"]}"#);
    body
}

/// The same with the upstream's statistics, as they are asked for where samples are counted.
fn measured(matrix: &str) -> String {
    let statistics = r#"],"stats":{"timings":{"evalTotalTime":0.012,"resultSortTime":0,"queryPreparationTime":0.001,"innerEvalTime":0.01,"execQueueTime":0.0001,"execTotalTime":0.0121},"samples":{"totalQueryableSamples":1234567,"peakSamples":4321}}},"warnings""#;
    assert_eq!(matrix.matches(r#"]},"warnings""#).count(), 1);
    matrix.replacen(r#"]},"warnings""#, statistics, 1)
}

/// Label values: long strings without structure.
fn values(size: usize) -> String {
    let mut body = r#"{"status":"success","data":["#.to_owned();
    while body.len() < size {
        body.push_str(r#""/srv/kubernetes/pods/kube-apiserver-controlplane-0/containers/kube-apiserver/log","#);
    }
    body.push_str(r#""z"]}"#);
    body
}

fn held(c: &mut Criterion) {
    let mut group = c.benchmark_group("held");
    for size in [10 << 10, 1 << 20] {
        let body = rules(size);
        let owner = owner();
        group.throughput(Throughput::Bytes(body.len() as u64));
        for (name, labelled) in [
            ("rules", Labelled::Rules { shared: false, narrowed: false }),
            ("rules, shared too", Labelled::Rules { shared: true, narrowed: false }),
        ] {
            group.bench_with_input(BenchmarkId::new(name, body.len()), &body, |b, body| {
                let mut out = Vec::with_capacity(body.len());
                b.iter(|| {
                    let mut filter = Filter::by_owner(labelled, owner.clone(), 1 << 20);
                    out.clear();
                    for chunk in body.as_bytes().chunks(CHUNK) {
                        filter.push(black_box(chunk), false, &mut out);
                    }
                    filter.push(b"", true, &mut out);
                    assert!(filter.fault().is_none() && !out.is_empty());
                });
            });
        }
    }
    group.finish();
}

fn streamed(c: &mut Criterion) {
    let mut group = c.benchmark_group("streamed");
    for (name, content, statistics, body) in [
        ("matrix", Content::Passed, Statistics::Unread, matrix(10 << 20)),
        ("matrix, samples counted", Content::Passed, Statistics::Taken, measured(&matrix(10 << 20))),
        ("matrix of Thanos", Content::Analyzed, Statistics::Unread, matrix(10 << 20)),
        ("values", Content::Passed, Statistics::Unread, values(10 << 20)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new(name, body.len()), &body, |b, body| {
            let mut out = Vec::with_capacity(CHUNK * 2);
            b.iter(|| {
                let mut filter = Filter::new(Documents::One, content, statistics);
                for chunk in body.as_bytes().chunks(CHUNK) {
                    out.clear();
                    filter.push(black_box(chunk), false, &mut out);
                    black_box(&out);
                }
                filter.push(b"", true, &mut out);
                assert!(filter.fault().is_none());
                assert_eq!(filter.samples().total.is_some(), statistics == Statistics::Taken);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, held, streamed);
criterion_main!(benches);
