//! `max_concurrent_queries`: queries are counted in all VMs, and what a VM loses is given back by time.

use crate::harness::{Fault, Harness, Request, Upon, status};
use promql_tenancy_filter::workers::leases;
use promql_tenancy_filter::workers::shares::{self, DEAD_AFTER, Share};

const CONFIG: &str =
    r#"{"limits": {"max_concurrent_queries": 2}, "overrides": {"big": {"max_concurrent_queries": 0}}}"#;
/// No VM of these tests draws this number.
const ELSEWHERE: u32 = 1 << 30;
const MILLISECOND: u64 = 1_000_000;

/// Where team-a's queries are counted.
fn key() -> Vec<u8> {
    leases::key("team-a").into_bytes()
}

fn query(tenant: &str) -> Request {
    Request::get("/api/v1/query?query=up").header("THANOS-TENANT", tenant)
}

/// Moves the simulated clock on.
fn advance(envoy: &mut Harness, nanoseconds: u64) -> u64 {
    envoy.advance_ns(nanoseconds);
    nanoseconds
}

/// How many queries of team-a run in this VM, as another sees it.
fn seen_elsewhere(envoy: &Harness, now: u64) -> i64 {
    shares::running(&shares::of_others(&envoy.shared_data(&key()), ELSEWHERE, now), "team-a")
}

#[test]
fn as_many_queries_run_as_the_limit_allows() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    let first = envoy.open(query("team-a"));
    let second = envoy.open(query("team-a"));
    let out = envoy.request(query("team-a"));
    assert!(out.local);
    assert_eq!(out.answer().status, 429);
    let body: serde_json::Value = serde_json::from_slice(&out.answer().body).unwrap();
    assert_eq!(body["errorType"], "too_many_requests");
    assert_eq!(body["error"], "2 queries are running: your limit max_concurrent_queries is 2; try again later");
    // Each tenant for itself, and only queries.
    assert!(!envoy.request(query("team-b")).local);
    assert!(!envoy.request(Request::get("/api/v1/labels").header("THANOS-TENANT", "team-a")).local);
    assert!(!envoy.close(first).local);
    assert!(!envoy.request(query("team-a")).local);
    envoy.close(second);
    assert_eq!(envoy.shared_data(&key()), b"");
}

#[test]
fn an_expression_that_is_only_printed_counts_as_a_query() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    let get = |path: &str| Request::get(format!("/api/v1/{path}?query=up")).header("THANOS-TENANT", "team-a");
    let first = envoy.open(get("format_query"));
    let second = envoy.open(get("parse_query"));
    assert_eq!(envoy.request(query("team-a")).answer().status, 429);
    assert_eq!(envoy.request(get("format_query")).answer().status, 429);
    envoy.close(first);
    envoy.close(second);
    assert!(!envoy.request(get("format_query")).local);
}

#[test]
fn a_query_of_several_tenants_counts_for_each_by_its_own_limit() {
    let config = r#"{"tenant_federation": {"enabled": true}, "limits": {"max_concurrent_queries": 1},
        "overrides": {"big": {"max_concurrent_queries": 3}, "free": {"max_concurrent_queries": 0}}}"#;
    let mut envoy = Harness::new(config).unwrap();
    let first = envoy.open(query("team-a|x1"));
    for other in ["team-a", "team-a|x2", "x1|x3", "free|team-a"] {
        let out = envoy.request(query(other));
        let body: serde_json::Value = serde_json::from_slice(&out.answer().body).unwrap();
        assert_eq!(
            (out.answer().status, &body["error"]),
            (429, &"1 queries are running: your limit max_concurrent_queries is 1; try again later".into()),
            "{other}"
        );
    }
    // A refused one is counted for none of its tenants.
    let free: Vec<_> =
        ["x2", "x3", "free|big", "free|big", "big"].iter().map(|tenants| envoy.open(query(tenants))).collect();
    let out = envoy.request(query("big|free"));
    assert!(
        String::from_utf8_lossy(&out.answer().body)
            .contains("3 queries are running: your limit max_concurrent_queries is 3; try again later")
    );
    free.into_iter().for_each(|stream| drop(envoy.close(stream)));
    envoy.close(first);
    assert!(envoy.shared("tenancy_leases;").values().all(Vec::is_empty));
}

#[test]
fn what_could_not_be_given_back_is_told_within_a_second() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    let now = advance(&mut envoy, 1_000_000 * MILLISECOND);
    let stream = envoy.open(query("team-a"));
    envoy.fail(&[Fault { upon: Upon::Name("proxy_set_shared_data"), status: status::CAS_MISMATCH }]);
    envoy.close(stream);
    envoy.heal();
    assert_eq!(seen_elsewhere(&envoy, now), 1);
    envoy.tick();
    assert_eq!(seen_elsewhere(&envoy, now), 0);
}

#[test]
fn where_nothing_is_counted_nothing_is_shared() {
    let cost = |config: &str, tenant: &str| {
        let mut envoy = Harness::new(config).unwrap();
        // The first request of a VM has more to do.
        envoy.request(query(tenant));
        let out = envoy.request(query(tenant));
        let count = |(name, count): (&&str, &usize)| if name.contains("shared_data") { *count } else { 0 };
        (out.calls.iter().map(count).sum::<usize>(), out.cost())
    };
    let (_, uncounted) = cost("{}", "team-a");
    assert_eq!(cost("{}", "team-a").0, 0);
    assert_eq!(cost(CONFIG, "big"), (0, uncounted));
    // At its begin and at its end: the time, a look and a write.
    assert_eq!(cost(CONFIG, "team-a"), (4, uncounted + 6));
}

#[test]
fn queries_of_other_vms_count_until_they_are_not_renewed() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    let now = advance(&mut envoy, 1_000_000 * MILLISECOND);
    let elsewhere = shares::write(&[Share { worker: ELSEWHERE, time: now, entries: vec![("team-a", 2)] }]);
    envoy.set_shared_data(&key(), &elsewhere);
    assert_eq!(envoy.request(query("team-a")).answer().status, 429);
    // That VM trapped: nobody renews its share.
    advance(&mut envoy, DEAD_AFTER - 1);
    assert_eq!(envoy.request(query("team-a")).answer().status, 429);
    advance(&mut envoy, 1);
    assert!(!envoy.request(query("team-a")).local);
}

#[test]
fn a_long_query_is_counted_as_long_as_it_runs() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    assert!(u64::from(envoy.tick_period_ms()) * MILLISECOND * 4 < DEAD_AFTER);
    let mut now = advance(&mut envoy, 1_000_000 * MILLISECOND);
    let long = envoy.open(query("team-a"));
    for _ in 0..20 {
        now += advance(&mut envoy, 1_000 * MILLISECOND);
        envoy.tick();
        assert_eq!(seen_elsewhere(&envoy, now + DEAD_AFTER - 1), 1);
    }
    // A reload leaves it alone.
    envoy.reload(CONFIG).unwrap();
    envoy.tick();
    assert_eq!(seen_elsewhere(&envoy, now), 1);
    envoy.close(long);
    assert_eq!(seen_elsewhere(&envoy, now), 0);
}

#[test]
fn a_host_that_fails_refuses_and_loses_no_count() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    for call in ["proxy_get_shared_data", "proxy_set_shared_data", "proxy_get_current_time_nanoseconds"] {
        for status in [status::CAS_MISMATCH, status::UNIMPLEMENTED] {
            envoy.fail(&[Fault { upon: Upon::Name(call), status }]);
            let out = envoy.request(query("team-a"));
            assert!(out.local && out.sent.headers.is_none(), "{call} {status}");
            assert_eq!(out.answer().status, 500, "{call} {status}");
            envoy.heal();
        }
    }
    // What could not be given back is mended by the next that is written.
    let stream = envoy.open(query("team-a"));
    envoy.fail(&[Fault { upon: Upon::Name("proxy_set_shared_data"), status: status::CAS_MISMATCH }]);
    envoy.close(stream);
    envoy.heal();
    let (first, second) = (envoy.open(query("team-a")), envoy.open(query("team-a")));
    assert!(!envoy.close(first).local && !envoy.close(second).local);
    assert_eq!(envoy.shared_data(&key()), b"");
}

/// What the proxy shares stays until it ends, so that a key for each tenant would be memory for whoever makes up tenants.
#[test]
fn made_up_tenants_leave_nothing_behind() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    for number in 0..3_000 {
        assert!(!envoy.request(query(&format!("made-up-{number}"))).local);
    }
    let held = envoy.shared("tenancy_leases;");
    assert!(held.len() <= leases::BUCKETS, "{} keys", held.len());
    assert!(held.values().all(Vec::is_empty));
}

/// However a stream ends, and at whatever stage, its lease ends with it.
#[test]
fn a_stream_that_ends_early_gives_its_lease_back() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    for _ in 0..20 {
        // While its form is read.
        let form = Request::form("/api/v1/query", "").header("THANOS-TENANT", "team-a");
        let stream = envoy.open(form);
        assert!(!envoy.shared_data(&key()).is_empty());
        envoy.close(stream);
        assert!(envoy.shared_data(&key()).is_empty());
        // Refused in its form.
        let refused = Request::form("/api/v1/query", "query=up{").header("THANOS-TENANT", "team-a");
        assert!(envoy.request(refused).local);
        assert!(envoy.shared_data(&key()).is_empty());
    }
}
