//! Alerts that a client posts: read whole, and written anew with the labels of the scope.
//!
//! ```text
//! alerts = [ { labels, annotations, startsAt, endsAt, generatorURL } ]        api/v2/openapi.yaml of Alertmanager 0.35
//! ```
//!
//! A label that the scope fixes is set; what becomes of another value that the client gave says `on_conflict`: it is replaced, or the whole
//! list is refused. Of a label to which the scope allows several values, the alert has to have one of them.

use super::super::{BodyDecision, Finished, Rejection};
use super::posted;
use crate::json::{Cursor, Malformed, Text};
use crate::scope::{Inside, MatchOp, OnConflict, Scope, Standing};
use std::collections::BTreeSet;

/// The longest body that is read.
pub const MAX_ALERTS: usize = 4 << 20;
/// The most alerts of one body. Prometheus sends 256 at a time.
const MAX_COUNT: usize = 16_384;
/// How it is called in a refusal.
pub const WHAT: &str = "the list of alerts";

const NAMES: &[&str] = &["labels", "annotations", "startsAt", "endsAt", "generatorURL"];

/// What is needed to confine alerts once they are here.
#[derive(Debug, Clone)]
pub struct AlertsPlan {
    scope: Scope,
    inside: Inside,
}

/// An alert, as far as it has been read.
pub struct Alert<'a> {
    /// Each once.
    pub labels: Vec<(String, Text<'a>)>,
    annotations: Vec<(Text<'a>, Text<'a>)>,
    texts: [Option<Text<'a>>; 3],
}

/// Why an alert is refused.
enum Refused {
    Malformed,
    Conflict,
    Outside,
}

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Refused::Malformed
    }
}

const MALFORMED: Rejection =
    Rejection::Posted(WHAT, "it is not a JSON array of alerts, each key once, in whatever case");

impl AlertsPlan {
    /// For whoever is confined to this scope.
    pub fn new(scope: Scope) -> Result<AlertsPlan, Rejection> {
        let inside = scope.inside().map_err(|_| super::INTERNAL)?;
        Ok(AlertsPlan { scope, inside })
    }

    /// Confines the whole body.
    pub fn finish(&self, body: &[u8]) -> Result<BodyDecision, Rejection> {
        let mut out = vec![b'['];
        let mut refused = Refused::Malformed;
        read(body, |mut alert| {
            if let Err(why) = self.confine(&mut alert) {
                refused = why;
                return Err(Malformed);
            }
            if out.len() > 1 {
                out.push(b',');
            }
            alert.write(&self.scope, &mut out);
            if out.len() > 2 * MAX_ALERTS { Err(Malformed) } else { Ok(()) }
        })
        .map_err(|rejection| match refused {
            _ if out.len() > 2 * MAX_ALERTS => Rejection::LongPost(MAX_ALERTS),
            Refused::Malformed => rejection,
            Refused::Conflict => Rejection::Posted(
                WHAT,
                "an alert has another value of a label that is the tenant's: leave the label out",
            ),
            Refused::Outside => {
                Rejection::Posted(WHAT, "an alert's labels are not the tenant's: leave out those that say whose it is")
            }
        })?;
        out.push(b']');
        Ok(BodyDecision::Forward(Finished { body: Some(out), selectors: 0, statistics: None, asked: None }))
    }

    fn confine(&self, alert: &mut Alert<'_>) -> Result<(), Refused> {
        let mut set = self.inside.begin();
        for (matcher, on_conflict) in self.scope.each() {
            if matcher.op != MatchOp::Equal {
                continue;
            }
            let given = alert.labels.iter().position(|(name, _)| **name == *matcher.label);
            let Some((_, value)) = given.and_then(|given| alert.labels.get(given)) else { continue };
            if on_conflict != OnConflict::Replace && !value.is(&matcher.value) {
                return Err(Refused::Conflict);
            }
            // It is written with the scope's value.
            alert.labels.swap_remove(given.unwrap_or_default());
        }
        let fixed = self.scope.matchers().filter(|matcher| matcher.op == MatchOp::Equal);
        let fixed = fixed.map(|matcher| (&*matcher.label, matcher.value.to_string()));
        let given = alert.labels.iter().map(|(name, value)| (&**name, value.chars().collect::<String>()));
        for (name, value) in fixed.chain(given) {
            let Some(label) = self.inside.find(|label| label == name) else { continue };
            let is_accepted = self.inside.fit(label, &value) != crate::scope::Fit::Refused;
            set.note(label, is_accepted).map_err(|_| Refused::Outside)?;
        }
        if set.finish() == Standing::Inside { Ok(()) } else { Err(Refused::Outside) }
    }
}

/// Reads a list of alerts.
pub fn read<'b>(body: &'b [u8], mut each: impl FnMut(Alert<'b>) -> Result<(), Malformed>) -> Result<(), Rejection> {
    let mut cursor = posted::cursor(WHAT, body, MAX_ALERTS)?;
    let mut count = 0;
    let read = cursor.array(|cursor| {
        count += 1;
        if count > MAX_COUNT {
            return Err(Malformed);
        }
        each(Alert::read(cursor)?)
    });
    match read.and_then(|()| cursor.finish()) {
        Ok(()) => Ok(()),
        Err(Malformed) if count > MAX_COUNT => {
            Err(Rejection::Posted(WHAT, "it holds more than 16384 alerts: send several requests"))
        }
        Err(Malformed) => Err(MALFORMED),
    }
}

impl<'a> Alert<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Alert<'a>, Malformed> {
        let mut alert = Alert { labels: Vec::new(), annotations: Vec::new(), texts: [None; 3] };
        posted::object(cursor, NAMES, |index, cursor| {
            match (index, index.checked_sub(2).and_then(|index| alert.texts.get_mut(index))) {
                (_, Some(text)) => *text = Some(cursor.string()?),
                (0, None) => map(cursor, |name, value| {
                    alert.labels.push((name.chars().collect(), value));
                })?,
                (_, None) => map(cursor, |name, value| alert.annotations.push((name, value)))?,
            }
            Ok(())
        })?;
        Ok(alert)
    }

    /// Writes it with the labels that the scope fixes.
    fn write(&self, scope: &Scope, out: &mut Vec<u8>) {
        let fixed = scope.matchers().filter(|matcher| matcher.op == MatchOp::Equal);
        self.write_with(fixed.map(|matcher| (&*matcher.label, &*matcher.value)), out);
    }

    /// Writes it, with these labels besides.
    pub fn write_with<'l>(&self, more: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"labels\":{");
        let mut comma = false;
        let mut next = |out: &mut Vec<u8>| {
            if std::mem::replace(&mut comma, true) {
                out.push(b',');
            }
        };
        for (name, value) in more {
            next(out);
            posted::text(out, name);
            out.push(b':');
            posted::text(out, value);
        }
        for (name, value) in &self.labels {
            next(out);
            posted::text(out, name);
            out.push(b':');
            posted::string(out, value.raw());
        }
        out.extend_from_slice(b"},\"annotations\":{");
        for (index, (name, value)) in self.annotations.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b"," } else { b"" });
            posted::string(out, name.raw());
            out.push(b':');
            posted::string(out, value.raw());
        }
        out.push(b'}');
        for (name, text) in NAMES.iter().skip(2).zip(self.texts) {
            if let Some(text) = text {
                posted::member(out, name, text);
            }
        }
        out.push(b'}');
    }
}

/// Reads an object of strings, each name once.
pub fn map<'a>(cursor: &mut Cursor<'a>, mut each: impl FnMut(Text<'a>, Text<'a>)) -> Result<(), Malformed> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    cursor.object(|name, cursor| {
        if !names.insert(name.chars().collect()) {
            return Err(Malformed);
        }
        each(name, cursor.string()?);
        Ok(())
    })
}
