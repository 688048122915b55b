use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// In chunks of every size, which has to make no difference.
fn read(new: fn() -> Operators, text: &str) -> Option<String> {
    let mut all: Option<Option<String>> = None;
    for size in 1..=text.len() {
        let (mut operators, mut out) = (new(), Vec::new());
        let mut rest = text.as_bytes();
        let mut is_whole = false;
        while !rest.is_empty() && !is_whole {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            let mut left = chunk;
            match operators.read(&mut left, &mut out) {
                Ok(false) => {}
                Ok(true) => is_whole = left.is_empty() && rest.is_empty(),
                Err(Malformed) => break,
            }
            assert!(out.len() <= text.len() - rest.len(), "it has grown: {text}");
        }
        let out = is_whole.then(|| String::from_utf8(out).unwrap());
        assert_eq!(all.get_or_insert_with(|| out.clone()), &out, "{text} in chunks of {size}");
    }
    all.flatten()
}

fn explained(text: &str) -> Option<String> {
    read(Operators::explained, text)
}

fn analyzed(text: &str) -> Option<String> {
    read(Operators::analyzed, text)
}

#[test]
fn trees_of_one_engine_stay_as_they_are() {
    for text in [
        r#"{"name":"[duplicateLabelCheck]","children":[{"name":"[concurrent(buff=2)]","children":[{"name":"[aggregate] sum by ([pod])"},{"name":"[matrixSelector] rate({[__name__=\"up\" tenant_id=\"team-a\"]}[5m0s] 0 mod 1)"}]}]}"#,
        r#"{"name":"[vectorBinary] / - many-to-one, on: [pod], group: []","children":[]}"#,
        r#"{"name":"[function] abs","children":null}"#,
        "{}",
        "null",
    ] {
        assert_eq!(explained(text).as_deref(), Some(text));
    }
    for text in [
        r#"{"resultType":"vector","result":[{"metric":{"analysis":"x","fanout":"}"},"value":[1,"2"]}],"stats":{"a":[1]},"analysis":{}}"#,
        r#"{"resultType":"scalar","result":[1,"2"],"analysis":null}"#,
        r#"{"analysis":{"name":"[noop]","executionTime":"584.199µs","peakSamples":60,"totalSamples":0,"children":[{"name":"[noop]","executionTime":"1h2m3.5s"}]},"result":[]}"#,
        "null",
    ] {
        assert_eq!(analyzed(text).as_deref(), Some(text));
    }
}

/// As Thanos 0.42.5 answers in distributed mode: one of its engines has an external label that only team-b has.
#[test]
fn what_is_sent_to_remote_engines_is_not_told() {
    assert_eq!(
        explained(
            r#"{"name":"[function] abs([sum by (pod) (dedup(remote(sum by (label_of_team_b, pod) (up)) [2026-11-22 07:04:16 +0000 UTC]))])","children":[{"name":"[remoteExec] sum by (label_of_team_b, pod) (up{tenant_id=\"team-a\"}) (1795331056, 1795331056)"},{"name":"[histogram_quantile]([0.5 sum by (le) (dedup(remote(sum by (label_of_team_b)"}]}"#
        )
        .as_deref(),
        Some(
            r#"{"name":"[function] abs","children":[{"name":"[remoteExec]"},{"name":"[histogram_quantile]"}]}"#
        )
    );
}

#[test]
fn stores_are_not_named() {
    assert_eq!(
        analyzed(
            r#"{"result":[],"analysis":{"executionTime":"1ms","fanout":[{"endpointAddr":"thanos-team-b:10901","series":3}],"name":"[noop]","children":[{"fanout":[{"endpointAddr":"team-b"}]},{"team-b":1,"totalSamples":7}]},"stores":["team-b"]}"#
        )
        .as_deref(),
        Some(
            r#"{"result":[],"analysis":{"executionTime":"1ms","name":"[noop]","children":[{},{"totalSamples":7}]}}"#
        )
    );
}

#[test]
fn texts_of_another_form_are_blanked() {
    for name in ["team-b", "[team-b] x", "team-b [noop]", "", "[", r"[\u0061ggregate] x", "[aggregate", "]"] {
        assert_eq!(explained(&format!(r#"{{"name":"{name}"}}"#)).as_deref(), Some(r#"{"name":""}"#), "{name}");
    }
    let long = format!("[aggregate] {}", "team-b".repeat(1_000));
    let blank = |name: &str| {
        let (mut operators, mut out) = (Operators::explained(), Vec::new());
        operators.read(&mut format!(r#"{{"name":"{name}"}}"#).as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(blank(&long), r#"{"name":"[aggregate]"}"#);
    assert_eq!(
        analyzed(r#"{"analysis":{"executionTime":"team-b"}}"#).as_deref(),
        Some(r#"{"analysis":{"executionTime":""}}"#)
    );
    // Other readers may take these for the names that they resemble.
    assert_eq!(
        explained(r#"{"Name":"team-b","n\u0061me":"team-b","children":[]}"#).as_deref(),
        Some(r#"{"children":[]}"#)
    );
}

#[test]
fn another_shape_is_refused() {
    for text in [
        "[]",
        "\"team-b\"",
        "7",
        "nteam-b",
        "nul",
        "{",
        r#"{"name"}"#,
        r#"{"name":7}"#,
        r#"{"name":{"a":"team-b"}}"#,
        r#"{"name":null}"#,
        r#"{"children":{}}"#,
        r#"{"children":["team-b"]}"#,
        r#"{"children":[[]]}"#,
        r#"{"children":[{},]}"#,
        r#"{"children":[{}{}]}"#,
        r#"{"children":nteam-b}"#,
        r#"{"peakSamples":"team-b"}"#,
        r#"{"peakSamples":1team-b}"#,
        r#"{"peakSamples":-1}"#,
        r#"{"executionTime":["team-b"]}"#,
        r#"{"name":"a",}"#,
        r#"{,"name":"a"}"#,
        r#"{"name":"a" "name":"a"}"#,
        r#"{"name":"a"]"#,
        r#"{"children":[}"#,
    ] {
        assert_eq!(explained(text), None, "{text}");
    }
    for text in [r#"{"analysis":[]}"#, r#"{"analysis":"team-b"}"#, r#"{"analysis":{"children":[{}}}"#, "[]", "7"] {
        assert_eq!(analyzed(text), None, "{text}");
    }
}

#[test]
fn depth_needs_no_memory() {
    let depth = 100_000;
    let text = format!("{}{}{}", r#"{"children":["#.repeat(depth), "{}", "]}".repeat(depth));
    let (mut operators, mut out) = (Operators::explained(), Vec::new());
    let mut rest = text.as_bytes();
    assert_eq!((operators.read(&mut rest, &mut out), rest.len()), (Ok(true), 0));
    assert_eq!(out, text.as_bytes());
}
