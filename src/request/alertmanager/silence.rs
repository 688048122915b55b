//! A silence that a client posts, and whose a silence is that it names by its ID.
//!
//! ```text
//! silence = { id, matchers: [ matcher ], startsAt, endsAt, createdBy, comment, annotations }     api/v2/openapi.yaml, 0.35
//! matcher = { name, value, isRegex, isEqual }                  isRegex is required, isEqual is true where it is absent or null
//! ```
//!
//! The matchers of the scope are added. All matchers of a silence have to match, so that it can't reach beyond them. Of the client's own on
//! these labels:
//!
//! - Where the scope fixes the value, they are dropped under `on_conflict: replace`. Otherwise only an equality with that value is taken.
//! - Where it allows several, an equality with one of them stays, and narrows the silence. All others are refused.
//!
//! With an `id` that is not empty, Alertmanager changes that silence or, where it can't, expires it and makes another one (observed with 0.34):
//! so whose it is, is asked first.

use super::super::ask::{Answered, Ask, Pending};
use super::super::decision::Reply;
use super::super::{BodyDecision, Confirm, Decision, Finished, Forward, Rejection};
use super::posted;
use crate::answer::Own;
use crate::api::Route;
use crate::json::{Cursor, Malformed, Text};
use crate::rejection::CallOutFault;
use crate::scope::{Fit, Inside, MatchOp, OfSilence, OnConflict, Scope, Silences};
use std::sync::Arc;

/// The longest body that is read.
const MAX_SILENCE: usize = 256 << 10;
const WHAT: &str = "the silence";

const NAMES: &[&str] = &["id", "matchers", "annotations", "startsAt", "endsAt", "createdBy", "comment"];
const OF_MATCHER: &[&str] = &["name", "value", "isRegex", "isEqual"];

const MALFORMED: Rejection =
    Rejection::Posted(WHAT, "it is not one JSON object of a silence, each key once, in whatever case");
const OTHERS_LABEL: Rejection = Rejection::Posted(
    WHAT,
    "a matcher on a label that says whose alerts are can only be an equality with a value of the tenant's own",
);
const OF_ALL: Rejection = Rejection::Posted(
    WHAT,
    "it would silence all alerts of the tenant: add a matcher, or ask the operator for allow_silence_of_all",
);

/// What is needed to confine a silence once it is here.
#[derive(Debug, Clone)]
pub struct SilencePlan {
    scope: Scope,
    inside: Inside,
    silences: Silences,
    allows_all: bool,
    /// For an update.
    question: Option<Question>,
    prefix: String,
}

/// What is asked for an update, but for the path.
#[derive(Debug, Clone)]
pub struct Question {
    pub tenant: Arc<str>,
    pub route: &'static Route,
    pub cluster: Arc<str>,
    pub timeout_ms: u32,
    pub max_answer: usize,
    /// `:path` among them, which is still to be written.
    pub headers: Vec<(Arc<str>, String)>,
    pub own: Arc<Own>,
}

/// What is kept until the upstream has shown a silence.
#[derive(Debug, Clone)]
pub struct PendingSilence {
    pub own: Arc<Own>,
    pub tenant: Arc<str>,
    pub route: &'static Route,
    /// What is forwarded where it is the tenant's; `None`: it is shown.
    pub forward: Option<Forward>,
}

/// A silence, as far as it has been read.
#[derive(Default)]
struct Silence<'a> {
    matchers: Vec<OfSilence>,
    annotations: Option<Vec<(Text<'a>, Text<'a>)>>,
    id: Option<Text<'a>>,
    /// `startsAt`, `endsAt`, `createdBy` and `comment`.
    texts: [Option<Text<'a>>; 4],
}

/// Whether it is the ID of a silence: a UUID as Alertmanager writes it.
pub fn is_id(id: &[u8]) -> bool {
    id.len() == 36
        && id.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

impl PendingSilence {
    /// The upstream has shown the silence, or has not: its body, if it is the tenant's.
    ///
    /// # Errors
    /// It is another's, or there is none: the same words. Or there was no answer.
    pub fn check<'a>(&self, answered: &Answered<'a>) -> Result<&'a [u8], Rejection> {
        if let Answered::Answer { status: 404, .. } = answered {
            return Err(Rejection::UnknownSilence);
        }
        let silence = answered.body()?;
        match self.own.owns(silence) {
            Ok(true) => Ok(silence),
            Ok(false) => Err(Rejection::UnknownSilence),
            Err(Malformed) => Err(Rejection::CallOut(CallOutFault::Unreadable)),
        }
    }

    /// Forwards the request, or shows the silence.
    pub fn finish(self, answered: &Answered<'_>) -> Result<Decision, Rejection> {
        let silence = self.check(answered)?;
        Ok(match self.forward {
            Some(forward) => Decision::Forward(forward),
            None => Decision::Reply(Reply {
                tenant: Some(self.tenant),
                route: self.route,
                status: 200,
                headers: vec![("content-type", "application/json".to_owned())],
                body: silence.to_vec(),
                reason: "asked_first",
            }),
        })
    }
}

impl SilencePlan {
    /// For whoever is confined to this scope; `question` is asked for an update.
    pub fn new(
        scope: Scope,
        allows_all: bool,
        question: Option<Question>,
        prefix: &str,
    ) -> Result<SilencePlan, Rejection> {
        let inside = scope.inside().map_err(|_| super::INTERNAL)?;
        let silences = Silences::new(&scope).map_err(|_| super::INTERNAL)?;
        Ok(SilencePlan { scope, inside, silences, allows_all, question, prefix: prefix.to_owned() })
    }

    /// Whether so many bytes can't be a silence that is read.
    pub fn is_too_long(size: usize) -> bool {
        size > MAX_SILENCE
    }

    /// Confines the whole body.
    pub fn finish(&self, body: &[u8]) -> Result<BodyDecision, Rejection> {
        let mut cursor = posted::cursor(WHAT, body, MAX_SILENCE)?;
        let mut silence = Silence::read(&mut cursor).map_err(|_| MALFORMED)?;
        cursor.finish().map_err(|_| MALFORMED)?;
        self.confine(&mut silence.matchers)?;
        let mut out = Vec::new();
        silence.write(&mut out);
        let finished = Finished { body: Some(out), selectors: 0, statistics: None, asked: None };
        let id = silence.id.map_or("", Text::raw);
        if id.is_empty() {
            return Ok(BodyDecision::Forward(finished));
        }
        if !is_id(id.as_bytes()) {
            return Err(Rejection::UnknownSilence);
        }
        let question = self.question.as_ref().ok_or(Rejection::Forbidden(super::NO_CALL_OUT))?;
        let Question { tenant, route, cluster, timeout_ms, max_answer, headers, own } = question.clone();
        let pending = PendingSilence { own, tenant: tenant.clone(), route, forward: None };
        let pending = Pending::Silence(Box::new(pending));
        let mut ask = Ask { tenant, route, cluster, timeout_ms, max_answer, headers, pending, same: None };
        let path = [&*self.prefix, "/api/v2/silence/", id].concat();
        for (_, value) in ask.headers.iter_mut().filter(|(name, _)| **name == *":path") {
            value.clone_from(&path);
        }
        Ok(BodyDecision::Confirm(Box::new(Confirm { finished, ask })))
    }

    fn confine(&self, matchers: &mut Vec<OfSilence>) -> Result<(), Rejection> {
        let mut is_refused = false;
        matchers.retain(|own| {
            let mut keeps = true;
            for (matcher, on_conflict) in self.scope.each().filter(|(matcher, _)| *matcher.label == *own.name) {
                let is_equal = own.op == MatchOp::Equal;
                if matcher.op == MatchOp::Equal {
                    keeps = false;
                    let is_same = is_equal && *own.value == *matcher.value;
                    is_refused |= on_conflict != OnConflict::Replace && !is_same;
                } else {
                    let label = self.inside.find(|label| label == own.name);
                    let fits = label.is_some_and(|label| self.inside.fit(label, &own.value) != Fit::Refused);
                    is_refused |= !is_equal || !fits;
                }
            }
            keeps
        });
        if is_refused {
            return Err(OTHERS_LABEL);
        }
        if matchers.is_empty() && !self.allows_all {
            return Err(OF_ALL);
        }
        for matcher in self.scope.matchers() {
            let (name, value) = (matcher.label.to_string(), matcher.value.to_string());
            matchers.push(OfSilence { name, op: matcher.op, value });
        }
        if self.silences.confine(matchers) { Ok(()) } else { Err(super::INTERNAL) }
    }
}

impl<'a> Silence<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Silence<'a>, Malformed> {
        let mut silence = Silence::default();
        posted::object(cursor, NAMES, |index, cursor| {
            match (index, index.checked_sub(3).and_then(|index| silence.texts.get_mut(index))) {
                (_, Some(text)) => *text = Some(cursor.string()?),
                (0, None) => silence.id = Some(cursor.string()?),
                (1, None) => cursor.array(|cursor| {
                    silence.matchers.push(matcher(cursor)?);
                    Ok(())
                })?,
                (_, None) => {
                    let mut annotations = Vec::new();
                    super::alerts::map(cursor, |name, value| annotations.push((name, value)))?;
                    silence.annotations = Some(annotations);
                }
            }
            Ok(())
        })?;
        Ok(silence)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(id) = self.id {
            posted::member(out, "id", id);
        }
        posted::key(out, "matchers");
        for (index, matcher) in self.matchers.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{" } else { b"[{" });
            for (name, text) in OF_MATCHER.iter().zip([&matcher.name, &matcher.value]) {
                posted::key(out, name);
                posted::text(out, text);
            }
            let is_regex = matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex);
            let is_equal = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
            for (name, value) in OF_MATCHER.iter().skip(2).zip([is_regex, is_equal]) {
                posted::key(out, name);
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            out.push(b'}');
        }
        out.push(b']');
        for (name, text) in NAMES.iter().skip(3).zip(self.texts) {
            if let Some(text) = text {
                posted::member(out, name, text);
            }
        }
        if let Some(annotations) = &self.annotations {
            posted::key(out, "annotations");
            out.push(b'{');
            for (name, value) in annotations {
                posted::member(out, name.raw(), *value);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

fn matcher(cursor: &mut Cursor<'_>) -> Result<OfSilence, Malformed> {
    let (mut texts, mut is_regex, mut is_equal) = ([None, None], None, true);
    posted::object(cursor, OF_MATCHER, |index, cursor| {
        match (index, texts.get_mut(index)) {
            (_, Some(text)) => *text = Some(cursor.string()?.chars().collect()),
            (2, None) => is_regex = Some(crate::answer::boolean(cursor)?),
            (_, None) => is_equal = crate::answer::boolean(cursor)?,
        }
        Ok(())
    })?;
    let [Some(name), Some(value)] = texts else { return Err(Malformed) };
    Ok(OfSilence { name, op: OfSilence::op(is_regex.ok_or(Malformed)?, is_equal), value })
}
