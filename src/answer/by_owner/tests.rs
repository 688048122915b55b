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
