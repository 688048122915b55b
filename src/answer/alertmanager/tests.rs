use super::*;
use crate::scope::OnConflict;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn own(tenants: &str) -> Own {
    let ids: Vec<&str> = tenants.split('|').collect();
    Own::new(&Scope::one_of("tenant_id".into(), &ids, OnConflict::Replace)).unwrap()
}

fn knowing(tenants: &str, ids: &[&str]) -> Own {
    own(tenants).knowing(Arc::new(ids.iter().map(|id| (*id).to_owned()).collect()))
}

/// What is written, whatever the chunks are.
fn filtered_by(part: Part, own: &Own, body: &str, max: usize) -> (String, Option<Unreadable>) {
    let mut all: Vec<(String, Option<Unreadable>)> = Vec::new();
    for size in [1, 7, body.len().max(1)] {
        let mut filter = Alertmanager::new(part, Arc::new(own.clone()), max);
        let mut out = Vec::new();
        for chunk in body.as_bytes().chunks(size) {
            filter.push(chunk, false, &mut out);
        }
        filter.push(b"", true, &mut out);
        assert!(out.len() <= body.len() || filter.fault().is_some(), "{body}");
        all.push((String::from_utf8(out).unwrap(), filter.fault()));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all.remove(0)
}

fn filtered(part: Part, own: &Own, body: &str) -> String {
    let (written, fault) = filtered_by(part, own, body, 1 << 20);
    assert_eq!(fault, None, "{body}");
    serde_json::from_str::<serde_json::Value>(&written).unwrap();
    written
}

fn alert(tenant: &str, fingerprint: &str, silenced: &str, inhibited: &str) -> String {
    format!(
        r#"{{"annotations":{{}},"endsAt":"e","fingerprint":"{fingerprint}","receivers":[{{"name":"r"}}],"startsAt":"s","status":{{"inhibitedBy":[{inhibited}],"mutedBy":["weekend"],"silencedBy":[{silenced}],"state":"suppressed"}},"updatedAt":"u","labels":{{"alertname":"A","tenant_id":"{tenant}"}}}}"#
    )
}

#[test]
fn only_the_tenant_s_alerts_are_shown_and_what_is_its_own_in_them() {
    let body = format!(
        "[{},{},{}] \n",
        alert("a", "01", r#""mine","theirs""#, r#""02","03","ff""#),
        alert("b", "02", r#""theirs""#, ""),
        alert("a", "03", "", r#""01""#),
    );
    let expected = format!("[{},{}]", alert("a", "01", r#""mine""#, r#""03""#), alert("a", "03", "", r#""01""#));
    assert_eq!(filtered(Part::Alerts, &knowing("a", &["mine"]), &body), expected);
    // Where no silences are known, none is named.
    let expected = format!("[{},{}]", alert("a", "01", "", r#""03""#), alert("a", "03", "", r#""01""#));
    assert_eq!(filtered(Part::Alerts, &own("a"), &body), expected);
    assert_eq!(filtered(Part::Alerts, &own("c"), &body), "[]");
    assert_eq!(filtered(Part::Alerts, &own("a"), "[]"), "[]");
    // Beyond what may be held, what has come counts.
    let (written, fault) = filtered_by(Part::Alerts, &own("a"), &body, 500);
    assert_eq!((written.contains("\"02\""), fault), (false, None));
}

#[test]
fn an_alert_without_the_label_or_with_a_member_that_is_not_known_shows_nothing_of_it() {
    for labels in ["{}", r#"{"tenant_id":""}"#, r#"{"Tenant_id":"a"}"#, "null"] {
        let body = format!(r#"[{{"labels":{labels},"fingerprint":"01","status":{{}}}}]"#);
        assert_eq!(filtered(Part::Alerts, &own("a"), &body), "[]", "{labels}");
    }
    let body = r#"[{"labels":{"tenant_id":"a"},"others":["b"],"status":{"others":["b"]}}]"#;
    assert_eq!(filtered(Part::Alerts, &own("a"), body), r#"[{"labels":{"tenant_id":"a"},"status":{}}]"#);
}

#[test]
fn a_group_is_shown_with_the_tenant_s_alerts_alone() {
    let group = |alerts: &str| {
        format!(r#"{{"alerts":[{alerts}],"labels":{{"job":"x"}},"receiver":{{"name":"r"}},"routeLabels":{{}}}}"#)
    };
    let (mine, theirs) = (alert("a", "01", "", r#""02""#), alert("b", "02", "", ""));
    let body = format!("[{},{},{}]", group(&theirs), group(&format!("{theirs},{mine}")), group(""));
    assert_eq!(filtered(Part::Groups, &own("a"), &body), format!("[{}]", group(&alert("a", "01", "", ""))));
}

fn silence(id: &str, matchers: &str) -> String {
    format!(r#"{{"id":"{id}","status":{{"state":"active"}},"comment":"c","matchers":[{matchers}]}}"#)
}

fn matcher(name: &str, value: &str, rest: &str) -> String {
    format!(r#"{{"name":"{name}","value":"{value}"{rest}}}"#)
}

#[test]
fn silences_are_the_tenant_s_by_their_matchers() {
    let equal = r#","isRegex":false,"isEqual":true"#;
    let mine = silence("m", &matcher("tenant_id", "a", equal));
    let old = silence("o", &[&*matcher("x", "y", equal), &*matcher("tenant_id", "a", r#","isRegex":false"#)].join(","));
    let others = [
        matcher("tenant_id", "b", equal),
        matcher("alertname", "A", equal),
        matcher("tenant_id", "a", r#","isRegex":false,"isEqual":false"#),
        matcher("tenant_id", "a", r#","isRegex":true,"isEqual":true"#),
        String::new(),
    ];
    let others: Vec<String> = others.iter().map(|matchers| silence("t", matchers)).collect();
    let body = format!("[{},{mine},{old}]", others.join(","));
    assert_eq!(filtered(Part::Silences, &own("a"), &body), format!("[{mine},{old}]"));
    assert_eq!(own("a").ids(body.as_bytes()), Ok(["m", "o"].map(str::to_owned).into()));
    assert_eq!(own("a").owns(mine.as_bytes()), Ok(true));
    for other in &others {
        assert_eq!(own("a").owns(other.as_bytes()), Ok(false), "{other}");
    }
    // One that is too long to be held is dropped, since it may be another's.
    let (written, fault) = filtered_by(Part::Silences, &own("a"), &format!("[{old},{mine}]"), mine.len());
    assert_eq!((written, fault), (format!("[{mine}]"), None));
}

#[test]
fn receivers_are_those_with_the_tenant_s_label() {
    let body = r#"[{"name":"old"},{"labels":{"tenant_id":"a"},"name":"mine"},{"labels":{"tenant_id":"b"},"name":"x"},{"labels":{},"name":"y"}]"#;
    assert_eq!(filtered(Part::Receivers, &own("a"), body), r#"[{"labels":{"tenant_id":"a"},"name":"mine"}]"#);
}

#[test]
fn status_tells_no_configuration_and_no_peers() {
    let body = r#"{"cluster":{"name":"01","peers":[{"address":"10.0.0.1:9094","name":"02"}],"status":"ready"},"config":{"original":"receivers: [theirs]"},"secret":"x","uptime":"2026-11-25T00:00:00Z","versionInfo":{"version":"0.35.0"}}"#;
    assert_eq!(
        filtered(Part::Status, &own("a"), body),
        r#"{"cluster":{"status":"ready"},"config":{"original":""},"uptime":"2026-11-25T00:00:00Z","versionInfo":{"version":"0.35.0"}}"#
    );
    // However long the operator's configuration is.
    let long = body.replace("theirs", &"x".repeat(100_000));
    assert!(filtered_by(Part::Status, &own("a"), &long, 1_000).1.is_none());
}

#[test]
fn what_can_t_be_read_is_a_text_that_no_client_takes_for_a_list() {
    let twice = r#"[{"labels":{"tenant_id":"a","tenant_id":"b"}}]"#;
    for (part, body, fault) in [
        (Part::Alerts, "", Unreadable::Truncated),
        (Part::Alerts, "[", Unreadable::Truncated),
        (Part::Alerts, "{}", Unreadable::Malformed),
        (Part::Alerts, "[1]", Unreadable::Malformed),
        (Part::Alerts, "[]x", Unreadable::Malformed),
        (Part::Alerts, twice, Unreadable::Malformed),
        (Part::Alerts, r#"[{"labels":{"tenant_id":"a"},"Labels":{"tenant_id":"b"}}]"#, Unreadable::Malformed),
        (Part::Alerts, r#"[{"fingerprint":"x y"}]"#, Unreadable::Malformed),
        (Part::Silences, r#"[{"matchers":[{"name":"tenant_id","value":"a"}]}]"#, Unreadable::Malformed),
        (Part::Silences, r#"[{"matchers":[],"Matchers":[]}]"#, Unreadable::Malformed),
        (Part::Status, "[]", Unreadable::Malformed),
        (Part::Status, r#"{"cluster":1}"#, Unreadable::Malformed),
    ] {
        let (written, found) = filtered_by(part, &own("a"), body, 1 << 20);
        assert_eq!(found, Some(fault), "{body}");
        assert!(
            serde_json::from_str::<String>(&written).is_ok_and(|text| text.contains("could not be filtered")),
            "{written}"
        );
    }
}
