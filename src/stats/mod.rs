//! The stats: what each is called, what it counts and by which tags, and which tenants have series of their own.
//!
//! ```text
//! series   = stat [ tag ] scope                    naming "envoy"           naming "istio"
//! tag      = one of `code`, `reason`, `result`     ";code=2xx"              ";.;code=.=2xx"
//! scope    = tenant, handler                       ";tenant=t;handler=h;"   ";.;tenant=.=t;.;handler=.=h;.;"
//! ```
//!
//! Envoy has no tags for a filter's stats: they are written into the name, and `stats_config` in the bootstrap takes them
//! out again. Each value's characters are chosen here (`naming`) so that none can pass for another tag.
//!
//! - `naming`: how a series is written
//!
//! docs/stats.md is compared with [`ALL`].

mod naming;

pub use naming::{Naming, scope, series};

/// Stands for every tenant that has no series of its own, and for requests that name none. No tenant is called so.
pub const OTHER: &str = "__other__";
/// The handler of a request whose path is in no row of the API table.
pub const NO_HANDLER: &str = "unknown";
/// The code of a stream that ended before there was a status.
pub const NO_CODE: &str = "none";

/// A stat's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Only grows.
    Counter = 0,
    /// Is what it is now.
    Gauge = 1,
    /// Counts values by their size.
    Histogram = 2,
}

/// A stat.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What its values count.
    pub unit: &'static str,
    /// Whether its series are a tenant's and a handler's.
    pub is_scoped: bool,
    /// The tag that it has besides; empty where there is none.
    pub tag: &'static str,
}

const fn counter(name: &'static str, unit: &'static str, tag: &'static str) -> Stat {
    Stat { name, kind: Kind::Counter, unit, is_scoped: true, tag }
}

const fn histogram(name: &'static str, unit: &'static str) -> Stat {
    Stat { name, kind: Kind::Histogram, unit, is_scoped: true, tag: "" }
}

/// Requests whose stream has ended, by the class of the status.
pub static REQUESTS: Stat = counter("tenancy_requests_total", "requests", "code");
/// Requests that the filter answered itself, by the reason.
pub static REFUSED: Stat = counter("tenancy_refused_total", "requests", "reason");
/// From the request's head to the end of the stream.
pub static DURATION: Stat = histogram("tenancy_request_duration_milliseconds", "milliseconds");
/// Bytes of request bodies.
pub static REQUEST_BYTES: Stat = counter("tenancy_request_bytes_total", "bytes", "");
/// Bytes of answers' bodies.
pub static RESPONSE_BYTES: Stat = counter("tenancy_response_bytes_total", "bytes", "");
/// Selectors into which the matcher was written.
pub static SELECTORS: Stat = counter("tenancy_selectors_enforced_total", "selectors", "");
/// Messages of the upstream that were withheld.
pub static WITHHELD: Stat = counter("tenancy_messages_withheld_total", "messages", "");
/// Answers that could not be passed on whole, by the reason.
pub static UNREADABLE: Stat = counter("tenancy_answers_unreadable_total", "answers", "reason");
/// Samples that queries read.
pub static SAMPLES: Stat = counter("tenancy_query_samples_total", "samples", "");
/// The most samples that a query held at a time.
pub static PEAK_SAMPLES: Stat = histogram("tenancy_query_peak_samples", "samples");
/// Requests whose stream has not ended.
pub static IN_FLIGHT: Stat =
    Stat { name: "tenancy_requests_in_flight", kind: Kind::Gauge, unit: "requests", is_scoped: true, tag: "" };
/// Tenants with series of their own.
pub static TENANTS: Stat =
    Stat { name: "tenancy_tenants_tracked", kind: Kind::Gauge, unit: "tenants", is_scoped: false, tag: "" };
/// Configurations that were read, by the result.
pub static RELOADS: Stat =
    Stat { is_scoped: false, ..counter("tenancy_configuration_reloads_total", "configurations", "result") };

/// Every stat.
pub static ALL: [&Stat; 13] = [
    &REQUESTS,
    &REFUSED,
    &DURATION,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &SELECTORS,
    &WITHHELD,
    &UNREADABLE,
    &SAMPLES,
    &PEAK_SAMPLES,
    &IN_FLIGHT,
    &TENANTS,
    &RELOADS,
];

/// The class of a status: `2xx`, or `none`.
pub fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => NO_CODE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_follow_the_convention() {
        for stat in ALL {
            assert!(stat.name.starts_with("tenancy_"), "{stat:?}");
            assert!(stat.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{stat:?}");
            assert_eq!(stat.name.ends_with("_total"), stat.kind == Kind::Counter, "{stat:?}");
        }
    }

    #[test]
    fn a_status_has_one_class() {
        let classes = [0, 100, 200, 204, 302, 400, 499, 503, 599, 600].map(class);
        assert_eq!(classes, ["none", "1xx", "2xx", "2xx", "3xx", "4xx", "4xx", "5xx", "5xx", "none"]);
    }
}
