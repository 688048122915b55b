//! Places in messages: where Prometheus says that an error is in the text that the filter made is, after the filter has read the answer, the place
//! where Prometheus says that it is in the text that the client wrote.

use super::generator::{self, Rng};
use super::oracle::{Case, Verdict, judge};
use super::rules::{MODES, Mode};
use promql_tenancy_filter::answer::{Asked, Content, Documents, Filter, MAX_ASKED, Statistics};
use promql_tenancy_filter::go::form;
use promql_tenancy_filter::promql::rewrite;
use serde_json::{Value, json};
use std::sync::Arc;

const UNKNOWN: &str = "parse error: unknown function with name \"nope\"";

/// A query that the filter accepts, and what it made of it.
struct Question {
    text: String,
    enforced: String,
    mode: Mode,
    /// Where the error was planted: line and column.
    planted: Option<(usize, usize)>,
}

impl Question {
    /// `None` where the filter refuses the query itself, or doesn't keep it.
    fn new(text: String, mode: Mode, planted: Option<usize>) -> Option<Self> {
        let mut enforced = Vec::new();
        rewrite(text.as_bytes(), &mode.scope(), &mut enforced).ok()?;
        let planted = planted.map(|offset| {
            let before = &text.as_bytes()[..offset];
            let line = before.split(|&byte| byte == b'\n').next_back().map_or(0, <[u8]>::len);
            (before.iter().filter(|&&byte| byte == b'\n').count() + 1, line + 1)
        });
        let enforced = String::from_utf8(enforced).expect("a query that is text stays text");
        (encoded(&text).len() <= MAX_ASKED).then_some(Question { text, enforced, mode, planted })
    }

    fn case(&self) -> Case<'_> {
        let Question { text, enforced, mode, .. } = self;
        Case::new(text.as_bytes(), Some(enforced.as_bytes()), mode.scope, mode.name, false).renamed(mode.renames)
    }

    /// What the client reads of the upstream's error.
    fn read(&self, error: &str) -> String {
        let asked = Asked::query(&encoded(&self.text), &Arc::new(self.mode.scope()));
        let mut filter = Filter::new(Documents::One, Content::Passed, Statistics::Unread).asked(asked);
        let error = format!("invalid parameter \"query\": {error}");
        let body = json!({"status": "error", "errorType": "bad_data", "error": error}).to_string();
        let mut out = Vec::new();
        filter.push(body.as_bytes(), true, &mut out);
        assert_eq!((filter.fault(), filter.withheld()), (None, 0), "{error}");
        let answer: Value = serde_json::from_slice(&out).expect("JSON");
        let read = answer["error"].as_str().expect("a text");
        read.strip_prefix("invalid parameter \"query\": ").expect("the parameter's name").to_owned()
    }
}

fn encoded(text: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    form::escape(&mut encoded, text.as_bytes());
    encoded
}

/// Asks Prometheus's parser about both texts, and returns how many errors were compared.
fn compare(questions: &[Question]) -> usize {
    let verdicts = judge(&questions.iter().map(Question::case).collect::<Vec<_>>());
    questions.iter().zip(&verdicts).map(|(question, verdict)| compare_one(question, verdict)).sum()
}

fn compare_one(question: &Question, verdict: &Verdict) -> usize {
    let mut compared = 0;
    for (reading, out) in verdict.query.iter().zip(&verdict.out) {
        let Some(out) = out.as_ref().filter(|out| !out.ok && !reading.ok) else { continue };
        // A pattern of the client's with a line break in it is quoted as it is: such a message is withheld.
        if out.error.contains(|c: char| c.is_control() && c != '\t') {
            continue;
        }
        // A text that is too empty to be read has no place, and the filter makes another of it.
        if reading.kinds.iter().any(|kind| kind == "syntax" || kind == "empty_selector") {
            continue;
        }
        if let Some((line, column)) = question.planted.filter(|_| reading.error.ends_with(UNKNOWN)) {
            assert_eq!(
                reading.error,
                format!("{line}:{column}: {UNKNOWN}"),
                "Prometheus finds it elsewhere: {:?}",
                question.text
            );
        }
        // DIFFERENCE: Prometheus places an operator after a comment where the comment begins. In the text that it gets there are no comments, so
        // that the client reads the place of the operator.
        if is_comment(&question.text, &reading.error) {
            continue;
        }
        let read = question.read(&out.error);
        assert_eq!(read, reading.error, "{:?}\n{:?}: {}", question.text, question.enforced, out.error);
        compared += 1;
    }
    compared
}

/// Whether an error is placed where a comment begins.
fn is_comment(text: &str, error: &str) -> bool {
    let mut numbers = error.splitn(3, ':').map_while(|number| number.parse::<usize>().ok());
    let (Some(line), Some(column)) = (numbers.next(), numbers.next()) else { return false };
    let line = text.as_bytes().split(|&byte| byte == b'\n').nth(line - 1).expect("a line of the text");
    line.get(column - 1) == Some(&b'#')
}

/// Two generated queries, and between them a function that nobody knows, with white space, comments and line breaks around it.
fn planted(seed: u64) -> Option<Question> {
    let mut rng = Rng::new(seed ^ 0x706c_6163_6573);
    let text = |seed| String::from_utf8(generator::query(seed)).ok();
    let space = |rng: &mut Rng| {
        rng.pick(&["", " ", "  ", "\n", "\n\n\t", " # a comment\n", "\r\n", "\n# é, {x=\"y\"} and nope(\n  "])
    };
    let (before, inside) = (text(rng.next())?, text(rng.next())?);
    let mut query =
        format!("{}{before}\n{}{}{}", space(&mut rng), space(&mut rng), rng.pick(&["+", "-", "and", "or"]), " ");
    query += space(&mut rng);
    let offset = query.len();
    query += &format!("nope{}({}{inside}\n){}", space(&mut rng), space(&mut rng), space(&mut rng));
    Question::new(query, MODES[(seed % MODES.len() as u64) as usize], Some(offset))
}

#[test]
fn places_of_planted_errors_are_the_client_s() {
    let seeds = super::generated_count() / 5;
    let questions: Vec<Question> = (0..seeds).filter_map(planted).collect();
    assert!(questions.len() as u64 * 2 > seeds, "{} of {seeds} queries are read", questions.len());
    let compared = compare(&questions);
    println!("{compared} places of {} queries compared", questions.len());
    assert!(compared > questions.len() / 2, "{compared} places of {} queries", questions.len());
}

#[test]
fn places_of_any_error_are_the_client_s() {
    let seeds = super::generated_count() / 2;
    let mode = |seed: u64| MODES[(seed % MODES.len() as u64) as usize];
    let question = |seed| Question::new(String::from_utf8(generator::mutated(seed)).ok()?, mode(seed), None);
    let questions: Vec<Question> = (0..seeds).filter_map(question).collect();
    let compared = compare(&questions);
    println!("{compared} places of {} queries compared", questions.len());
    assert!(compared * 10 > questions.len(), "{compared} places of {} queries", questions.len());
}
