//! The rules that compare the results of the filter and of Prometheus for one query. docs/promql.md lists the intended differences.

use super::oracle::{Case, Comparison, Condition, Reading, Verdict, judge};
use promql_tenancy_filter::promql::{Error, ErrorKind, MAX_DEPTH, MAX_LENGTH, MAX_TOKENS, rewrite, rewrite_selector};
use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Renaming, Scope};
use std::collections::BTreeMap;

pub const LABEL: &str = "tenant_id";

/// The settings from which the scope is made.
#[derive(Clone, Copy)]
pub struct Mode {
    pub scope: &'static [Condition<'static>],
    pub on_conflict: OnConflict,
    pub name: &'static str,
    /// The tenant label, and the name that queries have for it.
    pub renames: Option<[&'static str; 2]>,
}

pub const REPLACE: Mode = Mode { scope: TEAM_A, on_conflict: OnConflict::Replace, name: "replace", renames: None };

/// All settings of the enforcement. The generator's own matchers on these labels agree with some of the scopes, and contradict others.
pub const MODES: [Mode; 17] = [
    REPLACE,
    Mode { scope: TEAM_A, on_conflict: OnConflict::Intersect, name: "intersect", renames: None },
    Mode { scope: TEAM_A, on_conflict: OnConflict::Reject, name: "reject", renames: None },
    Mode {
        scope: &[is_in(LABEL, &["team-a", "team.b", "ten|ant"])],
        on_conflict: OnConflict::Intersect,
        name: "intersect",
        renames: None,
    },
    Mode {
        scope: &[is_in(LABEL, &["team-a", "team.b"])],
        on_conflict: OnConflict::Reject,
        name: "reject",
        renames: None,
    },
    Mode { scope: TWO, on_conflict: OnConflict::Replace, name: "replace", renames: None },
    Mode { scope: TWO, on_conflict: OnConflict::Reject, name: "reject", renames: None },
    Mode { scope: THREE, on_conflict: OnConflict::Replace, name: "replace", renames: None },
    Mode { scope: THREE, on_conflict: OnConflict::Intersect, name: "intersect", renames: None },
    Mode { scope: THREE, on_conflict: OnConflict::Reject, name: "reject", renames: None },
    Mode { scope: FOUR, on_conflict: OnConflict::Replace, name: "replace", renames: None },
    Mode { scope: FIVE, on_conflict: OnConflict::Replace, name: "replace", renames: None },
    Mode { scope: FIVE, on_conflict: OnConflict::Intersect, name: "intersect", renames: None },
    Mode { scope: FIVE, on_conflict: OnConflict::Reject, name: "reject", renames: None },
    // The generator's queries name these labels often, in every place where a label can stand.
    Mode { scope: TWO_TEAMS, on_conflict: OnConflict::Intersect, name: "intersect", renames: Some([LABEL, "a"]) },
    Mode { scope: TWO_TEAMS, on_conflict: OnConflict::Reject, name: "reject", renames: Some([LABEL, "b"]) },
    Mode { scope: FOUR, on_conflict: OnConflict::Replace, name: "replace", renames: Some(["with space", "b"]) },
];

const TWO_TEAMS: &[Condition<'_>] = &[is_in(LABEL, &["team-a", "team-b"])];

const TEAM_A: &[Condition<'_>] = &[is(LABEL, "=", &["team-a"])];
const TWO: &[Condition<'_>] = &[is(LABEL, "=", &["team-a"]), is("job", "=", &["a"])];
/// A label with two matchers, one that is excluded, and a pattern.
const THREE: &[Condition<'_>] = &[
    is("namespace", "=~", &["[a-z]+"]),
    is("code", "!=", &["5.."]),
    is_in(LABEL, &["team-a", "team-b"]),
    is(LABEL, "!~", &["team-b|x"]),
];
const FOUR: &[Condition<'_>] =
    &[is("a", "!~", &["a|b"]), is("b", "=", &["é"]), is("http.status", "=", &["a\"\\\n"]), is("le", "!=", &[""])];
const FIVE: &[Condition<'_>] = &[
    is("instance", "=~", &["a|b"]),
    is("job", "!~", &["foo.*"]),
    is(LABEL, "=", &["team-a"]),
    is("with space", "=~", &["(?i)get|post"]),
    is("le", "!=", &["\\d+"]),
];

const fn is(label: &'static str, op: &'static str, value: &'static [&'static str; 1]) -> Condition<'static> {
    Condition { label, op, values: value }
}

const fn is_in(label: &'static str, values: &'static [&'static str]) -> Condition<'static> {
    Condition { label, op: "in", values }
}

impl Mode {
    pub fn scope(&self) -> Scope {
        let matchers = self.scope.iter().map(|condition| (matcher(condition), self.on_conflict)).collect();
        let renaming = self.renames.map(|[stored, shown]| Renaming::new(stored, shown).expect("three names"));
        Scope::new(matchers).expect("a scope").renamed(renaming)
    }
}

fn matcher(condition: &Condition<'_>) -> Matcher {
    let op = match condition.op {
        "in" => {
            let scope = Scope::one_of(condition.label.into(), condition.values, OnConflict::Replace);
            return scope.matchers().next().expect("a matcher").clone();
        }
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Regex,
        "!~" => MatchOp::NotRegex,
        other => panic!("an unknown operator: {other}"),
    };
    Matcher { label: condition.label.into(), op, value: condition.values[0].into() }
}

/// A query to be compared, and its source.
pub struct Question {
    pub origin: String,
    pub text: Vec<u8>,
    pub mode: Mode,
    pub selector: bool,
}

/// The counts of a run, and every rule that was broken.
#[derive(Default)]
pub struct Report {
    pub questions: usize,
    pub accepted_there: usize,
    pub accepted_here: usize,
    pub trees_compared: usize,
    pub both_refuse: usize,
    pub same_position: usize,
    pub same_message: usize,
    /// Intended differences, by name.
    pub intended: BTreeMap<&'static str, usize>,
    pub broken: BTreeMap<&'static str, Vec<String>>,
}

/// Gives every query to the filter and to Prometheus's parser.
pub fn compare(questions: &[Question], report: &mut Report) {
    let ours: Vec<Result<(Vec<u8>, u32), Error>> = questions.iter().map(ask_filter).collect();
    let cases: Vec<Case<'_>> = questions
        .iter()
        .zip(&ours)
        .map(|(q, ours)| {
            let out = ours.as_ref().ok().map(|(text, _)| text.as_slice());
            Case::new(&q.text, out, q.mode.scope, q.mode.name, q.selector).renamed(q.mode.renames)
        })
        .collect();
    let verdicts = judge(&cases);
    for ((question, ours), verdict) in questions.iter().zip(&ours).zip(&verdicts) {
        report.one(question, ours, verdict);
    }
}

fn ask_filter(question: &Question) -> Result<(Vec<u8>, u32), Error> {
    let rewriter = if question.selector { rewrite_selector } else { rewrite };
    let mut out = Vec::new();
    let count = rewriter(&question.text, &question.mode.scope(), &mut out)?;
    Ok((out, count))
}

impl Report {
    fn one(&mut self, question: &Question, ours: &Result<(Vec<u8>, u32), Error>, verdict: &Verdict) {
        self.questions += 1;
        let accepted_there = verdict.query.iter().any(|reading| reading.ok);
        self.accepted_there += usize::from(accepted_there);
        match ours {
            Ok((text, count)) => {
                self.accepted_here += 1;
                if !accepted_there {
                    self.accepted_only_here(question, text, verdict);
                }
                self.same_meaning(question, text, *count, verdict);
                self.rewriting_again(question, text);
            }
            Err(error) if accepted_there => self.refused_only_here(question, error, verdict),
            Err(error) => self.both_refuse(error, verdict),
        }
    }

    /// If only the filter accepts a query, Prometheus must have refused it for its types, an unknown function or an empty selector.
    fn accepted_only_here(&mut self, question: &Question, text: &[u8], verdict: &Verdict) {
        let only = |kinds: &[&str]| {
            let all = |reading: &Reading| reading.kinds.iter().all(|kind| kinds.contains(&kind.as_str()));
            verdict.query.iter().any(all)
        };
        let intended = if only(&["type", "function", "empty_selector"]) {
            Some("accepted: Prometheus refuses its types, a function or an empty selector")
        } else if only(&["type", "function", "empty_selector", "regexp"]) {
            Some("accepted: Prometheus refuses a regular expression")
        } else if is_other_letter(&verdict.query[0]) {
            Some("accepted: a letter to Rust, none to Go")
        } else if mixes_readings(&verdict.query[0]) {
            Some("accepted: mixes labels with colons and unquoted UTF-8 names")
        } else {
            None
        };
        match intended {
            Some(name) => self.intend(name),
            None => self.broke("accepted only by the filter", question, text, &errors(verdict)),
        }
    }

    /// Each parser that accepts the query must accept the rewritten text, and build the same tree with the matcher added. Each parser that
    /// accepts the rewritten text must find the matcher on every selector, whether or not it accepted the query.
    fn same_meaning(&mut self, question: &Question, text: &[u8], count: u32, verdict: &Verdict) {
        let accepted = verdict.query.iter().any(|reading| reading.ok);
        let two_ways = is_read_two_ways(&question.text, verdict);
        if two_ways {
            self.intend("accepted: a keyword and a number by default, a dotted name otherwise (`bool.5`)");
        }
        for (index, (reading, comparison)) in verdict.query.iter().zip(&verdict.out).enumerate() {
            let comparison = comparison.as_ref().expect("the oracle was given the text");
            if comparison.open > 0 {
                self.broke("A SELECTOR IS OPEN", question, text, &comparison.open.to_string());
            }
            if comparison.behind > 0 {
                self.broke("the matchers don't come first", question, text, &comparison.behind.to_string());
            }
            if two_ways && index == 0 {
                continue;
            }
            // If no parser accepts the query, because of a type or a function, the trees are compared all the same.
            if comparison.compared && (reading.ok || !accepted) {
                self.trees_compared += 1;
                if !comparison.diff.is_empty() {
                    self.broke("the meaning differs", question, text, &comparison.diff);
                }
            }
            if reading.ok {
                self.accepted_reading(question, text, count, reading, comparison);
            }
        }
    }

    fn accepted_reading(
        &mut self,
        question: &Question,
        text: &[u8],
        count: u32,
        reading: &Reading,
        there: &Comparison,
    ) {
        if !there.ok {
            self.broke("the rewritten text is refused", question, text, &there.error);
        } else if !there.compared {
            self.broke("the trees were not compared", question, text, &there.error);
        }
        if reading.selectors != count {
            let counts = format!("the filter counted {count} selectors, Prometheus {}", reading.selectors);
            self.broke("another number of selectors", question, text, &counts);
        }
        if reading.conflict && question.mode.on_conflict == OnConflict::Reject {
            self.broke("a conflict was not rejected", question, text, "");
        }
    }

    fn rewriting_again(&mut self, question: &Question, text: &[u8]) {
        // What was written has the stored names.
        let mode = Mode { renames: None, ..question.mode };
        let again = Question { origin: String::new(), text: text.to_vec(), mode, selector: question.selector };
        match ask_filter(&again) {
            Ok((twice, _)) if twice == text => {}
            Ok((twice, _)) => {
                self.broke("rewriting again changes it", question, text, &String::from_utf8_lossy(&twice))
            }
            Err(error) => self.broke("rewriting again fails", question, text, &error.to_string()),
        }
    }

    fn refused_only_here(&mut self, question: &Question, error: &Error, verdict: &Verdict) {
        let conflict = verdict.query.iter().any(|reading| reading.ok && reading.conflict);
        let intended = match error.kind {
            ErrorKind::Syntax => None,
            ErrorKind::Info => has_info_call(&question.text).then_some("refused: a form of info()"),
            ErrorKind::TooLarge => is_too_large(&question.text).then_some("refused: too long or too deep"),
            ErrorKind::Reserved => question
                .text
                .windows(7)
                .any(|part| part == b"__query" || part == b"__queri" || part == b"__corte")
                .then_some("refused: a label whose value is run as a query"),
            ErrorKind::Conflict => (conflict && question.mode.on_conflict == OnConflict::Reject)
                .then_some("refused: a conflict, under reject"),
        };
        match intended {
            Some(name) => self.intend(name),
            None => {
                self.broke("refused only by the filter", question, b"", &format!("{error} ({})", error.kind.name()))
            }
        }
    }

    fn both_refuse(&mut self, error: &Error, verdict: &Verdict) {
        let ours = error.to_string();
        let position = |text: &str| text.split(" parse error: ").next().map(str::to_owned);
        self.both_refuse += 1;
        self.same_message += usize::from(verdict.query.iter().any(|reading| reading.error == ours));
        self.same_position +=
            usize::from(verdict.query.iter().any(|reading| position(&reading.error) == position(&ours)));
    }

    fn intend(&mut self, name: &'static str) {
        *self.intended.entry(name).or_default() += 1;
    }

    fn broke(&mut self, rule: &'static str, question: &Question, text: &[u8], theirs: &str) {
        let Question { origin, text: query, mode, .. } = question;
        let (query, text) = (String::from_utf8_lossy(query), String::from_utf8_lossy(text));
        let answer = format!(
            "{origin}, {} {:?}\n    query  {query:?}\n    filter {text:?}\n    there  {theirs}",
            mode.name, mode.scope
        );
        self.broken.entry(rule).or_default().push(answer);
    }

    /// Prints the counts. Fails if a rule was broken.
    pub fn finish(self, name: &str) {
        println!(
            "{name}: {} queries, {} accepted by Prometheus, {} by the filter, {} trees compared; of {} that both refuse, {} at the same place, {} with the same message",
            self.questions,
            self.accepted_there,
            self.accepted_here,
            self.trees_compared,
            self.both_refuse,
            self.same_position,
            self.same_message,
        );
        for (name, count) in &self.intended {
            println!("    {count} {name}");
        }
        /// How many examples of each kind are shown. The shortest ones are shown first.
        const SHOWN: usize = 12;
        let mut message = String::new();
        for (rule, mut found) in self.broken {
            found.sort_by_key(String::len);
            message.push_str(&format!(
                "\n{rule}: {}\n  {}\n",
                found.len(),
                found[..found.len().min(SHOWN)].join("\n  ")
            ));
        }
        assert!(message.is_empty(), "{name}: Prometheus differs{message}");
    }
}

fn errors(verdict: &Verdict) -> String {
    verdict.query.iter().map(|reading| reading.error.as_str()).collect::<Vec<_>>().join(" | ")
}

/// Rust calls more code points alphabetic than Go calls letters (marks that make up a letter; later editions of Unicode).
/// This is decided by the reading with unquoted UTF-8 names.
fn is_other_letter(with_utf8_names: &Reading) -> bool {
    let unexpected =
        with_utf8_names.error.split_once("unexpected character").and_then(|(_, rest)| rest.split_once(": '"));
    let quoted = unexpected.and_then(|(_, rest)| rest.chars().next());
    quoted.is_some_and(|c| !c.is_ascii() && c.is_alphabetic())
}

/// `sum by (a:b) (x.y)`: one parser refuses the label and nothing else of the syntax, the other refuses the name; the filter
/// takes either.
fn mixes_readings(with_utf8_names: &Reading) -> bool {
    let kinds = &with_utf8_names.kinds;
    kinds.iter().any(|kind| kind == "label")
        && kinds.iter().all(|kind| ["label", "function", "regexp"].contains(&kind.as_str()))
}

/// In `x > bool.5`, the default parser reads a number, and the other a metric. The filter writes what the default parser reads, in a text that both
/// read alike.
fn is_read_two_ways(query: &[u8], verdict: &Verdict) -> bool {
    let dotted = query.windows(3).any(|w| w[0].is_ascii_alphabetic() && w[1] == b'.' && w[2].is_ascii_digit());
    let [Some(with_utf8_names), Some(default)] = &verdict.out else { return false };
    let both = with_utf8_names.compared && default.compared;
    dotted && both && default.diff.is_empty() && !with_utf8_names.diff.is_empty()
}

fn has_info_call(query: &[u8]) -> bool {
    query.windows(4).any(|window| window == b"info")
}

/// Counts opening characters. A query with fewer of them than the limit is not too deep.
fn is_too_large(query: &[u8]) -> bool {
    let openings = query.iter().filter(|b| matches!(b, b'(' | b'-' | b'+' | b'[' | b'^')).count();
    query.len() > MAX_LENGTH.min(MAX_TOKENS) || openings > MAX_DEPTH as usize / 2
}
