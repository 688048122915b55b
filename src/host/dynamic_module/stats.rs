//! Stats with labels. Envoy wants the names and labels while it reads a configuration, and the values of the labels each time.
//!
//! A stat belongs to the configuration by which it was changed, and Envoy forgets it, and what it has counted, with the last one of those. So
//! each new configuration names what was counted before, which keeps it (observed with Envoy 1.40.0). Histograms can't be named without
//! a value: they begin anew.

use super::abi::{self, METRIC_SUCCESS, Object, Text};
use super::calls::text;
use super::local::lock;
use crate::exchange::{Change, Metric};
use crate::stats::{ALL, Stat, StatType};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// The numbers that Envoy gave to the stats of one configuration, in the order of [`ALL`].
#[derive(Debug, Clone, Copy)]
pub struct Ids([Option<usize>; ALL.len()]);

/// Through which of Envoy's objects a stat is changed.
#[derive(Debug, Clone, Copy)]
pub enum Through {
    /// A filter, on its worker's thread.
    Filter(Object),
    /// A configuration, on the main thread.
    Config(Object),
}

impl Ids {
    /// Defines all stats.
    ///
    /// # Safety
    /// The pointer is that of a configuration of Envoy's which is being made.
    pub unsafe fn define(config: Object) -> Ids {
        let define = |stat: &Stat| {
            let mut labels: Vec<Text> = label_names(stat).map(|name| text(name.as_bytes())).collect();
            let (first, count) = (labels.as_mut_ptr(), labels.len());
            let (name, mut id) = (text(stat.name.as_bytes()), 0);
            // SAFETY: the configuration lives; Envoy copies the texts; the out-pointer lives across the call.
            let result = unsafe {
                match stat.kind {
                    StatType::Counter => abi::envoy_dynamic_module_callback_http_filter_config_define_counter(
                        config, name, first, count, &mut id,
                    ),
                    StatType::Gauge => abi::envoy_dynamic_module_callback_http_filter_config_define_gauge(
                        config, name, first, count, &mut id,
                    ),
                    StatType::Histogram => abi::envoy_dynamic_module_callback_http_filter_config_define_histogram(
                        config, name, first, count, &mut id,
                    ),
                }
            };
            (result == METRIC_SUCCESS).then_some(id)
        };
        Ids(ALL.map(define))
    }

    /// Keeps what was counted under earlier configurations.
    ///
    /// # Safety
    /// The pointer is that of a configuration of Envoy's, on the main thread.
    pub unsafe fn keep(&self, config: Object) {
        for name in &*lock(&KNOWN) {
            let Some(Series { stat, values }) = Series::read(name) else { continue };
            if let (Some(id), Some(stat)) = (self.0.get(stat).copied().flatten(), ALL.get(stat)) {
                // SAFETY: the caller's.
                unsafe { change(Through::Config(config), (stat.kind, id), &values, Change::Grows(0)) };
            }
        }
    }

    /// Hands one stat over to Envoy, and says whether it took it.
    ///
    /// # Safety
    /// The object lives, and is used on its own thread.
    pub unsafe fn meter(&self, through: Through, metric: Metric<'_>) -> bool {
        let name = (metric.name)();
        let Some(series) = Series::read(&name) else { return false };
        if metric.id.replace(0).is_none() && metric.kind != StatType::Histogram {
            lock(&KNOWN).insert(name.as_str().into());
        }
        let Some(id) = self.0.get(series.stat).copied().flatten() else { return false };
        // SAFETY: the caller's.
        unsafe { change(through, (metric.kind, id), &series.values, metric.change) }
    }
}

/// The names of all series that have been counted. `stats` bounds them: so many tenants, and the handlers of the API table.
static KNOWN: Mutex<BTreeSet<Box<str>>> = Mutex::new(BTreeSet::new());

/// # Safety
/// The object lives, and is used on its own thread.
unsafe fn change(through: Through, (kind, id): (StatType, usize), values: &[&str], change: Change) -> bool {
    let mut values: Vec<Text> = values.iter().map(|value| text(value.as_bytes())).collect();
    let (first, count) = (values.as_mut_ptr(), values.len());
    // SAFETY: the caller answers for the object; Envoy reads the values before it returns.
    let result = unsafe {
        match (through, kind, change) {
            (Through::Filter(filter), StatType::Counter, Change::Grows(by) | Change::Is(by)) => {
                abi::envoy_dynamic_module_callback_http_filter_increment_counter(filter, id, first, count, by)
            }
            (Through::Config(config), StatType::Counter, Change::Grows(by) | Change::Is(by)) => {
                abi::envoy_dynamic_module_callback_http_filter_config_increment_counter(config, id, first, count, by)
            }
            (Through::Filter(filter), StatType::Gauge, Change::Grows(by)) => {
                abi::envoy_dynamic_module_callback_http_filter_increment_gauge(filter, id, first, count, by)
            }
            (Through::Config(config), StatType::Gauge, Change::Grows(by)) => {
                abi::envoy_dynamic_module_callback_http_filter_config_increment_gauge(config, id, first, count, by)
            }
            (Through::Filter(filter), StatType::Gauge, Change::Is(value)) => {
                abi::envoy_dynamic_module_callback_http_filter_set_gauge(filter, id, first, count, value)
            }
            (Through::Config(config), StatType::Gauge, Change::Is(value)) => {
                abi::envoy_dynamic_module_callback_http_filter_config_set_gauge(config, id, first, count, value)
            }
            (Through::Filter(filter), StatType::Histogram, Change::Grows(value) | Change::Is(value)) => {
                abi::envoy_dynamic_module_callback_http_filter_record_histogram_value(filter, id, first, count, value)
            }
            (Through::Config(config), StatType::Histogram, Change::Grows(value) | Change::Is(value)) => {
                abi::envoy_dynamic_module_callback_http_filter_config_record_histogram_value(
                    config, id, first, count, value,
                )
            }
        }
    };
    result == METRIC_SUCCESS
}

/// The names of a stat's labels, in the order in which `stats::series` writes them.
fn label_names(stat: &Stat) -> impl Iterator<Item = &'static str> {
    let own = (!stat.tag.is_empty()).then_some(stat.tag);
    let scope: &[&str] = if stat.is_scoped { &["tenant", "handler"] } else { &[] };
    own.into_iter().chain(scope.iter().copied())
}

/// A series, as its name says: which stat of [`ALL`], and the values of its labels.
#[derive(Debug, PartialEq, Eq)]
struct Series<'n> {
    stat: usize,
    values: Vec<&'n str>,
}

impl<'n> Series<'n> {
    /// Reads a name that `stats::series` wrote in Envoy's form. Neither names nor values have a `;` or `=` in them.
    fn read(name: &'n str) -> Option<Series<'n>> {
        let mut parts = name.split(';');
        let stat = parts.next()?;
        let stat = ALL.iter().position(|known| known.name == stat)?;
        let values: Vec<&str> = parts
            .filter(|part| !part.is_empty())
            .filter_map(|tag| tag.split_once('='))
            .map(|(_, value)| value)
            .collect();
        let expected = ALL.get(stat).map_or(0, |stat| label_names(stat).count());
        (values.len() == expected).then_some(Series { stat, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Naming, scope, series};

    #[test]
    fn every_series_is_read_back() {
        let scope = scope(Naming::Envoy, "a;b=c%.", "query");
        for (at, stat) in ALL.iter().enumerate() {
            let name = series(Naming::Envoy, stat, "2xx", if stat.is_scoped { &scope } else { "" });
            let read = Series::read(&name).expect(&name);
            assert_eq!(read.stat, at);
            let own: &[&str] = if stat.tag.is_empty() { &[] } else { &["2xx"] };
            let scoped: &[&str] = if stat.is_scoped { &["a%3Bb%3Dc%25%2E", "query"] } else { &[] };
            assert_eq!(read.values, [own, scoped].concat(), "{name}");
        }
    }

    #[test]
    fn what_is_no_series_is_none() {
        for name in ["", "tenancy_requests_total", "tenancy_requests_total;code=2xx;", "other;a=b;"] {
            assert_eq!(Series::read(name), None, "{name}");
        }
    }
}
