//! Limits, and what the query frontends of Thanos, Cortex and Mimir make of a range query: they align it to its step, split it, and ask
//! for coarser data.

use super::limits::{DAY, config_of, empty, get, message, range, seconds, sent};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The parameters of a range query of that upstream.
fn ask(upstream: &str, query: &str, start: i64, end: i64, step: &str, more: &[(&str, &str)]) -> Request {
    let (start, end) = (seconds(start), seconds(end));
    let mut form = Vec::new();
    for (name, value) in [("query", query), ("start", &start), ("end", &end), ("step", step)].iter().chain(more) {
        crate::go::form::append(&mut form, name.as_bytes(), value.as_bytes());
    }
    let prefix = if upstream == "cortex" { "/prometheus" } else { "" };
    Request::get(format!("{prefix}/api/v1/query_range?{}", String::from_utf8(form).unwrap())).tenant("team-a")
}

#[test]
fn downsampled_data_of_thanos_count() {
    let config = config(r#"{"upstream": "thanos", "limits": {"retention_period": "10h"}}"#);
    let at = |resolution: &str| {
        let mut parameters = vec![("query", "rate(up[9h30m])")];
        parameters.extend(Some(("max_source_resolution", resolution)).filter(|_| !resolution.is_empty()));
        get("query", &parameters)
    };
    assert_eq!(values(&sent(&at(""), &config), "max_source_resolution"), ["1ms"]);
    assert_eq!(values(&sent(&at("5m"), &config), "max_source_resolution"), ["5m"]);
    // What is nothing, or 0 for a query frontend, would be up to flags of Thanos's.
    for raw in ["0s", "0", "0.0001"] {
        assert_eq!(values(&sent(&at(raw), &config), "max_source_resolution"), ["1ms"]);
    }
    let empty_one = get("query", &[("query", "up"), ("max_source_resolution", "")]);
    assert_eq!(values(&sent(&empty_one, &config), "max_source_resolution"), ["1ms"]);
    message(&at("1h"), &config);
    message(&at("auto"), &config);
    let range = |step| range("rate(up[9h30m])", NOW - DAY / 24, NOW, step);
    sent(&range("60"), &config);
    // A fifth of ten hours.
    message(&range("36000"), &config);
}

#[test]
fn start_that_a_query_frontend_aligns_stays_within_retention() {
    let (start, step) = (NOW - 40 * DAY + 1_800_000, 3_600_000);
    for (upstream, aligns, prefix, more) in [
        ("prometheus", false, "", ""),
        ("thanos", true, "", "&max_source_resolution=0s"),
        ("cortex", true, "/prometheus", ""),
    ] {
        let config = config(&format!(r#"{{"upstream": "{upstream}", "limits": {{"retention_period": "30d"}}}}"#));
        let target = format!(
            "{prefix}/api/v1/query_range?query=rate(up[1h])&start={}&end={}&step=1h{more}",
            seconds(start),
            seconds(NOW)
        );
        let sent = sent(&Request::get(target).tenant("team-a"), &config);
        let new = crate::go::time::instant(values(&sent, "start")[0].as_bytes()).unwrap();
        let evaluated = if aligns { new - new % step } else { new };
        assert_eq!((new - start) % step, 0);
        let oldest = evaluated - step + 1;
        assert!((NOW - 30 * DAY..NOW - 30 * DAY + step).contains(&oldest), "{upstream}: {}", oldest - (NOW - 30 * DAY));
    }
}

#[test]
fn end_that_a_query_frontend_aligns_stays_within_retention() {
    // A multiple of the step, so that the start stays: the end goes back to it.
    let step = 100 * DAY;
    let start = NOW / step * step;
    assert!(NOW - start > 30 * DAY);
    for upstream in ["thanos", "cortex"] {
        let config = config_of(upstream);
        for query in ["up @ end()", "sum_over_time(up[1h:] @ end())"] {
            message(&ask(upstream, query, start, NOW, "100d", &[]), &config);
        }
        // On the grid, the end is where it was.
        sent(&ask(upstream, "up @ end()", NOW - 60 * DAY, NOW, "1d", &[]), &config);
        sent(&ask(upstream, "up @ end()", NOW - 60 * DAY, NOW - DAY, "1d", &[]), &config);
    }
    sent(&range("up @ end()", start, NOW, "100d"), &config_of("prometheus"));
}

#[test]
fn coarser_data_that_a_query_frontend_asks_for_stay_within_retention() {
    let config = config_of("thanos");
    let auto = [("max_source_resolution", "auto")];
    // The end of the second query is wherever the first one's data began.
    message(&ask("thanos", "vector(1) and time() > 5 or up @ end()", NOW - 60 * DAY, NOW, "1d", &auto), &config);
    sent(&ask("thanos", "up @ end()", NOW - 29 * DAY, NOW, "1d", &auto), &config);
    // Its samples stand for an hour, and it looks back an hour.
    let hour = DAY / 24;
    let earliest = |query: &str, more: &[(&str, &str)]| {
        let sent = sent(&ask("thanos", query, NOW - 40 * DAY, NOW, "60", more), &config);
        crate::go::time::instant(values(&sent, "start")[0].as_bytes()).unwrap()
    };
    let oldest = NOW - 30 * DAY;
    assert!((oldest + hour / 12 - 1..oldest + hour / 12 + 60_000).contains(&earliest("up", &[])));
    assert!((oldest + 2 * hour - 2..oldest + 2 * hour + 60_000).contains(&earliest("up", &auto)));
}

#[test]
fn range_of_a_query_that_is_split_is_not_believed() {
    let (start, query) = (NOW - 60 * DAY, "up offset -range()");
    for upstream in ["thanos", "cortex"] {
        let config = config_of(upstream);
        let rejection = ask(upstream, query, start, NOW, "1d", &[]).send(&config).expect_err("refused");
        assert_eq!((rejection.status(), rejection.reason()), (422, "unknown_reach"));
        // With one step there is nothing to split.
        sent(&ask(upstream, query, NOW, NOW, "1d", &[]), &config);
    }
    sent(&range(query, start, NOW, "1d"), &config_of("prometheus"));
}

#[test]
fn empty_step_hides_no_default() {
    let config = config_of("thanos");
    let request = ask("thanos", "up", NOW - 10 * DAY, NOW, "", &[]);
    assert_eq!(values(&sent(&request, &config), "step"), ["3456.000"]);
}

#[test]
fn end_before_start_leaves_nothing_where_it_is_too_old() {
    let config = config_of("prometheus");
    let [old, older, new, newer] = [40 * DAY, 40 * DAY + 1, DAY, DAY - 1].map(|ago| seconds(NOW - ago));
    for path in ["series", "labels", "label/job/values", "search/label_names"] {
        let ask = |start: &str, end: &str| get(path, &[("match[]", "up"), ("start", start), ("end", end)]);
        for start in [&old, &new] {
            assert!(empty(&ask(start, &older), &config).contains("success"), "{path}");
        }
        assert_eq!(values(&sent(&ask(&newer, &new), &config), "start"), [&*newer], "{path}");
    }
}
