//! What an exchange leaves behind for the operator: a filter state for access logs, and lines in the log.
//!
//! ```text
//! state = decision " " route " " tenant     decision: forwarded, answered:<reason> or refused:<reason>; route: the handler; "-" where unknown
//! line  = what ": tenant=… path=… " details " request_id=…" [ " suppressed=" n ] [ " query=…" ]
//! ```
//!
//! One state holds all three, since each would cost a host call on every request. The tenant stands last, for it may hold a space.

use super::effect::Level;
use super::event::Arrival;
use super::line::Line;
use crate::api::{Route, is_grpc};
use crate::{tenant, text};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

const UNKNOWN: &str = "-";

/// The longest text of a request that stands in a line, but for a query's.
const MAX_SHOWN: usize = 200;
/// The longest query that does.
const MAX_QUERY: usize = 2_000;

/// One request, as far as it is known, and as much of it as a line may show.
#[derive(Default)]
pub struct Subject {
    path: Box<[u8]>,
    request_id: Box<[u8]>,
    /// What the client asks for, in the URL and in a form, where queries may be logged.
    queries: [Box<[u8]>; 2],
    /// The client speaks gRPC.
    pub is_grpc: bool,
    /// The client sent the header that names the tenant upstream.
    pub names_tenant: bool,
    /// The tenant, once identified.
    pub tenant: Option<Arc<str>>,
    /// The row of the API table, once found.
    pub route: Option<&'static Route>,
}

impl Subject {
    /// Reads a head. `tenant_header`: the header that names the tenant upstream.
    pub fn read(arrival: &Arrival<'_>, tenant_header: &str, with_query: bool) -> Self {
        let mut subject = Subject::default();
        for (name, value) in arrival.headers {
            match *name {
                b":path" => {
                    let (path, query) = split(value);
                    subject.path = start(path, MAX_SHOWN);
                    if with_query {
                        subject.queries[0] = start(query, MAX_QUERY);
                    }
                }
                b"content-type" => subject.is_grpc = is_grpc(value),
                b"x-request-id" => subject.request_id = start(value, MAX_SHOWN),
                name if name == tenant_header.as_bytes() => subject.names_tenant = true,
                _ => {}
            }
        }
        subject
    }

    /// Notes a form that was refused.
    pub fn asked_in_form(&mut self, form: &[u8]) {
        self.queries[1] = start(form, MAX_QUERY);
    }

    /// The tenant as it is shown.
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(UNKNOWN)
    }

    /// The filter state for a decision.
    pub fn state(&self, decision: &str, reason: &str) -> String {
        let route = self.route.map_or(UNKNOWN, |route| route.handler);
        [decision, reason, " ", route, " ", self.tenant()].concat()
    }

    /// A line that says what has happened to this request.
    pub fn line(&self, what: Line, details: &str, suppressed: u32) -> String {
        let mut line =
            [what.begin(), ": tenant=", &shown(self.tenant().as_bytes()), " path=", &shown(or_unknown(&self.path))]
                .concat();
        line += " ";
        line += details;
        line += " request_id=";
        line += &shown(or_unknown(&self.request_id));
        if suppressed > 0 {
            line += &format!(" suppressed={suppressed}");
        }
        for query in self.queries.iter().filter(|query| !query.is_empty()) {
            line += " query=";
            line += &shown(query);
        }
        line
    }
}

fn or_unknown(text: &[u8]) -> &[u8] {
    if text.is_empty() { UNKNOWN.as_bytes() } else { text }
}

fn start(text: &[u8], max: usize) -> Box<[u8]> {
    text.get(..max).unwrap_or(text).into()
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end).unwrap_or((target, b""));
    (path, query.strip_prefix(b"?").unwrap_or(query))
}

/// A text that others chose: in quotes and escaped where it could be taken for more than one word.
fn shown(text: &[u8]) -> String {
    let text = text.get(..MAX_QUERY).unwrap_or(text);
    let escaped = text.escape_ascii().to_string();
    if escaped.len() == text.len() && !text.contains(&b' ') { escaped } else { format!("\"{escaped}\"") }
}

/// Bounds the lines of the log, so that no tenant can fill it. Each tenant has a slot, which it may share with a few others, and lines
/// about errors have slots of their own: refused queries can't suppress them. Requests of several tenants have a few slots besides those
/// of single tenants, since tenants can be combined in so many ways that their lines would suppress all others. Which tenants share a slot can't be computed from outside,
/// since the time at which this worker wrote its first line is part of the hash.
#[derive(Default)]
pub struct Lines {
    slots: RefCell<[[Slot; SLOTS]; 2]>,
    seed: Cell<Option<u64>>,
}

const SLOTS: usize = 32;
/// Of these, those for requests of several tenants.
const JOINED_SLOTS: usize = 4;
/// Lines a slot may write in a second.
const BURST: u32 = 5;
/// The longest that a request lasts, in seconds.
const SLOWEST: u64 = 600;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Default)]
struct Slot {
    second: u64,
    written: u32,
    suppressed: u32,
}

impl Lines {
    /// How many lines were suppressed before this one, if it may be written. `now`: in nanoseconds, the time at which the request began,
    /// since that is known already; without a clock, all lines of a slot share one second. A slow request can't turn the second back; a
    /// clock that was set can.
    pub fn admit(&self, tenant: &str, level: Level, now: Option<u64>) -> Option<u32> {
        let now = now.unwrap_or(0);
        let second = now / SECOND;
        let seed = self.seed.get().unwrap_or(now);
        self.seed.set(Some(seed));
        let mut slots = self.slots.try_borrow_mut().ok()?;
        let [info, error] = &mut *slots;
        let of_level = match level {
            Level::Info => info,
            Level::Error => error,
        };
        let (single, joined) = of_level.split_at_mut_checked(SLOTS - JOINED_SLOTS)?;
        let slots = if tenant::is_joined(tenant) { joined } else { single };
        let slot = slots.get_mut(text::slot(text::hash(seed, tenant.as_bytes()), slots.len()))?;
        if slot.second < second || slot.second - second > SLOWEST {
            *slot = Slot { second, written: 0, ..*slot };
        }
        if slot.written >= BURST {
            slot.suppressed = slot.suppressed.saturating_add(1);
            return None;
        }
        slot.written += 1;
        Some(std::mem::take(&mut slot.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A stream that waits for its answer keeps this, and a worker may have thousands of them.
    #[test]
    fn no_more_of_a_head_is_kept_than_a_line_shows() {
        let long = vec![b'x'; 60_000];
        let path = [b"/api/v1/query", &long[..], b"?query=", &long].concat();
        let headers: [(&[u8], &[u8]); 4] =
            [(b":path", &path), (b"x-request-id", &long), (b"user-agent", &long), (b"cookie", &long)];
        let arrival = Arrival { headers: &headers, evidence: Some(&long), label_evidence: None, end_of_stream: true };
        let kept = |with_query: bool| {
            let subject = Subject::read(&arrival, "thanos-tenant", with_query);
            subject.path.len()
                + subject.request_id.len()
                + subject.queries.iter().map(|query| query.len()).sum::<usize>()
        };
        assert_eq!(kept(false), 2 * MAX_SHOWN);
        assert_eq!(kept(true), 2 * MAX_SHOWN + MAX_QUERY);
    }
}
