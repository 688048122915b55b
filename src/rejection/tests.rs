//! Statuses, texts and reasons of all refusals.

use super::*;
use crate::promql::ErrorKind;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn body(rejection: &Rejection) -> String {
    String::from_utf8(rejection.body()).unwrap()
}

#[test]
fn body_is_prometheus_s_error_object() {
    assert_eq!(
        body(&Rejection::UnknownPath),
        r#"{"status":"error","errorType":"not_found","error":"unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes"}"#
    );
    let error = promql::Error {
        kind: ErrorKind::Syntax,
        message: "unexpected \"}\"".to_owned(),
        start: 8,
        end: 9,
        line: 1,
        column: 9,
    };
    assert_eq!(
        body(&Rejection::Query("query", error)),
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:9: parse error: unexpected \"}\""}"#
    );
}

#[test]
fn hostile_input_stays_inside_its_json_string() {
    for input in [&b"\"}<script>\x00\x1f\\"[..], b"\xff\xfe", "\u{2028}\u{202e}".as_bytes()] {
        let rejection = Rejection::Value("step", crate::text::quote(input));
        let parsed: serde_json::Value = serde_json::from_slice(&rejection.body()).unwrap();
        assert_eq!(parsed["error"], rejection.message());
        assert!(!rejection.message().contains(char::is_control));
    }
}

#[test]
fn statuses_are_those_of_the_contract() {
    let classes = [
        (Rejection::Head("x"), 400, "bad_data"),
        (Rejection::Tenant(tenant::Error::Absent("x")), 401, "unauthorized"),
        (Rejection::Tenant(tenant::Error::Unclear("x")), 400, "bad_data"),
        (Rejection::Tenant(tenant::Error::Unreadable("x")), 500, "internal"),
        (Rejection::Tenant(tenant::Error::Empty), 401, "unauthorized"),
        (Rejection::Tenant(tenant::Error::OneAtATime), 400, "bad_data"),
        (Rejection::Tenant(tenant::Error::EmptyMember), 400, "bad_data"),
        (Rejection::Tenant(tenant::Error::OwnSelector(String::new())), 400, "bad_data"),
        (label(LabelError::Absent("x")), 401, "unauthorized"),
        (label(LabelError::Empty), 401, "unauthorized"),
        (label(LabelError::Unclear("x")), 400, "bad_data"),
        (label(LabelError::Value(String::new(), "x")), 400, "bad_data"),
        (label(LabelError::TooLong), 400, "bad_data"),
        (label(LabelError::Unreadable), 500, "internal"),
        (Rejection::NotAllowed(String::new()), 403, "forbidden"),
        (Rejection::Tenant(tenant::Error::UnknownEntry(String::new())), 403, "forbidden"),
        (Rejection::Tenant(tenant::Error::NoneServed), 403, "forbidden"),
        (Rejection::Tenant(tenant::Error::NotOffered), 403, "forbidden"),
        (Rejection::Tenant(tenant::Error::NotChosen), 400, "bad_data"),
        (Rejection::Forbidden("x"), 403, "forbidden"),
        (Rejection::UnknownPath, 404, "not_found"),
        (Rejection::Method(&[Method::Get]), 405, "bad_data"),
        (Rejection::Form(Place::Url, form::Error::TooMany), 413, "bad_data"),
        (Rejection::ContentType, 415, "bad_data"),
        (Rejection::ContentEncoding, 415, "bad_data"),
        (Rejection::Answer("x"), 502, "internal"),
        (Rejection::Internal("x"), 500, "internal"),
    ];
    for (rejection, status, error_type) in classes {
        assert_eq!((rejection.status(), rejection.error_type()), (status, error_type), "{rejection:?}");
    }
}

fn label(error: LabelError) -> Rejection {
    Rejection::Label("cluster".into(), error)
}

/// One rejection of each kind, in the order of `position`.
fn one_of_each_kind() -> Vec<Rejection> {
    let query = |kind| promql::Error { kind, message: String::new(), start: 0, end: 0, line: 1, column: 1 };
    let limit = |(_, _, limit)| Rejection::Limit { limit, asked: 2, allowed: 1 };
    let mut all = vec![
        Rejection::Head(""),
        Rejection::Upgrade,
        Rejection::Path(""),
        Rejection::Form(Place::Url, form::Error::TooMany),
        Rejection::Form(Place::Form, form::Error::Semicolon(String::new())),
        Rejection::Repeated(Place::Url, ""),
        Rejection::Value("", "…".to_owned()),
        Rejection::Parameter("", ""),
    ];
    let kinds = [ErrorKind::Syntax, ErrorKind::TooLarge, ErrorKind::Info, ErrorKind::Reserved, ErrorKind::Conflict];
    all.extend(kinds.map(|kind| Rejection::Query("query", query(kind))));
    all.extend([
        Rejection::Body,
        Rejection::Tenant(tenant::Error::Empty),
        Rejection::Tenant(tenant::Error::Several),
        label(LabelError::Empty),
        label(LabelError::TooLong),
        Rejection::NotAllowed(String::new()),
        Rejection::Forbidden("…"),
        Rejection::UnknownPath,
        Rejection::Method(&[]),
        Rejection::TooLarge(1),
    ]);
    all.extend(crate::limits::TABLE.into_iter().filter(|(_, _, limit)| limit.refuses()).map(limit));
    all.extend([
        Rejection::Unbounded(""),
        Rejection::Blocked("blocked_queries", String::new()),
        Rejection::Blocked("query_rejection", String::new()),
        Rejection::ContentType,
        Rejection::ContentEncoding,
        Rejection::WriteType(""),
        Rejection::WriteVersion(""),
        Rejection::ReadMessage(""),
        Rejection::LongReadMessage(1),
        Rejection::Message(""),
        Rejection::LongMessage(1),
        Rejection::NotGrpc,
        Rejection::MessageEncoding,
        Rejection::Field("", ""),
        Rejection::Posted("…", ""),
        Rejection::LongPost(1),
        Rejection::NotJson,
        Rejection::UnknownSilence,
        Rejection::AlertsNotTaken { all: 3, failed: 2, unrouted: 1 },
        Rejection::Answer("…"),
        Rejection::CallOut(CallOutFault::Timeout),
        Rejection::CallOut(CallOutFault::Status(500)),
        Rejection::Internal("…"),
    ]);
    all
}

/// What clients read, once each: `…` stands for a value, for a number, and for what a module further in says.
fn texts() -> std::collections::BTreeSet<String> {
    let value = || "…".to_owned();
    let tenant = [
        tenant::Error::Absent("…"),
        tenant::Error::NoHeader("…".into()),
        tenant::Error::Unclear("…"),
        tenant::Error::Unreadable("…"),
        tenant::Error::EmptyMember,
        tenant::Error::FederationOff,
        tenant::Error::OneAtATime,
        tenant::Error::TooMany { named: 2, max: 1 },
        tenant::Error::TooLong { max: 1 },
        tenant::Error::Character(value()),
        tenant::Error::Reserved(value()),
        tenant::Error::NotABaseName(value()),
        tenant::Error::NotUtf8,
        tenant::Error::UnknownEntry(value()),
        tenant::Error::NoneServed,
        tenant::Error::NotOffered,
        tenant::Error::NotChosen,
    ];
    let others = [Rejection::Form(Place::Url, form::Error::Escape(value())), Rejection::Blocked("…", value())];
    let all = one_of_each_kind().into_iter().chain(tenant.map(Rejection::Tenant)).chain(others);
    let messages = all.map(|rejection| rejection.message().replace("\"\"", "\"…\""));
    let plain = messages.map(|message| {
        let mut text = String::new();
        for c in message.chars() {
            let c = if c.is_ascii_digit() { '…' } else { c };
            if c != '…' || !text.ends_with('…') {
                text.push(c);
            }
        }
        // What was left empty above, and digits that are no numbers.
        if text.ends_with(' ') {
            text.push('…');
        }
        let spelled = [
            ("  is", " … is"),
            ("in : ", "in …: "),
            ("UTF-…", "UTF-8"),
            ("%…B", "%3B"),
            ("as %…", "as %25"),
            ("RFC …", "RFC 3339"),
            ("…m, or", "5m, or"),
        ];
        spelled.iter().fold(text, |text, (from, to)| text.replace(from, to))
    });
    plain.collect()
}

#[test]
fn the_runbook_lists_what_refusals_say() {
    let runbook = include_str!("../../docs/runbook.md");
    let list = runbook.split("## What refusals say\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let listed: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`')).collect();
    let texts = texts();
    let missing: Vec<&String> = texts.iter().filter(|text| !listed.contains(&text.as_str())).collect();
    let stale: Vec<&&str> = listed.iter().filter(|text| !texts.contains(**text)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nno longer said: {stale:#?}");
}

/// A new kind does not compile until it stands here, and then fails the test until it stands above.
fn position(rejection: &Rejection) -> usize {
    match rejection {
        Rejection::Head(_) => 0,
        Rejection::Upgrade => 1,
        Rejection::Path(_) => 2,
        Rejection::Form(..) => 3,
        Rejection::Repeated(..) => 4,
        Rejection::Value(..) => 5,
        Rejection::Parameter(..) => 6,
        Rejection::Query(..) => 7,
        Rejection::Body => 8,
        Rejection::Tenant(_) => 9,
        Rejection::Label(..) => 10,
        Rejection::NotAllowed(_) => 11,
        Rejection::Forbidden(_) => 12,
        Rejection::UnknownPath => 13,
        Rejection::Method(_) => 14,
        Rejection::TooLarge(_) => 15,
        Rejection::Limit { .. } => 16,
        Rejection::Unbounded(_) => 17,
        Rejection::Blocked(..) => 18,
        Rejection::ContentType => 19,
        Rejection::ContentEncoding => 20,
        Rejection::WriteType(_) => 21,
        Rejection::WriteVersion(_) => 22,
        Rejection::ReadMessage(_) => 23,
        Rejection::LongReadMessage(_) => 24,
        Rejection::Message(_) => 25,
        Rejection::LongMessage(_) => 26,
        Rejection::NotGrpc => 27,
        Rejection::MessageEncoding => 28,
        Rejection::Field(..) => 29,
        Rejection::Posted(..) => 30,
        Rejection::LongPost(_) => 31,
        Rejection::NotJson => 32,
        Rejection::UnknownSilence => 33,
        Rejection::AlertsNotTaken { .. } => 34,
        Rejection::Answer(_) => 35,
        Rejection::CallOut(_) => 36,
        Rejection::Internal(_) => 37,
    }
}

#[test]
fn the_list_of_reasons_is_whole() {
    use std::collections::BTreeSet;
    let all = one_of_each_kind();
    assert_eq!(all.iter().map(position).collect::<BTreeSet<_>>(), (0..=37).collect());
    assert!(all.is_sorted_by_key(position));
    let reasons_of_all: BTreeSet<&str> = all.iter().map(Rejection::reason).collect();
    assert_eq!(reasons_of_all, reasons().into_iter().collect());
    assert_eq!(reasons_of_all.len(), reasons().len(), "each once");
}

#[test]
fn method_refusal_names_the_allowed_ones() {
    let rejection = Rejection::Method(&[Method::Get, Method::Post]);
    assert_eq!(rejection.headers(), [("allow", "GET, POST".to_owned())]);
    assert_eq!(rejection.message(), "method not allowed: use GET or POST");
    assert!(Rejection::UnknownPath.headers().is_empty());
}
