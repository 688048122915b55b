//! The answers whose parts have labels that say whose they are.

/// The number of the list of dropped targets.
const DROPPED: usize = 1;
/// The number of what is no list: how many targets were dropped, by the names of all scrape pools. It is emptied.
pub const COUNTS: usize = 2;

/// What has labels that say whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    /// Groups of rules.
    Rules {
        /// Rules that are nobody's are kept with the alerts in them that are the tenant's.
        shared: bool,
        /// The request asked for some of them only, so that groups may have lost rules on the way here.
        narrowed: bool,
    },
    /// Alerts.
    Alerts,
    /// Groups of rules, of which a list of the alerts in them is made.
    AlertsOfRules,
    /// Exemplars.
    Exemplars,
    /// Targets, active and dropped.
    Targets,
    /// The metadata of targets.
    TargetMetadata,
}

impl Labelled {
    /// The members of `data` that hold a list. In their place among these, [`COUNTS`] of targets hold none.
    pub fn lists(self) -> &'static [&'static str] {
        match self {
            Labelled::Rules { .. } | Labelled::AlertsOfRules => &["groups"],
            Labelled::Alerts => &["alerts"],
            Labelled::Targets => &["activeTargets", "droppedTargets", "droppedTargetCounts"],
            Labelled::Exemplars | Labelled::TargetMetadata => &[],
        }
    }

    /// Whether `data` is the list itself.
    pub fn is_list(self) -> bool {
        self.lists().is_empty()
    }

    /// The name that is written in place of that of the list with this number, no longer than what came.
    pub fn written_list(self, list: usize) -> &'static str {
        match self {
            Labelled::AlertsOfRules => "alerts",
            Labelled::Rules { .. }
            | Labelled::Alerts
            | Labelled::Exemplars
            | Labelled::Targets
            | Labelled::TargetMetadata => self.lists().get(list).copied().unwrap_or_default(),
        }
    }

    /// The member that holds the labels of an item in the list with this number.
    pub fn labels(self, list: usize) -> &'static str {
        match self {
            Labelled::Rules { .. } | Labelled::Alerts | Labelled::AlertsOfRules => "labels",
            Labelled::Exemplars => "seriesLabels",
            // What was dropped has no other labels than those that it was found with.
            Labelled::Targets if list == DROPPED => "discoveredLabels",
            Labelled::Targets => "labels",
            Labelled::TargetMetadata => "target",
        }
    }
}
