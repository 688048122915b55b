//! Which requests ask the upstream for statistics, and what the client hears of them.

use super::*;
use crate::answer::Statistics;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ON: &str = r#"{"stats": {"samples": true}}"#;

/// What Go's `FormValue("stats")` reads upstream, and what is done with the answer.
fn asked(request: &Request, config: &Worker) -> (Option<String>, Statistics) {
    let sent = request.send(config).unwrap();
    let forward = request.decide(config).unwrap();
    let mut expected = forward.expected.clone();
    if let Some(body) = &request.body
        && let Some(asks) =
            forward.body.finish(body, Some(NOW), &RefCell::default()).unwrap().forwarded().unwrap().statistics
    {
        expected.client_asks_for_statistics(asks);
    }
    (values(&sent, "stats").into_iter().next(), expected.statistics())
}

fn get(query: &str) -> Request {
    Request::get(format!("/api/v1/query?query=up{query}")).tenant("a")
}

fn post(query: &str, form: &str) -> Request {
    Request::form(format!("/api/v1/query_range?{query}"), form).tenant("a")
}

#[test]
fn statistics_are_asked_for_unless_the_client_does_so() {
    let on = config(ON);
    let of = |word: &str, statistics| (Some(word.to_owned()), statistics);
    for (request, expected) in [
        (get(""), of("true", Statistics::Taken)),
        // Empty is not asked for (`DefaultStatsRenderer` in Prometheus 3.16's web/api/v1/api.go).
        (get("&stats="), of("true", Statistics::Taken)),
        (get("&stats=all"), of("all", Statistics::Shown)),
        (get("&stats=true"), of("true", Statistics::Shown)),
        (post("", "query=up"), of("true", Statistics::Taken)),
        (post("", "query=up&stats=all"), of("all", Statistics::Shown)),
        (post("stats=all", "query=up"), of("all", Statistics::Shown)),
        // What a form says counts before what the URL says.
        (post("stats=all", "query=up&stats=true"), of("true", Statistics::Shown)),
        (post("stats=all", "query=up&stats="), of("all", Statistics::Taken)),
        (post("stats=", "query=up&stats="), of("true", Statistics::Taken)),
        (post("stats=", "query=up&stats=true"), of("true", Statistics::Shown)),
        (post("", ""), of("true", Statistics::Taken)),
    ] {
        assert_eq!(asked(&request, &on), expected, "{request:?}");
    }
}

#[test]
fn without_the_option_nothing_is_added() {
    let off = config("{}");
    for (request, word) in [
        (get(""), None),
        (get("&stats=all"), Some("all")),
        (get("&stats="), Some("")),
        (post("stats=true", "query=up&stats="), Some("")),
    ] {
        assert_eq!(asked(&request, &off), (word.map(str::to_owned), Statistics::Unread), "{request:?}");
    }
}

#[test]
fn only_instant_and_range_queries_have_statistics() {
    for upstream in ["prometheus", "thanos", "cortex"] {
        let config = config(&format!(
            r#"{{"stats": {{"samples": true}}, "upstream": "{upstream}", "path_prefixes": ["/x"], "enforce_tenancy": true}}"#
        ));
        for (path, asks) in [
            ("/x/api/v1/query?query=up", true),
            ("/x/api/v1/query_range?query=up", true),
            ("/x/api/v1/query_exemplars?query=up", false),
            ("/x/api/v1/series?match[]=up", false),
            ("/x/api/v1/labels", false),
            ("/x/api/v1/rules", false),
        ] {
            let (word, statistics) = asked(&Request::get(path).tenant("a"), &config);
            assert_eq!(word.is_some(), asks, "{upstream} {path}");
            assert_eq!(statistics != Statistics::Unread, asks, "{upstream} {path}");
        }
    }
}

#[test]
fn two_of_them_are_refused_as_ever() {
    let on = config(ON);
    assert_eq!(reason(&get("&stats=&stats=all"), &on), "repeated_parameter");
    assert_eq!(reason(&get("&stats=a%20b"), &on), "bad_value");
}
