//! The tenant's limits on a gRPC message. Its fields are handed to `limits` as the parameters of the HTTP API that they stand for, in the
//! text that these have, so that the same functions decide on both; the times that come back are read again.

use super::{Rejection, Stopped};
use crate::api::parameters::{END, LOOKBACK_DELTA, MATCH, MAX_SOURCE_RESOLUTION, QUERY, START, STEP, TIME};
use crate::api::{Empty, Parameter};
use crate::go::{form, time};
use crate::limits::{RequestLimits, Requested, Stop};
use crate::wire::labels::{Matcher, Operator};

/// Far beyond every sample, and near enough to be written as seconds without a loss.
const LAST_MS: i64 = 1 << 52;

/// The limits on one request.
pub struct Bounds<'p> {
    pub limits: &'p RequestLimits,
    pub now_ms: Option<i64>,
}

/// What a message asks for. Times are absent where the method has none of that name.
#[derive(Default)]
pub struct Asked<'m> {
    pub query: &'m [u8],
    /// The matchers as the text of a selector.
    pub selector: Vec<u8>,
    pub time_ms: Option<i64>,
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    pub step_seconds: Option<i64>,
    /// 0 and less: the server's default.
    pub lookback_seconds: i64,
    /// 0: the server's default.
    pub resolution_seconds: i64,
}

/// What limits leave of it.
pub enum Within {
    /// These times.
    Times(Times),
    /// Nothing.
    Nothing(Empty),
}

/// The values that take the place of the client's.
#[derive(Default)]
pub struct Times {
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    pub resolution_seconds: Option<i64>,
}

impl Within {
    /// Where nothing is left, the filter answers itself.
    pub fn or_stop(self) -> Result<Times, Stopped> {
        match self {
            Within::Times(times) => Ok(times),
            Within::Nothing(empty) => Err(Stopped::Empty(empty)),
        }
    }
}

impl<'m> Asked<'m> {
    /// What exists between two times.
    pub fn between(matchers: &[Matcher<'_>], start_ms: i64, end_ms: i64) -> Self {
        let selector = if matchers.is_empty() { Vec::new() } else { selector(matchers) };
        Asked { selector, start_ms: Some(start_ms), end_ms: Some(end_ms), ..Asked::default() }
    }
}

impl Bounds<'_> {
    /// Decides on what is asked for.
    pub fn decide(&self, asked: &Asked<'_>) -> Result<Within, Rejection> {
        let mut requested = Requested::default();
        let mut given: Vec<(&Parameter, Vec<u8>)> = Vec::new();
        for (parameter, time) in [(&TIME, asked.time_ms), (&START, asked.start_ms), (&END, asked.end_ms)] {
            if let Some(milliseconds) = time {
                let mut text = Vec::new();
                time::write(milliseconds.clamp(-LAST_MS, LAST_MS), &mut text);
                given.push((parameter, text));
            }
        }
        let positive = |seconds: i64| Some(seconds).filter(|seconds| *seconds > 0);
        let resolution = Some(asked.resolution_seconds).filter(|seconds| *seconds != 0);
        for (parameter, seconds) in [
            (&STEP, asked.step_seconds),
            (&LOOKBACK_DELTA, positive(asked.lookback_seconds)),
            (&MAX_SOURCE_RESOLUTION, resolution),
        ] {
            if let Some(seconds) = seconds {
                given.push((parameter, seconds.to_string().into_bytes()));
            }
        }
        if !asked.query.is_empty() {
            given.push((&QUERY, asked.query.to_vec()));
        }
        if !asked.selector.is_empty() {
            given.push((&MATCH, asked.selector.clone()));
        }
        for (parameter, value) in &given {
            requested.take(parameter, value, None);
        }
        let mut written = Vec::new();
        match self.limits.decide(&mut requested, true, self.now_ms, &mut written) {
            Ok(()) => {}
            Err(Stop::Empty(empty)) => return Ok(Within::Nothing(self.limits.empty().unwrap_or(empty))),
            Err(Stop::Refused(refusal)) => return Err(refusal.into()),
        }
        let mut times = Times::default();
        for pair in form::pairs(&written) {
            let pair = pair.map_err(|_| Rejection::Internal("the times of limits can't be read"))?;
            let is = |parameter: &Parameter| parameter.name.as_bytes() == &*pair.key;
            if given.iter().any(|(parameter, value)| is(parameter) && **value == *pair.value) {
                continue;
            }
            if is(&START) {
                times.start_ms = time::instant(&pair.value);
            } else if is(&END) {
                times.end_ms = time::instant(&pair.value);
            } else if is(&MAX_SOURCE_RESOLUTION) {
                // Raw data: 0 would be the server's default, and no downsampled data are as fine as a second.
                times.resolution_seconds = Some(1);
            }
        }
        Ok(Within::Times(times))
    }
}

/// The matchers as PromQL writes them, with names in quotes. A value that is no text is not one that a pattern limits.
fn selector(matchers: &[Matcher<'_>]) -> Vec<u8> {
    let mut text = String::from("{");
    for matcher in matchers {
        if text.len() > 1 {
            text.push(',');
        }
        literal(matcher.name, &mut text);
        text.push_str(match matcher.operator {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Matches => "=~",
            Operator::NotMatches => "!~",
        });
        literal(matcher.value, &mut text);
    }
    text.push('}');
    text.into_bytes()
}

fn literal(bytes: &[u8], out: &mut String) {
    out.push('"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}
