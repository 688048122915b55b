//! What a key of the configuration is: one row of the table in `rows`. The reader, the list of known keys, `tenancyctl check`,
//! `tenancyctl schema` and the test of docs/configuration.md come from the rows.
//!
//! To add a key: a field of [`Config`], its default in [`Config::defaults`], and a row.

mod rows;

use super::json::Field;
use super::shape::Shape;
use super::{Config, ConfigError, confinement, source};
use crate::limits::Told;
use rows::ROWS;
use serde_json::Value;

/// A key of the configuration.
#[derive(Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The JSON that it takes.
    pub shape: Shape,
    /// Its default in the configuration `{}`, as JSON; empty where there is none.
    pub default: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// The page that says most of it.
    pub docs: &'static str,
    /// Reads a value into the draft. What is valid may depend on the keys whose rows stand before.
    read: Reader,
    /// The value in force; null where there is none.
    pub(super) show: fn(&Config) -> Value,
    /// What the value in force does, where that is more than `meaning`.
    pub(super) says: Option<fn(&Config) -> String>,
}

type Reader = fn(&mut Draft, Field) -> Result<(), ConfigError>;

/// A configuration while it is read; [`Config::parse`] ends it.
pub struct Draft {
    /// Valid in each key that has been read.
    pub config: Config,
    /// What names the tenant.
    pub source: source::Given,
    /// `tenant_path`, which must not hide any path that is served.
    pub tenant_path: Option<Field>,
    /// What tenants are confined to beyond one label.
    pub confinement: confinement::Given,
    /// `limits`, which is read together with `overrides`.
    pub limits: Option<Field>,
    pub overrides: Option<Field>,
    /// What all overrides together need, where the entries of tenants were judged before.
    pub told: Option<Told>,
}

/// All keys, in the order in which they are read and printed.
pub fn all() -> &'static [Key] {
    &ROWS
}

/// The names of all keys.
pub static NAMES: [&str; ROWS.len()] = COLUMNS.0;
/// How each key is read.
pub static READERS: [Reader; ROWS.len()] = COLUMNS.1;

/// `Config` marks the keys that are given in 64 bits.
const _: () = assert!(ROWS.len() <= 64);

/// Copied out of the rows by the compiler, so that the module does not hold what only the tool prints.
const COLUMNS: ([&str; ROWS.len()], [Reader; ROWS.len()]) = {
    const FIRST: Key = ROWS[0];
    let (mut names, mut readers) = ([FIRST.name; ROWS.len()], [FIRST.read; ROWS.len()]);
    let mut at = 0;
    while at < ROWS.len() {
        // The compiler itself runs this, and refuses to go beyond an end.
        #[allow(clippy::indexing_slicing)]
        {
            (names[at], readers[at]) = (ROWS[at].name, ROWS[at].read);
        }
        at += 1;
    }
    (names, readers)
};
