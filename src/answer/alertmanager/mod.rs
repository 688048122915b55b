//! Alertmanager's answers, of which a tenant sees what is its own.
//!
//! ```text
//! alerts    = [ alert ]                                   by their labels: `alert`
//! groups    = [ { alerts: [ alert ], labels, receiver, routeLabels } ]   those with an alert of the tenant's
//! silences  = [ silence ]                                 by their matchers: `silence`
//! receivers = [ { name, labels } ]                        by their labels; without any, they are nobody's
//! status    = { cluster, versionInfo, config, uptime }    without the peers and the configuration
//! ```
//!
//! Source: `api/v2/openapi.yaml` of Alertmanager 0.35. The request was confined too, where the upstream reads a filter, so that what is another's
//! comes only from versions that don't.
//!
//! - An entry is held until it is whole, at most `max` bytes. A longer silence is dropped, since nothing tells yet whose it is; alerts and
//!   receivers were asked for with the tenant's matchers, so that a longer one is a fault.
//! - What is kept is held until all has come, since an alert may be inhibited by one that comes later, and since a fault is told only as long as
//!   nothing was written. When more than `max` bytes have gathered, they are written, and the alerts that have come by then count.
//! - Never more is written than has come, but for the text that stands for a fault.

mod alert;
mod silence;

pub use silence::boolean;

use super::owner::{Owner, Whose};
use super::{MAX_GROWTH, Unreadable};
use crate::api::Part;
use crate::json::{Container, Cursor, Lexeme, Malformed, Scanner};
use crate::scope::{Scope, Silences, Unfit};
use alert::Held;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The IDs of a tenant's own silences.
pub type Ids = BTreeSet<String>;

/// For whom an answer is filtered.
#[derive(Debug, Clone)]
pub struct Own {
    /// By the labels of alerts and receivers.
    owner: Owner,
    /// By the matchers of silences.
    silences: Silences,
    /// Where they are known.
    ids: Option<Arc<Ids>>,
}

impl Own {
    /// For whoever is confined to this scope.
    ///
    /// # Errors
    /// [`Unfit::Pattern`] where the filter can't run a pattern of the scope.
    pub fn new(scope: &Scope) -> Result<Own, Unfit> {
        Ok(Own { owner: Owner::new(scope)?, silences: Silences::new(scope)?, ids: None })
    }

    /// Notes the IDs of the silences that are theirs.
    pub fn knowing(self, ids: Arc<Ids>) -> Own {
        Own { ids: Some(ids), ..self }
    }

    /// Whether a silence, as it stands in an answer, is theirs.
    ///
    /// # Errors
    /// It is no silence that can be read.
    pub fn owns(&self, silence: &[u8]) -> Result<bool, Malformed> {
        silence::owns(silence, &self.silences)
    }

    /// The IDs of their silences, among those of an answer.
    ///
    /// # Errors
    /// It is no list of silences that can be read.
    pub fn ids(&self, answer: &[u8]) -> Result<Ids, Malformed> {
        silence::ids(answer, &self.silences)
    }
}

/// What comes back to a request.
#[derive(Debug, Clone)]
pub enum OfAlertmanager {
    /// To a write: nothing, or the ID of the tenant's own silence.
    Written,
    /// What is to be filtered.
    Listed(Arc<Own>),
}

/// Reads the body of one answer.
#[derive(Debug)]
pub struct Alertmanager {
    part: Part,
    own: Arc<Own>,
    max: usize,
    scanner: Scanner,
    stage: Stage,
    /// The entry, or the member of `status`, at hand.
    entry: Vec<u8>,
    is_over: bool,
    member: Option<usize>,
    held: Held,
    written: usize,
    fault: Option<Unreadable>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Inside,
    After,
}

const STATUS: &[&str] = &["cluster", "versionInfo", "config", "uptime"];
const CLUSTER: usize = 0;
const CONFIG: usize = 2;

impl Alertmanager {
    /// For one answer.
    pub fn new(part: Part, own: Arc<Own>, max: usize) -> Self {
        Alertmanager {
            part,
            own,
            max,
            scanner: Scanner::default(),
            stage: Stage::Before,
            entry: Vec::new(),
            is_over: false,
            member: None,
            held: Held::default(),
            written: 0,
            fault: None,
        }
    }

    /// Reads on, and writes what is passed on. `end` says that no more comes.
    pub fn push(&mut self, part: &[u8], end: bool, out: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        let before = out.len();
        if let Err(fault) = self.read(part, end, out) {
            self.fault = Some(fault);
            if self.written == 0 {
                out.truncate(before);
                // No client takes a text for a list or for an object.
                let text = ["\"the upstream's answer could not be filtered: ", fault.reason(), "; ask the operator\""]
                    .concat();
                debug_assert!(text.len() <= MAX_GROWTH);
                out.extend_from_slice(text.as_bytes());
            }
        }
        self.written += out.len() - before;
    }

    /// Nothing more is passed on, from the part on that comes next.
    pub fn stop(&mut self, fault: Unreadable) {
        self.fault = self.fault.or(Some(fault));
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.written > 0
    }

    fn read(&mut self, part: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut rest = part;
        let is_status = self.part == Part::Status;
        while self.stage != Stage::After {
            let Some(lexeme) = self.scanner.next(&mut rest)? else { break };
            match (lexeme, self.stage) {
                (Lexeme::Value(b'{'), Stage::Before) if is_status => {
                    self.stage = Stage::Inside;
                    self.scanner.enter(Container::Object, &mut rest);
                }
                (Lexeme::Value(b'['), Stage::Before) if !is_status => {
                    self.stage = Stage::Inside;
                    self.scanner.enter(Container::Array, &mut rest);
                }
                (Lexeme::Name, _) => self.member = self.scanner.name()?.among(STATUS)?,
                (Lexeme::Value(byte), Stage::Inside) if is_status || byte == b'{' => {
                    self.entry.clear();
                    self.is_over = false;
                    self.scanner.skim();
                }
                (Lexeme::Part(part, is_last), _) => {
                    let is_kept = !is_status || self.member.is_some_and(|member| member != CONFIG);
                    self.is_over |= is_kept && self.entry.len().saturating_add(part.len()) > self.max;
                    if is_kept && !self.is_over {
                        self.entry.extend_from_slice(part);
                    }
                    if is_last {
                        self.end_entry()?;
                    }
                }
                (Lexeme::Close, _) => self.stage = Stage::After,
                (Lexeme::Value(_) | Lexeme::Text | Lexeme::Null, _) => return Err(Unreadable::Malformed),
            }
        }
        if self.stage == Stage::After && !rest.trim_ascii().is_empty() {
            return Err(Unreadable::Malformed);
        }
        if end && self.stage != Stage::After {
            return Err(Unreadable::Truncated);
        }
        if end || self.held.len() > self.max {
            let [open, close] = if is_status { *b"{}" } else { *b"[]" };
            if self.written == 0 {
                out.push(open);
            }
            self.held.write(out);
            if end {
                out.push(close);
            }
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Unreadable> {
        if self.is_over && self.part == Part::Silences {
            return Ok(());
        }
        if self.is_over {
            return Err(Unreadable::TooLarge);
        }
        let entry = std::mem::take(&mut self.entry);
        let text = std::str::from_utf8(&entry).map_err(|_| Malformed)?;
        let mut cursor = Cursor::new(text);
        match self.part {
            Part::Alerts => self.held.alert(&mut cursor, &self.own)?,
            Part::Groups => self.held.group(&mut cursor, &self.own)?,
            Part::Silences => {
                if self.own.owns(&entry)? {
                    self.held.entry(&[&entry]);
                }
            }
            Part::Receivers => {
                if self.is_own_receiver(&mut cursor)? {
                    self.held.entry(&[&entry]);
                }
                cursor.finish()?;
            }
            Part::Status => self.end_member(&mut cursor, &entry)?,
            Part::Silence | Part::ByHeader => return Err(Unreadable::Malformed),
        }
        self.entry = entry;
        Ok(())
    }

    fn is_own_receiver(&self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        let mut seen = crate::json::Seen::default();
        let mut whose = Whose::Nobodys;
        cursor.object(|key, cursor| {
            match key.among(&["labels"])? {
                Some(index) => {
                    seen.note(index)?;
                    whose = self.own.owner.read(cursor)?;
                }
                None => {
                    cursor.value()?;
                }
            }
            Ok(())
        })?;
        Ok(whose == Whose::Own)
    }

    /// A member of `status`. The schema requires each of them.
    fn end_member(&mut self, cursor: &mut Cursor<'_>, entry: &[u8]) -> Result<(), Unreadable> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut value = Vec::new();
        match member {
            CONFIG => value.extend_from_slice(b"{\"original\":\"\"}"),
            CLUSTER => {
                let mut state = "disabled".as_bytes();
                cursor.object(|key, cursor| {
                    match key.among(&["status"])? {
                        Some(_) => {
                            let word = cursor.string()?.raw();
                            let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase());
                            state = if is_word { word.as_bytes() } else { state };
                        }
                        None => {
                            cursor.value()?;
                        }
                    }
                    Ok(())
                })?;
                value.extend_from_slice(b"{\"status\":\"");
                value.extend_from_slice(state);
                value.extend_from_slice(b"\"}");
            }
            _ => {
                cursor.value()?;
                value.extend_from_slice(entry);
            }
        }
        if member != CONFIG {
            cursor.finish()?;
        }
        let name = STATUS.get(member).copied().unwrap_or_default();
        self.held.entry(&[b"\"", name.as_bytes(), b"\":", &value]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
