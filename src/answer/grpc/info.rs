//! What a component serves (`thanos.info.Info`), as a tenant may see it.
//!
//! - Label sets inside the scope are kept. In place of those that lack a label of the scope, and where none is left, the sets that stand for
//!   all that is the tenant's are written: without one, a Query above would not ask for series that carry the tenant's label themselves.
//! - Times come from the tenant's own databases; where none says which they are, they are all of time.
//! - `metric_metadata` 5 and `status` 9 are left out, so that no Query asks for what is refused.

use super::Scoped;
use super::watch::merged;
use crate::scope::{Scope, Standing};
use crate::wire::grpc::{Part, StreamError};
use crate::wire::labels::{Label, LabelSet};
use crate::wire::protobuf::{Message, Value, next, read, write_bytes};
use crate::wire::thanos::{ExemplarsInfo, StoreInfo, TsdbInfo};

/// What is gathered of the message at hand.
#[derive(Debug, Default)]
pub struct Info {
    /// The tenant's own label sets, as fields.
    sets: Vec<u8>,
    /// A set was dropped that lacks a label of the scope, or none has come.
    is_incomplete: bool,
    /// The other fields that pass.
    others: Vec<u8>,
    /// That it is a store: the fields of `StoreInfo` that pass, and the tenant's databases among them.
    store: Option<Vec<u8>>,
    /// From when to when the tenant's databases have samples.
    times: Option<(i64, i64)>,
}

/// The label sets that stand for all that is inside a scope, as messages.
pub fn sets(scope: &Scope) -> Vec<Vec<u8>> {
    let sets = scope.label_sets();
    let message = |set: &Vec<(&str, Vec<u8>)>| {
        let labels = set.iter().map(|(name, value)| Label { name: name.as_bytes(), value }).collect();
        let mut out = Vec::new();
        LabelSet { labels }.write(&mut out);
        out
    };
    sets.iter().map(message).collect()
}

impl Info {
    /// A field of the message, as a value and as it stands.
    pub fn field(&mut self, scoped: &Scoped, number: u64, value: Value<'_>, raw: &[u8]) -> Result<(), StreamError> {
        match (number, value) {
            (1, Value::Bytes(set)) => match standing(scoped, set)? {
                Standing::Inside => self.sets.extend_from_slice(raw),
                Standing::Lacking => self.is_incomplete = true,
                Standing::Outside => {}
            },
            (7, _) if scoped.owner.is_some() => {
                let mut times = Vec::new();
                ExemplarsInfo { min_time: 0, max_time: i64::MAX }.write(&mut times);
                write_bytes(7, &times, &mut self.others);
            }
            _ => self.others.extend_from_slice(raw),
        }
        self.check(scoped)
    }

    /// A field of `store`.
    pub fn part(&mut self, scoped: &Scoped, part: Part<'_>) -> Result<(), StreamError> {
        let part = match part {
            Part::Field(_, part) => part,
            // A database's labels of such a length are not the tenant's.
            Part::Begin(_) | Part::Over(_) | Part::End(_) => return Ok(()),
        };
        let (number, value) = next(&mut &*part).map_err(StreamError::Message)?;
        let store = self.store.get_or_insert_default();
        match (number, value) {
            (3 | 5, _) => store.extend_from_slice(part),
            (6, Value::Bytes(database)) => {
                let set = merged(database, 1)?;
                let standing = standing(scoped, &set)?;
                if standing == Standing::Outside {
                    return Ok(());
                }
                let info: TsdbInfo<'_> = read(database).map_err(StreamError::Message)?;
                let mut add = |set: &[u8]| {
                    let mut own = Vec::new();
                    write_bytes(1, set, &mut own);
                    TsdbInfo { labels: None, ..info.clone() }.write(&mut own);
                    write_bytes(6, &own, store);
                };
                match standing {
                    Standing::Inside => add(&set),
                    Standing::Lacking | Standing::Outside => scoped.sets.iter().for_each(|set| add(set)),
                }
                let (min, max) = self.times.unwrap_or((info.min_time, info.max_time));
                self.times = Some((min.min(info.min_time), max.max(info.max_time)));
            }
            (1 | 2, Value::Varint(time)) if scoped.owner.is_none() => {
                let (min, max) = self.times.unwrap_or_default();
                self.times = Some(if number == 1 { (time as i64, max) } else { (min, time as i64) });
            }
            _ => {}
        }
        self.check(scoped)
    }

    /// Writes the message, which has ended.
    pub fn write(&mut self, scoped: &Scoped, out: &mut Vec<u8>) {
        let info = std::mem::take(self);
        out.extend_from_slice(&info.sets);
        if info.is_incomplete || info.sets.is_empty() {
            scoped.sets.iter().for_each(|set| write_bytes(1, set, out));
        }
        out.extend_from_slice(&info.others);
        if let Some(rest) = info.store {
            let (min_time, max_time) = info.times.unwrap_or((0, i64::MAX));
            let mut store = Vec::new();
            StoreInfo { min_time, max_time, ..StoreInfo::default() }.write(&mut store);
            store.extend_from_slice(&rest);
            write_bytes(3, &store, out);
        }
    }

    fn check(&self, scoped: &Scoped) -> Result<(), StreamError> {
        let held = self.sets.len() + self.others.len() + self.store.as_ref().map_or(0, Vec::len);
        if held > scoped.max { Err(StreamError::Long) } else { Ok(()) }
    }
}

fn standing(scoped: &Scoped, set: &[u8]) -> Result<Standing, StreamError> {
    match &scoped.owner {
        Some(owner) => owner.standing(set).map_err(StreamError::Message),
        None => Ok(Standing::Inside),
    }
}
