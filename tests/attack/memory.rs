//! Memory over documents that could take more than their share.

use super::*;

/// Counts what a thread has allocated.
struct Counting;

thread_local! {
    static LIVE: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
    static PEAK: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
}

fn add(size: isize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + size);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: it is the system's allocator, and counts.
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as promised by the caller.
        unsafe { std::alloc::System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: std::alloc::Layout, size: usize) -> *mut u8 {
        // Both are there while it copies.
        add(size as isize);
        add(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { std::alloc::System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

type Shape = (&'static str, Labelled, fn(usize) -> String);

pub const RULES: Labelled = Labelled::Rules { shared: false, narrowed: false };
const SHARED: Labelled = Labelled::Rules { shared: true, narrowed: false };

fn fill(unit: &str, size: usize) -> String {
    let mut out = unit.repeat(size / unit.len());
    if out.ends_with(',') {
        out.pop();
    }
    out
}

fn rules(rules: &str) -> String {
    format!(r#"{{"status":"success","data":{{"groups":[{{"name":"g","rules":[{rules}]}}]}}}}"#)
}

/// What could take more than its share, of about so many bytes.
const SHAPES: &[Shape] = &[
    ("foreign alerts", Labelled::Alerts, |n| {
        format!(r#"{{"data":{{"alerts":[{}]}}}}"#, fill(r#"{"labels":{"tenant_id":"team-b"}},"#, n))
    }),
    ("foreign rules, labels last", RULES, |n| {
        rules(&fill(r#"{"name":"x","alerts":[{},{}],"labels":{"tenant_id":"team-b"}},"#, n))
    }),
    ("one foreign rule, labels last", RULES, |n| {
        rules(&format!(r#"{{"alerts":[{}],"labels":{{"tenant_id":"team-b"}}}}"#, fill("{},", n)))
    }),
    ("one foreign rule, labels first", RULES, |n| {
        rules(&format!(r#"{{"labels":{{"tenant_id":"team-b"}},"alerts":[{}]}}"#, fill("{},", n)))
    }),
    ("nobody's rule of members", SHARED, |n| rules(&format!("{{{}}}", fill(r#""a":1,"#, n)))),
    ("own rules", RULES, |n| rules(&fill(r#"{"labels":{"tenant_id":"team-a"},"alerts":[{},{}]},"#, n))),
    ("own rule of empty alerts", RULES, |n| {
        rules(&format!(r#"{{"labels":{{"tenant_id":"team-a"}},"alerts":[{}]}}"#, fill("{},", n)))
    }),
    ("own rule of members", RULES, |n| {
        rules(&format!(r#"{{"labels":{{"tenant_id":"team-a"}},{}}}"#, fill(r#""a":1,"#, n)))
    }),
    ("own rules behind their time", RULES, |n| {
        rules(&fill(r#"{"labels":{"tenant_id":"team-a"}},"#, n)).replace(r#""name""#, r#""evaluationTime":1,"name""#)
    }),
    ("empty groups", RULES, |n| format!(r#"{{"data":{{"groups":[{}]}}}}"#, fill("{},", n))),
    ("unknown members of groups", RULES, |n| format!(r#"{{"data":{{"groups":[{{{}}}]}}}}"#, fill(r#""a":1,"#, n))),
    ("unknown members of data", RULES, |n| format!(r#"{{"data":{{{}}}}}"#, fill(r#""a":1,"#, n))),
    ("unknown members", RULES, |n| format!("{{{}}}", fill(r#""a":1,"#, n))),
    ("long names", RULES, |n| rules(&format!("{{{}}}", fill(&format!(r#""{}":1,"#, "x".repeat(4_000)), n)))),
    ("a name without an end", RULES, |n| rules(&format!("{{\"{}", fill("x", n)))),
    ("a string of escapes", Labelled::Exemplars, |n| format!(r#"{{"data":[{{"x":"{}"}}]}}"#, fill(r#"\""#, n))),
    ("foreign labels", Labelled::Exemplars, |n| {
        let labels = format!(r#"{{"seriesLabels":{{{}}}}},"#, fill(r#""":"","#, 60_000));
        format!(r#"{{"data":[{}]}}"#, fill(&labels, n))
    }),
    ("one foreign label", Labelled::Exemplars, |n| {
        format!(r#"{{"data":[{{"seriesLabels":{{"a":"{}"}}}}]}}"#, fill("x", n))
    }),
    ("depth", RULES, |n| rules(&format!(r#"{{"x":{}{}}}"#, fill("[", n / 2), fill("]", n / 2)))),
    ("messages", RULES, |n| format!(r#"{{"warnings":[{}],"data":null}}"#, fill(r#""","#, n))),
    ("messages that pass", RULES, |n| {
        format!(r#"{{"warnings":[{}],"data":null}}"#, fill(r#""PromQL warning: x","#, n))
    }),
    ("white space", RULES, |n| format!(r#"{{"data":{}null}}{}"#, fill(" ", n / 2), fill("\n", n / 2))),
    ("words", RULES, |n| rules(&format!(r#"{{"x":{}}}"#, fill("1", n)))),
];

/// Memory over what could take more than its share: it does not grow with the answer, and is a small multiple of what may be held. What
/// is read of the tenant's own rule takes 40 bytes for each alert and member of it, which is much only where these are tiny.
#[test]
fn memory_is_bounded() {
    let owner = Owner::new(&scope(0).0).expect("no pattern to run");
    let max = 64 << 10;
    let mut findings = Findings::default();
    for (name, labelled, shape) in SHAPES {
        let peak = |length: usize| {
            let body = shape(length);
            let mut out = Vec::with_capacity(2 * body.len() + 4_096);
            let mut filter = Filter::by_owner(*labelled, owner.clone(), max);
            let before = LIVE.get();
            PEAK.set(before);
            body.as_bytes().chunks(16_384).for_each(|chunk| filter.push(chunk, false, &mut out));
            filter.push(b"", true, &mut out);
            PEAK.get() - before
        };
        let [held, short, long] = [max - 200, 256 << 10, 1 << 20].map(peak);
        let times = |times: usize| isize::try_from(times * max).expect("a size");
        let most = times(if name.starts_with("own rule of") { 40 } else { 6 });
        if long > short + 1_024 || long > times(6) || held > most {
            findings.add(*name, || format!("{held} of {max}, {short} of 256 KiB, {long} of 1 MiB"));
        }
    }
    findings.judge();
}
