//! Answers made to deceive, judged by another reading of them.

use super::maker::{MARKS, Maker};
use super::memory::RULES;
use super::*;

/// What a reader makes of any part of it: escapes read wherever they stand.
fn unescaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut parts = text.split("\\u");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let unit = part.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match unit {
            Some(unit) => {
                out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                out.push_str(&part[4..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

fn mark_in(out: &[u8]) -> Option<&'static str> {
    let (text, plain) = (String::from_utf8_lossy(out), unescaped(out));
    MARKS.into_iter().find(|mark| text.contains(mark) || plain.contains(mark))
}

pub struct Read {
    pub out: Vec<u8>,
    pub fault: Option<Unreadable>,
    pub grew: bool,
}

pub fn run(mut filter: Filter, body: &[u8], mut size: impl FnMut() -> usize, ends_at_once: bool) -> Read {
    let (mut out, mut at, mut grew) = (Vec::new(), 0, false);
    while at < body.len() {
        let to = body.len().min(at.saturating_add(size().max(1)));
        filter.push(&body[at..to], ends_at_once && to == body.len(), &mut out);
        at = to;
        grew |= out.len() > at && filter.fault().is_none();
    }
    if !ends_at_once || body.is_empty() {
        filter.push(b"", true, &mut out);
    }
    grew |= out.len() > body.len() && filter.fault().is_none();
    Read { out, fault: filter.fault(), grew }
}

fn attack_answer(seed: u64, findings: &mut Findings) {
    let mut maker = Maker::new(seed);
    let labelled = maker.labelled;
    let (scope, conditions) = scope(maker.scope);
    let owner = Owner::new(&scope).expect("its patterns are run");
    let text = maker.document();
    let mut body = text.clone().into_bytes();
    let what = maker.rng.weighted(&[40, 15, 45]);
    match what {
        0 => {}
        1 => maker.cut(&mut body),
        _ => maker.mutate(&mut body),
    }
    let max = if maker.rng.chance(70) { 1 << 20 } else { maker.rng.pick(&[0, 1, 30, 60, 100, 150, 250, 400, 700]) };
    // Held back, it may not grow, and what is judged depends on nothing but the messages themselves.
    let new = || Filter::by_owner(labelled, owner.clone(), max).held_back();
    let shown = |read: &Read| {
        format!(
            "seed {seed}, {labelled:?}, scope {}, max {max}\n{}\n=> {:?}\n{}\n",
            maker.scope,
            String::from_utf8_lossy(&body),
            read.fault,
            String::from_utf8_lossy(&read.out)
        )
    };
    let read = run(new(), &body, || usize::MAX, false);
    let mut rng = Rng::new(seed ^ 0xc0ffee);
    let most = rng.pick(&[1, 3, 20, 200, 1_000]);
    let again = run(new(), &body, || 1 + rng.below(most), most > 1);
    if (&read.out, read.fault) != (&again.out, again.fault) {
        // Known: see `a_fault_is_told_alike_whatever_the_chunks`.
        if read.fault.is_some() && read.fault == again.fault && max < 1 << 20 {
            findings.count("chunks: more or less is written before the same fault");
        } else {
            findings.add("chunks", || {
                format!(
                    "{}in chunks of at most {most}: {:?}\n{}",
                    shown(&read),
                    again.fault,
                    String::from_utf8_lossy(&again.out)
                )
            });
        }
    }
    if read.grew || again.grew {
        findings.add("grew", || shown(&read));
    }
    let is_error = |read: &Read| read.fault.is_some_and(|fault| read.out == fault.body());
    if what < 2 {
        for read in [&read, &again] {
            if let Some(mark) = mark_in(&read.out).filter(|_| !is_error(read)) {
                findings.add(format!("leak: {mark}"), || shown(read));
            }
        }
    }
    let reference = reference::Reference { labelled, scope: &conditions, max_labels: max.max(64 << 10), max };
    let judged =
        std::str::from_utf8(&body).ok().filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let verdict = judged.map(|text| reference.document(&reference::read(text)));
    match (&verdict, read.fault) {
        (Some(Ok(expected)), None) => {
            findings.count("judged equal");
            let out = reference::compact(&String::from_utf8_lossy(&read.out));
            // With little room, a time that comes before the rules may read 0.
            let same = |text: &str| {
                if max < 1 << 20 {
                    text.replace("\"evaluationTime\":0.25", "\"evaluationTime\":0")
                        .replace("\"evaluationTime\":777.7", "\"evaluationTime\":0")
                } else {
                    text.to_owned()
                }
            };
            if same(&out) != same(expected) {
                findings.add("not what the reference leaves", || format!("{}\nexpected\n{expected}", shown(&read)));
            }
        }
        (Some(Ok(expected)), Some(Unreadable::TooLarge)) if max < 1 << 20 => {
            findings.count("too large");
            let alone = run(new(), expected.as_bytes(), || usize::MAX, false);
            if alone.fault.is_none() {
                findings.count("too large, and not without what was removed");
            }
        }
        (Some(Ok(_)), Some(_)) => findings.add(format!("refused for nothing ({what})"), || shown(&read)),
        (Some(Err(reference::No::Refuse)), None) => findings.add("has to be refused", || shown(&read)),
        (Some(Err(_)) | None, Some(_)) => findings.count(if what == 0 { "refused, made whole" } else { "refused" }),
        // Not JSON, or not to serde_json.
        (Some(Err(reference::No::Unjudged)) | None, None) => {
            findings.count("passed, not JSON to serde_json");
            let out = String::from_utf8_lossy(&read.out);
            match serde_json::from_str::<serde::de::IgnoredAny>(&out) {
                // What is made of rules is no list of rules any more; the marks above say whether something else is in it.
                Ok(_) if labelled == Labelled::AlertsOfRules => {}
                Ok(_) => match reference.document(&reference::read(&out)) {
                    Ok(left) if left == reference::compact(&out) => {}
                    Err(reference::No::Unjudged) => {}
                    Ok(_) | Err(reference::No::Refuse) => {
                        findings.add("malformed, and not the tenant's alone", || shown(&read))
                    }
                },
                Err(error) => {
                    let error = error.to_string();
                    let is_lenient = ["number out of range", "surrogate", "hex escape", "recursion limit"]
                        .iter()
                        .any(|word| error.contains(word));
                    if !is_lenient {
                        findings.add("not JSON", || format!("{error}: {}", shown(&read)));
                    }
                }
            }
        }
    }
    // With little room, a state that is worked out again may be the byte too much.
    if read.fault.is_none() && max == 1 << 20 && labelled != Labelled::AlertsOfRules {
        let twice = run(new(), &read.out, || usize::MAX, false);
        if (&twice.out, twice.fault) != (&read.out, None) {
            findings.add("a second time, something changes", || format!("{}\n{}", shown(&read), shown(&twice)));
        }
    }
    findings.count(["whole", "cut or continued", "mutated"][what]);
}

#[test]
fn answers() {
    let mut findings = Findings::default();
    for seed in seeds(6_000) {
        attack_answer(seed, &mut findings);
    }
    findings.judge();
}

/// Prometheus writes the values of labels as they are (jsoniter's `WriteString`), and doesn't look whether what a template has made is
/// UTF-8: `x: '{{ "\xff" }}'` in the labels of an alerting rule.
#[test]
fn bytes_of_others_take_nothing_from_the_tenant() {
    let owner = Owner::new(&scope(0).0).expect("no pattern to run");
    let own = br#"{"labels":{"alertname":"Mine","tenant_id":"team-a"},"state":"firing"}"#;
    let foreign = [
        br#"{"labels":{"alertname":"Theirs","tenant_id":"team-b","x":""#.as_slice(),
        b"\xff",
        br#""},"state":"firing"}"#,
    ]
    .concat();
    let of = |alerts: &[&[u8]]| {
        [br#"{"status":"success","data":{"alerts":["#, alerts.join(&b',').as_slice(), b"]}}"].concat()
    };
    let read = run(Filter::by_owner(Labelled::Alerts, owner, 1 << 20), &of(&[own, &foreign]), || usize::MAX, false);
    let expected = of(&[own]);
    assert_eq!((String::from_utf8_lossy(&read.out), read.fault), (String::from_utf8_lossy(&expected), None));
}

#[test]
fn a_fault_is_told_alike_whatever_the_chunks() {
    let owner = Owner::new(&scope(0).0).expect("no pattern to run");
    let long = |byte: &str| byte.repeat(60);
    let body = format!(
        r#"{{"data":{{"groups":[{{"rules":[{{"labels":{{"tenant_id":"team-a"}}}}],"name":"{}","file":"{}",x{}"#,
        long("g"),
        long("f"),
        long(" ")
    );
    let told = |size: usize| {
        let read = run(Filter::by_owner(RULES, owner.clone(), 100), body.as_bytes(), || size, false);
        String::from_utf8_lossy(&read.out).into_owned()
    };
    assert_eq!(told(1), told(usize::MAX));
}
