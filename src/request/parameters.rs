//! Query string and form: each pair is decoded, checked against its row, enforced, and encoded again.

use super::Rejection;
use crate::answer::{Asked, Statistics};
use crate::api::{Kind, Parameter, Route, Rule};
use crate::config::Config;
use crate::go::form;
use crate::limits::Requested;
use crate::memo::{Key, Memo};
use crate::promql::{self, Query, Reading};
use crate::rejection::Place;
use crate::scope::Scope;
use crate::tenant;
use crate::text;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

/// The longest query string or form that is sent upstream. Go reads 10 MiB of a form and, past that, none of it: `FormValue`
/// drops the error (net/http/request.go, Go 1.26), and `labels` then answers for every tenant (observed with Prometheus 3.15.0).
pub const MAX_REWRITTEN: usize = 8 << 20;

/// The parameter that asks for statistics: `true` is the least (`statsParamWarning` in Prometheus 3.16's web/api/v1/api.go).
const STATISTICS: &[u8] = b"stats";

/// How Thanos's Query Frontend divides a query: by a hash of labels that it names in JSON.
const SHARDS: &str = "shard_info";

/// What is done to the parameters of one request.
#[derive(Debug, Clone)]
pub struct Enforcement {
    route: &'static Route,
    extra: Arc<[String]>,
    /// None: nothing is rewritten (`enforce_tenancy: false`), or nothing has to be.
    scope: Option<Arc<Scope>>,
    /// A request without any selector gains this one.
    added: Added,
    /// The upstream is asked for statistics.
    asks_for_statistics: bool,
    /// The answer is filtered, so that a part of it is not enough.
    drops_parts: bool,
    /// What names the tenant in the URL must not stand in a form.
    tenant_parameter: Option<Arc<str>>,
}

/// The selector that a request without any gains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    /// None: the endpoint reads no selectors, or needs none.
    Nothing,
    /// One that holds nothing but the tenant's matcher.
    Label,
    /// One with a second matcher, for an upstream that finds nothing by the tenant's label alone.
    LabelAndName,
}

/// One query string or form while it is rewritten.
struct Rewriting<'r> {
    place: Place,
    memo: &'r RefCell<Memo>,
    /// Where limits apply: what is requested.
    requested: Option<&'r mut Requested>,
    out: &'r mut Vec<u8>,
    written: Written,
}

/// What becomes of a parameter's value.
enum Checked {
    /// It is forwarded as it came; an expression in parsed form.
    Unchanged(Option<Query<'static>>),
    /// It was rewritten; the query in parsed form, where that was asked for.
    Rewritten(Option<Query<'static>>),
}

/// What was found in a query string or form.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// It has a `match[]`.
    pub has_selector: bool,
    /// How many selectors the matcher was written into, those in queries among them.
    pub selectors: u32,
    /// Whether `stats` is there, and asks for anything: an empty one is not sent on.
    pub statistics: Option<bool>,
    /// What the places in the answer's messages refer to, where this has a text that was rewritten.
    pub asked: Option<Asked>,
}

const IN_FORM: &str = "the parameter that names the tenant stands in the form: it is read in the URL only";

fn decoded<'a>(pair: &form::Raw<'a>, place: Place) -> Result<Cow<'a, [u8]>, Rejection> {
    pair.value().map_err(|error| Rejection::Form(place, error))
}

impl Enforcement {
    /// For this row, and whoever is confined to this scope; `None` where nothing is rewritten.
    pub fn new(route: &'static Route, config: &Config, scope: Option<Scope>) -> Self {
        let reads_series = match route.rule {
            Rule::Queries | Rule::Selectors => true,
            // A rule that is shared has no label that the matcher would match.
            Rule::Filtered => !config.shows_shared_rules(),
            Rule::Forward
            | Rule::ByHeader
            | Rule::ByHeaderUnread
            | Rule::RemoteRead
            | Rule::Write(_)
            | Rule::Metadata
            | Rule::Passthrough
            | Rule::Page
            | Rule::Home
            | Rule::Grpc(_)
            | Rule::Alertmanager(_)
            | Rule::Refuse(_) => false,
        };
        let reads_selectors = route.parameters.iter().any(|parameter| parameter.kind == Kind::Selector);
        let added = match route.rule {
            Rule::Selectors if config.upstream().profile().needs_second_matcher => Added::LabelAndName,
            Rule::Selectors => Added::Label,
            // Rules have no `__name__`, by which a second matcher could match them.
            Rule::Filtered if reads_selectors && config.matches_rules() => Added::Label,
            Rule::Queries
            | Rule::Filtered
            | Rule::Forward
            | Rule::ByHeader
            | Rule::ByHeaderUnread
            | Rule::RemoteRead
            | Rule::Write(_)
            | Rule::Metadata
            | Rule::Passthrough
            | Rule::Page
            | Rule::Home
            | Rule::Grpc(_)
            | Rule::Alertmanager(_)
            | Rule::Refuse(_) => Added::Nothing,
        };
        Enforcement {
            route,
            extra: config.extra_parameters().clone(),
            scope: scope.filter(|_| reads_series).map(Arc::new),
            added,
            asks_for_statistics: config.stats().samples
                && route.parameters.iter().any(|parameter| parameter.kind == Kind::Statistics),
            drops_parts: config.enforces(),
            tenant_parameter: config.source().parameter().cloned(),
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

    /// The row of the API table that applies.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// Rewrites a query string or form. Where limits apply, `requested` takes note of what they need, and of the times, which
    /// [`RequestLimits::decide`] writes.
    ///
    /// [`RequestLimits::decide`]: crate::limits::RequestLimits::decide
    pub fn rewrite(
        &self,
        form: &[u8],
        place: Place,
        requested: Option<&mut Requested>,
        memo: &RefCell<Memo>,
        out: &mut Vec<u8>,
    ) -> Result<Written, Rejection> {
        let mut rewriting = Rewriting { place, memo, requested, out, written: Written::default() };
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
                self.known(parameter, &pair, &mut rewriting)?;
            } else {
                if place == Place::Form
                    && self.tenant_parameter.as_ref().is_some_and(|name| *pair.key == *name.as_bytes())
                {
                    return Err(Rejection::Tenant(tenant::Error::Unclear(IN_FORM)));
                }
                let value = decoded(&pair, place)?;
                if self.extra.iter().any(|name| name.as_bytes() == &*pair.key) {
                    form::append(rewriting.out, &pair.key, &value);
                }
            }
            if rewriting.out.len() > MAX_REWRITTEN {
                return Err(Rejection::TooLarge(MAX_REWRITTEN));
            }
        }
        Ok(rewriting.written)
    }

    /// Writes a pair that the row knows.
    fn known(
        &self,
        parameter: &Parameter,
        pair: &form::Raw<'_>,
        rewriting: &mut Rewriting<'_>,
    ) -> Result<(), Rejection> {
        let Rewriting { place, memo, requested, out, written } = rewriting;
        written.has_selector |= parameter.kind == Kind::Selector;
        if let Some(scope) = &self.scope {
            if parameter.kind == Kind::Query {
                written.asked = Some(Asked::query(pair.encoded, scope));
            } else if parameter.kind == Kind::Selector {
                written.asked = Some(Asked::Unknown);
            }
        }
        let key = self.key(parameter, pair.encoded);
        if recall(memo, key.as_ref(), parameter, out, &mut written.selectors) {
            if let Some(requested) = requested {
                requested.take(parameter, &decoded(pair, *place)?, None);
            }
            return Ok(());
        }
        let given = decoded(pair, *place)?;
        if self.asks_for_statistics && parameter.kind == Kind::Statistics {
            written.statistics = Some(!given.is_empty());
            if given.is_empty() {
                return Ok(());
            }
        }
        if self.drops_parts && parameter.kind == Kind::Part {
            return Ok(());
        }
        let before = written.selectors;
        let mut rewritten = Vec::new();
        let checked = self.check(parameter, &given, requested.is_some(), &mut rewritten, &mut written.selectors)?;
        let (value, query) = match checked {
            Checked::Unchanged(query) => (&*given, query),
            Checked::Rewritten(query) => (&*rewritten, query),
        };
        let is_written_later = requested.as_mut().is_some_and(|requested| requested.take(parameter, &given, query));
        if !is_written_later {
            form::append_key(out, parameter.name.as_bytes());
            let begin = out.len();
            form::escape(out, value);
            keep(memo, key.as_ref(), out.get(begin..), written.selectors.saturating_sub(before));
        }
        Ok(())
    }

    /// Adds a selector that matches nothing, where the row's endpoint reads selectors.
    pub fn add_nothing(&self, out: &mut Vec<u8>) {
        if let (Added::Label | Added::LabelAndName, Some(scope)) = (self.added, &self.scope) {
            form::append(out, self.selector_name(), scope.nothing().as_bytes());
        }
    }

    /// Adds a selector for everything that is the tenant's, where the row's endpoint reads selectors.
    pub fn add_selector(&self, out: &mut Vec<u8>, written: &mut Written) {
        let Some(scope) = &self.scope else { return };
        let selector = match self.added {
            Added::Nothing => return,
            Added::Label => scope.selector(),
            Added::LabelAndName => scope.named_selector(),
        };
        form::append(out, self.selector_name(), selector.as_bytes());
        written.selectors = written.selectors.saturating_add(1);
    }

    /// The parameter to which a matcher is added where there is none.
    fn selector_name(&self) -> &'static [u8] {
        let selector = self.route.parameters.iter().find(|parameter| parameter.kind == Kind::Selector);
        selector.map_or(b"match[]", |parameter| parameter.name.as_bytes())
    }

    /// What a parameter's value is remembered by, where it is one that is rewritten.
    fn key<'k>(&'k self, parameter: &Parameter, encoded: &'k [u8]) -> Option<Key<'k>> {
        let reading = match parameter.kind {
            Kind::Query => Reading::Expression,
            Kind::Selector => Reading::Selector,
            Kind::Expression
            | Kind::Time(_)
            | Kind::Duration(_)
            | Kind::Integer
            | Kind::Capped(_)
            | Kind::Boolean
            | Kind::Word
            | Kind::Statistics
            | Kind::Text
            | Kind::Part
            | Kind::SearchTerm
            | Kind::LabelName
            | Kind::ReplicaLabel
            | Kind::StoreSelector => return None,
        };
        Key::new(reading, encoded, self.scope.as_ref()?)
    }

    /// Checks a value, and rewrites an expression into `rewritten`. `keeps_query`: the expression is asked for in parsed form, so that
    /// limits need not parse it again.
    fn check(
        &self,
        parameter: &Parameter,
        value: &[u8],
        keeps_query: bool,
        rewritten: &mut Vec<u8>,
        selectors: &mut u32,
    ) -> Result<Checked, Rejection> {
        if !parameter.kind.accepts(value) {
            return Err(Rejection::Value(parameter.name, text::quote(value)));
        }
        let (reading, scope) = match (parameter.kind, &self.scope) {
            // An empty query selects nothing; upstream refuses it in its own words, or takes the other place's.
            (Kind::Query, Some(scope)) if !value.is_empty() => (Reading::Expression, scope),
            (Kind::Selector, Some(scope)) => (Reading::Selector, scope),
            (Kind::ReplicaLabel | Kind::LabelName, Some(scope)) => {
                let stored = scope.renaming().and_then(|renaming| renaming.stored(value));
                let label = stored.map_or(value, |name| name.text.as_bytes());
                if parameter.kind == Kind::ReplicaLabel && names_a_label_of(scope, label) {
                    return Err(Rejection::Parameter(
                        parameter.name,
                        "the tenant label can't be merged away: leave it out",
                    ));
                }
                rewritten.extend_from_slice(label);
                return Ok(Checked::Rewritten(None));
            }
            (Kind::Text, Some(scope)) if parameter.name == SHARDS && scope.renaming().is_some() => {
                return Err(Rejection::Parameter(
                    parameter.name,
                    "it divides series by labels, which federation_label renames: leave it out",
                ));
            }
            (Kind::Expression, _) if !value.is_empty() => {
                let query = Query::parse_owned(value.to_vec(), Reading::Expression);
                let query = query.and_then(|query| query.check_printing().map(|()| query));
                let query = query.map_err(|error| Rejection::Query(parameter.name, error))?;
                return Ok(Checked::Unchanged(Some(query)));
            }
            (Kind::StoreSelector, _) => {
                return Err(Rejection::Parameter(parameter.name, "stores are the operator's to choose: leave it out"));
            }
            (
                Kind::Query
                | Kind::Selector
                | Kind::Expression
                | Kind::Time(_)
                | Kind::Duration(_)
                | Kind::Integer
                | Kind::Capped(_)
                | Kind::Boolean
                | Kind::Word
                | Kind::Statistics
                | Kind::Text
                | Kind::Part
                | Kind::SearchTerm
                | Kind::LabelName
                | Kind::ReplicaLabel,
                _,
            ) => return Ok(Checked::Unchanged(None)),
        };
        let query = if keeps_query {
            Query::parse_owned(value.to_vec(), reading).and_then(|query| {
                let enforced = query.rewrite(scope, rewritten)?;
                Ok((enforced, Some(query)))
            })
        } else {
            let enforced = match reading {
                Reading::Expression => promql::rewrite(value, scope, rewritten),
                Reading::Selector => promql::rewrite_selector(value, scope, rewritten),
            };
            enforced.map(|enforced| (enforced, None))
        };
        let (enforced, query) = query.map_err(|error| Rejection::Query(parameter.name, error))?;
        *selectors = selectors.saturating_add(enforced);
        Ok(Checked::Rewritten(query))
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
