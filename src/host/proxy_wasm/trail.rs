//! What a request leaves behind for the operator: a filter state for access logs, and a line in the log where it is refused.
//!
//! ```text
//! state = decision " " route " " tenant     decision: forwarded, answered:<reason> or refused:<reason>; route: the handler; "-" where unknown
//! line  = "request refused: tenant=… path=… status=… reason=… request_id=…" [ " suppressed=" n ] [ " query=…" ]
//! ```
//!
//! One state holds all three, since each costs a host call on every request. The tenant stands last, for it may hold a space.

use super::calls::{self, Level, Map};
use super::pairs;
use super::refuse::Refusal;
use crate::api::Route;
use crate::config::Config;
use std::cell::RefCell;
use std::sync::Arc;

/// The property; `wasm.tenancy` among Envoy's filter states.
const STATE: &str = "tenancy";
const REQUEST_ID: &[u8] = b"x-request-id";
const UNKNOWN: &str = "-";

/// The longest text of a request that stands in a line, but for a query's.
const MAX_SHOWN: usize = 200;
/// The longest query that does.
const MAX_QUERY: usize = 2_000;

/// One request, as far as it is known.
#[derive(Default)]
pub struct Subject {
    /// The head as the host wrote it: what a refusal says of it is looked for when there is one.
    pub head: Vec<u8>,
    /// The body, where it was read and may be logged.
    pub body: Vec<u8>,
    /// The tenant, once identified.
    pub tenant: Option<Arc<str>>,
    /// The row of the API table, once found.
    pub route: Option<&'static Route>,
}

impl Subject {
    /// The tenant as it is shown.
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(UNKNOWN)
    }

    /// Notes the decision for access logs. Nothing depends on it, so a failure is nobody's.
    pub fn note(&self, decision: &[&str]) {
        let route = self.route.map_or(UNKNOWN, |route| route.handler);
        calls::set_property(STATE, [&decision.concat(), route, self.tenant()].join(" ").as_bytes());
    }

    /// Makes the head say who was identified, or that nobody was, in place of what the client said: traces and access logs read
    /// it. Only while the head can be written.
    pub fn name_in_head(&self, config: &Config) {
        let name = config.forward_tenant_header().as_bytes();
        let done = match &self.tenant {
            Some(tenant) => calls::replace_header(Map::RequestHeaders, name, tenant.as_bytes()),
            None if self.header(name).is_some() => calls::remove_header(Map::RequestHeaders, name),
            None => Ok(()),
        };
        if let Err(error) = done {
            calls::log(Level::Error, &format!("a refused request goes by the tenant that the client named: {error}"));
        }
    }

    /// Writes the line of a refusal. `suppressed`: as many before it were not written.
    pub fn log(&self, refusal: &Refusal, suppressed: u32, with_query: bool) {
        let (path, query) = split(self.header(b":path").unwrap_or(UNKNOWN.as_bytes()));
        let mut line = format!(
            "request refused: tenant={} path={} status={} reason={} request_id={}",
            shown(self.tenant().as_bytes(), MAX_SHOWN),
            shown(path, MAX_SHOWN),
            refusal.status(),
            refusal.reason(),
            shown(self.header(REQUEST_ID).unwrap_or(UNKNOWN.as_bytes()), MAX_SHOWN),
        );
        if suppressed > 0 {
            line += &format!(" suppressed={suppressed}");
        }
        if with_query {
            for text in [query, &self.body] {
                if !text.is_empty() {
                    line += " query=";
                    line += &shown(text, MAX_QUERY);
                }
            }
        }
        let level = match refusal {
            Refusal::Rejected(_) => Level::Info,
            Refusal::Host(error) => {
                line += &format!(": {error}");
                Level::Error
            }
        };
        calls::log(level, &line);
    }

    fn header(&self, wanted: &[u8]) -> Option<&[u8]> {
        pairs::read(&self.head)?.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end).unwrap_or((target, b""));
    (path, query.strip_prefix(b"?").unwrap_or(query))
}

/// A text that others chose: cut, and in quotes and escaped where it could be taken for more than one word.
fn shown(text: &[u8], max: usize) -> String {
    let text = text.get(..max).unwrap_or(text);
    let escaped = text.escape_ascii().to_string();
    if escaped.len() == text.len() && !text.contains(&b' ') { escaped } else { format!("\"{escaped}\"") }
}

/// Bounds the lines that refusals write, so that nobody can fill the log, nor hide others' lines in it: each tenant has a slot,
/// which it may share with a few others.
pub struct Lines {
    slots: RefCell<[Slot; SLOTS]>,
}

const SLOTS: usize = 32;
/// Lines a slot may write in a second.
const BURST: u32 = 5;
/// No request lasts as long, in seconds.
const SLOWEST: u64 = 600;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Default)]
struct Slot {
    second: u64,
    written: u32,
    suppressed: u32,
}

impl Default for Lines {
    fn default() -> Self {
        Lines { slots: RefCell::new([Slot::default(); SLOTS]) }
    }
}

impl Lines {
    /// How many lines were suppressed before this one, if it may be written. `now`: in nanoseconds, the time at which the request
    /// came, since that is known already. Slow requests can't turn it back; a clock that was set can.
    pub fn admit(&self, tenant: &str, now: u64) -> Option<u32> {
        let second = now / SECOND;
        let hash = tenant.bytes().fold(5_381usize, |hash, byte| hash.wrapping_mul(33) ^ usize::from(byte));
        let mut slots = self.slots.try_borrow_mut().ok()?;
        let slot = slots.get_mut(hash % SLOTS)?;
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
