//! `max_concurrent_queries`: queries are counted in all VMs, and what a VM loses is given back by time.

use crate::harness::{Fault, Harness, Request, Upon, status};
use promql_tenancy_filter::workers::leases::{self, TERM_MS};

const CONFIG: &str =
    r#"{"limits": {"max_concurrent_queries": 2}, "overrides": {"big": {"max_concurrent_queries": 0}}}"#;
/// Where team-a's are: the digits of the bucket's number stand the other way round.
const KEY: &[u8] = b"tenancy_leases;49";
/// No VM of these tests draws this number.
const ELSEWHERE: u64 = 1 << 60;

fn query(tenant: &str) -> Request {
    Request::get("/api/v1/query?query=up").header("THANOS-TENANT", tenant)
}

/// Milliseconds, as the simulated clock has them.
fn at(envoy: &mut Harness, milliseconds: i64) -> i64 {
    envoy.advance_ns(milliseconds as u64 * 1_000_000);
    milliseconds
}

/// How many queries of team-a run in this VM, as another sees it.
fn seen_elsewhere(envoy: &Harness, now: i64) -> i64 {
    leases::write(&envoy.shared_data(KEY), "team-a", ELSEWHERE, 0, now).0
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
    assert_eq!(body["error"], "2 queries are running: your limit max_concurrent_queries is 2");
    // Each tenant for itself, and only queries.
    assert!(!envoy.request(query("team-b")).local);
    assert!(!envoy.request(Request::get("/api/v1/labels").header("THANOS-TENANT", "team-a")).local);
    assert!(!envoy.close(first).local);
    assert!(!envoy.request(query("team-a")).local);
    envoy.close(second);
    assert_eq!(envoy.shared_data(KEY), b"");
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
    let now = at(&mut envoy, 1_000_000);
    let (_, elsewhere) = leases::write(b"", "team-a", ELSEWHERE, 2, now);
    envoy.set_shared_data(KEY, &elsewhere);
    assert_eq!(envoy.request(query("team-a")).answer().status, 429);
    // That VM trapped: nobody renews its share.
    at(&mut envoy, TERM_MS);
    assert_eq!(envoy.request(query("team-a")).answer().status, 429);
    at(&mut envoy, 1);
    assert!(!envoy.request(query("team-a")).local);
}

#[test]
fn a_long_query_is_counted_as_long_as_it_runs() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    assert!(envoy.tick_period_ms() * 4 < TERM_MS as u32);
    let mut now = at(&mut envoy, 1_000_000);
    let long = envoy.open(query("team-a"));
    for _ in 0..20 {
        now += at(&mut envoy, 1_000);
        envoy.tick();
        assert_eq!(seen_elsewhere(&envoy, now + TERM_MS), 1);
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
    assert_eq!(envoy.shared_data(KEY), b"");
}

/// What the proxy shares stays until it ends, so that a key for each tenant would be memory for whoever makes up tenants.
#[test]
fn made_up_tenants_leave_nothing_behind() {
    let mut envoy = Harness::new(CONFIG).unwrap();
    for number in 0..3_000 {
        assert!(!envoy.request(query(&format!("made-up-{number}"))).local);
    }
    let held = envoy.shared("tenancy_leases;");
    assert!(held.len() <= leases::BUCKETS as usize, "{} keys", held.len());
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
        assert!(!envoy.shared_data(KEY).is_empty());
        envoy.close(stream);
        assert!(envoy.shared_data(KEY).is_empty());
        // Refused in its form.
        let refused = Request::form("/api/v1/query", "query=up{").header("THANOS-TENANT", "team-a");
        assert!(envoy.request(refused).local);
        assert!(envoy.shared_data(KEY).is_empty());
    }
}
