//! Answers that stream by: what Prometheus 3.16 and Thanos 0.42.5 send, and what no upstream should.

use promql_tenancy_filter::answer::{Content, Documents, Filter, MAX_GROWTH, Statistics, Unreadable};

const STORE: &str =
    r#"receive series from Addr: thanos-b:10901 LabelSets: {tenant_id=\"team-b\"}: rpc error: code = Unavailable"#;
const INCOMPLETE: &str =
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's";
const GENERIC: &str = "a message of the upstream is withheld: it may name what is not this tenant's";

struct Passed {
    text: String,
    fault: Option<Unreadable>,
    withheld: u32,
}

/// Streams a body in chunks of every size, which has to make no difference.
fn stream(documents: Documents, content: Content, body: &str) -> Passed {
    let mut all: Option<Passed> = None;
    for size in (1..=body.len().clamp(1, 40)).rev().chain([body.len().max(1)]) {
        let mut filter = Filter::new(documents, content, Statistics::Unread);
        let mut out = Vec::new();
        let mut came = 0;
        for chunk in body.as_bytes().chunks(size) {
            filter.push(chunk, false, &mut out);
            came += chunk.len();
            assert!(out.len() <= came + MAX_GROWTH, "more has gone on than has come");
        }
        filter.push(b"", true, &mut out);
        assert!(out.len() <= came + MAX_GROWTH, "more has gone on than has come");
        let text = String::from_utf8(out).expect("UTF-8");
        let passed = Passed { text, fault: filter.fault(), withheld: filter.withheld() };
        if let Some(first) = &all {
            assert_eq!(first.text, passed.text, "chunks of {size}");
            assert_eq!((first.fault, first.withheld), (passed.fault, passed.withheld), "chunks of {size}");
        }
        all.get_or_insert(passed);
    }
    all.expect("one run at least")
}

fn json(body: &str) -> Passed {
    stream(Documents::One, Content::Passed, body)
}

/// What is left of a body that is a whole document, before and after.
fn filtered(body: &str) -> String {
    let passed = json(body);
    assert_eq!(passed.fault, None, "{body}");
    passed.text
}

#[test]
fn answers_without_messages_stay_as_they_are() {
    for body in [
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"\"}]{\\"},"value":[1435781451.781,"1"]}]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"NaN"]],"histograms":[[1,{"count":"5","buckets":[[0,"-1","1","5"]]}]]}],"stats":{"warnings":["not a message"],"error":"neither"}}}"#,
        r#"{"status":"success","data":["__name__","job"]}"#,
        r#"{"status":"success","data":[{"__name__":"up","error":"a label","warnings":"another"}]}"#,
        r#"{"status":"success","data":"up{job=\"a\"}"}"#,
        r#"{"status":"success","data":null,"warnings":null,"infos":[]}"#,
        r#"{"status":"success","data":-1.5e+10}"#,
        r#"{"status":"success"}"#,
        // Mimir's, of rules and alerts.
        r#"{"status":"success","data":{"groups":[]},"errorType":"","error":""}"#,
        "{}",
        "",
        "{\"status\":\"success\",\"data\":true}\n",
    ] {
        assert_eq!(filtered(body), body);
        assert_eq!(json(body).withheld, 0);
    }
}

#[test]
fn messages_of_the_engine_pass_and_one_line_stands_for_all_others() {
    let body = format!(
        r#"{{"status":"success","data":{{"result":[]}},"warnings":["{STORE}","PromQL warning: quantile \u003e 1 (1:1)","{STORE} 2","No StoreAPIs"],"infos":["PromQL info: x"]}}"#
    );
    assert_eq!(
        filtered(&body),
        format!(
            r#"{{"status":"success","data":{{"result":[]}},"warnings":["{INCOMPLETE}","PromQL warning: quantile \u003e 1 (1:1)"],"infos":["PromQL info: x"]}}"#
        )
    );
    assert_eq!(json(&body).withheld, 3);
}

#[test]
fn errors_are_messages_too() {
    let engine = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unexpected end of input"}"#;
    assert_eq!(filtered(engine), engine);
    assert_eq!(
        filtered(&format!(
            r#"{{"status":"error","errorType":"execution","error":"expanding series: proxy Series(): {STORE}"}}"#
        )),
        format!(r#"{{"status":"error","errorType":"execution","error":"{GENERIC}"}}"#)
    );
}

#[test]
fn what_stands_for_messages_grows_by_so_much_and_no_more() {
    let empty = r#"{"status":"error","errorType":"execution","error":""}"#;
    assert_eq!(filtered(empty), empty.replace(r#""error":"""#, &format!(r#""error":"{GENERIC}""#)));
    for message in ["", "team-b", "store of team-b is not here"] {
        assert_eq!(filtered(&format!(r#"{{"error":"{message}"}}"#)), format!(r#"{{"error":"{GENERIC}"}}"#));
        assert_eq!(
            filtered(&format!(r#"{{"warnings":["{message}"]}}"#)),
            format!(r#"{{"warnings":["{INCOMPLETE}"]}}"#)
        );
    }
    // Line after line, each of which says something: in the end there is no room left.
    let lines = "{\"warnings\":[\"team-b x\"]}\n".repeat(20);
    let passed = stream(Documents::Lines, Content::Passed, &lines);
    assert!(passed.text.len() <= lines.len() + MAX_GROWTH && passed.withheld == 20, "{}", passed.text);
    assert!(passed.text.starts_with(&format!("{{\"warnings\":[\"{INCOMPLETE}\"]}}\n")), "{}", passed.text);
    assert!(passed.text.ends_with("{\"warnings\":[\"withheld\"]}\n"), "{}", passed.text);
}

#[test]
fn what_is_held_back_never_grows() {
    for (message, line) in [
        ("", ""),
        ("team-b", ""),
        ("team-b x", "withheld"),
        ("store of team-b is not here", "upstream message withheld"),
    ] {
        for (name, open, close) in [("error", "", ""), ("warnings", "[", "]")] {
            let mut filter = Filter::new(Documents::One, Content::Passed, Statistics::Unread).held_back();
            let mut out = Vec::new();
            filter.push(format!(r#"{{"{name}":{open}"{message}"{close}}}"#).as_bytes(), true, &mut out);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), format!(r#"{{"{name}":{open}"{line}"{close}}}"#));
        }
    }
}

#[test]
fn messages_are_found_wherever_they_stand() {
    let body =
        format!(r#" {{ "warnings" : [ "{STORE}" , "PromQL info: x" ] , "data" : [ 1 , 2 ] , "status" : "success" }} "#);
    assert_eq!(
        filtered(&body),
        format!(r#"{{"warnings":["{INCOMPLETE}","PromQL info: x"],"data":[ 1 , 2 ],"status":"success"}} "#)
    );
}

#[test]
fn what_is_not_known_is_dropped() {
    for unknown in [
        r#""tenants":["team-b"]"#,
        r#""Warnings":["team-b"]"#,
        r#""warning\u0073":["team-b"]"#,
        r#""":"team-b""#,
        r#""trace":{"a":{"b":["team-b","}"]}}"#,
        r#""isPartial":true"#,
        &format!(r#""{}":1"#, "team-b".repeat(1_000)),
    ] {
        assert_eq!(filtered(&format!(r#"{{{unknown}}}"#)), "{}");
        assert_eq!(filtered(&format!(r#"{{{unknown},"status":"success"}}"#)), r#"{"status":"success"}"#);
        assert_eq!(
            filtered(&format!(r#"{{"status":"success",{unknown},"data":1}}"#)),
            r#"{"status":"success","data":1}"#
        );
        assert_eq!(filtered(&format!(r#"{{"status":"success",{unknown}}}"#)), r#"{"status":"success"}"#);
    }
}

#[test]
fn data_of_an_answer_that_had_to_be_filtered_is_dropped_from_an_error() {
    let body =
        r#"{"status":"error","data":{"groups":["team-b"]},"errorType":"internal","error":"1:1: parse error: x"}"#;
    let passed = stream(Documents::One, Content::Dropped, body);
    assert_eq!(passed.text, r#"{"status":"error","errorType":"internal","error":"1:1: parse error: x"}"#);
}

#[test]
fn lines_are_documents_each() {
    let body = format!(
        "{{\"results\":[{{\"name\":\"up\"}}],\"warnings\":[\"{STORE}\"]}}\n{{\"results\":[],\"tenants\":7}}\n{{\"status\":\"success\",\"has_more\":false,\"warnings\":[\"{STORE}\"]}}\n"
    );
    let passed = stream(Documents::Lines, Content::Passed, &body);
    assert_eq!(
        passed.text,
        format!(
            "{{\"results\":[{{\"name\":\"up\"}}],\"warnings\":[\"{INCOMPLETE}\"]}}\n{{\"results\":[]}}\n{{\"status\":\"success\",\"has_more\":false,\"warnings\":[\"{INCOMPLETE}\"]}}\n"
        )
    );
    assert_eq!((passed.fault, passed.withheld), (None, 2));
    assert_eq!(json(&body).fault, Some(Unreadable::Malformed), "one document only");
}

#[test]
fn a_message_without_end_is_not_held_for_ever() {
    let long = "team-b ".repeat(100_000);
    assert_eq!(
        filtered(&format!(r#"{{"status":"error","error":"PromQL warning: {long}"}}"#)),
        format!(r#"{{"status":"error","error":"{GENERIC}"}}"#)
    );
}

#[test]
fn deep_nesting_needs_no_memory() {
    let deep = format!(r#"{{"data":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    let mut filter = Filter::new(Documents::One, Content::Passed, Statistics::Unread);
    let mut out = Vec::new();
    filter.push(deep.as_bytes(), true, &mut out);
    assert!(filter.fault().is_none() && out == deep.as_bytes());
}

#[test]
fn what_is_no_answer_of_the_api_is_cut_off() {
    for (body, kept) in [
        (r#"{"status":"success","status":"error"}"#, r#"{"status":"success""#),
        (r#"{"data":1,"data":2}"#, r#"{"data":1"#),
        (r#"{"data":1]"#, r#"{"data":1"#),
        (r#"{"data":1} {"data":2}"#, r#"{"data":1} "#),
        (r#"{"data":1}team-b"#, r#"{"data":1}"#),
        (r#"{"data":1 "error":"team-b"}"#, r#"{"data":1"#),
        (r#"{"data":1,}"#, r#"{"data":1"#),
        (r#"{"data":1,team-b:2}"#, r#"{"data":1"#),
        (r#"{"data":1,"error":nteam-b}"#, r#"{"data":1,"error":"#),
        (r#"{"data":1,"error":nullteamb}"#, r#"{"data":1,"error":null"#),
        (r#"{"data":1,"error":["team-b"]}"#, r#"{"data":1,"error":"#),
        (r#"{"data":1,"warnings":"team-b"}"#, r#"{"data":1,"warnings":"#),
        (r#"{"data":1,"warnings":[7]}"#, r#"{"data":1,"warnings":["#),
        (r#"{"data":1,"warnings":["x",]}"#, &format!(r#"{{"data":1,"warnings":["{INCOMPLETE}""#)),
        (r#"{"data":1,"warnings":["x"}"#, &format!(r#"{{"data":1,"warnings":["{INCOMPLETE}""#)),
        (r#"{"data":1,"status":"of team-b"}"#, r#"{"data":1,"status":"#),
        (r#"{"data":of team-b}"#, r#"{"data":"#),
    ] {
        let passed = json(body);
        assert_eq!(passed.text, kept, "{body}");
        assert_eq!(passed.fault, Some(Unreadable::Malformed), "{body}");
    }
}

#[test]
fn what_ends_too_early_is_no_whole_document() {
    let body = r#"{"status":"success","data":[1],"warnings":["x","PromQL info: x"],"error":null}"#;
    let truncated = fault("it ended too early");
    for end in 1..body.len() {
        let passed = json(&body[..end]);
        assert_eq!(passed.fault, Some(Unreadable::Truncated), "{end}");
        assert!(
            serde_json::from_str::<serde_json::Value>(&passed.text).is_err() || passed.text == truncated,
            "{end}: {}",
            passed.text
        );
    }
}

#[test]
fn an_error_object_takes_the_place_of_what_has_not_begun() {
    for (body, why) in [
        ("[", "it is not in the format that it should be in"),
        ("[]", "it is not in the format that it should be in"),
        ("<html>team-b</html>", "it is not in the format that it should be in"),
        (&"team-b ".repeat(30), "it is not in the format that it should be in"),
        (r#"{"tenants":["team-b"]"#, "it ended too early"),
        ("\u{feff}{}", "it is not in the format that it should be in"),
    ] {
        let passed = json(body);
        assert_eq!(passed.text, fault(why), "{body}");
        assert!(passed.fault.is_some());
    }
}

/// The error object that takes the place of an answer that can't be filtered.
fn fault(why: &str) -> String {
    format!(
        r#"{{"status":"error","errorType":"internal","error":"the upstream's answer could not be filtered: {why}; ask the operator"}}"#
    )
}
