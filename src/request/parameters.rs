//! Query string and form: each pair is decoded, checked against its row, enforced, and encoded again.

use super::limits::Asked;
use super::{Place, Rejection, Tenants};
use crate::answer::Statistics;
use crate::api::{Kind, Parameter, Route, Rule, Upstream};
use crate::config::Config;
use crate::go::form;
use crate::memo::{Key, Memo};
use crate::promql::{self, Reading};
use crate::scope::Scope;
use crate::text;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

/// The longest query string or form that is sent upstream. Go reads 10 MiB of a form and, past that, none of it: `FormValue`
/// drops the error (net/http/request.go, Go 1.26), and `labels` then answers for every tenant (observed with Prometheus 3.15.0).
pub const MAX_REWRITTEN: usize = 8 << 20;

/// The parameter to which a matcher is added where there is none.
const SELECTOR: &[u8] = b"match[]";
/// The parameter that asks for statistics: `true` is the least (`statsParamWarning` in Prometheus 3.16's web/api/v1/api.go).
const STATISTICS: &[u8] = b"stats";

/// What is done to the parameters of one request.
#[derive(Debug, Clone)]
pub struct Enforcement {
    route: &'static Route,
    extra: Arc<[String]>,
    /// None: nothing is rewritten (`enforce_tenancy: false`), or nothing has to be.
    scope: Option<Scope>,
    /// A request without any selector gains one.
    adds_selector: bool,
    /// The upstream is asked for statistics.
    asks_for_statistics: bool,
}

/// What was found in a query string or form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// It has a `match[]`.
    pub has_selector: bool,
    /// How many selectors the matcher was written into, those in queries among them.
    pub selectors: u32,
    /// Whether `stats` is there, and asks for anything: an empty one is not sent on.
    pub statistics: Option<bool>,
}

fn decoded<'a>(pair: &form::Raw<'a>, place: Place) -> Result<Cow<'a, [u8]>, Rejection> {
    pair.value().map_err(|error| Rejection::Form(place, error))
}

impl Enforcement {
    /// For this row and these tenants. The scope is rendered here, once a request, and only where it is used.
    pub fn new(route: &'static Route, config: &Config, tenants: &Tenants) -> Self {
        let reads_series = match route.rule {
            Rule::Queries | Rule::Selectors => true,
            // A rule that is shared has no label that the matcher would match.
            Rule::Filtered => !config.shows_shared_rules(),
            Rule::Forward | Rule::Passthrough | Rule::Refuse(_) => false,
        };
        let reads_selectors = route.parameters.iter().any(|parameter| parameter.kind == Kind::Selector);
        let adds_selector = match route.rule {
            Rule::Selectors => true,
            Rule::Filtered => reads_selectors && config.matches_rules(),
            Rule::Queries | Rule::Forward | Rule::Passthrough | Rule::Refuse(_) => false,
        };
        let scope = (reads_series && config.enforces()).then(|| config.scope(tenants));
        Enforcement {
            route,
            extra: config.extra_parameters().clone(),
            scope,
            adds_selector,
            asks_for_statistics: config.stats().samples
                && route.parameters.iter().any(|parameter| parameter.kind == Kind::Statistics),
        }
    }

    /// Asks the upstream for statistics in the URL, where that does not do so already: a form's `stats` counts before it
    /// (`Request.FormValue` in Go's net/http). Says what is done with them as far as the URL tells.
    pub fn ask_for_statistics(&self, url: &Written, out: &mut Vec<u8>) -> Statistics {
        match (self.asks_for_statistics, url.statistics) {
            (false, _) => Statistics::Unread,
            (true, Some(true)) => Statistics::Shown,
            (true, Some(false) | None) => {
                form::append(out, STATISTICS, b"true");
                Statistics::Taken
            }
        }
    }

    /// Rewrites a query string or form.
    /// Where there are limits, `asked` takes note of what they need, and keeps the times for [`Plan::settle`] to write.
    ///
    /// [`Plan::settle`]: super::limits::Plan::settle
    pub fn rewrite(
        &self,
        form: &[u8],
        place: Place,
        mut asked: Option<&mut Asked>,
        memo: &RefCell<Memo>,
        out: &mut Vec<u8>,
    ) -> Result<Written, Rejection> {
        let mut written = Written::default();
        let mut seen = 0u64;
        for pair in form::raw_pairs(form) {
            let pair = pair.map_err(|error| Rejection::Form(place, error))?;
            let mut known = self.route.parameters.iter().zip(0u32..);
            if let Some((parameter, index)) = known.find(|(parameter, _)| parameter.name.as_bytes() == &*pair.key) {
                if !parameter.repeated {
                    let bit = 1u64.checked_shl(index).ok_or(Rejection::Internal("a row with too many parameters"))?;
                    if seen & bit != 0 {
                        return Err(Rejection::Repeated(place, parameter.name));
                    }
                    seen |= bit;
                }
                self.known(parameter, &pair, place, asked.as_deref_mut(), memo, out, &mut written)?;
            } else {
                let value = decoded(&pair, place)?;
                if self.extra.iter().any(|name| name.as_bytes() == &*pair.key) {
                    form::append(out, &pair.key, &value);
                }
            }
            if out.len() > MAX_REWRITTEN {
                return Err(Rejection::TooLarge(MAX_REWRITTEN));
            }
        }
        Ok(written)
    }

    /// Writes a pair that the row knows.
    fn known(
        &self,
        parameter: &Parameter,
        pair: &form::Raw<'_>,
        place: Place,
        asked: Option<&mut Asked>,
        memo: &RefCell<Memo>,
        out: &mut Vec<u8>,
        written: &mut Written,
    ) -> Result<(), Rejection> {
        written.has_selector |= parameter.kind == Kind::Selector;
        let key = self.key(parameter, pair.encoded);
        if recall(memo, key.as_ref(), parameter, out, &mut written.selectors) {
            if let Some(asked) = asked {
                asked.takes(parameter, &decoded(pair, place)?);
            }
            return Ok(());
        }
        let given = decoded(pair, place)?;
        if self.asks_for_statistics && parameter.kind == Kind::Statistics {
            written.statistics = Some(!given.is_empty());
            if given.is_empty() {
                return Ok(());
            }
        }
        let before = written.selectors;
        let mut rewritten = Vec::new();
        let value = self.value(parameter, &given, &mut rewritten, &mut written.selectors)?;
        if !asked.is_some_and(|asked| asked.takes(parameter, &given)) {
            form::append_key(out, parameter.name.as_bytes());
            let begin = out.len();
            form::escape(out, value);
            keep(memo, key.as_ref(), out.get(begin..), written.selectors.saturating_sub(before));
        }
        Ok(())
    }

    /// Adds a selector that matches nothing, where the row's endpoint reads selectors.
    pub fn add_nothing(&self, out: &mut Vec<u8>) {
        if let (true, Some(scope)) = (self.adds_selector, &self.scope) {
            form::append(out, SELECTOR, scope.nothing().as_bytes());
        }
    }

    /// Adds a selector that is nothing but the matcher, where the row's endpoint reads selectors.
    pub fn add_selector(&self, out: &mut Vec<u8>, written: &mut Written) {
        if let (true, Some(scope)) = (self.adds_selector, &self.scope) {
            // Where the tenant label is an external label, Thanos's stores answer nothing to a selector with nothing
            // besides ("no matchers specified (excluding external labels)", pkg/store/tsdb.go, 0.42.5).
            let selector = match self.route.upstreams {
                [Upstream::Thanos] => scope.named_selector(),
                _ => scope.selector(),
            };
            form::append(out, SELECTOR, selector.as_bytes());
            written.selectors = written.selectors.saturating_add(1);
        }
    }

    /// What a parameter's value is remembered by, where it is one that is rewritten.
    fn key<'k>(&'k self, parameter: &Parameter, encoded: &'k [u8]) -> Option<Key<'k>> {
        let reading = match parameter.kind {
            Kind::Query => Reading::Expression,
            Kind::Selector => Reading::Selector,
            Kind::Expression
            | Kind::Time
            | Kind::Duration
            | Kind::Integer
            | Kind::Boolean
            | Kind::Word
            | Kind::Statistics
            | Kind::Text
            | Kind::ReplicaLabel
            | Kind::StoreSelector => return None,
        };
        Key::new(reading, encoded, self.scope.as_ref()?)
    }

    fn value<'v>(
        &self,
        parameter: &Parameter,
        value: &'v [u8],
        rewritten: &'v mut Vec<u8>,
        selectors: &mut u32,
    ) -> Result<&'v [u8], Rejection> {
        let refused = |error| Rejection::Query(parameter.name, error);
        if !parameter.kind.accepts(value) {
            return Err(Rejection::Value(parameter.name, text::quote(value)));
        }
        match (parameter.kind, &self.scope) {
            // An empty query selects nothing; upstream refuses it in its own words, or takes the other place's.
            (Kind::Query, Some(scope)) if !value.is_empty() => {
                let enforced = promql::rewrite(value, scope, rewritten).map_err(refused)?;
                *selectors = selectors.saturating_add(enforced);
                Ok(rewritten)
            }
            (Kind::Selector, Some(scope)) => {
                let enforced = promql::rewrite_selector(value, scope, rewritten).map_err(refused)?;
                *selectors = selectors.saturating_add(enforced);
                Ok(rewritten)
            }
            (Kind::ReplicaLabel, Some(scope)) if names_a_label_of(scope, value) => {
                Err(Rejection::Parameter(parameter.name, "the tenant label can't be merged away"))
            }
            (Kind::StoreSelector, _) => {
                Err(Rejection::Parameter(parameter.name, "stores are the operator's to choose"))
            }
            (
                Kind::Query
                | Kind::Selector
                | Kind::Expression
                | Kind::Time
                | Kind::Duration
                | Kind::Integer
                | Kind::Boolean
                | Kind::Word
                | Kind::Statistics
                | Kind::Text
                | Kind::ReplicaLabel,
                _,
            ) => Ok(value),
        }
    }
}

/// Thanos takes the value whole; a list is looked through as well, should a version split it.
fn names_a_label_of(scope: &Scope, value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|name| scope.names(name.trim_ascii()))
}

/// Appends the pair, if its value was rewritten lately.
fn recall(
    memo: &RefCell<Memo>,
    key: Option<&Key<'_>>,
    parameter: &Parameter,
    out: &mut Vec<u8>,
    selectors: &mut u32,
) -> bool {
    let (Some(key), Ok(memo)) = (key, memo.try_borrow()) else { return false };
    let Some(kept) = memo.get(key) else { return false };
    form::append_key(out, parameter.name.as_bytes());
    out.extend_from_slice(&kept.written);
    *selectors = selectors.saturating_add(kept.selectors);
    true
}

fn keep(memo: &RefCell<Memo>, key: Option<&Key<'_>>, written: Option<&[u8]>, selectors: u32) {
    if let (Some(key), Some(written), Ok(mut memo)) = (key, written, memo.try_borrow_mut()) {
        memo.note(key, written, selectors);
    }
}
