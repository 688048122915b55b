//! Web pages: with `ui`, the rows of the upstream's pages, and neutral answers.
//!
//! Neutral answers: what is answered in the place of a refusal to what a web page asks whenever it is opened, and what can't be
//! scoped to a tenant. Each says that there is nothing, in the shape that the page reads, so that it neither breaks nor complains.
//!
//! Observed with Prometheus 3.16 and Thanos 0.42.5. Pages of operators (status, configuration, storage, service discovery) ask for more:
//! that stays refused, and the page shows why.

use super::parameters as with;
use super::table::{GET, NOT_CORTEX, PROMETHEUS, THANOS, row};
use super::{Answer, Path, Route, Rule, Switch, Upstream};

/// The rows of web pages. They are looked at where no row of the API is found.
pub static PAGES: &[Route] = &[
    // `newUIReactRouterPaths` and what stands below it in Prometheus 3.16's web/web.go; `reactRouterPaths` in Thanos 0.42.5's
    // pkg/ui/ui.go, without the pages of components that answer no queries.
    moved(PROMETHEUS, "", "/query"),
    moved(PROMETHEUS, "/", "/query"),
    moved(PROMETHEUS, "/graph", "/query"),
    page(PROMETHEUS, "/query"),
    moved(THANOS, "", "/graph"),
    moved(THANOS, "/", "/graph"),
    page(THANOS, "/graph"),
    page(THANOS, "/stores"),
    page(PROMETHEUS, "/alertmanager-discovery"),
    page(NOT_CORTEX, "/alerts"),
    page(NOT_CORTEX, "/config"),
    page(NOT_CORTEX, "/flags"),
    page(NOT_CORTEX, "/rules"),
    page(NOT_CORTEX, "/service-discovery"),
    page(NOT_CORTEX, "/status"),
    page(NOT_CORTEX, "/targets"),
    page(NOT_CORTEX, "/tsdb-status"),
    asset(NOT_CORTEX, Path::Exact("/favicon.ico")),
    asset(NOT_CORTEX, Path::Exact("/manifest.json")),
    asset(PROMETHEUS, Path::Exact("/favicon.svg")),
    asset(PROMETHEUS, Path::Below("/assets/")),
    asset(THANOS, Path::Below("/static/")),
];

/// A neutral answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neutral {
    /// An empty object: stores, metadata.
    Object,
    /// An empty list: notifications.
    List,
    /// No targets.
    Targets,
    /// No scrape pools.
    ScrapePools,
    /// Flags of Thanos, with the one alone that its page reads: without it, the page asks for the engine `undefined`.
    Flags,
    /// The progress of a Prometheus that starts, without a number of it.
    Replay,
    /// 204 in the place of a stream: the page then asks for notifications now and then (`apiNotifications` in web/api/v1/api.go answers so
    /// where too many streams are open).
    NoStream,
}

impl Neutral {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Neutral::Object
            | Neutral::List
            | Neutral::Targets
            | Neutral::ScrapePools
            | Neutral::Flags
            | Neutral::Replay => 200,
            Neutral::NoStream => 204,
        }
    }

    /// Its body, which is JSON; empty where it has none.
    pub fn body(self) -> &'static str {
        match self {
            Neutral::Object => r#"{"status":"success","data":{}}"#,
            Neutral::List => r#"{"status":"success","data":[]}"#,
            Neutral::Targets => {
                r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}"#
            }
            Neutral::ScrapePools => r#"{"status":"success","data":{"scrapePools":[]}}"#,
            Neutral::Flags => r#"{"status":"success","data":{"query.promql-engine":"prometheus"}}"#,
            Neutral::Replay => r#"{"status":"success","data":{"min":0,"max":0,"current":0}}"#,
            Neutral::NoStream => "",
        }
    }
}

/// A web page. What the browser shows in it, it asks of the API.
const fn page(upstreams: &'static [Upstream], path: &'static str) -> Route {
    let row = row("ui", upstreams, Path::Exact(path), GET, Rule::Page, with::NONE);
    Route { answer: Answer::Page, switch: Some(Switch::Ui), ..row }
}

const fn moved(upstreams: &'static [Upstream], path: &'static str, to: &'static str) -> Route {
    let row = row("ui", upstreams, Path::Exact(path), GET, Rule::Moved(to), with::NONE);
    Route { answer: Answer::None, switch: Some(Switch::Ui), ..row }
}

/// A script, a style or a picture of the web pages.
const fn asset(upstreams: &'static [Upstream], path: Path) -> Route {
    let row = row("ui_asset", upstreams, path, GET, Rule::Page, with::NONE);
    Route { answer: Answer::Asset, switch: Some(Switch::Ui), ..row }
}
