//! Alertmanager's API: its parts, and the rows of its paths.
//!
//! Source: `api/v2/openapi.yaml` of Alertmanager 0.35. Of Cortex's and Mimir's Alertmanager, whose API is the same below a prefix, the
//! header isolates the tenants (`RegisterAlertmanager` in Cortex 1.21's pkg/api/api.go).

use super::parameters as with;
use super::{Answer, ErrorShape, Method, Parameter, Path, Route, Rule, Upstream, table};

/// A part of Alertmanager's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `alerts`: listed, and posted.
    Alerts,
    /// `alerts/groups`.
    Groups,
    /// `silences`: listed, and posted.
    Silences,
    /// `silence/<id>`: one of them.
    Silence,
    /// `receivers`.
    Receivers,
    /// `status`.
    Status,
    /// Not read: it is the tenant's own by the header.
    ByHeader,
}

/// Where one silence stands.
pub const SILENCE: Path = Path::Around("/api/v2/silence/", "");
/// Where they are listed.
pub const SILENCES: Path = Path::Exact("/api/v2/silences");
/// Where alerts are posted.
pub const ALERTS: Path = Path::Exact("/api/v2/alerts");

const ALERTMANAGER: &[Upstream] = &[Upstream::Alertmanager];
const CORTEX: &[Upstream] = &[Upstream::Cortex];
const GET: &[Method] = &[Method::Get];
const GET_POST: &[Method] = &[Method::Get, Method::Post];
const GET_DELETE: &[Method] = &[Method::Get, Method::Delete];

pub const fn part(
    handler: &'static str,
    path: Path,
    methods: &'static [Method],
    part: Part,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        answer: Answer::Alertmanager(part),
        errors: ErrorShape::Alertmanager,
        ..table::row(handler, ALERTMANAGER, path, methods, Rule::Alertmanager(part), parameters)
    }
}

pub const fn by_header(
    handler: &'static str,
    path: Path,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    Route {
        answer: Answer::Alertmanager(Part::ByHeader),
        errors: ErrorShape::Alertmanager,
        one_tenant: true,
        at_root: true,
        ..table::row(handler, CORTEX, path, methods, Rule::Alertmanager(Part::ByHeader), parameters)
    }
}

pub const ROW_ALERTS: Route = part("alerts", ALERTS, GET_POST, Part::Alerts, with::AM_ALERTS);
pub const ROW_GROUPS: Route =
    part("alert_groups", Path::Exact("/api/v2/alerts/groups"), GET, Part::Groups, with::AM_GROUPS);
pub const ROW_SILENCES: Route = part("silences", SILENCES, GET_POST, Part::Silences, with::AM_SILENCES);
pub const ROW_SILENCE: Route = part("silence", SILENCE, GET_DELETE, Part::Silence, with::NONE);
pub const ROW_RECEIVERS: Route =
    part("receivers", Path::Exact("/api/v2/receivers"), GET, Part::Receivers, with::AM_RECEIVERS);
pub const ROW_STATUS: Route = part("status", Path::Exact("/api/v2/status"), GET, Part::Status, with::NONE);

pub const CORTEX_ALERTS: Route =
    by_header("am_alerts", Path::Exact("/alertmanager/api/v2/alerts"), GET_POST, with::AM_ALERTS);
pub const CORTEX_GROUPS: Route =
    by_header("am_alert_groups", Path::Exact("/alertmanager/api/v2/alerts/groups"), GET, with::AM_GROUPS);
pub const CORTEX_SILENCES: Route =
    by_header("am_silences", Path::Exact("/alertmanager/api/v2/silences"), GET_POST, with::AM_SILENCES);
pub const CORTEX_SILENCE: Route =
    by_header("am_silence", Path::Around("/alertmanager/api/v2/silence/", ""), GET_DELETE, with::NONE);
pub const CORTEX_RECEIVERS: Route =
    by_header("am_receivers", Path::Exact("/alertmanager/api/v2/receivers"), GET, with::AM_RECEIVERS);
pub const CORTEX_STATUS: Route = by_header("am_status", Path::Exact("/alertmanager/api/v2/status"), GET, with::NONE);
/// Mimir's, which Grafana asks whether it is Mimir.
pub const CORTEX_BUILDINFO: Route =
    by_header("am_status", Path::Exact("/alertmanager/api/v1/status/buildinfo"), GET, with::NONE);
