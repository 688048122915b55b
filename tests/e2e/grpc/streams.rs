//! Streams of 100 MB: what Envoy's memory does, and a series of another tenant in the midst of them.

use super::{SERIES, assert_only_of, series};
use crate::support::grpc::{self, call};
use crate::support::measured;
use promql_tenancy_filter::wire::grpc::write_frame;
use promql_tenancy_filter::wire::labels::{Label, LabelSet};
use promql_tenancy_filter::wire::protobuf::{Message, write_bytes};

/// A frame with 16 series of 1,000 bytes of chunks.
fn long_frame() -> Vec<u8> {
    let label = |name: &'static str, value: &'static str| Label { name: name.as_bytes(), value: value.as_bytes() };
    let mut one = Vec::new();
    LabelSet { labels: vec![label("__name__", "up"), label("job", "api"), label("tenant_id", "team-a")] }
        .write(&mut one);
    write_bytes(2, &[7; 1_000], &mut one);
    let (mut batch, mut frame) = (Vec::new(), Vec::new());
    (0..16).for_each(|_| write_bytes(1, &one, &mut batch));
    let mut message = Vec::new();
    write_bytes(4, &batch, &mut message);
    write_frame(&message, &mut frame).unwrap();
    frame
}

/// For `scripts/bench-streams`: MB/s of a stream of 100 MB and what Envoy's memory is after it, by the router alone and with the filter in turn; and
/// with Envoy's own windows towards the upstream, which hold up to 16 MiB of a stream.
#[test]
#[ignore = "it measures, and asserts nothing but that the answer is whole"]
fn figures_of_a_stream_of_series() {
    let frame = long_frame();
    let times = measured("BENCH_STREAM_MB", 100) * 1_000_000 / frame.len() + 1;
    let upstream = grpc::serve(frame.clone(), times);
    let windows = "{ initial_stream_window_size: 1048576, initial_connection_window_size: 8388608 }";
    let ways = [
        ("router", grpc::setup(upstream).without_filter().start("envoy-grpc-figures-router")),
        ("filter", grpc::setup(upstream).start("envoy-grpc-figures-filter")),
        (
            "router, default windows",
            grpc::setup(upstream).replace(windows, "{}").without_filter().start("envoy-grpc-figures-wide-router"),
        ),
        ("filter, default windows", grpc::setup(upstream).replace(windows, "{}").start("envoy-grpc-figures-wide")),
    ];
    for round in 0..measured("BENCH_STREAM_ROUNDS", 6) {
        for (name, envoy) in &ways {
            let begun = std::time::Instant::now();
            let answer = call(envoy.port(), Some("team-a"), SERIES, &series(&[]));
            let taken = begun.elapsed().as_secs_f64();
            assert_eq!((answer.code, answer.messages.len()), (0, times), "{}", answer.message);
            let (speed, memory) = ((times * frame.len()) as f64 / taken / 1e6, envoy.process().resident_kib());
            println!("figure: Series | {name} | {round} | {speed:.0} | {memory}");
        }
    }
}

#[test]
fn a_stream_of_100_megabytes_takes_no_memory() {
    let frame = long_frame();
    let times = 100_000_000 / frame.len() + 1;
    let upstream = grpc::serve(frame.clone(), times);
    for (name, setup) in [("router", grpc::setup(upstream).without_filter()), ("filter", grpc::setup(upstream))] {
        let envoy = setup.start(&format!("envoy-grpc-stream-{name}"));
        let ask = || call(envoy.port(), Some("team-a"), SERIES, &series(&[]));
        assert_eq!(ask().messages.len(), times);
        let before = envoy.process().resident_kib();
        let answer = ask();
        let grown = envoy.process().resident_kib().saturating_sub(before);
        assert_eq!((answer.code, answer.messages.len()), (0, times), "{}", answer.message);
        println!("{name}: {before} KiB before, {grown} KiB more");
        assert!(grown < 8_000, "{name} grew by {grown} KiB");
    }
    // A series of another tenant in the midst of it ends the stream.
    let foreign = grpc::serve([&frame[..], &other_series()].concat(), 5_000);
    let envoy = grpc::setup(foreign).start("envoy-grpc-stream-foreign");
    let answer = call(envoy.port(), Some("team-a"), SERIES, &series(&[]));
    assert_eq!((answer.code, answer.messages.len()), (13, 1), "{}", answer.message);
    assert!(answer.message.contains("a series of another tenant"), "{}", answer.message);
    assert_only_of("team-a", &answer, SERIES);
}

/// A frame with a series of team-b.
fn other_series() -> Vec<u8> {
    let mut series = Vec::new();
    LabelSet { labels: vec![Label { name: b"tenant_id", value: b"team-b" }] }.write(&mut series);
    let (mut message, mut frame) = (Vec::new(), Vec::new());
    write_bytes(1, &series, &mut message);
    write_frame(&message, &mut frame).unwrap();
    frame
}
