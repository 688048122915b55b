//! The stats: their names, types, units and tags.
//!
//! ```text
//! series   = stat [ tag ] scope                    naming "envoy"           naming "istio"
//! tag      = one of `code`, `reason`, `result`, `decision`    ";code=2xx"              ";.;code=.=2xx"
//! scope    = tenant, handler                       ";tenant=t;handler=h;"   ";.;tenant=.=t;.;handler=.=h;.;"
//! ```
//!
//! Envoy's stats of Wasm filters have no tags. The tags are written into the name, and `stats_config` in the bootstrap extracts them.
//! `naming` writes the names, and escapes values so that no value can be read as another tag.
//!
//! tests/docs.rs compares docs/stats.md with [`ALL`].

mod naming;

pub use naming::{Naming, scope, series};

/// The `tenant` tag for tenants that have no series of their own, and for requests without a tenant. It is a reserved tenant ID.
pub const OTHER: &str = "__other__";
/// The `handler` tag of requests whose path is not in the API table.
pub const NO_HANDLER: &str = "unknown";
/// The `code` tag of streams that ended without a status.
pub const NO_CODE: &str = "none";

/// The type of a stat. The numbers are those of the proxy-wasm ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum StatType {
    /// A value that only grows.
    Counter = 0,
    /// A value that can grow and shrink.
    Gauge = 1,
    /// A distribution of values.
    Histogram = 2,
}

/// A stat.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    /// The name, without tags.
    pub name: &'static str,
    /// The type.
    pub kind: StatType,
    /// The unit of its values.
    pub unit: &'static str,
    /// Whether its series have the tags `tenant` and `handler`.
    pub is_scoped: bool,
    /// The name of one more tag. Empty if there is none.
    pub tag: &'static str,
}

const fn counter(name: &'static str, unit: &'static str, tag: &'static str) -> Stat {
    Stat { name, kind: StatType::Counter, unit, is_scoped: true, tag }
}

const fn histogram(name: &'static str, unit: &'static str) -> Stat {
    Stat { name, kind: StatType::Histogram, unit, is_scoped: true, tag: "" }
}

/// Requests whose stream has ended, by class of status.
pub static REQUESTS: Stat = counter("tenancy_requests_total", "requests", "code");
/// Requests that the filter refused, by reason.
pub static REFUSED: Stat = counter("tenancy_refused_total", "requests", "reason");
/// The time from the request's headers to the end of the stream.
pub static DURATION: Stat = histogram("tenancy_request_duration_milliseconds", "milliseconds");
/// Bytes of request bodies.
pub static REQUEST_BYTES: Stat = counter("tenancy_request_bytes_total", "bytes", "");
/// Bytes of response bodies.
pub static RESPONSE_BYTES: Stat = counter("tenancy_response_bytes_total", "bytes", "");
/// Selectors that gained the tenant's matcher.
pub static SELECTORS: Stat = counter("tenancy_selectors_enforced_total", "selectors", "");
/// Messages of the upstream that were withheld from the client.
pub static WITHHELD: Stat = counter("tenancy_messages_withheld_total", "messages", "");
/// Answers that could not be forwarded as a whole, by reason.
pub static UNREADABLE: Stat = counter("tenancy_answers_unreadable_total", "answers", "reason");
/// Requests in dry run, by what would have happened.
pub static DRY_RUN: Stat = counter("tenancy_dry_run_total", "requests", "decision");
/// Requests in dry run that would have been refused, by reason.
pub static DRY_RUN_REFUSED: Stat = counter("tenancy_dry_run_refused_total", "requests", "reason");
/// Samples that queries read.
pub static SAMPLES: Stat = counter("tenancy_query_samples_total", "samples", "");
/// The largest number of samples that a query held at a time.
pub static PEAK_SAMPLES: Stat = histogram("tenancy_query_peak_samples", "samples");
/// Alerts that a shared ruler posted, by tenant and by what became of them.
pub static ALERTS: Stat = counter("tenancy_alerts_routed_total", "alerts", "result");
/// The `result` tag of alerts that were taken by the Alertmanager they were sent to.
pub const TAKEN: &str = "taken";
/// That of alerts that were sent and not taken.
pub const FAILED: &str = "failed";
/// That of alerts that are sent nowhere.
pub const UNROUTED: &str = "unrouted";
/// Requests whose stream has not ended yet.
pub static IN_FLIGHT: Stat =
    Stat { name: "tenancy_requests_in_flight", kind: StatType::Gauge, unit: "requests", is_scoped: true, tag: "" };
/// Tenants that have series of their own.
pub static TENANTS: Stat =
    Stat { name: "tenancy_tenants_tracked", kind: StatType::Gauge, unit: "tenants", is_scoped: false, tag: "" };
/// Configurations that were read, by result.
pub static RELOADS: Stat =
    Stat { is_scoped: false, ..counter("tenancy_configuration_reloads_total", "configurations", "result") };

/// Every stat.
pub static ALL: [&Stat; 16] = [
    &REQUESTS,
    &REFUSED,
    &DURATION,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &SELECTORS,
    &WITHHELD,
    &UNREADABLE,
    &DRY_RUN,
    &DRY_RUN_REFUSED,
    &SAMPLES,
    &PEAK_SAMPLES,
    &ALERTS,
    &IN_FLIGHT,
    &TENANTS,
    &RELOADS,
];

/// The class of a status, such as `2xx`, or `none` if there was no status.
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
            assert_eq!(stat.name.ends_with("_total"), stat.kind == StatType::Counter, "{stat:?}");
        }
    }

    #[test]
    fn a_status_has_one_class() {
        let classes = [0, 100, 200, 204, 302, 400, 499, 503, 599, 600].map(class);
        assert_eq!(classes, ["none", "1xx", "2xx", "2xx", "3xx", "4xx", "4xx", "5xx", "5xx", "none"]);
    }
}
