//! Rules, alerts and exemplars as Prometheus 3.16 and Thanos 0.42.5 write them.

use promql_tenancy_filter::answer::{Filter, Labelled, MAX_GROWTH, Owner, Unreadable};
use promql_tenancy_filter::scope::{OnConflict, Scope};

const OWN: Labelled = Labelled::Rules { shared: false, narrowed: false };
const WITH_SHARED: Labelled = Labelled::Rules { shared: true, narrowed: false };
const NARROWED: Labelled = Labelled::Rules { shared: false, narrowed: true };

fn owner(tenants: &str) -> Owner {
    let tenants: Vec<&str> = tenants.split('|').collect();
    Owner::new(&Scope::one_of("tenant_id".into(), &tenants, OnConflict::Replace)).expect("no pattern to run")
}

const MAX: usize = 1 << 20;

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    body: Vec<u8>,
    fault: Option<Unreadable>,
    withheld: u32,
}

fn read(labelled: Labelled, tenants: &str, max: usize, body: &[u8], size: usize) -> Read {
    let mut filter = Filter::by_owner(labelled, owner(tenants), max);
    let (mut out, mut came) = (Vec::new(), 0);
    for chunk in body.chunks(size) {
        filter.push(chunk, false, &mut out);
        came += chunk.len();
        assert!(out.len() <= came + MAX_GROWTH, "more has been written than has come");
    }
    filter.push(b"", true, &mut out);
    assert!(out.len() <= came + MAX_GROWTH, "more has been written than has come");
    assert_eq!(filter.has_written(), !out.is_empty());
    Read { body: out, fault: filter.fault(), withheld: filter.withheld() }
}

/// In chunks of many sizes, which has to make no difference.
fn read_in_chunks(labelled: Labelled, tenants: &str, max: usize, body: &[u8]) -> Read {
    let whole = read(labelled, tenants, max, body, body.len().max(1));
    for size in (1..=20).chain([64, 333, 1_400]) {
        assert_eq!(read(labelled, tenants, max, body, size), whole, "chunks of {size}");
    }
    whole
}

fn filter(labelled: Labelled, tenants: &str, body: &str) -> String {
    let read = read_in_chunks(labelled, tenants, MAX, body.as_bytes());
    assert_eq!(read.fault, None, "{body}");
    serde_json::from_slice::<serde_json::Value>(&read.body).expect("valid JSON");
    String::from_utf8(read.body).expect("UTF-8")
}

fn refused(labelled: Labelled, body: &str) -> Unreadable {
    read_in_chunks(labelled, "team-a", MAX, body.as_bytes()).fault.expect(body)
}

fn success(data: &str) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

fn groups(groups: &[&str]) -> String {
    success(&format!(r#"{{"groups":[{}]}}"#, groups.join(",")))
}

fn group(rules: &[&str], evaluation_time: &str) -> String {
    format!(
        r#"{{"name":"g","file":"/etc/rules.yml","rules":[{}],"interval":15,"limit":0,"evaluationTime":{evaluation_time},"lastEvaluation":"2026-01-02T03:04:05Z"}}"#,
        rules.join(",")
    )
}

fn alert(tenant: &str, state: &str) -> String {
    let label = if tenant.is_empty() { String::new() } else { format!(r#","tenant_id":"{tenant}""#) };
    format!(
        r#"{{"labels":{{"alertname":"Down","instance":"{tenant}-1"{label}}},"annotations":{{"summary":"\u003cb\u003e down"}},"state":"{state}","activeAt":"2026-01-02T03:00:00Z","value":"1e+00"}}"#
    )
}

fn alerting(label: &str, state: &str, alerts: &[String]) -> String {
    format!(
        r#"{{"state":"{state}","name":"Down","query":"up == 0","duration":60,"keepFiringFor":0,"labels":{{"severity":"page"{label}}},"annotations":{{"summary":"down"}},"alerts":[{}],"health":"ok","evaluationTime":0.0005,"lastEvaluation":"2026-01-02T03:04:05Z","type":"alerting"}}"#,
        alerts.join(",")
    )
}

fn recording(tenant: &str) -> String {
    format!(
        r#"{{"name":"job:up:sum","query":"sum by (job) (up)","labels":{{"tenant_id":"{tenant}"}},"health":"ok","evaluationTime":0.0002,"lastEvaluation":"2026-01-02T03:04:05Z","type":"recording"}}"#
    )
}

const A: &str = r#","tenant_id":"team-a""#;
const B: &str = r#","tenant_id":"team-b""#;

#[test]
fn an_answer_that_is_all_the_tenant_s_stays_as_it_is() {
    let rules = [recording("team-a"), alerting(A, "firing", &[alert("team-a", "firing"), alert("team-a", "pending")])];
    let body = groups(&[&group(&[&rules[0], &rules[1]], "0.001")]);
    assert_eq!(filter(OWN, "team-a", &body), body);
    for body in [
        success(r#"{"groups":[]}"#),
        success(r#"{"groups":null}"#),
        success("null"),
        r#"{"status":"success"}"#.to_owned(),
    ] {
        assert_eq!(filter(OWN, "team-a", &body), body);
    }
}

#[test]
fn rules_are_the_tenant_s_by_their_exact_label() {
    let body = groups(&[
        &group(&[&recording("team-b"), &recording("team-a"), &recording("team-aa")], "0.001"),
        &group(&[&recording("team-b")], "0.001"),
        &group(&[], "0.001"),
    ]);
    assert_eq!(filter(OWN, "team-a", &body), groups(&[&group(&[&recording("team-a")], "0")]));
    assert_eq!(filter(OWN, "nobody", &body), groups(&[]));
    assert_eq!(
        filter(OWN, "team-b|team-a", &body),
        groups(&[&group(&[&recording("team-b"), &recording("team-a")], "0"), &group(&[&recording("team-b")], "0.001")])
    );
}

/// From the exact times of a group and of the rules in it, or of two rules, follows how long the rules between them took, whose own
/// times are hidden.
#[test]
fn when_a_rule_was_evaluated_is_told_to_the_second() {
    let at = |text: &str, fraction: &str| text.replace("03:04:05Z", &format!("03:04:05{fraction}Z"));
    let (own, foreign) = (recording("team-a"), recording("team-b"));
    let (first, last) = (at(&own, ".100000001"), at(&alerting(A, "inactive", &[]), ".987654321"));
    let exact = at(&group(&[], "0.9"), ".1").replace("\"rules\":[]", &format!("\"rules\":[{first},{foreign},{last}]"));
    let expected = group(&[&own, &alerting(A, "inactive", &[])], "0");
    assert_eq!(filter(OWN, "team-a", &groups(&[&exact])), groups(&[&expected]));
    // Before the rules as well, in other time zones, and where it is no time.
    for (given, told) in [
        (r#""2026-01-02T03:04:05.123456789+02:00""#, r#""2026-01-02T03:04:05+02:00""#),
        (r#""0001-01-01T00:00:00Z""#, r#""0001-01-01T00:00:00Z""#),
        (r#""""#, r#""""#),
        ("null", "null"),
        ("1.5e3", "1.5e3"),
    ] {
        let group = |time: &str| format!(r#"{{"lastEvaluation":{time},"rules":[{own}]}}"#);
        assert_eq!(filter(OWN, "team-a", &groups(&[&group(given)])), groups(&[&group(told)]), "{given}");
    }
}

#[test]
fn alerts_of_other_tenants_go_and_the_state_is_that_of_the_rest() {
    for (states, before, after) in [
        (&["firing", "pending"][..], "firing", "pending"),
        (&["firing"], "firing", "inactive"),
        (&["pending"], "pending", "inactive"),
        (&["firing", "pending", "firing"], "firing", "firing"),
        (&["pending", "inactive"], "pending", "inactive"),
    ] {
        // The first one is another tenant's.
        let alerts = |tenant: &str| -> Vec<String> {
            states.iter().enumerate().map(|(at, state)| alert(if at == 0 { tenant } else { "team-a" }, state)).collect()
        };
        let body = groups(&[&group(&[&alerting(A, before, &alerts("team-b"))], "0.001")]);
        let rule = alerting(A, after, &alerts("team-b")[1..]);
        assert_eq!(filter(OWN, "team-a", &body), groups(&[&group(&[&rule], "0")]), "{states:?}");
    }
}

#[test]
fn alerts_without_the_label_stay_in_the_tenant_s_own_rule() {
    let rule = alerting(A, "firing", &[alert("", "firing")]);
    let body = groups(&[&group(&[&rule], "0.001")]);
    assert_eq!(filter(OWN, "team-a", &body), body);
    assert_eq!(filter(WITH_SHARED, "team-a", &body), body);
}

#[test]
fn a_state_that_nothing_was_taken_from_stands() {
    for state in ["inactive", "unknown"] {
        for alerts in ["null", "[]"] {
            let rule = alerting(A, state, &[]).replace(r#""alerts":[]"#, &format!(r#""alerts":{alerts}"#));
            let body = groups(&[&group(&[&rule], "0.001")]);
            assert_eq!(filter(OWN, "team-a", &body), body);
        }
    }
    // It was worked out a moment before the alerts were listed.
    for (state, alert_state) in [("pending", "firing"), ("inactive", "pending"), ("firing", "firing")] {
        let body = groups(&[&group(&[&alerting(A, state, &[alert("team-a", alert_state)])], "0.001")]);
        assert_eq!(filter(OWN, "team-a", &body), body);
    }
}

/// As with Prometheus's `exclude_alerts`, which does not go upstream: the alert that the state is of may be another tenant's.
#[test]
fn a_state_that_no_alert_accounts_for_goes() {
    for state in ["firing", "pending"] {
        let rule = alerting(A, state, &[]);
        let without = rule.replace(&format!(r#""state":"{state}","#), "");
        for alerts in [r#""alerts":null,"#, r#""alerts":[],"#, ""] {
            let [rule, without] = [&rule, &without].map(|rule| rule.replace(r#""alerts":[],"#, alerts));
            let body = groups(&[&group(&[&rule], "0.001")]);
            assert_eq!(filter(OWN, "team-a", &body), groups(&[&group(&[&without], "0.001")]));
        }
    }
    let rule = alerting(A, "firing", &[alert("team-a", "pending")]);
    let body = groups(&[&group(&[&rule], "0.001")]);
    assert_eq!(filter(OWN, "team-a", &body), body.replacen(r#""state":"firing","#, "", 1));
}

#[test]
fn a_group_that_may_have_lost_rules_on_the_way_does_not_say_how_long_they_took() {
    let body = groups(&[&group(&[&recording("team-a")], "0.001")]);
    assert_eq!(filter(NARROWED, "team-a", &body), groups(&[&group(&[&recording("team-a")], "0")]));
}

#[test]
fn last_errors_are_blanked() {
    let failed = recording("team-a")
        .replace(r#""health":"ok""#, r#""health":"err","lastError":"found duplicate series {tenant_id=\"team-b\"}""#);
    let body = groups(&[&group(&[&failed], "0.001")]);
    let blank = recording("team-a").replace(r#""health":"ok""#, r#""health":"err","lastError":"""#);
    assert_eq!(filter(OWN, "team-a", &body), groups(&[&group(&[&blank], "0.001")]));
}

#[test]
fn shared_rules_are_shown_with_the_tenant_s_active_alerts_only() {
    let template = r#","tenant_id":"{{ $labels.tenant_id }}""#;
    for label in ["", template] {
        let alerts = [alert("team-b", "firing"), alert("team-a", "pending"), alert("", "firing")];
        let body = groups(&[&group(
            &[&alerting(label, "firing", &alerts), &alerting(label, "firing", &alerts[..1])],
            "0.001",
        )]);
        assert_eq!(filter(OWN, "team-a", &body), groups(&[]));
        let rule = alerting(label, "pending", &alerts[1..2]).replace("0.0005", "0");
        assert_eq!(filter(WITH_SHARED, "team-a", &body), groups(&[&group(&[&rule], "0")]));
    }
    // Another tenant's rule is no shared one, and neither is one with an empty label.
    for label in [B, r#","tenant_id":"""#] {
        let body = groups(&[&group(&[&alerting(label, "firing", &[alert("team-a", "firing")])], "0.001")]);
        assert_eq!(filter(WITH_SHARED, "team-a", &body), groups(&[]));
    }
}

#[test]
fn what_is_not_known_goes_where_it_is_shared_and_stays_where_it_is_the_tenant_s() {
    let own = recording("team-a").replace(r#""type""#, r#""new":{"a":[1,"team-b?"]},"type""#);
    let with_more = group(&[&own], "0.001")
        .replace(r#""interval""#, r#""sourceTenants":["team-b"],"totals":{"firing":7},"interval""#);
    let body = success(&format!(r#"{{"groups":[{with_more}],"groupNextToken":"0a1b","totals":{{"firing":7}}}}"#))
        .replace(r#""data""#, r#""tenants":["team-b"],"data""#);
    assert_eq!(filter(OWN, "team-a", &body), groups(&[&group(&[&own], "0.001")]));
    let shared = alerting("", "firing", &[alert("team-a", "firing")]);
    let with_more = shared.replace(r#""type""#, r#""owners":["team-b"],"type""#);
    let body = groups(&[&group(&[&with_more], "0.001")]);
    assert_eq!(filter(WITH_SHARED, "team-a", &body), groups(&[&group(&[&shared.replace("0.0005", "0")], "0")]));
}

#[test]
fn groups_of_thanos_keep_their_keys() {
    let of_thanos =
        group(&[&recording("team-a")], "0.001").replace(r#"05.678Z""#, r#"05.678Z","partialResponseStrategy":"ABORT""#);
    assert_eq!(filter(OWN, "team-a", &groups(&[&of_thanos])), groups(&[&of_thanos]));
}

#[test]
fn alerts_are_the_tenant_s_by_their_exact_label() {
    let all = [alert("team-b", "firing"), alert("team-a", "firing"), alert("", "firing"), alert("team-a", "pending")];
    let body = success(&format!(r#"{{"alerts":[{}]}}"#, all.join(",")));
    let own = success(&format!(r#"{{"alerts":[{},{}]}}"#, all[1], all[3]));
    assert_eq!(filter(Labelled::Alerts, "team-a", &body), own);
    for body in [success(r#"{"alerts":[]}"#), success(r#"{"alerts":null}"#)] {
        assert_eq!(filter(Labelled::Alerts, "team-a", &body), body);
    }
}

#[test]
fn a_list_of_alerts_is_made_of_the_tenant_s_rules() {
    const TEAM_A: &str = r#","tenant_id":"team-a""#;
    const TEAM_B: &str = r#","tenant_id":"team-b""#;
    let own = [alert("team-a", "firing"), alert("", "pending"), alert("team-a", "pending")];
    let body = groups(&[
        &group(
            &[
                &alerting(TEAM_B, "firing", &[alert("team-b", "firing"), alert("", "firing")]),
                &recording("team-a"),
                &alerting(TEAM_A, "firing", &[own[0].clone(), alert("team-b", "firing"), own[1].clone()]),
                &alerting(TEAM_A, "inactive", &[]),
            ],
            "0.001",
        ),
        &group(&[&alerting(TEAM_B, "firing", &[alert("", "firing")])], "0.002"),
        // A rule that is nobody's has the tenant's alerts in it by their own label only.
        &group(&[&alerting("", "firing", &[alert("", "firing"), own[2].clone(), alert("team-b", "firing")])], "0.003"),
        &group(&[], "0.004"),
    ]);
    let expected = success(&format!(r#"{{"alerts":[{}]}}"#, own.join(",")));
    assert_eq!(filter(Labelled::AlertsOfRules, "team-a", &body), expected);
    for (body, expected) in [
        (groups(&[]), success(r#"{"alerts":[]}"#)),
        (success(r#"{"groups":null}"#), success(r#"{"alerts":null}"#)),
        (success(r#"{"groups":[{"name":"g","rules":null}],"groupNextToken":"0a"}"#), success(r#"{"alerts":[]}"#)),
    ] {
        assert_eq!(filter(Labelled::AlertsOfRules, "team-a", &body), expected, "{body}");
    }
    refused(Labelled::AlertsOfRules, &success(r#"{"groups":{}}"#));
    refused(
        Labelled::AlertsOfRules,
        &groups(&[&group(&[&recording("team-a").replace("\"labels\"", "\"LABELS\"")], "1")]),
    );
}

#[test]
fn exemplars_are_the_tenant_s_by_their_series() {
    let of = |tenant: &str| {
        format!(
            r#"{{"seriesLabels":{{"__name__":"http_bucket","tenant_id":"{tenant}"}},"exemplars":[{{"labels":{{"trace_id":"{tenant}-7","tenant_id":"team-a"}},"value":"0.5","timestamp":1600096945.479}}]}}"#
        )
    };
    let body = success(&format!("[{},{},{}]", of("team-b"), of("team-a"), of("team-c")));
    assert_eq!(filter(Labelled::Exemplars, "team-a", &body), success(&format!("[{}]", of("team-a"))));
    for body in [success("[]"), success("null")] {
        assert_eq!(filter(Labelled::Exemplars, "team-a", &body), body);
    }
}

#[test]
fn messages_are_filtered_as_everywhere() {
    let body = r#"{"status":"success","data":{"alerts":[]},"warnings":["receive series from Addr: thanos-b:10901 LabelSets: {tenant_id=\"team-b\"} MinTime: 1","PromQL warning: x","another message of team-b's store that names it"],"infos":["x"]}"#;
    assert_eq!(
        filter(Labelled::Alerts, "team-a", body),
        r#"{"status":"success","data":{"alerts":[]},"warnings":["the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's","PromQL warning: x"],"infos":["a message of the upstream is withheld: it may name what is not this tenant's"]}"#
    );
    assert_eq!(read_in_chunks(Labelled::Alerts, "team-a", MAX, body.as_bytes()).withheld, 3);
    let body = r#"{"status":"error","errorType":"internal","error":"error retrieving rules: proxy Rules: fetching rules from rules client thanos-b"}"#;
    assert_eq!(
        filter(OWN, "team-a", body),
        r#"{"status":"error","errorType":"internal","error":"a message of the upstream is withheld: it may name what is not this tenant's"}"#
    );
}

#[test]
fn white_space_between_tokens_is_no_matter() {
    let body = groups(&[&group(&[&recording("team-b"), &recording("team-a")], "0.001")]);
    let value: serde_json::Value = serde_json::from_str(&body).expect("valid JSON");
    let pretty = serde_json::to_string_pretty(&value).expect("valid JSON") + "\n";
    let filtered: serde_json::Value = serde_json::from_str(&filter(OWN, "team-a", &pretty)).expect("valid JSON");
    let expected: serde_json::Value = serde_json::from_str(&filter(OWN, "team-a", &body)).expect("valid JSON");
    assert_eq!(filtered, expected);
}

#[test]
fn lies_are_refused() {
    let rule = recording("team-a");
    let own = |rule: &str| groups(&[&group(&[rule], "0.001")]);
    for (lie, why) in [
        (own(&rule.replace(r#""tenant_id":"team-a""#, r#""tenant_id":"team-a","tenant_id":"team-b""#)), "two tenants"),
        (own(&rule.replace(r#""labels":"#, r#""labels":{"tenant_id":"team-b"},"labels":"#)), "two sets of labels"),
        (own(&rule.replace(r#""labels":"#, r#""Labels":{"tenant_id":"team-b"},"labels":"#)), "labels that Go reads"),
        (own(&rule.replace(r#""labels":"#, r#""label\u0073":{"tenant_id":"team-b"},"labels":"#)), "labels in disguise"),
        (own(&rule.replace(r#""type""#, r#""alerts":[],"Alerts":[{}],"type""#)), "alerts that Go reads"),
        (own(&rule.replace(r#""health":"ok""#, r#""lastError":{"team-b":1}"#)), "an error that is no text"),
        (own(&rule.replace(r#""health":"ok""#, r#""state":"team-b""#)), "a state that is none"),
        (
            own(&rule.replace(r#""labels":{"tenant_id":"team-a"}"#, r#""labels":["tenant_id","team-a"]"#)),
            "labels in a list",
        ),
        (own(&rule).replace(r#""groups""#, r#""groups":[],"groups""#), "two lists of groups"),
        (own(&rule).replace(r#""data""#, r#""data":null,"data""#), "two data"),
        (own(&rule).replace("success", "team b"), "a status that is none"),
        (own(&rule) + "{}", "something behind it"),
        (own(&rule) + "x", "something behind it"),
        (
            own(&alerting(A, "firing", &[alert("team-b", "firing"), alert("team-a", "x")])),
            "an alert's state that is none",
        ),
        (success("[]"), "another shape"),
        (success(r#"{"groups":{}}"#), "another shape"),
        (success(r#"{"groups":[[]]}"#), "another shape"),
        (success(r#"{"groups":[{"rules":[7]}]}"#), "another shape"),
        ("[]".to_owned(), "another shape"),
        (String::new(), "nothing"),
        ("null".to_owned(), "nothing"),
        ("<html>".to_owned(), "no JSON"),
    ] {
        assert_eq!(refused(OWN, &lie), Unreadable::Malformed, "{why}: {lie}");
    }
    assert_eq!(
        read_in_chunks(OWN, "team-a", MAX, b"{\"status\":\"success\",\"\xff\":1}").fault,
        Some(Unreadable::Malformed)
    );
    assert_eq!(
        refused(Labelled::Alerts, &own(&rule).replace("groups", "alerts").replace(r#""name":"g""#, r#""labels":7"#)),
        Unreadable::Malformed
    );
}

#[test]
fn truncated_answers_are_refused_wherever_they_end() {
    let body =
        groups(&[&group(&[&recording("team-a"), &alerting(A, "firing", &[alert("team-a", "firing")])], "0.001")]);
    for end in 0..body.len() {
        assert_eq!(refused(OWN, &body[..end]), Unreadable::Malformed, "{end}");
    }
}
