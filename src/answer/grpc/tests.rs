//! Answers of gRPC methods: what passes of heads, messages and trailers, in pieces of every size.

use super::*;
use crate::answer::messages::WITHHELD;
use crate::config::Config;
use crate::limits::Limit;
use crate::tenant::{Federation, Format, Tenants};
use crate::wire::grpc::write_frame;
use crate::wire::labels::{Label, LabelSet};
use crate::wire::protobuf::{Message, read, write_bytes, write_number};
use crate::wire::thanos::{InfoResponse, NamesResponse};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn scope(tenants: &str) -> Scope {
    let federation = Federation::On { max_tenants: 0 };
    let tenants = Tenants::parse(tenants.as_bytes(), Format::Cortex, federation).unwrap();
    Config::parse(b"{}").unwrap().scope_of(&tenants)
}

fn scoped(call: Call, tenants: &str, max: usize) -> Scoped {
    let federation = if tenants.contains('|') { r#"{"tenant_federation":{"enabled":true}}"# } else { "{}" };
    let config = Config::parse(federation.as_bytes()).unwrap();
    let tenants = config.tenants(tenants.as_bytes()).unwrap();
    Scoped::new(call, Some(&config.scope_of(&tenants)), false, max)
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(number, content, &mut out);
    out
}

fn number(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_number(number, value, &mut out);
    out
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(message, &mut out).unwrap();
    out
}

/// A label set as a message.
fn set(labels: &[(&str, &str)]) -> Vec<u8> {
    let labels = labels.iter().map(|(name, value)| Label { name: name.as_bytes(), value: value.as_bytes() }).collect();
    let mut out = Vec::new();
    LabelSet { labels }.write(&mut out);
    out
}

const A: &[(&str, &str)] = &[("__name__", "up"), ("tenant_id", "team-a")];
const B: &[(&str, &str)] = &[("__name__", "up"), ("tenant_id", "team-b")];
const NOBODY: &[(&str, &str)] = &[("__name__", "up")];

/// What passes, what was withheld, and the fault.
type Passed = (Vec<u8>, u32, Option<Unreadable>);

fn pass(scoped: &Scoped, answer: &[u8]) -> Passed {
    let run = |size: usize| {
        let (mut frames, mut out) = (Frames::new(scoped.clone(), Asked::Unchanged), Vec::new());
        answer.chunks(size).for_each(|piece| frames.push(piece, &mut out));
        frames.end();
        (out, frames.withheld(), frames.fault())
    };
    let whole = run(answer.len().max(1));
    for size in 1..answer.len().min(60) {
        assert_eq!(run(size), whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn series_of_the_tenant_pass_and_any_other_ends_the_answer() {
    let series = |labels, chunk: usize| [set(labels), field(2, &vec![7; chunk])].concat();
    let call = scoped(Call::Series, "team-a", 1000);
    let good = frame(&field(1, &series(A, 300)));
    let batch = frame(&field(4, &[field(1, &series(A, 0)), field(1, &series(A, 10))].concat()));
    assert_eq!(pass(&call, &[&good[..], &batch].concat()), ([&good[..], &batch].concat(), 0, None));
    for labels in [B, NOBODY, &[], &[("tenant_id", "team-a"), ("tenant_id", "team-b")], &[("tenant_id", "")]] {
        for foreign in [field(1, &series(labels, 300)), field(4, &field(1, &series(labels, 3)))] {
            let (out, _, fault) = pass(&call, &[&good[..], &frame(&foreign), &good].concat());
            assert_eq!((out, fault), (good.clone(), Some(Unreadable::Foreign)), "{labels:?}");
        }
    }
    // Two tenants of one request.
    let both = [&good[..], &frame(&field(1, &series(B, 1)))].concat();
    assert_eq!(pass(&scoped(Call::Series, "team-a|team-b", 1000), &both), (both, 0, None));
}

#[test]
fn warnings_pass_by_the_same_table_as_over_http_and_hints_do_not() {
    let answer = [
        frame(&field(2, b"PromQL info: metric might not be a counter (1:1)")),
        frame(&field(2, b"receive series from Addr: 10.0.0.1:10901 LabelSets: {tenant_id=\"team-b\"}")),
        frame(&field(2, b"another of team-b")),
        frame(&field(3, b"block 01")),
    ];
    let expected = [answer[0].clone(), frame(&field(2, WITHHELD.as_bytes()))].concat();
    assert_eq!(pass(&scoped(Call::Series, "team-a", 1000), &answer.concat()), (expected, 2, None));
    // One that is too long to be held is not read.
    let long = frame(&field(2, &[b'x'; 2000]));
    assert_eq!(pass(&scoped(Call::Series, "team-a", 1000), &long), (frame(&field(2, WITHHELD.as_bytes())), 1, None));
}

#[test]
fn warnings_of_a_query_that_are_joined_pass_only_if_each_may() {
    let engine =
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:6)";
    let call = scoped(Call::Query, "team-a", 1000);
    for passes in [engine.to_owned(), format!("{engine}, {engine}")] {
        let answer = frame(&field(1, passes.as_bytes()));
        assert_eq!(pass(&call, &answer), (answer.clone(), 0, None), "{passes}");
    }
    for withheld in [format!("{engine}, receive series from team-b"), format!("receive series from team-b, {engine}")] {
        let answer = [frame(&field(2, &set(A))), frame(&field(1, withheld.as_bytes()))].concat();
        let expected = [frame(&field(2, &set(A))), frame(&field(1, WITHHELD.as_bytes()))].concat();
        assert_eq!(pass(&call, &answer), (expected, 1, None), "{withheld}");
    }
}

#[test]
fn names_are_written_without_what_the_upstream_says_of_others() {
    let answer =
        [field(1, b"job"), field(1, b"job"), field(2, b"team-b failed"), field(3, b"hint"), field(2, b"more")].concat();
    let (out, withheld, fault) = pass(&scoped(Call::LabelNames, "team-a", 1000), &frame(&answer));
    let names: NamesResponse<'_> = read(&out[5..]).unwrap();
    assert_eq!((names.names, names.warnings), (vec![&b"job"[..], b"job"], vec![WITHHELD.as_bytes()]));
    assert_eq!((withheld, fault), (2, None));
    assert_eq!(pass(&scoped(Call::LabelValues, "team-a", 1000), &frame(b"")), (frame(b""), 0, None));
    // Names are the tenant's own: there may be more of them than is held of anything else.
    let more = frame(&field(1, b"x").repeat(1000));
    assert_eq!(pass(&scoped(Call::LabelValues, "team-a", 1000), &more), (more, 0, None));
    let long = frame(&field(1, b"x").repeat(WHOLE * 1000 / 3 + 1));
    assert_eq!(pass(&scoped(Call::LabelValues, "team-a", 1000), &long).2, Some(Unreadable::TooLarge));
}

#[test]
fn exemplars_of_others_are_removed_however_large() {
    let data = |labels, size: usize| frame(&field(1, &[field(1, &set(labels)), field(2, &vec![9; size])].concat()));
    let (own, foreign) =
        (data(A, 2000), [data(B, 100_000), data(NOBODY, 1), frame(&field(1, &field(1, &vec![1; 5000])))].concat());
    let (out, withheld, fault) = pass(&scoped(Call::Exemplars, "team-a", 1000), &[&own[..], &foreign, &own].concat());
    // Labels that are longer than may be held are not the tenant's. Nothing tells that there was something of others.
    assert_eq!((out, withheld, fault), ([&own[..], &own].concat(), 0, None));
}

#[test]
fn targets_are_the_tenants_by_label() {
    let active = |labels| field(1, &[field(1, &set(NOBODY)), field(2, &set(labels)), field(3, b"pool")].concat());
    let dropped = |labels| field(2, &field(1, &set(labels)));
    let answer = [active(A), active(B), active(NOBODY), dropped(A), dropped(B), dropped(NOBODY)].concat();
    let (out, withheld, fault) = pass(&scoped(Call::Targets, "team-a", 1000), &frame(&field(1, &answer)));
    assert_eq!(out, [frame(&field(1, &active(A))), frame(&field(1, &dropped(A)))].concat());
    assert_eq!((withheld, fault), (0, None));
}

#[test]
fn targets_of_others_count_towards_nothing_and_one_s_own_that_is_too_large_is_an_error() {
    let call = scoped(Call::Targets, "team-a", 1000);
    let active = |labels, size: usize| {
        let error = field(6, &vec![b'x'; size]);
        frame(&field(1, &field(1, &[field(1, &set(NOBODY)), field(2, &set(labels)), error].concat())))
    };
    let long_labels =
        frame(&field(1, &field(1, &field(2, &set(&[("tenant_id", "team-a"), ("x", &"y".repeat(2000))])))));
    let many = |labels| frame(&field(1, &field(1, &[field(2, &set(labels)), field(9, &[1; 90]).repeat(20)].concat())));
    let own = active(A, 10);
    for foreign in [active(B, 5000), many(B), active(NOBODY, 5000), long_labels] {
        assert_eq!(pass(&call, &[&own[..], &foreign, &own].concat()), (own.repeat(2), 0, None));
    }
    for large in [active(A, 5000), many(A)] {
        assert_eq!(pass(&call, &[&own[..], &large].concat()), (own.clone(), 0, Some(Unreadable::TooLarge)));
    }
    let mut frames = Frames::new(call, Asked::Unchanged);
    frames.push(&active(A, 5000), &mut Vec::new());
    let edits = trailers(&mut frames, &[("grpc-status", "0")]);
    let text = "the upstream's answer could not be filtered: it is larger than max_response_bytes; ask the operator";
    assert_eq!(edits.set, [("grpc-status", "8".to_owned()), ("grpc-message", text.to_owned())]);
}

#[test]
fn rules_are_the_tenants_and_so_are_the_alerts_in_them() {
    let recording = |labels| {
        field(3, &field(1, &[field(1, b"name"), field(3, &set(labels)), field(5, b"error of team-b")].concat()))
    };
    let instance = |labels, state| field(7, &[field(1, &set(labels)), number(3, state)].concat());
    let alert = |labels, instances: &[u8]| {
        field(
            3,
            &field(
                2,
                &[&number(1, 3)[..], &field(2, b"alert"), &field(5, &set(labels)), instances, &field(9, b"error")]
                    .concat(),
            ),
        )
    };
    let (head, tail) = ([field(1, b"group"), field(2, b"file")].concat(), [number(4, 1), number(5, 9)].concat());
    let rules = [
        recording(A),
        recording(B),
        recording(NOBODY),
        alert(B, &instance(B, 3)),
        // Its state is worked out again, since an alert of another tenant was removed.
        alert(A, &[instance(A, 2), instance(B, 3), instance(NOBODY, 1)].concat()),
    ];
    let group = frame(&field(1, &[&head[..], &rules.concat(), &tail].concat()));
    let foreign = frame(&field(1, &[&head[..], &recording(B)].concat()));
    let (out, withheld, fault) = pass(&scoped(Call::Rules, "team-a", 1000), &[group, foreign].concat());
    let kept = [
        field(3, &field(1, &[field(1, b"name"), field(3, &set(A))].concat())),
        field(
            3,
            &field(
                2,
                &[number(1, 2), field(2, b"alert"), field(5, &set(A)), instance(A, 2), instance(NOBODY, 1)].concat(),
            ),
        ),
    ];
    assert_eq!(out, frame(&field(1, &[&head[..], &kept.concat(), &number(4, 1)].concat())));
    assert_eq!((withheld, fault), (0, None));
}

fn info(tenants: &str, answer: &[u8]) -> (Vec<u8>, Option<Unreadable>) {
    let (out, _, fault) = pass(&scoped(Call::Info, tenants, 1000), &frame(answer));
    (out, fault)
}

#[test]
fn info_tells_of_the_tenants_stores_only() {
    let database =
        |labels, min: u64, max: u64| field(6, &[field(1, &set(labels)), number(2, min), number(3, max)].concat());
    let store = [
        number(1, 1),
        number(2, 99),
        number(3, 1),
        number(5, 1),
        database(A, 20, 30),
        database(B, 1, 99),
        database(A, 10, 25),
    ];
    let answer = [
        field(1, &set(A)),
        field(1, &set(B)),
        field(2, b"receive"),
        field(3, &store.concat()),
        field(4, b""),
        field(5, b""),
        field(7, &[number(1, 5), number(2, 9)].concat()),
        field(8, b""),
        field(9, b""),
    ];
    let (out, fault) = info("team-a", &answer.concat());
    assert_eq!(fault, None);
    let read: InfoResponse<'_> = read(&out[5..]).unwrap();
    let own = |labels: &[(&'static str, &'static str)]| LabelSet {
        labels: labels.iter().map(|(name, value)| Label { name: name.as_bytes(), value: value.as_bytes() }).collect(),
    };
    assert_eq!(read.label_sets, [own(A)]);
    let store = read.store.unwrap();
    assert_eq!((store.min_time, store.max_time, store.tsdb_infos.len()), (10, 30, 2));
    assert!(store.supports_sharding && store.supports_without_replica_labels);
    assert!(read.rules.is_some() && read.query.is_some() && read.metric_metadata.is_none() && read.status.is_none());
    assert_eq!(read.exemplars.map(|times| (times.min_time, times.max_time)), Some((0, i64::MAX)));
}

#[test]
fn info_of_stores_that_do_not_name_the_tenant_names_it() {
    let own = |tenant: &str| field(1, &set(&[("tenant_id", tenant)]));
    let cluster = field(1, &set(&[("cluster", "one")]));
    assert_eq!(info("team-a", &cluster).0, frame(&own("team-a")));
    // Any series may be there.
    assert_eq!(info("team-a", &field(2, b"query")).0, frame(&[own("team-a"), field(2, b"query")].concat()));
    assert_eq!(info("team-a", &field(1, &set(B))).0, frame(&own("team-a")));
    assert_eq!(
        info("team-a", &[cluster.clone(), field(1, &set(A))].concat()).0,
        frame(&[field(1, &set(A)), own("team-a")].concat())
    );
    assert_eq!(info("team-a|team-b", &cluster).0, frame(&[own("team-a"), own("team-b")].concat()));
    // Databases likewise; their times are the tenant's to know as far as its own databases tell.
    let store = field(3, &[number(1, 7), number(2, 9)].concat());
    let (out, _) = info("team-a", &[cluster, store].concat());
    let read: InfoResponse<'_> = read(&out[5..]).unwrap();
    assert_eq!(read.store.map(|store| (store.min_time, store.max_time)), Some((0, i64::MAX)));
}

#[test]
fn others_label_sets_don_t_count_towards_what_is_held() {
    let foreign = field(1, &set(&[("tenant_id", "team-b"), ("x", &"y".repeat(100))])).repeat(100);
    let long = field(1, &set(&[("tenant_id", "team-b"), ("x", &"y".repeat(5000))]));
    let (out, fault) = info("team-a", &[foreign, long, field(1, &set(A))].concat());
    assert_eq!((out, fault), (frame(&field(1, &set(A))), None));
}

fn trailers(frames: &mut Frames, pairs: &[(&str, &str)]) -> Trailers {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    frames.trailers(&pairs)
}

#[test]
fn trailers_keep_the_status_and_a_message_that_may_be_read() {
    let frames = || Frames::new(scoped(Call::Query, "team-a", 1000), Asked::Unchanged);
    let mut good = frames();
    good.end();
    assert_eq!(trailers(&mut good, &[("grpc-status", "0")]), Trailers::default());
    let engine = "1:5: parse error: unexpected %22%7d%22";
    assert_eq!(trailers(&mut good, &[("grpc-status", "3"), ("grpc-message", engine)]), Trailers::default());
    let edits = trailers(
        &mut good,
        &[
            ("grpc-status", "10"),
            ("grpc-message", "fetch series for {tenant_id=%22team-b%22}"),
            ("grpc-status-details-bin", "AA"),
            ("x", "1"),
        ],
    );
    assert_eq!(edits.remove, [b"grpc-status-details-bin".to_vec(), b"x".to_vec()]);
    assert_eq!(edits.set, [("grpc-message", WITHHELD.to_owned())]);
    assert_eq!(good.withheld(), 1);
    // Escapes are read before the message is judged.
    let escaped =
        trailers(&mut good, &[("grpc-status", "2"), ("grpc-message", "PromQL info: x%0Areceive series from team-b")]);
    assert_eq!(escaped.set, [("grpc-message", WITHHELD.to_owned())]);
}

#[test]
fn a_fault_is_told_in_the_trailers() {
    let mut frames = Frames::new(scoped(Call::Series, "team-a", 1000), Asked::Unchanged);
    let mut out = Vec::new();
    frames.push(&frame(&field(1, &set(B))), &mut out);
    frames.push(&frame(&field(1, &set(A))), &mut out);
    frames.end();
    let edits = trailers(&mut frames, &[("grpc-status", "0"), ("grpc-message", "")]);
    assert!(out.is_empty() && edits.remove.is_empty());
    let [("grpc-status", status), ("grpc-message", message)] = &edits.set[..] else { panic!("{edits:?}") };
    assert_eq!(status, "13");
    assert_eq!(
        message,
        "the upstream's answer could not be filtered: it holds a series of another tenant; ask the operator"
    );
    assert!(message.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%' || byte == b' '));

    // An answer that is cut since the upstream has failed keeps the upstream's status.
    let mut cut = Frames::new(scoped(Call::Series, "team-a", 1000), Asked::Unchanged);
    cut.push(b"\0\0", &mut out);
    cut.end();
    assert_eq!(
        trailers(&mut cut, &[("grpc-status", "2"), ("grpc-message", "x")]).set,
        [("grpc-message", WITHHELD.to_owned())]
    );
}

fn decide(headers: &[(&str, &str)], end_of_stream: bool, is_early: bool) -> Result<Plan, Unreadable> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    scoped(Call::Query, "team-a", 1000).decide(&Head { headers: &headers, end_of_stream, is_early }, &Asked::Unchanged)
}

#[test]
fn heads_are_grpc_or_an_error() {
    const OK: (&str, &str) = (":status", "200");
    const TYPE: (&str, &str) = ("content-type", "application/grpc");
    assert!(matches!(decide(&[OK, TYPE], false, false).unwrap().body, Body::Frames(_)));
    for (headers, expected) in [
        (&[OK, ("content-type", "application/json")][..], Unreadable::ContentType),
        (&[OK], Unreadable::ContentType),
        (&[OK, TYPE, ("grpc-encoding", "gzip")], Unreadable::ContentEncoding),
    ] {
        assert_eq!(decide(headers, false, false).unwrap_err(), expected);
    }
    assert_eq!(decide(&[OK, TYPE], false, true).unwrap_err(), Unreadable::Early);
    let replaced = decide(&[(":status", "503"), ("content-type", "text/plain")], false, false).unwrap();
    assert!(matches!(replaced.body, Body::Replaced(error) if error.status == 503));
}

#[test]
fn trailers_only_answers_are_filtered_in_the_head() {
    let head = |message| {
        [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "2"),
            ("grpc-message", message),
            ("grpc-status-details-bin", "AA"),
        ]
    };
    let plan = decide(&head("receive series from team-b"), true, false).unwrap();
    assert_eq!((plan.remove, plan.message), (vec!["grpc-status-details-bin"], Some(WITHHELD.to_owned())));
    assert!(matches!(plan.body, Body::Untouched));
    assert_eq!(decide(&head("context canceled"), true, true).unwrap().message, None);
}

#[test]
fn where_the_upstream_isolates_tenants_labels_are_not_looked_at() {
    let mut scoped = Scoped::new(Call::Series, None, false, 1000);
    for call in [Call::Series, Call::Exemplars, Call::Rules, Call::Targets] {
        scoped.call = call;
        let answer = frame(&field(1, &set(B)));
        assert_eq!(pass(&scoped, &answer), (answer.clone(), 0, None), "{call:?}");
    }
    assert!(scope("a|b").label_sets().len() == 2);
}

#[test]
fn samples_are_counted_where_asked_and_the_statistics_pass() {
    let statistics = frame(&field(3, &[number(1, 300), number(2, 20)].concat()));
    let answer = [frame(&field(2, &set(A))), statistics].concat();
    for (asked, expected) in [(false, Samples::default()), (true, Samples { total: Some(300), peak: Some(20) })] {
        let (mut frames, mut out) =
            (Frames::new(scoped(Call::QueryRange, "team-a", 1000).counting(asked), Asked::Unchanged), Vec::new());
        answer.chunks(3).for_each(|piece| frames.push(piece, &mut out));
        assert_eq!((out, frames.samples()), (answer.clone(), expected));
    }
}

#[test]
fn a_status_says_what_happened_where_the_message_may_not() {
    let mut frames = Frames::new(scoped(Call::Query, "team-a", 1000), Asked::Unchanged);
    for (status, says) in
        [("14", "UNAVAILABLE"), ("4", "DEADLINE_EXCEEDED"), ("8", "RESOURCE_EXHAUSTED"), ("2", "withheld")]
    {
        let edits = trailers(&mut frames, &[("grpc-message", "of team-b"), ("grpc-status", status)]);
        let [(MESSAGE, text)] = &edits.set[..] else { panic!("{edits:?}") };
        assert!(text.contains(says) && text.is_ascii() && !text.contains('%'), "{text}");
    }
}

#[test]
fn shared_rules_show_the_tenants_alerts_only() {
    let instance = |labels, state| field(7, &[field(1, &set(labels)), number(3, state)].concat());
    let alert = |labels, instances: &[u8]| {
        let text =
            [&number(1, 3)[..], &field(2, b"alert"), &field(5, &set(labels)), instances, &number(10, 4)].concat();
        field(3, &field(2, &text))
    };
    let group = |rules: &[Vec<u8>]| frame(&field(1, &[field(1, b"group"), rules.concat()].concat()));
    let mut call = scoped(Call::Rules, "team-a", 1000);
    call.shared = true;
    let template: &[(&str, &str)] = &[("tenant_id", "{{ $labels.team }}")];
    let rules = [
        alert(NOBODY, &[instance(A, 2), instance(B, 3)].concat()),
        alert(template, &instance(A, 3)),
        alert(NOBODY, &instance(B, 3)),
        alert(NOBODY, &[]),
    ];
    let shown = |labels, state, instances: &[u8]| {
        field(3, &field(2, &[&number(1, state)[..], &field(2, b"alert"), &field(5, &set(labels)), instances].concat()))
    };
    let expected = [shown(NOBODY, 2, &instance(A, 2)), shown(template, 3, &instance(A, 3))];
    assert_eq!(pass(&call, &group(&rules)), (group(&expected), 0, None));
    // Without the key, a rule has to be the tenant's.
    assert_eq!(pass(&scoped(Call::Rules, "team-a", 1000), &group(&rules)), (Vec::new(), 0, None));
}

/// Others' alerts in a shared rule, others' rules in a group, and one's own: what counts towards what is held.
#[test]
fn rules_and_alerts_of_others_count_towards_nothing() {
    let instance = |labels, size: usize| field(7, &[field(1, &set(labels)), field(2, &vec![b'x'; size])].concat());
    let alert = |labels, instances: &[u8]| {
        field(3, &field(2, &[&field(2, b"n")[..], &field(5, &set(labels)), instances].concat()))
    };
    let shown = |labels, instances: &[u8]| {
        field(3, &field(2, &[&number(1, 1)[..], &field(2, b"n"), &field(5, &set(labels)), instances].concat()))
    };
    let group = |rules: &[u8]| frame(&field(1, &[&field(1, b"group")[..], rules].concat()));
    let mut call = scoped(Call::Rules, "team-a", 1000);
    call.shared = true;
    let own = instance(A, 5);
    // Many, one that is large, and one whose labels are.
    let long_labels = field(7, &field(1, &set(&[("x", &"y".repeat(2000))])));
    for foreign in [instance(B, 100).repeat(100), instance(B, 5000), long_labels.clone()] {
        let rule = alert(NOBODY, &[&own[..], &foreign, &own].concat());
        assert_eq!(pass(&call, &group(&rule)), (group(&shown(NOBODY, &own.repeat(2))), 0, None));
    }
    // Nobody's alerts of one's own rule are one's own, and so is what they take.
    let large = alert(A, &[&own[..], &instance(NOBODY, 5000)].concat());
    assert_eq!(pass(&call, &group(&large)), (Vec::new(), 0, Some(Unreadable::TooLarge)));
    for foreign in [alert(B, &instance(B, 5000)), alert(B, &instance(B, 100).repeat(100)), alert(NOBODY, &long_labels)]
    {
        let rules = [&foreign[..], &alert(A, &own), &foreign].concat();
        assert_eq!(pass(&call, &group(&rules)), (group(&alert(A, &own)), 0, None));
    }
    // More own rules than are held of anything else, and more than that.
    let several = alert(A, &instance(A, 500));
    assert_eq!(pass(&call, &group(&several.repeat(10))).0, group(&several.repeat(10)));
    assert_eq!(pass(&call, &group(&several.repeat(20))).2, Some(Unreadable::TooLarge));
    assert_eq!(pass(&call, &group(&alert(B, b"").repeat(1000))), (Vec::new(), 0, None));
}

#[test]
fn of_the_members_of_a_rule_the_last_one_counts_and_labels_stand_before_alerts() {
    let call = scoped(Call::Rules, "team-a", 1000);
    let recording = |labels| field(1, &[field(1, b"n"), field(3, &set(labels))].concat());
    let alert = |labels| field(2, &[field(2, b"n"), field(5, &set(labels))].concat());
    let group = |rule: &[u8]| frame(&field(1, &field(3, rule)));
    let rule = [recording(B), alert(B), recording(A)].concat();
    assert_eq!(pass(&call, &group(&rule)), (group(&recording(A)), 0, None));
    for last in [recording(B), alert(B), alert(NOBODY)] {
        assert_eq!(pass(&call, &group(&[recording(A), alert(A), last].concat())), (Vec::new(), 0, None));
    }
    // Labels in two parts are one set.
    let both = field(1, &[field(3, &set(A)), field(3, &set(B))].concat());
    assert_eq!(pass(&call, &group(&both)), (Vec::new(), 0, None));
    let late = |before: &[u8]| field(2, &[&field(5, &set(A)), before, &field(5, &set(A))].concat());
    for before in [field(7, &field(1, &set(A))), field(10, b"")] {
        assert_eq!(pass(&call, &group(&late(&before))).2, Some(Unreadable::Message));
    }
}

#[test]
fn a_time_out_names_the_tenant_s_limit() {
    let told = Notes::new(vec![(Limit::Timeout, 1_000)]);
    let frames = |notes| Frames::new(Scoped { notes, ..scoped(Call::Query, "team-a", 1000) }, Asked::Unchanged);
    let (time_out, limit) = ("query timed out in expression evaluation", " (your limit query_timeout is 1s)");
    for (notes, said) in [(told.clone(), limit), (Notes::default(), "")] {
        let mut out = Vec::new();
        frames(notes.clone()).push(&frame(&field(1, time_out.as_bytes())), &mut out);
        assert_eq!(out, frame(&field(1, [time_out, said].concat().as_bytes())));
        let edits = trailers(&mut frames(notes), &[("grpc-status", "4"), ("grpc-message", time_out)]);
        assert_eq!(edits.set.first().map_or("", |(_, message)| message.strip_prefix(time_out).unwrap()), said);
    }
    // Of several warnings, none is said to be about it.
    let several = format!("{time_out}, PromQL info: metric might not be a counter");
    let mut out = Vec::new();
    frames(told).push(&frame(&field(1, several.as_bytes())), &mut out);
    assert_eq!(out, frame(&field(1, several.as_bytes())));
}

#[test]
fn places_in_messages_are_those_of_the_client_s_query() {
    let scope = Arc::new(scope("team-a"));
    // `up+ # x⏎ down`, which is sent as `up{tenant_id="team-a"}+ down{tenant_id="team-a"}`.
    let asked = Asked::query(b"up%2B+%23+x%0A+down", &scope);
    let frames = || Frames::new(scoped(Call::Query, "team-a", 1000), asked.clone());
    let (mut out, one) = (Vec::new(), "PromQL info: metric might not be a counter");
    let of_upstream = format!("{one}, name does not end in _total/_sum/_count/_bucket: \"up\" (1:1), {one} (1:25)");
    let of_client = format!("{one}, name does not end in _total/_sum/_count/_bucket: \"up\" (1:1), {one} (2:2)");
    frames().push(&frame(&field(1, of_upstream.as_bytes())), &mut out);
    assert_eq!(out, frame(&field(1, of_client.as_bytes())));
    let error = "1:25: parse error: unexpected %22x%22";
    let edits = trailers(&mut frames(), &[("grpc-status", "3"), ("grpc-message", error)]);
    assert_eq!(edits.set, [("grpc-message", "2:2: parse error: unexpected %22x%22".to_owned())]);
    // Trailers-only.
    let head =
        [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "3"), ("grpc-message", error)];
    let headers: Vec<_> = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let head = Head { headers: &headers, end_of_stream: true, is_early: false };
    let plan = scoped(Call::Query, "team-a", 1000).decide(&head, &asked).unwrap();
    assert_eq!((plan.message.as_deref(), plan.withheld), (Some("2:2: parse error: unexpected %22x%22"), 0));
}

#[test]
fn where_a_pattern_can_not_be_run_nothing_passes_that_it_would_filter() {
    // A pattern of RE2's that the filter does not run.
    let scope = Scope::matching("tenant_id".into(), r"\pL+".into());
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/grpc")];
    let head = Head { headers: &headers, end_of_stream: false, is_early: false };
    assert!(Owner::new(&scope).is_err());
    for call in [Call::Rules, Call::Targets, Call::Exemplars, Call::Info] {
        let refused = Scoped::new(call, Some(&scope), false, 1000).decide(&head, &Asked::Unchanged);
        assert_eq!(refused.unwrap_err(), Unreadable::Foreign, "{call:?}");
    }
    assert!(Scoped::new(Call::Series, Some(&scope), false, 1000).decide(&head, &Asked::Unchanged).is_ok());
}
