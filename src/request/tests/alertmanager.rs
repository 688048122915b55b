//! Alertmanager: what is asked, what is written anew, and what is refused.

use super::*;
use crate::rejection::Rejection;
use crate::request::{Answered, Spread};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CONFIG: &str = r#"{"upstream": "alertmanager", "call_out_cluster": "alertmanager"}"#;
const ID: &str = "11111111-2222-3333-4444-555555555555";
const MINE: &[u8] = br#"{"id":"x","matchers":[{"name":"tenant_id","value":"a","isRegex":false,"isEqual":true}]}"#;
const THEIRS: &[u8] = br#"{"id":"x","matchers":[{"name":"tenant_id","value":"b","isRegex":false,"isEqual":true}]}"#;

fn post(path: &str, body: &str) -> Request {
    Request::new("POST", path).tenant("a").header("content-type", "application/json").body(body)
}

fn ask(request: &Request, config: &Worker) -> Ask {
    match request.decision(config).map_err(|refused| refused.rejection).unwrap() {
        Decision::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

fn path(ask: &Ask) -> &str {
    &ask.headers.iter().find(|(name, _)| **name == *":path").unwrap().1
}

fn answer(body: &[u8]) -> Answered<'_> {
    Answered::Answer { status: 200, body: Some(body) }
}

/// What becomes of a body that is posted.
fn posted(path: &str, body: &str, config: &Worker) -> Result<BodyDecision, Rejection> {
    let request = post(path, body);
    let forward = request.decide(config).map_err(|refused| refused.rejection)?;
    forward.body.finish(body.as_bytes(), Some(NOW), &config.memo)
}

fn written(path: &str, body: &str, config: &Worker) -> String {
    let finished = posted(path, body, config).unwrap().forwarded().expect("forwarded");
    String::from_utf8(finished.body.unwrap()).unwrap()
}

#[test]
fn lists_are_asked_for_with_the_tenant_s_matchers_beside_the_client_s() {
    let config = config(r#"{"upstream": "alertmanager", "path_prefixes": ["", "/am"]}"#);
    for (given, expected) in [
        ("/api/v2/alerts", "/api/v2/alerts?filter=tenant_id%3D%22a%22"),
        (
            "/am/api/v2/alerts/groups?active=true&filter=x%3D%22y%22&filter=tenant_id%3Db&other=1",
            "/am/api/v2/alerts/groups?active=true&filter=x%3D%22y%22&filter=tenant_id%3Db&filter=tenant_id%3D%22a%22",
        ),
        ("/api/v2/silences?expired=false", "/api/v2/silences?expired=false&filter=tenant_id%3D%22a%22"),
        ("/api/v2/receivers", "/api/v2/receivers?receiver_matchers=tenant_id%3D%22a%22"),
        ("/api/v2/status?filter=x", "/api/v2/status"),
    ] {
        assert_eq!(Request::get(given).tenant("a").send(&config).unwrap().path, expected);
    }
    for path in ["/api/v2/alerts?active=true&active=false", "/api/v2/silences?active=x%20y"] {
        assert!(Request::get(path).tenant("a").send(&config).is_err(), "{path}");
    }
    for path in
        ["/api/v2/alerts/", "/api/v1/alerts", "/api/v2/silence/", "/-/reload", "/", "/api/v2/other", "/api/v1/query"]
    {
        assert_eq!(reason(&Request::get(path).tenant("a"), &config), "unknown_path", "{path}");
    }
    assert_eq!(reason(&Request::get(format!("/api/v2/silence/{ID}")).tenant("a"), &config), "forbidden_path");
    assert_eq!(reason(&Request::new("DELETE", "/api/v2/silences").tenant("a"), &config), "method");
}

#[test]
fn several_tenants_are_read_and_never_written() {
    let config = config(
        r#"{"upstream": "alertmanager", "call_out_cluster": "x", "tenant_federation": {"enabled": true}, "shared_tenants": ["s"]}"#,
    );
    let several = |request: Request| request.header("thanos-tenant", "a|b");
    // A silence of one of them has no matcher that names both.
    assert_eq!(several(Request::get("/api/v2/silences")).send(&config).unwrap().path, "/api/v2/silences");
    let receivers = several(Request::get("/api/v2/receivers")).send(&config).unwrap().path;
    assert_eq!(receivers, "/api/v2/receivers?receiver_matchers=tenant_id%3D%7E%22a%7Cb%7Cs%22");
    for request in [
        Request::new("POST", "/api/v2/alerts").header("content-type", "application/json").body("[]"),
        Request::new("POST", "/api/v2/silences").header("content-type", "application/json").body("{}"),
        Request::new("DELETE", format!("/api/v2/silence/{ID}")),
    ] {
        assert_eq!(reason(&several(request), &config), "bad_tenant");
    }
    // What is shared is only read.
    assert_eq!(
        written("/api/v2/alerts", r#"[{"labels":{"tenant_id":"s"}}]"#, &config),
        r#"[{"labels":{"tenant_id":"a"},"annotations":{}}]"#
    );
    let theirs = MINE.to_vec();
    let theirs = String::from_utf8(theirs).unwrap().replace(r#""a""#, r#""s""#);
    let ask = ask(&Request::new("DELETE", format!("/api/v2/silence/{ID}")).tenant("a"), &config);
    assert_eq!(
        ask.pending.finish(&answer(theirs.as_bytes()), None, &config.memo).unwrap_err(),
        Rejection::UnknownSilence
    );
}

#[test]
fn whose_a_silence_is_decides_on_showing_and_deleting_it() {
    let config = config(CONFIG);
    for method in ["GET", "DELETE"] {
        let request = Request::new(method, format!("/api/v2/silence/{ID}")).tenant("a");
        let ask = ask(&request, &config);
        assert_eq!((path(&ask), &*ask.cluster), (&*format!("/api/v2/silence/{ID}"), "alertmanager"));
        let finish = |answered: Answered<'_>| ask.pending.clone().finish(&answered, None, &config.memo);
        match (method, finish(answer(MINE)).unwrap()) {
            ("GET", Decision::Reply(reply)) => assert_eq!((reply.status, &*reply.body), (200, MINE)),
            ("DELETE", Decision::Forward(forward)) => assert!(forward.path.is_none()),
            (_, other) => panic!("{other:?}"),
        }
        for other in [answer(THEIRS), Answered::Answer { status: 404, body: Some(b"") }] {
            assert_eq!(finish(other).unwrap_err(), Rejection::UnknownSilence);
        }
        for (other, status) in [
            (Answered::Failed, 502),
            (answer(b"{"), 502),
            (answer(b"{}"), 404),
            (Answered::Answer { status: 200, body: None }, 502),
            (Answered::Answer { status: 500, body: Some(MINE) }, 502),
            (Answered::Answer { status: 504, body: Some(MINE) }, 504),
        ] {
            assert_eq!(finish(other).unwrap_err().status(), status, "{other:?}");
        }
        for id in [
            "x",
            "11111111222233334444555555555555",
            "11111111-2222-3333-4444-55555555555g",
            &format!("{ID}%20"),
            "%31",
        ] {
            let request = Request::new(method, format!("/api/v2/silence/{id}")).tenant("a");
            assert_eq!(reason(&request, &config), "unknown_silence", "{id}");
        }
    }
}

#[test]
fn alerts_are_written_anew_with_the_tenant_s_label() {
    let replaces = config(CONFIG);
    for (given, expected) in [
        ("[]", "[]"),
        (
            r#"[{"labels":{"alertname":"A","tenant_id":"b"},"annotations":{"x":"\u00e9"},"startsAt":"s","endsAt":"e","generatorURL":"g","other":1}]"#,
            r#"[{"labels":{"tenant_id":"a","alertname":"A"},"annotations":{"x":"\u00e9"},"startsAt":"s","endsAt":"e","generatorURL":"g"}]"#,
        ),
        (
            r#"[{"LABELS":{"tenant\u005fid":"b","x\"":"y"},"STARTSAT":null},{"label\u017f":null}]"#,
            r#"[{"labels":{"tenant_id":"a","x\"":"y"},"annotations":{}},{"labels":{"tenant_id":"a"},"annotations":{}}]"#,
        ),
    ] {
        assert_eq!(written("/api/v2/alerts", given, &replaces), expected);
    }
    let refused = |body: &str, config: &Worker| posted("/api/v2/alerts", body, config).unwrap_err().reason();
    for body in [
        "",
        "{}",
        "null",
        "[null]",
        "[1]",
        "[{}]x",
        "[{}",
        r#"[{"labels":{"a":1}}]"#,
        r#"[{"labels":{"a":null}}]"#,
        r#"[{"labels":{"a":"1","a":"2"}}]"#,
        r#"[{"labels":{"a":"1","\u0061":"2"}}]"#,
        r#"[{"labels":{},"Labels":{}}]"#,
        r#"[{"labels":{},"label\u017f":{}}]"#,
        r#"[{"startsAt":1}]"#,
    ] {
        assert_eq!(refused(body, &replaces), "bad_post", "{body}");
    }
    for on_conflict in ["intersect", "reject"] {
        let config = config(&CONFIG.replacen('{', &format!(r#"{{"on_conflict": "{on_conflict}", "#), 1));
        assert_eq!(refused(r#"[{"labels":{"x":"y"}},{"labels":{"tenant_id":"b"}}]"#, &config), "bad_post");
        let same = r#"[{"labels":{"tenant_id":"a"},"annotations":{}}]"#;
        assert_eq!(written("/api/v2/alerts", same, &config), same);
    }
    assert_eq!(reason(&Request::new("POST", "/api/v2/alerts").tenant("a").body("[]"), &replaces), "content_type");
    let form = Request::form("/api/v2/alerts", "[]").tenant("a");
    assert_eq!(reason(&form, &replaces), "content_type");
    assert_eq!(reason(&post("/api/v2/alerts", "[]").header("content-encoding", "gzip"), &replaces), "content_encoding");
    let sent = post("/api/v2/alerts", "[]").header("content-length", "2").send(&replaces).unwrap();
    assert!(sent.headers.iter().all(|(name, _)| name != "content-length"), "{sent:?}");
}

#[test]
fn of_a_selector_the_fixed_labels_are_set_and_the_others_have_to_fit() {
    let config =
        config(r#"{"upstream": "alertmanager", "tenant_selectors": {"a": "{namespace=~\"shop-.*\",cluster=\"eu\"}"}}"#);
    assert_eq!(
        written("/api/v2/alerts", r#"[{"labels":{"namespace":"shop-x","cluster":"us"}}]"#, &config),
        r#"[{"labels":{"cluster":"eu","namespace":"shop-x"},"annotations":{}}]"#
    );
    for labels in [r#"{"namespace":"other"}"#, "{}", r#"{"namespace":""}"#] {
        assert!(posted("/api/v2/alerts", &format!(r#"[{{"labels":{labels}}}]"#), &config).is_err(), "{labels}");
    }
    let silence = |matchers: &str| posted("/api/v2/silences", &format!(r#"{{"matchers":[{matchers}]}}"#), &config);
    let narrowed = silence(r#"{"name":"namespace","value":"shop-x","isRegex":false}"#).unwrap().forwarded().unwrap();
    let narrowed = String::from_utf8(narrowed.body.unwrap()).unwrap();
    assert!(
        narrowed.contains(r#""value":"shop-x""#)
            && narrowed.contains(r#""value":"shop-.*""#)
            && narrowed.contains(r#""value":"eu""#)
    );
    assert!(silence(r#"{"name":"namespace","value":"other","isRegex":false}"#).is_err());
    assert!(silence(r#"{"name":"namespace","value":".*","isRegex":true}"#).is_err());
}

const OTHER: &str = r#"{"name":"x","value":"y","isRegex":true,"isEqual":false}"#;

#[test]
fn a_silence_is_written_anew_with_the_tenant_s_matcher() {
    let replaces = config(CONFIG);
    let ours = r#"{"name":"tenant_id","value":"a","isRegex":false,"isEqual":true}"#;
    for given in [
        format!(r#"{{"matchers":[{OTHER}]}}"#),
        format!(r#"{{"id":"","matcherſ":[{OTHER}],"other":{{"id":"x"}}}}"#),
        format!(r#"{{"id":null,"MATCHERS":[{OTHER},{{"name":"tenant_id","value":"b","isRegex":false}}]}}"#),
        format!(r#"{{"matchers":[{{"name":"tenant\u005fid","value":"a","isRegex":false,"isEqual":false}},{OTHER}]}}"#),
        format!(r#"{{"matchers":[{{"name":"tenant_id","value":".*","ISREGEX":true,"iſequal":null}},{OTHER}]}}"#),
    ] {
        let written = written("/api/v2/silences", &given, &replaces).replace(r#""id":"","#, "");
        assert_eq!(written, format!(r#"{{"matchers":[{OTHER},{ours}]}}"#), "{given}");
    }
    let whole = format!(
        r#"{{"matchers":[{OTHER},{ours}],"startsAt":"s","endsAt":"e","createdBy":"\"me","comment":"c","annotations":{{"k":"v"}}}}"#
    );
    assert_eq!(written("/api/v2/silences", &whole, &replaces), whole);
    for body in [
        "",
        "[]",
        "null",
        "{}x",
        r#"{"matchers":null}"#,
        r#"{"matchers":[]}"#,
        &format!(r#"{{"matchers":[{ours}]}}"#),
        &format!(r#"{{"matchers":[{OTHER}],"Matchers":[{OTHER}]}}"#),
        &format!(r#"{{"matchers":[{OTHER}],"matcherſ":[]}}"#),
        &format!(r#"{{"id":"","ID":"{ID}","matchers":[{OTHER}]}}"#),
        r#"{"matchers":[{"name":"x","value":"y"}]}"#,
        r#"{"matchers":[{"name":"x","value":"y","isRegex":null}]}"#,
        r#"{"matchers":[{"name":"x","value":"y","isRegex":false,"isregex":true}]}"#,
        r#"{"matchers":[{"name":"x","value":"y","isRegex":"false"}]}"#,
        r#"{"matchers":[{"name":1,"value":"y","isRegex":false}]}"#,
        &format!(r#"{{"matchers":[{OTHER}],"id":1}}"#),
        &format!(r#"{{"matchers":[{OTHER}],"comment":1}}"#),
    ] {
        assert_eq!(posted("/api/v2/silences", body, &replaces).unwrap_err().reason(), "bad_post", "{body}");
    }
    let of_all = config(&CONFIG.replacen('{', r#"{"allow_silence_of_all": true, "#, 1));
    assert_eq!(written("/api/v2/silences", r#"{"matchers":[]}"#, &of_all), format!(r#"{{"matchers":[{ours}]}}"#));
    let rejects = config(&CONFIG.replacen('{', r#"{"on_conflict": "reject", "#, 1));
    assert!(posted("/api/v2/silences", &format!(r#"{{"matchers":[{OTHER},{ours}]}}"#), &rejects).is_ok());
    for other in [ours.replace(r#""a""#, r#""b""#), ours.replace("true", "false"), ours.replace("false", "true")] {
        let body = format!(r#"{{"matchers":[{OTHER},{other}]}}"#);
        assert_eq!(posted("/api/v2/silences", &body, &rejects).unwrap_err().reason(), "bad_post", "{body}");
    }
    assert_eq!(posted("/api/v2/silences", &" ".repeat(1 << 20), &replaces).unwrap_err().status(), 413);
}

#[test]
fn an_update_is_confirmed_first_however_its_id_is_spelled() {
    let with = config(&CONFIG.replacen('{', r#"{"path_prefixes": ["/am"], "#, 1));
    for key in ["id", "ID", "Id", r"i\u0064"] {
        let body = format!(r#"{{"{key}":"{ID}","matchers":[{OTHER}]}}"#);
        let BodyDecision::Confirm(confirm) = posted("/am/api/v2/silences", &body, &with).unwrap() else {
            panic!("{key}")
        };
        assert_eq!(path(&confirm.ask), format!("/am/api/v2/silence/{ID}"));
        assert!(String::from_utf8(confirm.finished.body.unwrap()).unwrap().starts_with(&format!(r#"{{"id":"{ID}","#)));
        assert_eq!(confirm.ask.pending.confirm(&answer(MINE)), Ok(()));
        assert_eq!(confirm.ask.pending.confirm(&answer(THEIRS)), Err(Rejection::UnknownSilence));
        assert!(confirm.ask.pending.confirm(&Answered::Failed).is_err());
    }
    for id in ["x", "../alerts", &ID.to_uppercase()[1..]] {
        let body = format!(r#"{{"id":"{id}","matchers":[{OTHER}]}}"#);
        assert_eq!(posted("/am/api/v2/silences", &body, &with).unwrap_err(), Rejection::UnknownSilence);
    }
    let without = config(r#"{"upstream": "alertmanager"}"#);
    let body = format!(r#"{{"id":"{ID}","matchers":[{OTHER}]}}"#);
    assert_eq!(posted("/api/v2/silences", &body, &without).unwrap_err().reason(), "forbidden_path");
}

const ROUTES: &str = r#"{"upstream": "alertmanager", "static_tenant_ids": ["ruler"], "allow_on_headers_stop_iteration": true,
    "alert_routes": {"a": "am-a", "b": "am-b"}}"#;

fn spread(body: &str, config: &Worker) -> Spread {
    match posted("/api/v2/alerts", body, config).unwrap() {
        BodyDecision::Spread(spread) => *spread,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ruler_s_alerts_are_split_by_tenant() {
    let body = r#"[{"labels":{"n":"1","tenant_id":"b"}},{"labels":{"n":"2","tenant_id":"a"}},{"labels":{"n":"3","tenant_id":"c"}},
        {"labels":{"n":"4"}},{"labels":{"n":"5","tenant\u005fid":"b"}},{"labels":{"n":"6","tenant_id":"c|d"}}]"#;
    let parts = |config: &str| {
        let spread = spread(body, &super::config(config));
        let part = |part: &RoutedPart| {
            let header = part.headers.iter().find(|(name, _)| **name == *"thanos-tenant").map(|(_, value)| &**value);
            assert!(header.is_none() || header == part.tenant.as_deref());
            let body = String::from_utf8(part.body.clone()).unwrap();
            let numbers: String = body.split(r#""n":""#).skip(1).filter_map(|rest| rest.get(..1)).collect();
            assert!(body.is_empty() || serde_json::from_str::<serde_json::Value>(&body).is_ok());
            (part.cluster.as_deref().unwrap_or("-").to_owned(), header.unwrap_or("-").to_owned(), part.count, numbers)
        };
        spread.parts.iter().map(part).collect::<Vec<_>>()
    };
    let expect = |parts: &[(&str, &str, u32, &str)]| -> Vec<(String, String, u32, String)> {
        parts.iter().map(|(to, whose, count, which)| ((*to).into(), (*whose).into(), *count, (*which).into())).collect()
    };
    assert_eq!(parts(ROUTES), expect(&[("am-b", "b", 2, "15"), ("am-a", "a", 1, "2"), ("-", "-", 3, "")]));
    let rest = ROUTES.replace(r#""am-b"}"#, r#""am-b", "*": "rest"}"#);
    assert_eq!(
        parts(&rest),
        expect(&[("am-b", "b", 2, "15"), ("am-a", "a", 1, "2"), ("rest", "c", 1, "3"), ("rest", "-", 2, "46")])
    );
    let many: Vec<String> = (0..257).map(|n| format!(r#"{{"labels":{{"tenant_id":"t{n}"}}}}"#)).collect();
    let refused = posted("/api/v2/alerts", &format!("[{}]", many.join(",")), &super::config(&rest)).unwrap_err();
    assert_eq!(refused.reason(), "bad_post");
    assert_eq!(spread(&format!("[{}]", many[..256].join(",")), &super::config(&rest)).parts.len(), 256);
}

#[test]
fn cortex_s_alertmanager_is_isolated_by_the_header() {
    let config = config(
        r#"{"upstream": "cortex", "tenant_federation": {"enabled": true}, "limits": {"max_query_length": "1d"}}"#,
    );
    let sent = |request: Request| request.tenant("a").send(&config).unwrap();
    let get = sent(Request::get("/alertmanager/api/v2/alerts?filter=x%3Dy&other=1"));
    assert_eq!(get.path, "/alertmanager/api/v2/alerts?filter=x%3Dy");
    assert!(get.headers.contains(&("x-scope-orgid".to_owned(), "a".to_owned())), "{get:?}");
    let post = sent(
        Request::new("POST", "/alertmanager/api/v2/silences").header("content-type", "application/json").body("{}"),
    );
    assert_eq!(post.body.as_deref(), Some("{}"));
    assert_eq!(sent(Request::new("DELETE", format!("/alertmanager/api/v2/silence/{ID}"))).handler, "am_silence");
    let several = Request::get("/alertmanager/api/v2/alerts").tenant("a|b");
    assert_eq!(reason(&several, &config), "bad_tenant");
    for path in ["/api/v2/alerts", "/multitenant_alertmanager/status", "/api/v1/alerts", "/alertmanager/api/v1/alerts"]
    {
        assert_eq!(reason(&Request::get(path).tenant("a"), &config), "unknown_path", "{path}");
    }
    let enforcing = super::config(r#"{"upstream": "cortex", "enforce_tenancy": true}"#);
    assert_eq!(reason(&Request::get("/alertmanager/api/v2/alerts").tenant("a"), &enforcing), "forbidden_path");
}
