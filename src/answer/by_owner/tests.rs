use super::*;
use crate::answer::Filter;
use crate::answer::owner::tests::owner;
use crate::json::GIVEN;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The scanner takes each byte once. What is held is read once more by a cursor: labels, and what is kept. So the work is linear,
/// which is counted here in the bytes that cursors were given.
#[test]
fn each_byte_is_read_a_bounded_number_of_times() {
    let alert =
        |tenant: &str| format!(r#"{{"labels":{{"tenant_id":"{tenant}"}},"annotations":{{"a":"b"}},"state":"firing"}}"#);
    let rule = |tenant: &str, count: usize| {
        let alerts: Vec<String> = (0..count).map(|at| alert(if at % 3 == 0 { "team-b" } else { "team-a" })).collect();
        format!(r#"{{"alerts":[{}],"labels":{{"tenant_id":"{tenant}"}},"state":"firing"}}"#, alerts.join(","))
    };
    let answer = |rules: usize, alerts: usize| {
        let rules: Vec<String> =
            (0..rules).map(|at| rule(if at % 3 == 0 { "team-b" } else { "team-a" }, alerts)).collect();
        format!(r#"{{"data":{{"groups":[{{"evaluationTime":1,"rules":[{}]}}]}}}}"#, rules.join(","))
    };
    for body in [answer(10, 10), answer(1_000, 10), answer(10, 1_000), answer(1, 10_000)] {
        for size in [1, 100, body.len()] {
            GIVEN.set(0);
            let rules = Labelled::Rules { shared: false, narrowed: false };
            let mut filter = Filter::by_owner(rules, owner("team-a"), 1 << 20);
            let mut out = Vec::new();
            body.as_bytes().chunks(size).for_each(|chunk| filter.push(chunk, false, &mut out));
            filter.push(b"", true, &mut out);
            assert_eq!(filter.fault(), None);
            assert!(GIVEN.get() <= 2 * body.len(), "{} of {} in chunks of {size}", GIVEN.get(), body.len());
        }
    }
}

/// What a template of somebody's rule makes of bytes is written as it is.
#[test]
fn what_is_not_utf_8_concerns_its_owner_only() {
    let alert = |tenant: &[u8], value: &[u8]| {
        [br#"{"labels":{"tenant_id":""#, tenant, br#"","x":""#, value, br#""},"state":"firing"}"#].concat()
    };
    let alerts = |items: &[Vec<u8>]| [br#"{"data":{"alerts":["#, items.join(&b',').as_slice(), b"]}}"].concat();
    let filtered = |labelled, body: &[u8], size: usize| {
        let mut filter = Filter::by_owner(labelled, owner("team-a|team?"), 1 << 20);
        let mut out = Vec::new();
        body.chunks(size).for_each(|chunk| filter.push(chunk, false, &mut out));
        filter.push(b"", true, &mut out);
        assert_eq!(filter.fault(), None);
        String::from_utf8(out).unwrap()
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    for size in [1, 7, 1_000] {
        // Cut within a character, a byte that is never one, and a surrogate.
        for odd in [b"\xe2\x82".as_slice(), b"\xff", b"\xed\xa0\x80"] {
            let body = alerts(&[alert(b"team-b", odd), alert(b"team-a", b"1"), alert(&[b"team-a", odd].concat(), b"")]);
            assert_eq!(filtered(Labelled::Alerts, &body, size), text(alerts(&[alert(b"team-a", b"1")])));
            let own = alerts(&[alert(b"team-a", &[b"a", odd, b"b"].concat())]);
            let stands = "?".repeat(odd.len());
            let expected = text(alerts(&[alert(b"team-a", format!("a{stands}b").as_bytes())]));
            assert_eq!(filtered(Labelled::Alerts, &own, size), expected);
        }
        // No stand-in makes a tenant's name of it.
        assert_eq!(filtered(Labelled::Alerts, &alerts(&[alert(b"team\xff", b"")]), size), text(alerts(&[])));
        let rules = [
            br#"{"data":{"groups":[{"name":"g","file":"f"#.as_slice(),
            b"\xff",
            br#"","rules":[{"labels":{"tenant_id":"team-a"},"alerts":["#,
            &[alert(b"team-b", b"\xff"), alert(b"team-a", b"\xff")].join(&b','),
            br#"],"state":"firing"}]}]}}"#,
        ];
        let shown = filtered(Labelled::Rules { shared: false, narrowed: false }, &rules.concat(), size);
        assert!(
            shown.contains(r#""file":"f?""#) && shown.contains(r#""x":"?""#) && !shown.contains("team-b"),
            "{shown}"
        );
    }
}

fn targets(data: &str) -> (String, Option<Unreadable>) {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    let read = |size: usize| {
        let mut filter = Filter::by_owner(Labelled::Targets, owner("team-a"), 2_000);
        let mut out = Vec::new();
        body.as_bytes().chunks(size).for_each(|part| filter.push(part, false, &mut out));
        filter.push(b"", true, &mut out);
        assert!(filter.fault().is_some() || out.len() <= body.len());
        (String::from_utf8(out).unwrap(), filter.fault())
    };
    let whole = read(usize::MAX);
    [1, 5, 80].into_iter().for_each(|size| assert_eq!(read(size), whole, "{data} in parts of {size}"));
    let (text, fault) = whole;
    let data = text.strip_prefix(r#"{"status":"success","data":"#).and_then(|data| data.strip_suffix('}'));
    (data.map_or(text.clone(), str::to_owned), fault)
}

#[test]
fn targets_are_kept_by_their_labels_and_dropped_ones_by_those_they_were_found_with() {
    let active = |tenant: &str, at: usize| {
        format!(
            r#"{{"discoveredLabels":{{"__address__":"{at}","tenant_id":"team-a"}},"labels":{{"job":"x"{tenant}}},"scrapePool":"p","lastError":"of {at}"}}"#
        )
    };
    let dropped = |label: &str| format!(r#"{{"discoveredLabels":{{"__address__":"1"{label}}},"scrapePool":"of all"}}"#);
    let (own, other, bare) = (r#","tenant_id":"team-a""#, r#","tenant_id":"team-b""#, "");
    let data = format!(
        r#"{{"activeTargets":[{},{},{},{}],"droppedTargets":[{},{},{}],"droppedTargetCounts":{{"team-b's pool":7}},"other":["team-b"]}}"#,
        active(other, 0),
        active(own, 1),
        active(bare, 2),
        active(own, 3),
        dropped(bare),
        dropped(other),
        dropped(own)
    );
    let expected = format!(
        r#"{{"activeTargets":[{},{}],"droppedTargets":[{}],"droppedTargetCounts":{{}}}}"#,
        active(own, 1),
        active(own, 3),
        dropped(own)
    );
    assert_eq!(targets(&data), (expected, None));
    assert_eq!(
        targets(r#"{"activeTargets":null,"droppedTargets":[]}"#).0,
        r#"{"activeTargets":null,"droppedTargets":[]}"#
    );
    assert_eq!(
        targets(r#"{"droppedTargetCounts":{"a":1},"droppedTargets":[],"activeTargets":[]}"#).0,
        r#"{"droppedTargetCounts":{},"droppedTargets":[],"activeTargets":[]}"#
    );
}

#[test]
fn targets_are_bounded_by_the_tenant_s_own_largest() {
    let target = |tenant: &str, length: usize| {
        format!(r#"{{"lastError":"{}","labels":{{"tenant_id":"{tenant}"}}}}"#, "x".repeat(length))
    };
    let data = |first: &str, second: &str| format!(r#"{{"activeTargets":[{first},{second}]}}"#);
    let own = target("team-a", 10);
    assert_eq!(targets(&data(&target("team-b", 100_000), &own)).0, format!(r#"{{"activeTargets":[{own}]}}"#));
    assert_eq!(targets(&data(&own, &target("team-a", 3_000))).1, Some(Unreadable::TooLarge));
}

#[test]
fn targets_of_another_shape_are_faults() {
    for data in [
        "[]",
        r#"{"activeTargets":{}}"#,
        r#"{"activeTargets":[],"activeTargets":[]}"#,
        r#"{"activeTargets":["team-b"]}"#,
        r#"{"activeTargets":[{"labels":{"tenant_id":"team-b"},"Labels":{"tenant_id":"team-a"}}]}"#,
        r#"{"droppedTargetCounts":[1]}"#,
        r#"{"droppedTargets":[{"discoveredLabels":{"tenant_id":"team-b","tenant_id":"team-a"}}]}"#,
    ] {
        let (out, fault) = targets(data);
        assert!(fault.is_some() && !out.contains("team-"), "{data}: {out}");
    }
}
