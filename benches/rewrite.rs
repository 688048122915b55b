//! The rewriter on the queries of `benches/queries`, which the Go benchmark of prom-label-proxy's scope reads as well:
//! `scripts/bench-rewrite` runs both and prints the ratios.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use promql_tenancy_filter::promql::rewrite;
use promql_tenancy_filter::scope::{OnConflict, Scope};
use std::hint::black_box;
use std::path::Path;

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    for (name, query) in queries() {
        let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace);
        group.throughput(Throughput::Bytes(query.len() as u64));
        group.bench_function(name, |bencher| {
            // As in the filter: the output starts empty, so allocating it is part of the cost.
            bencher.iter_batched(
                Vec::new,
                |mut out| {
                    rewrite(black_box(&query), &scope, &mut out).expect("a valid query");
                    out
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Each file of `benches/queries`, by name.
fn queries() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/queries");
    let mut queries: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the folder of queries")
        .map(|entry| {
            let path = entry.expect("a file of the folder").path();
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("a file can be read"))
        })
        .collect();
    queries.sort_by_key(|(_, query)| query.len());
    assert!(!queries.is_empty(), "there are queries");
    queries
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
