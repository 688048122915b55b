//! What the exchanges of one worker share under one configuration.

use super::trail::Lines;
use crate::api::ErrorShape;
use crate::config::Config;
use crate::memo::Memo;
use crate::tenant::Evidence;
use std::cell::RefCell;
use std::sync::Arc;

/// One worker under one configuration. Made anew when the configuration changes: what was rewritten under the old one must not be
/// found again.
#[derive(Default)]
pub struct Worker {
    /// `None` where no configuration was accepted: every request is refused.
    pub(super) config: Option<Arc<Config>>,
    /// What was rewritten lately.
    pub(super) memo: RefCell<Memo>,
    /// What bounds the log.
    pub(super) lines: Lines,
}

impl Worker {
    /// A worker under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        Worker { config: Some(config), ..Worker::default() }
    }

    /// The configuration in force.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_deref()
    }

    /// What the tenant's source needs from the host besides the head.
    pub fn evidence(&self) -> Option<Evidence> {
        self.config()?.source().evidence()
    }

    /// What the labels that are enforced beside the tenant's need from the host.
    pub fn label_evidence(&self) -> Option<Evidence> {
        self.config()?.label_evidence()
    }

    /// How an error is told where the path is in no row.
    pub(super) fn errors(&self) -> ErrorShape {
        self.config().map_or(ErrorShape::Prometheus, |config| config.upstream().profile().errors)
    }

    /// The headers on which answers depend besides the URL.
    pub(super) fn vary(&self) -> Option<&Arc<str>> {
        self.config()?.vary()
    }
}
