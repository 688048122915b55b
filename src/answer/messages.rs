//! Which of the upstream's messages a tenant may read: those of the PromQL engine and of the request's own check. All others name
//! stores, label sets or tenants, and become one generic line.
//!
//! ```text
//! engine     = ( "PromQL warning: " / "PromQL info: " ) text                   util/annotations/annotations.go
//!            / one of `WHOLE`, or of `known`
//!            / one of `STAGES` stage                                           promql/engine.go: a phase of the evaluation
//!            / one of `BEGINNINGS` text
//!            / [ place ] "parse error: " text                                  promql/parser/parse.go
//!            / place one of `PLACED`                                           promql/durations.go: start and end
//!            / count " more " ( "warning" / "info" ) " annotations omitted"    util/annotations/annotations.go
//!            / 'invalid parameter "' name '": ' text                           web/api/v1/api.go
//! place      = number ":" number ": "
//! ```
//!
//! Sources: Prometheus 3.16, and promql-engine of Thanos 0.42.5, which uses the same words. They quote the query, its parameters
//! and series that it selected, all of them the tenant's. A text that wraps another one is not among them, whoever wrote it:
//! `expanding series: …` and `unexpected error: …` are the engine's, and what they carry is the storage's; likewise Thanos's
//! `remote query warning (…): …`, `receive series from …` and `remote exec error […]: …`.

use crate::json::{MAX_HELD, Text};

/// The longest message that is held back to be read. A longer one is withheld.
pub const MAX_MESSAGE: usize = MAX_HELD;

/// The longest word.
const MAX_WORD: usize = 32;

/// What stands for an error that is withheld. Like the other lines, it needs no escape in JSON.
pub const WITHHELD: &str = "a message of the upstream is withheld: it may name what is not this tenant's";
/// What stands for the warnings that are withheld. Grafana shows the warnings of an answer beside its data.
pub const INCOMPLETE: &str =
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's";
/// What stands for an error, and shorter lines for an answer that may not grow that much.
pub const ERROR: &[&str] = &[WITHHELD, "upstream message withheld", "withheld"];
/// The same for a warning.
pub const WARNING: &[&str] =
    &[INCOMPLETE, "the answer may be incomplete: a warning is withheld", "upstream message withheld", "withheld"];

const ANNOTATIONS: [&str; 2] = ["PromQL warning: ", "PromQL info: "];

const WHOLE: &[&str] = &[
    "vector cannot contain metrics with the same labelset",
    "Parameter value is NaN",
    "Ratio value is NaN",
    "anchored modifier is not supported with histograms",
    "smoothed modifier is not supported with histograms",
    "info sample should be float",
    "@ modifier is disabled",
    "negative offset is disabled",
    "query cost estimate is incomplete: info() selects additional series at runtime",
    "results truncated due to limit",
    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    "zero or negative query resolution step widths are not accepted. Try a positive integer",
    "end timestamp must not be before start time",
    "no match[] parameter provided",
    "match[] must contain at least one non-empty matcher",
    "limit must be non-negative",
    "search API disabled",
];

const STAGES: &[&str] = &[
    "query timed out in ",
    "query was canceled in ",
    "query processing would load too many samples into memory in ",
    "query would load too many series into memory in ",
    "query would read too many samples in ",
];

const BEGINNINGS: &[&str] = &[
    "found duplicate series for the match group {",
    "found duplicate series for info metric: existing ",
    "multiple matches for labels: ",
    "this should be an info metric, with float samples: ",
    "conflicting label: ",
    "Scalar value ",
    "invalid label name",
    "invalid smoothing factor. Expected: ",
    "invalid trend factor. Expected: ",
    "invalid regular expression in label_replace(): ",
    "invalid destination label name in label_replace",
    "invalid destination label name in label_join",
    "invalid source label name in label_join",
    "invalid expression type \"",
    "anchored modifier can only be used with: ",
    "smoothed modifier can only be used with: ",
    "cannot parse \"",
    "requested max_",
];

/// What Thanos puts before an error that it has typed twice: `ApiError.Error` in pkg/api/api.go, 0.42.5.
const TYPE: &str = "bad_data: ";
/// What Thanos puts before the error of a query for exemplars, in pkg/api/query/v1.go and pkg/exemplars/proxy.go, 0.42.5. Only a parse error may follow.
pub const EXEMPLARS: &str = "retrieving exemplars: proxy Exemplars: ";
/// What stands for the place of an error in an empty query: `StartPosInput` in promql/parser/posrange of Prometheus 3.16.
const NO_PLACE: &str = "unknown position: ";

/// What follows the value of `stats` and its name: `statsParamWarning` in web/api/v1/api.go.
const DEPRECATION: &str =
    "\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"";

/// What follows the two offsets of an error in a duration.
pub const PLACED: &[&str] = &[
    "duration is out of range",
    "duration is NaN or infinite",
    "duration must be greater than 0",
    "division by zero",
    "modulo by zero",
];

/// Whether a message, between its quotes, may be read by the tenant.
pub fn is_engine(inner: &[u8]) -> bool {
    read(inner).is_some_and(|text| is_engine_text(&text))
}

/// What the tenant may read of an error that may not pass as it is, between its quotes: all but what the upstream quotes in it.
pub fn cut(inner: &[u8]) -> Option<String> {
    let text = read(inner)?;
    let (before, after) = super::known::cut(text.strip_prefix(TYPE).unwrap_or(&text))?;
    Some([before, "…", after].concat().replace('"', "\\\""))
}

fn read(inner: &[u8]) -> Option<String> {
    let text: String = Text::read(inner).filter(|_| inner.len() <= MAX_MESSAGE)?.chars().collect();
    // A line break joins what several have said. A tab is quoted from a pattern in the query.
    (!text.contains(|c: char| c.is_control() && c != '\t')).then_some(text)
}

/// The same of a message that stands in no JSON.
pub fn is_message(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| bytes.len() <= MAX_MESSAGE && is_plain(text) && is_engine_text(text))
}

/// What follows a comma in a message of the engine, and is none by itself.
pub const CONTINUATION: &str = "name does not end in _total/_sum/_count/_bucket: ";

/// Whether each of several messages, joined by commas, may be read by the tenant. A message that holds a comma itself is not told from two.
pub fn are_messages(bytes: &[u8]) -> bool {
    let is_known = |text: &str| is_engine_text(text) || text.starts_with(CONTINUATION);
    std::str::from_utf8(bytes)
        .is_ok_and(|text| bytes.len() <= MAX_MESSAGE && is_plain(text) && text.split(", ").all(is_known))
}

/// A line break joins what several have said.
fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// Whether a status or an `errorType` is a word, as all of the upstreams' are: nothing that could name anything.
pub fn is_word(inner: &[u8]) -> bool {
    inner.len() <= MAX_WORD
        && inner.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// The first of these lines that takes no more than so many bytes.
pub fn fitting(lines: &[&'static str], room: usize) -> &'static str {
    lines.iter().find(|line| line.len() <= room).unwrap_or(&"")
}

/// Prometheus's error object. The line needs no escape in JSON.
pub fn error_object(error_type: &str, line: &str) -> Vec<u8> {
    [r#"{"status":"error","errorType":""#, error_type, r#"","error":""#, line, r#""}"#].concat().into_bytes()
}

fn is_engine_text(text: &str) -> bool {
    let text = text.strip_prefix(TYPE).unwrap_or(text);
    let is_one_of = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if is_one_of(&ANNOTATIONS) || is_one_of(BEGINNINGS) || WHOLE.contains(&text) || super::known::is_known(text) {
        return true;
    }
    let is_stage = |stage: &str| stage.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' ');
    if STAGES.iter().any(|beginning| text.strip_prefix(beginning).is_some_and(is_stage)) {
        return true;
    }
    if let Some(rest) = without_number(text).and_then(|rest| rest.strip_prefix(" more ")) {
        return rest == "warning annotations omitted" || rest == "info annotations omitted";
    }
    let is_deprecation = text.starts_with("value \"") && text.ends_with(DEPRECATION);
    if is_deprecation || is_parameter(text) {
        return true;
    }
    let rest =
        text.strip_prefix(EXEMPLARS).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(text);
    let place = without_place(rest).or_else(|| rest.strip_prefix(NO_PLACE));
    place.unwrap_or(text).starts_with("parse error: ") || place.is_some_and(|rest| PLACED.contains(&rest))
}

fn is_parameter(text: &str) -> bool {
    let is_name = |name: &str| {
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
    };
    let split = text.strip_prefix("invalid parameter \"").and_then(|rest| rest.split_once("\": "));
    split.is_some_and(|(name, _)| is_name(name))
}

fn without_place(text: &str) -> Option<&str> {
    without_number(without_number(text)?.strip_prefix(':')?)?.strip_prefix(": ")
}

fn without_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn passes(message: &str) -> bool {
        let quoted = serde_json::to_string(message).unwrap();
        is_engine(&quoted.as_bytes()[1..quoted.len() - 1])
    }

    #[test]
    fn messages_of_the_engine_pass() {
        for message in [
            r#"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "up" (1:6)"#,
            r#"PromQL warning: bucket label "le" is missing or has a malformed value of "x" for metric name "a" (1:25)"#,
            "10 more warning annotations omitted",
            "1 more info annotations omitted",
            r#"invalid parameter "query": 1:5: parse error: unexpected end of input"#,
            r#"invalid parameter "step": cannot parse "x" to a valid duration"#,
            r#"invalid parameter "match[]": 1:1: parse error: unexpected end of input"#,
            "1:5: parse error: unexpected character: '?'",
            "parse error: unknown",
            "unknown position: parse error: no expression found in input",
            "bad_data: end timestamp must not be before start time",
            r#"retrieving exemplars: proxy Exemplars: 1:1: parse error: unknown function with name "nope""#,
            "4:10: duration must be greater than 0",
            "query timed out in expression evaluation",
            "query processing would load too many samples into memory in query execution",
            r#"found duplicate series for the match group {instance="a"} on the right hand-side of the operation: [{job="x"}, {job="y"}];many-to-many matching not allowed: matching labels must be unique on one side"#,
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            "vector cannot contain metrics with the same labelset",
            r#"value "x" for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all""#,
            "results truncated due to limit",
        ] {
            assert!(passes(message), "{message}");
        }
    }

    #[test]
    fn messages_of_others_are_withheld() {
        for message in [
            "",
            "No StoreAPIs matched for this query",
            r#"receive series from Addr: thanos-b:10901 LabelSets: {tenant_id="team-b"} MinTime: 1 MaxTime: 2: rpc error: code = Unavailable"#,
            "remote query warning (10.0.0.1:10901): PromQL warning: x",
            r#"remote exec error [{tenant_id="team-b"}]: 1:5: parse error: x"#,
            "expanding series: no such tenant: team-b",
            "expanding series: query timed out in expression evaluation",
            "unexpected error: team-b",
            "vector cannot contain metrics with the same labelset: team-b",
            "10 more warning annotations omitted by team-b",
            "more warning annotations omitted",
            "1:5: duration must be greater than 0: team-b",
            "duration must be greater than 0",
            "PromQL warnings: x",
            " PromQL warning: x",
            "PromQL warning: x\nreceive series from team-b",
            r#"invalid parameter "team b": x"#,
            r#"value "x" of team-b"#,
            "1: parse error: x",
            "a:1: parse error: x",
            "team-b: 1:1: parse error: x",
            "retrieving exemplars: proxy Exemplars: fetching exemplars from exemplars client thanos-b:10901: x",
            "retrieving exemplars: proxy Exemplars: parse error: of team-b",
            "retrieving exemplars: team-b: 1:1: parse error: x",
            "bad_data: bad_data: limit must be non-negative",
            "bad_data: team-b",
            "unknown position: team-b",
        ] {
            assert!(!passes(message), "{message}");
        }
    }

    #[test]
    fn escapes_are_read_before_the_message_is_judged() {
        assert!(is_engine(br"PromQL\u0020warning: x"));
        assert!(is_engine(br#"1:1: parse error: \u003e \"x\""#));
        assert!(!is_engine(br"PromQL warning: x\u000areceive series from team-b"));
        assert!(!is_engine(br"PromQL warning: \x"));
        assert!(!is_engine(br"PromQL warning: \u12"));
        assert!(!is_engine(b"PromQL warning: \xff"));
        assert!(!is_engine(b"PromQL warning: \n"));
        assert!(!is_engine(format!("PromQL warning: {}", "x".repeat(MAX_MESSAGE)).as_bytes()));
    }

    #[test]
    fn what_replaces_a_message_fits_and_needs_no_escape() {
        for lines in [ERROR, WARNING] {
            for room in 0..200 {
                assert!(fitting(lines, room).len() <= room);
            }
            assert_eq!(
                (fitting(lines, 200), fitting(lines, 30), fitting(lines, 8)),
                (lines[0], "upstream message withheld", "withheld")
            );
        }
        for line in ERROR.iter().chain(WARNING) {
            assert_eq!(serde_json::to_string(line).unwrap().len(), line.len() + 2);
            let object: serde_json::Value = serde_json::from_slice(&error_object("internal", line)).unwrap();
            assert_eq!(object, serde_json::json!({"status": "error", "errorType": "internal", "error": line}));
        }
    }
}
