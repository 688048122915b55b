//! Limits that the upstream enforces: the stricter of what the client asks for and of the tenant's stands in the URL and in the form.

use super::limits::{get, limited, post, sent};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ALL: &str = r#""query_timeout": "30s", "max_returned_items": 100, "max_fetched_series_per_query": 1000,
    "max_samples_per_query": 50000"#;

#[test]
fn every_limit_is_written_where_the_client_names_none() {
    let config = limited(ALL);
    for path in ["query", "query_range"] {
        let times = [("query", "up"), ("start", "1"), ("end", "2"), ("step", "1")];
        let given = if path == "query" { &times[..1] } else { &times };
        for request in [get(path, given), post(path, &[], given)] {
            let sent = sent(&request, &config);
            for (name, value) in
                [("timeout", "30.000"), ("limit", "100"), ("max_series", "1000"), ("max_samples_read", "50000")]
            {
                let values = values(&sent, name);
                assert!(
                    !values.is_empty() && values.iter().all(|written| written == value),
                    "{path} {name}: {values:?}"
                );
            }
        }
    }
    for path in ["series", "labels", "label/job/values"] {
        let sent = sent(&get(path, &[("match[]", "up")]), &config);
        assert_eq!(values(&sent, "limit"), ["100"], "{path}");
        // They are of queries.
        assert_eq!(values(&sent, "max_series"), [""; 0], "{path}");
        assert_eq!(values(&sent, "timeout"), [""; 0], "{path}");
    }
    // Its default is less than any limit, and a limit above the server's own is an error.
    assert_eq!(values(&sent(&get("search/label_names", &[("match[]", "up")]), &config), "limit"), [""; 0]);
}

#[test]
fn the_stricter_of_the_client_s_and_the_tenant_s_is_written() {
    let config = limited(ALL);
    for (name, given, written) in [
        ("timeout", "5", "5"),
        ("timeout", "5s", "5s"),
        ("timeout", "30", "30"),
        ("timeout", "31", "30.000"),
        ("timeout", "1h", "30.000"),
        ("timeout", "0x1p10", "30.000"),
        ("timeout", "1e-30", "30.000"),
        ("timeout", "", "30.000"),
        // Prometheus refuses it, and others end the query at once: that the limit stands there changes neither into more.
        ("timeout", "-1", "30.000"),
        ("limit", "99", "99"),
        ("limit", "100", "100"),
        ("limit", "101", "100"),
        ("limit", "+101", "100"),
        ("limit", "000000000000000000000000000000101", "100"),
        ("limit", "99999999999999999999999999999999", "100"),
        // It stands for no limit.
        ("limit", "0", "100"),
        ("limit", "-1", "100"),
        ("max_series", "18446744073709551615", "1000"),
        ("max_series", "7", "7"),
        ("max_samples_read", "50001", "50000"),
    ] {
        let sent = sent(&get("query", &[("query", "up"), (name, given)]), &config);
        assert_eq!(values(&sent, name), [written], "{name}={given}");
    }
    for (name, given) in [("limit", "1-1"), ("limit", "--1"), ("limit", "+"), ("timeout", "1e99"), ("timeout", "NaN")] {
        let refused = get("query", &[("query", "up"), (name, given)]).send(&config).unwrap_err();
        assert_eq!((refused.status(), refused.reason()), (400, "bad_value"), "{name}={given}");
    }
}

#[test]
fn neither_url_nor_form_is_a_way_around_a_limit() {
    let config = limited(ALL);
    let query = ("query", "up");
    for (url, form, last) in [
        // The form counts before the URL, and what it does not name is read in the URL.
        (vec![query, ("limit", "1000")], vec![("limit", "5000")], "100"),
        (vec![query, ("limit", "5")], vec![query], "5"),
        (vec![query, ("limit", "1000")], vec![query], "100"),
        (vec![], vec![query, ("limit", "7")], "7"),
        (vec![query, ("limit", "7")], vec![("limit", "")], "100"),
    ] {
        let sent = sent(&post("query", &url, &form), &config);
        let in_form = pairs(sent.body.as_deref().unwrap());
        let in_form: Vec<_> = in_form.iter().filter(|(name, _)| name == "limit").map(|(_, value)| &**value).collect();
        assert_eq!(in_form, [last], "{url:?} {form:?}");
        for (name, value) in pairs(&sent.path) {
            assert!(name != "limit" || value.parse::<u32>().unwrap() <= 100, "{url:?}: {value}");
        }
    }
    let repeated = get("query", &[query, ("limit", "1"), ("limit", "1000")]).send(&config).unwrap_err();
    assert_eq!(repeated.reason(), "repeated_parameter");
}

#[test]
fn without_a_limit_what_the_client_asks_stays_as_it_is() {
    let request = get("query", &[("query", "up"), ("limit", "+5"), ("timeout", "1h"), ("max_series", "0")]);
    for config in [config("{}"), limited(r#""max_query_points": 10"#)] {
        let sent = sent(&request, &config);
        for (name, value) in [("limit", "+5"), ("timeout", "1h"), ("max_series", "0")] {
            assert_eq!(values(&sent, name), [value]);
        }
    }
}

#[test]
fn each_upstream_is_told_of_what_it_honours() {
    let of = |upstream: &str| config(&format!(r#"{{"upstream": "{upstream}", "limits": {{{ALL}}}}}"#));
    let names = ["timeout", "limit", "max_series", "max_samples_read"];
    let told = |path: &str, of: &Worker| {
        let sent = sent(&Request::get(path).tenant("team-a"), of);
        names.map(|name| u8::from(!values(&sent, name).is_empty()))
    };
    assert_eq!(told("/api/v1/query?query=up", &of("prometheus")), [1, 1, 1, 1]);
    assert_eq!(told("/api/v1/query?query=up", &of("thanos")), [1, 0, 0, 0]);
    assert_eq!(told("/prometheus/api/v1/query?query=up", &of("cortex")), [1, 0, 0, 0]);
    assert_eq!(told("/api/v1/labels?match[]=up", &of("thanos")), [0, 1, 0, 0]);
    assert_eq!(told("/prometheus/api/v1/labels?match[]=up", &of("cortex")), [0, 1, 0, 0]);
}

#[test]
fn the_strictest_of_several_tenants_is_written() {
    let json = r#"{"tenant_federation": {"enabled": true}, "limits": {"max_returned_items": 50},
        "overrides": {"a": {"max_returned_items": 10}, "b": {"max_returned_items": 0}}}"#;
    for (tenant, written) in [("a", Some("10")), ("b", None), ("a|b", Some("10")), ("b|c", Some("50"))] {
        let request = get("query", &[("query", "up")]).clone_for(tenant);
        assert_eq!(values(&sent(&request, &config(json)), "limit").first().map(String::as_str), written, "{tenant}");
    }
}
