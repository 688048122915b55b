//! What the filter holds of an answer that streams by: only what is the tenant's own, or may be, and never more than a bound.
#![cfg(not(target_family = "wasm"))]

use promql_tenancy_filter::answer::{Filter, Labelled, MAX_GROWTH, Owner, Unreadable};
use promql_tenancy_filter::scope::{OnConflict, Scope};

/// The default of `max_response_bytes`.
const MAX: usize = 1 << 20;
const RULES: Labelled = Labelled::Rules { shared: false, narrowed: false };
const SHARED: Labelled = Labelled::Rules { shared: true, narrowed: false };

fn filter(labelled: Labelled, max: usize) -> Filter {
    Filter::by_owner(
        labelled,
        Owner::new(&Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)).expect("no pattern to run"),
        max,
    )
}

struct Read {
    text: String,
    fault: Option<Unreadable>,
    /// The most memory that was taken by what was held.
    held: usize,
}

fn read(labelled: Labelled, max: usize, body: &[u8], size: usize) -> Read {
    let mut filter = filter(labelled, max);
    let (mut out, mut held, mut came) = (Vec::new(), 0, 0);
    for chunk in body.chunks(size) {
        filter.push(chunk, false, &mut out);
        came += chunk.len();
        held = held.max(filter.held());
        assert!(out.len() <= came + MAX_GROWTH, "more has been written than has come");
    }
    filter.push(b"", true, &mut out);
    Read { text: String::from_utf8(out).expect("UTF-8"), fault: filter.fault(), held }
}

fn alert(tenant: &str, number: usize) -> String {
    format!(
        r#"{{"labels":{{"alertname":"Down","instance":"10.0.0.{number}:9090","tenant_id":"{tenant}"}},"annotations":{{"summary":"{}"}},"state":"firing","activeAt":"2026-01-02T03:04:05Z","value":"1e+00"}}"#,
        "down ".repeat(300)
    )
}

fn rule(tenant: &str, alerts: &[String]) -> String {
    let state = if alerts.is_empty() { "inactive" } else { "firing" };
    format!(
        r#"{{"state":"{state}","name":"Down","query":"up == 0","labels":{{"tenant_id":"{tenant}"}},"annotations":{{}},"alerts":[{}],"health":"ok","evaluationTime":0.5,"lastEvaluation":"2026-01-02T03:04:05Z","type":"alerting"}}"#,
        alerts.join(",")
    )
}

fn group(rules: &[String], time: &str) -> String {
    format!(r#"{{"name":"g","file":"f","rules":[{}],"interval":15,"evaluationTime":{time}}}"#, rules.join(","))
}

fn answer(groups: &[String]) -> String {
    format!(r#"{{"status":"success","data":{{"groups":[{}]}}}}"#, groups.join(","))
}

/// A rule of another tenant of five megabytes.
fn foreign() -> String {
    let alerts: Vec<String> = (0..3_000).map(|number| alert("team-b", number)).collect();
    let rule = rule("team-b", &alerts);
    assert!(rule.len() > 5_000_000);
    rule
}

#[test]
fn a_tenant_with_thousands_of_alerts_takes_nothing_from_another() {
    let own = rule("team-a", &[alert("team-a", 1)]);
    let body = answer(&[group(&[foreign(), own.clone()], "0.25")]);
    let expected = answer(&[group(&[own], "0")]);
    for size in [1_400, 65_536, body.len()] {
        let read = read(RULES, MAX, body.as_bytes(), size);
        assert_eq!((read.text.as_str(), read.fault), (expected.as_str(), None));
        assert!(read.held < 32 << 10, "{} bytes held", read.held);
    }
    let alerts: Vec<String> = (0..3_000).map(|number| alert("team-b", number)).chain([alert("team-a", 1)]).collect();
    let body = format!(r#"{{"status":"success","data":{{"alerts":[{}]}}}}"#, alerts.join(","));
    let read = read(Labelled::Alerts, MAX, body.as_bytes(), 65_536);
    assert_eq!(read.text, format!(r#"{{"status":"success","data":{{"alerts":[{}]}}}}"#, alert("team-a", 1)));
    assert!(read.held < 32 << 10, "{} bytes held", read.held);
}

/// Foreign alerts in the tenant's own rule, which is held until its end, are not held with it.
#[test]
fn alerts_of_others_do_not_count_for_the_tenant_s_rule() {
    let alerts: Vec<String> =
        (0..3_000).map(|number| alert(if number == 7 { "team-a" } else { "team-b" }, number)).collect();
    for labelled in [RULES, SHARED] {
        let body = answer(&[group(&[rule("team-a", &alerts)], "0.25")]);
        let read = read(labelled, MAX, body.as_bytes(), 1_400);
        assert_eq!((read.text, read.fault), (answer(&[group(&[rule("team-a", &alerts[7..8])], "0")]), None));
        assert!(read.held < 32 << 10, "{} bytes held", read.held);
    }
    let nobodys = |alerts: &[String]| rule("team-a", alerts).replacen(r#"{"tenant_id":"team-a"}"#, "{}", 1);
    let read = read(SHARED, MAX, answer(&[group(&[nobodys(&alerts)], "0.25")]).as_bytes(), 1_400);
    let expected = nobodys(&alerts[7..8]).replace(r#""evaluationTime":0.5"#, r#""evaluationTime":0"#);
    assert_eq!((read.text, read.fault), (answer(&[group(&[expected], "0")]), None));
    assert!(read.held < 32 << 10, "{} bytes held", read.held);
}

#[test]
fn twenty_megabytes_of_rules_pass_in_constant_memory() {
    let own = |number| rule("team-a", &[alert("team-a", number)]);
    // Groups of others, mixed ones, and some of the tenant's alone.
    let groups: Vec<String> = (0..700)
        .map(|number| match number % 20 {
            0 => group(&[own(number)], "0.25"),
            1 => group(&[rule("team-b", &[alert("team-b", number)]), own(number)], "0.25"),
            _ => group(&vec![rule("team-b", &[alert("team-b", number)]); 19], "0.25"),
        })
        .collect();
    let expected: Vec<String> = (0..700)
        .filter(|number| number % 20 < 2)
        .map(|number| group(&[own(number)], if number % 20 == 0 { "0.25" } else { "0" }))
        .collect();
    let (body, expected) = (answer(&groups), answer(&expected));
    assert!(body.len() > 20_000_000, "{}", body.len());
    for size in [1, 7, 1_400, 65_536, body.len()] {
        let read = read(RULES, MAX, body.as_bytes(), size);
        assert_eq!(read.fault, None);
        assert!(read.text == expected, "chunks of {size}");
        assert!(read.held < 256 << 10, "{} bytes held in chunks of {size}", read.held);
    }
}

/// Twenty megabytes that are all the tenant's: what is kept back is bounded, and the rest is written as it comes.
#[test]
fn what_is_kept_back_is_bounded_too() {
    let body = answer(
        &(0..1_000)
            .map(|number| group(&vec![rule("team-a", &[alert("team-a", number)]); 11], "0.25"))
            .collect::<Vec<_>>(),
    );
    assert!(body.len() > 20_000_000);
    for size in [1_400, 65_536, body.len()] {
        let read = read(RULES, MAX, body.as_bytes(), size);
        assert!(read.fault.is_none() && read.text == body, "chunks of {size}");
        assert!(read.held < 3 * MAX, "{} bytes held in chunks of {size}", read.held);
    }
}

#[test]
fn a_rule_of_the_tenant_s_that_is_larger_than_may_be_held_is_too_large() {
    let alerts: Vec<String> = (0..700).map(|number| alert("team-a", number)).collect();
    let list = format!(
        r#"{{"status":"success","data":{{"alerts":[{}]}}}}"#,
        alert("team-a", 1).replace("down ", &"down ".repeat(800))
    );
    for (labelled, body) in [
        (RULES, answer(&[group(&[rule("team-b", &[]), rule("team-a", &alerts)], "0.25")])),
        (SHARED, answer(&[group(&[rule("team-a", &alerts).replacen(r#""tenant_id":"team-a""#, "", 1)], "0.25")])),
        (Labelled::Alerts, list.clone()),
        (
            Labelled::Exemplars,
            list.replace(r#"{"alerts":["#, "[").replace("]}}", "]}").replace(r#""labels""#, r#""seriesLabels""#),
        ),
    ] {
        for size in [1, 1_400, body.len()] {
            let read = read(labelled, MAX, body.as_bytes(), size);
            assert_eq!(read.fault, Some(Unreadable::TooLarge), "{labelled:?}");
            assert_eq!(read.fault.map(Unreadable::name), Some("too_large"));
            assert!(read.text.contains("larger than max_response_bytes"), "{}", read.text);
            assert!(read.held < 5 * MAX, "{}", read.held);
        }
    }
}

/// What others write can't make an answer too large, wherever it stands.
#[test]
fn nothing_of_others_is_too_large() {
    let long = "team-b ".repeat(200_000);
    let foreign = rule("team-b", &[alert("team-b", 1)]);
    let own = rule("team-a", &[]);
    let expected = answer(&[group(std::slice::from_ref(&own), "0")]);
    for rule in [
        foreign.replace("up == 0", &long),
        foreign.replace(r#""labels":{"#, &format!(r#""labels":{{"a":"{long}","#)),
        foreign.replace(r#""state":"firing""#, &format!(r#""state":"{long}""#)),
    ] {
        let body = answer(&[group(&[rule, own.clone()], "0.25")]);
        let read = read(RULES, MAX, body.as_bytes(), 65_536);
        assert_eq!((read.text.as_str(), read.fault), (expected.as_str(), None));
        assert!(read.held < 6 * MAX, "{}", read.held);
    }
    // A group without a rule of the tenant's, and an alert in the tenant's rule.
    let other = group(std::slice::from_ref(&foreign), "0.25").replace(r#""name":"g""#, &format!(r#""name":"{long}""#));
    let alert =
        alert("team-b", 1).replace(r#"{"labels":{"#, &format!(r#"{{"annotations":"{long}","labels":{{"a":"{long}","#));
    let body = answer(&[other, group(&[rule("team-a", &[alert])], "0.25")]);
    let read = read(RULES, MAX, body.as_bytes(), 65_536);
    assert_eq!((read.text, read.fault), (answer(&[group(&[rule("team-a", &[])], "0")]), None));
    // But for a rule of the tenant's, its group's members are needed.
    let named = group(&[own], "0.25").replace(r#""name":"g""#, &format!(r#""name":"{long}""#));
    assert_eq!(self::read(RULES, MAX, answer(&[named]).as_bytes(), 65_536).fault, Some(Unreadable::TooLarge));
}

/// In another order than Prometheus's.
#[test]
fn labels_may_come_last() {
    let labels = r#""labels":{"tenant_id":"team-a"},"#;
    let last = |rule: String| {
        let without = rule.replacen(labels, "", 1);
        without[..without.len() - 1].to_owned() + "," + &labels[..labels.len() - 1] + "}"
    };
    let alerts: Vec<String> =
        (0..3_000).map(|number| alert(if number == 7 { "team-a" } else { "team-b" }, number)).collect();
    let body = answer(&[group(&[last(rule("team-a", &alerts)).replacen("firing", "pending", 1)], "0.25")]);
    let read = read(RULES, MAX, body.as_bytes(), 1_400);
    assert_eq!((read.text, read.fault), (answer(&[group(&[last(rule("team-a", &alerts[7..8]))], "0")]), None));
    assert!(read.held < 32 << 10, "{} bytes held", read.held);
}

#[test]
fn a_time_that_comes_before_the_rules_waits_for_them_within_the_bound() {
    let first = |rules: &[String], time: &str| {
        group(rules, time).replace(&format!(r#","evaluationTime":{time}}}"#), "}").replacen(
            '{',
            &format!(r#"{{"evaluationTime":{time},"#),
            1,
        )
    };
    let own = || rule("team-a", &[]);
    let all = |max: usize, rules: &[String], time: &str| {
        let body = answer(&[first(rules, time), group(&[own()], "0.75")]);
        let whole = read(RULES, max, body.as_bytes(), body.len());
        for size in [1, 7, 100] {
            assert_eq!(read(RULES, max, body.as_bytes(), size).text, whole.text, "chunks of {size}");
        }
        assert_eq!(whole.fault, None);
        whole.text
    };
    let with = |rules: &[String], time: &str| answer(&[first(rules, time), group(&[own()], "0.75")]);
    assert_eq!(all(MAX, &[own(), own()], "0.25"), with(&[own(), own()], "0.25"));
    assert_eq!(all(MAX, &[own(), rule("team-b", &[])], "0.25"), with(&[own()], "0"));
    assert_eq!(all(MAX, &[rule("team-b", &[]), own()], "0.25"), with(&[own()], "0"));
    assert_eq!(all(MAX, &[rule("team-b", &[])], "0.25"), answer(&[group(&[own()], "0.75")]));
    // Three rules are more than may be held; one is not.
    let max = own().len() * 2;
    assert_eq!(all(max, &[own()], "0.25"), with(&[own()], "0.25"));
    assert_eq!(all(max, &[own(), own(), own()], "0.25"), with(&[own(), own(), own()], "0"));
}

#[test]
fn memory_does_not_grow_with_the_answer() {
    let held = |count: usize| {
        let rules: Vec<String> =
            (0..count).map(|number| rule(if number % 7 == 0 { "team-a" } else { "team-b" }, &[])).collect();
        read(RULES, 10_000, answer(&[group(&rules, "0.25")]).as_bytes(), 1_400).held
    };
    assert_eq!(held(1_000), held(10_000));
}

#[test]
fn hostile_nesting_is_refused_or_dropped_and_needs_no_memory() {
    let depth = 1_000_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let own = rule("team-a", &[]);
    // Dropped with what isn't the tenant's, wherever it stands.
    for body in [
        answer(&[group(
            &[rule("team-b", &[]).replace(r#""health":"ok""#, &format!(r#""health":{deep}"#)), own.clone()],
            "0.25",
        )]),
        answer(&[group(&[rule("team-b", &[]), own.clone()], "0.25")
            .replace(r#""interval""#, &format!(r#""new":{deep},"interval""#))]),
        answer(&[group(&[rule("team-b", &[]), own.clone()], "0.25")])
            .replace(r#""data":{"#, &format!(r#""new":{deep},"data":{{"new":{deep},"#)),
    ] {
        let read = read(RULES, MAX, body.as_bytes(), 65_536);
        assert_eq!((read.text, read.fault), (answer(&[group(std::slice::from_ref(&own), "0")]), None));
        assert!(read.held < 32 << 10, "{} bytes held", read.held);
    }
    // The tenant's own is read.
    let body = answer(&[group(&[own.replace(r#""health":"ok""#, &format!(r#""health":{deep}"#))], "0.25")]);
    assert!(read(RULES, 8 << 20, body.as_bytes(), 65_536).fault.is_some());
    for open in ["[", "{\"a\":", r#"{"data":"#, r#"{"data":{"groups":["#, r#"{"data":{"groups":[{"rules":[{"alerts":["#]
    {
        let body = open.repeat(200_000);
        for labelled in [RULES, SHARED, Labelled::Alerts, Labelled::Exemplars] {
            let read = read(labelled, MAX, body.as_bytes(), 65_536);
            assert!(read.fault.is_some() && read.held < 4 * MAX);
        }
    }
}
