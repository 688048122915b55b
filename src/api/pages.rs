//! Web pages: with `ui`, which pages an upstream has, the rows that stand for them, and neutral answers.
//!
//! Neutral answers: what is answered in the place of a refusal to what a web page asks whenever it is opened, and what can't be
//! scoped to a tenant. Each says that there is nothing, in the shape that the page reads, so that it neither breaks nor complains.
//!
//! Observed with Prometheus 3.16 and Thanos 0.42.5. Pages of operators (status, configuration, storage, service discovery) ask for more:
//! that stays refused, and the page shows why.

use super::parameters as with;
use super::table::{GET, NOT_CORTEX, row};
use super::{Answer, Found, Path, Route, Rule, Switch, Upstream};

/// The web pages that an upstream has. Names stand for paths below a prefix, without the first slash.
#[derive(Debug)]
pub struct Pages {
    /// The first page.
    pub home: &'static str,
    /// Older names of the first page.
    pub moved: &'static [&'static str],
    /// The others.
    pub others: &'static [&'static str],
    /// What pages are made of: files, and folders of files, which end in a slash.
    pub files: &'static [&'static str],
}

/// `newUIReactRouterPaths` and what stands below it in Prometheus 3.16's web/web.go.
pub const PROMETHEUS: Pages = Pages {
    home: "query",
    moved: &["", "graph"],
    others: &[
        "alertmanager-discovery",
        "alerts",
        "config",
        "flags",
        "rules",
        "service-discovery",
        "status",
        "targets",
        "tsdb-status",
    ],
    files: &["assets/", "favicon.ico", "favicon.svg", "manifest.json"],
};

/// `reactRouterPaths` in Thanos 0.42.5's pkg/ui/ui.go, without the pages of components that answer no queries.
pub const THANOS: Pages = Pages {
    home: "graph",
    moved: &[""],
    others: &["alerts", "config", "flags", "rules", "service-discovery", "status", "stores", "targets", "tsdb-status"],
    files: &["static/", "favicon.ico", "manifest.json"],
};

/// What stands for a page.
pub static PAGE: Route = Route { answer: Answer::Page, ..page("ui", Rule::Page) };
/// What stands for the root, and for older names of the first page.
pub static HOME: Route = Route { answer: Answer::None, ..page("ui", Rule::Home) };
/// What stands for a script, a style or a picture of the pages.
pub static ASSET: Route = Route { answer: Answer::Asset, ..page("ui_asset", Rule::Page) };

/// The row for the path of a web page, or of a file that it is made of, from which the prefix has been taken.
pub fn find_page(upstream: Upstream, path: &[u8]) -> Option<Found<'_>> {
    let pages = upstream.profile().pages.as_ref()?;
    let name = match path {
        b"" => path,
        _ => path.strip_prefix(b"/")?,
    };
    let is = |other: &&str| name == other.as_bytes();
    let is_below = |file: &&str| name.starts_with(file.as_bytes()) && file.ends_with('/');
    let route = if is(&pages.home) || pages.others.iter().any(is) {
        &PAGE
    } else if pages.moved.iter().any(is) {
        &HOME
    } else if pages.files.iter().any(|file| is(file) || is_below(file)) {
        &ASSET
    } else {
        return None;
    };
    Some(Found { route, segment: Some(name) })
}

/// What the browser shows in a page, it asks of the API.
const fn page(handler: &'static str, rule: Rule) -> Route {
    Route { switch: Some(Switch::Ui), ..row(handler, NOT_CORTEX, Path::Below("/"), GET, rule, with::NONE) }
}

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
