//! All that the simulated proxy holds, and the faults of a hostile one.

use super::half::Half;
use super::http::{Headers, Response};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// `WasmResult` of proxy-wasm, as far as the harness answers with it.
pub mod status {
    pub const OK: u32 = 0;
    pub const NOT_FOUND: u32 = 1;
    pub const BAD_ARGUMENT: u32 = 2;
    pub const EMPTY: u32 = 7;
    pub const CAS_MISMATCH: u32 = 8;
    pub const UNIMPLEMENTED: u32 = 12;
}

/// A host call that is made to fail: it has no effect and answers with this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub upon: Upon,
    pub status: u32,
}

/// On these no request depends: what they fail at is a line of the log, a filter state, or a stat.
pub const BESIDE_THE_POINT: [&str; 8] = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_set_property",
];

/// Which call fails. Calls are counted from the setting of the fault, the first is 0; those on which no request depends
/// are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upon {
    /// Every call of that name.
    Name(&'static str),
    /// One call.
    Nth(usize),
    /// That call and all after it.
    From(usize),
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: u32,
    pub text: String,
}

/// A stat's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub struct Metric {
    pub kind: MetricKind,
    pub name: String,
    /// A counter's or gauge's value.
    pub value: u64,
    /// What a histogram was given.
    pub records: Vec<u64>,
}

/// An HTTP call-out that the filter made.
#[derive(Debug, Clone)]
pub struct CallOut {
    pub token: u32,
    pub context: u32,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub timeout_ms: u32,
}

#[derive(Debug)]
pub struct Stream {
    pub request: Half,
    pub response: Half,
    pub properties: HashMap<Vec<u8>, Vec<u8>>,
    pub local_reply: Option<Response>,
    /// The filter cut the stream off.
    pub reset: bool,
    /// `proxy_continue_stream` was called for the request, the response.
    pub resumed: [bool; 2],
}

/// The proxy of one thread.
#[derive(Default)]
pub struct Host {
    pub plugin_configuration: Vec<u8>,
    pub vm_configuration: Vec<u8>,
    pub streams: HashMap<u32, Stream>,
    /// The context whose callback is running.
    pub active: u32,
    pub counts: BTreeMap<&'static str, usize>,
    pub logs: Vec<LogLine>,
    pub faults: Vec<Fault>,
    /// Calls since the faults were set.
    pub calls_made: usize,
    /// Bytes that are missing from every buffer that is read.
    pub short_by: usize,
    /// Handed out in place of any header map.
    pub garbage_map: Option<Vec<u8>>,
    pub metrics: Vec<Metric>,
    pub shared_data: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    pub queues: Vec<(Vec<u8>, VecDeque<Vec<u8>>)>,
    pub call_outs: Vec<CallOut>,
    /// Headers, body and trailers of the call-out's answer while its callback runs.
    pub call_out_answer: Option<Response>,
    pub next_token: u32,
    pub tick_period_ms: u32,
    pub now_ns: u64,
    /// What would hurt a real proxy or upstream; no test may leave any.
    pub violations: Vec<String>,
}

impl Host {
    /// Counts the call; the status of the fault that hits it, if one does.
    pub fn enter(&mut self, name: &'static str) -> Option<u32> {
        *self.counts.entry(name).or_default() += 1;
        let at = self.calls_made;
        let counts = !BESIDE_THE_POINT.contains(&name);
        self.calls_made += usize::from(counts);
        let hit = |fault: &&Fault| match fault.upon {
            Upon::Name(failing) => failing == name,
            Upon::Nth(nth) => counts && at == nth,
            Upon::From(first) => name != "proxy_log" && at >= first,
        };
        self.faults.iter().find(hit).map(|fault| fault.status)
    }

    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.active)
    }
}

thread_local! {
    /// Apart from the rest, which is borrowed where bytes cross.
    static CROSSED: Cell<usize> = const { Cell::new(0) };
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Works on this thread's proxy. Never call the filter from inside: its host calls need the same borrow.
pub fn with<R>(work: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with(|host| work(&mut host.borrow_mut()))
}

/// Notes that so many bytes were copied into the VM or out of it.
pub fn crossed(size: usize) {
    CROSSED.set(CROSSED.get() + size);
}

/// What was noted since this was asked last.
pub fn take_crossed() -> usize {
    CROSSED.take()
}
