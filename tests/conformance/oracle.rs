//! Builds the Go programs in `tests/oracle` once, and exchanges JSON lines with them.

use promql_tenancy_filter::promql::Evaluation;
use serde::{Deserialize, Serialize};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// A query, the text that the filter made of it, and the settings of the enforcement. Bytes that are not UTF-8 are sent in base64.
#[derive(Serialize)]
pub struct Case<'c> {
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    query: Option<&'c str>,
    #[serde(rename = "in64", skip_serializing_if = "Option::is_none")]
    query_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<&'c str>,
    #[serde(rename = "out64", skip_serializing_if = "Option::is_none")]
    out_bytes: Option<String>,
    scope: &'c [Condition<'c>],
    conflict: &'c str,
    selector: bool,
    /// The tenant label, and the name that the query has for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    renames: Option<[&'c str; 2]>,
}

/// One matcher of the scope.
#[derive(Serialize, Debug, Clone, Copy)]
pub struct Condition<'c> {
    pub label: &'c str,
    /// `=`, `!=`, `=~`, `!~`; or `in`, which is `=~` with each of the values quoted.
    pub op: &'c str,
    /// One, but for `in`.
    pub values: &'c [&'c str],
}

impl<'c> Case<'c> {
    pub fn new(
        query: &'c [u8],
        out: Option<&'c [u8]>,
        scope: &'c [Condition<'c>],
        conflict: &'c str,
        selector: bool,
    ) -> Self {
        let (query, query_bytes) = text_or_base64(Some(query));
        let (out, out_bytes) = text_or_base64(out);
        Case { query, query_bytes, out, out_bytes, scope, conflict, selector, renames: None }
    }

    /// The same, with names of labels exchanged.
    pub fn renamed(self, renames: Option<[&'c str; 2]>) -> Self {
        Case { renames, ..self }
    }
}

/// The results of Prometheus's parser, with unquoted UTF-8 names and without.
#[derive(Deserialize)]
pub struct Verdict {
    #[serde(rename = "in")]
    pub query: [Reading; 2],
    pub out: [Option<Comparison>; 2],
}

#[derive(Deserialize)]
pub struct Reading {
    pub ok: bool,
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub kinds: Vec<String>,
    pub selectors: u32,
    pub conflict: bool,
}

#[derive(Deserialize)]
pub struct Comparison {
    pub ok: bool,
    #[serde(default)]
    pub error: String,
    /// Selectors that lack a matcher.
    pub open: u32,
    /// Selectors in which the matchers of the scope are not first, or not in the scope's order.
    pub behind: u32,
    /// Whether both trees were complete, so that they could be compared.
    pub compared: bool,
    #[serde(default)]
    pub diff: String,
}

/// The result of prom-label-proxy's enforcer for a query.
#[derive(Deserialize)]
pub struct Precedent {
    pub ok: bool,
    #[serde(default)]
    pub text: String,
    /// The selectors that have no matcher in its result.
    pub open: Option<Vec<String>>,
}

#[derive(Serialize)]
pub struct PrecedentCase<'c> {
    #[serde(rename = "in")]
    pub query: &'c str,
    pub label: &'c str,
    pub value: &'c str,
}

/// A query and the times of its evaluation, for Prometheus's engine.
#[derive(Serialize)]
pub struct EngineCase<'c> {
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    query: Option<&'c str>,
    #[serde(rename = "in64", skip_serializing_if = "Option::is_none")]
    query_bytes: Option<String>,
    pub instant: bool,
    pub start: i64,
    pub end: i64,
    pub step: i64,
    pub lookback: i64,
}

impl<'c> EngineCase<'c> {
    pub fn new(query: &'c [u8], instant: bool, evaluation: &Evaluation) -> Self {
        let (query, query_bytes) = text_or_base64(Some(query));
        let Evaluation { start_ms: start, end_ms: end, step_ns: step, lookback_ms: lookback, .. } = *evaluation;
        EngineCase { query, query_bytes, instant, start, end, step, lookback }
    }
}

/// The time range for which the engine asked its storage.
#[derive(Deserialize)]
pub struct Asked {
    pub ran: bool,
    #[serde(default)]
    pub error: String,
    pub selects: u32,
    pub hints: Span,
    pub querier: Span,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub min: i64,
    pub max: i64,
}

pub fn asked(cases: &[EngineCase<'_>]) -> Vec<Asked> {
    answers(&ENGINE, &[], cases)
}

pub fn judge(cases: &[Case<'_>]) -> Vec<Verdict> {
    answers(&ORACLE, &["judge"], cases)
}

pub fn precedents(cases: &[PrecedentCase<'_>]) -> Vec<Precedent> {
    answers(&LABEL_PROXY, &[], cases)
}

/// The queries of a corpus: `prometheus` or `collections`.
pub fn corpus(name: &str) -> Vec<String> {
    lines(&["corpus", name])
}

/// What the oracle prints, a line each.
pub fn lines<A: for<'a> Deserialize<'a>>(arguments: &[&str]) -> Vec<A> {
    let output =
        Command::new(&*ORACLE).args(arguments).current_dir(source("tests/oracle")).output().expect("the oracle runs");
    assert!(output.status.success(), "oracle {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("JSON is UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("what the oracle prints"))
        .collect()
}

static ORACLE: LazyLock<PathBuf> = LazyLock::new(|| build("tests/oracle", "oracle"));
static ENGINE: LazyLock<PathBuf> = LazyLock::new(|| build("tests/oracle/engine", "engine"));
static LABEL_PROXY: LazyLock<PathBuf> = LazyLock::new(|| build("tests/oracle/labelproxy", "labelproxy"));

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn build(folder: &str, name: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new("go").arg("build").arg("-o").arg(&binary).arg(".").current_dir(source(folder)).output();
    match output {
        Err(error) => panic!("conformance needs Go 1.26 or later on the PATH, to build {folder}: {error}"),
        Ok(output) if !output.status.success() => {
            panic!("go build in {folder} failed: {}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) => binary,
    }
}

fn answers<C: Serialize + Sync, A: for<'a> Deserialize<'a>>(program: &Path, arguments: &[&str], cases: &[C]) -> Vec<A> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let stdin = child.stdin.take().expect("stdin is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut writer = BufWriter::new(stdin);
            for case in cases {
                serde_json::to_writer(&mut writer, case).expect("the program reads");
                writer.write_all(b"\n").expect("the program reads");
            }
        });
        child.wait_with_output().expect("the program ends")
    });
    assert!(output.status.success(), "{} failed: {}", program.display(), output.status);
    let answers: Vec<A> = output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("an answer"))
        .collect();
    assert_eq!(answers.len(), cases.len(), "{} answers each case", program.display());
    answers
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text), None),
        Some((Err(_), bytes)) => (None, Some(base64(bytes))),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for index in 0..4 {
            text.push(if index <= group.len() {
                char::from(ALPHABET[(word >> (18 - 6 * index)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}
