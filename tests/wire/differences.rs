//! Go's own code as the judge, over random messages that it writes, whole and broken.
//!
//! `TENANCY_WIRE_MESSAGES` sets how many, `TENANCY_WIRE_SEED` the seed. Needs Go: the oracle is built from `tests/wire/oracle`.

use super::kinds::KINDS;
use super::{checks, filter};
use promql_tenancy_filter::wire::grpc::Care;
use promql_tenancy_filter::wire::labels::{Label, labels};
use promql_tenancy_filter::wire::protobuf::Error;
use promql_tenancy_filter::wire::remote_read::{Frames, series_of_chunks, series_of_samples};
use promql_tenancy_filter::wire::snappy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BOUND: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Message {
    kind: String,
    whole: bool,
    #[serde(rename = "in")]
    came: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    #[serde(default)]
    error: String,
    #[serde(default, skip_serializing)]
    passes: String,
    #[serde(default, skip_serializing)]
    series: Option<Vec<Option<Vec<[String; 2]>>>>,
}

#[derive(Deserialize)]
struct Verdict {
    #[serde(rename = "in")]
    came: bool,
    out: bool,
    #[serde(default)]
    diff: String,
}

#[test]
fn go_reads_what_was_written_as_what_it_wrote() {
    let mut messages = generated();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for message in &mut messages {
        *counts.entry(message.kind.clone()).or_default() += 1;
        let came = bytes(&message.came);
        match KINDS.iter().find(|(kind, ..)| *kind == message.kind) {
            Some((_, rewrite, _)) => match rewrite(&came) {
                Ok(out) => message.out = Some(hex(&out)),
                Err(error) => message.error = format!("{error:?}"),
            },
            None => answer_is_read(message, &came),
        }
    }
    assert_eq!(counts.len(), KINDS.len() + 6, "each kind is met: {counts:?}");

    // The other answers have been compared with what Go says of them.
    messages.retain(|message| message.kind == "block" || KINDS.iter().any(|(kind, ..)| *kind == message.kind));
    let verdicts = judged(&messages);
    let (mut stricter, mut lenient) = (0, 0);
    for (message, verdict) in messages.iter().zip(&verdicts) {
        let said = format!("{} {} -> {:?} {}", message.kind, message.came, message.out, message.error);
        assert_eq!(verdict.diff, "", "{said}");
        match (verdict.came, message.out.is_some()) {
            (true, true) => assert!(verdict.out, "Go does not read what was written: {said}"),
            (true, false) => {
                // What this reader refuses and gogoproto reads. A packed number that is cut, gogoproto reads on into what follows
                // the field.
                let packed = ["ReadRequest", "SeriesRequest"].contains(&message.kind.as_str());
                let known = [Error::Number, Error::Kind, Error::Varint, Error::Member];
                let mut known = known.iter().chain(packed.then_some(&Error::Cut));
                let known = known.any(|error| message.error == format!("{error:?}"));
                assert!(known && !message.whole, "refused: {said}");
                stricter += 1;
            }
            (false, true) => {
                // What is broken is in a field that is dropped.
                assert!(verdict.out && !message.whole, "{said}");
                lenient += 1;
            }
            (false, false) => assert!(!message.whole, "{said}"),
        }
    }
    println!("{} messages; stricter than Go in {stricter}, not reading what it drops in {lenient}", messages.len());
    assert!((stricter + lenient) * 10 < messages.len());
}

/// What the filter forwards decodes in Go to the request that came, with the matchers added and what reaches beyond the tenant removed
/// (`forwarded` of `oracle/forwarded.go`).
#[test]
fn go_reads_what_is_forwarded_as_the_request_with_the_matchers() {
    let mut messages = generated();
    messages.retain_mut(|message| {
        let Some((kind, method)) = filter::METHODS.iter().find(|(kind, _)| *kind == message.kind) else { return false };
        match filter::forwarded_message(method, &bytes(&message.came)) {
            Ok(out) => message.out = Some(hex(&out)),
            Err(rejection) => message.error = rejection.reason().to_owned(),
        }
        message.kind = format!("forwarded/{kind}");
        true
    });
    let verdicts = judged(&messages);
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (message, verdict) in messages.iter().zip(&verdicts) {
        let said = format!("{} {} -> {:?} {}", message.kind, message.came, message.out, message.error);
        assert_eq!(verdict.diff, "", "{said}");
        assert!(message.out.is_none() || verdict.out, "Go does not read what was forwarded: {said}");
        let known = ["", "bad_message", "query_syntax", "forbidden_field"];
        assert!(known.contains(&message.error.as_str()), "{said}");
        assert!(message.error != "bad_message" || !message.whole || !verdict.came, "{said}");
        *counts.entry((&message.kind, &message.error)).or_default() += 1;
    }
    for (kind, _) in filter::METHODS {
        let forwarded = counts.get(&(format!("forwarded/{kind}").as_str(), "")).copied().unwrap_or_default();
        assert!(forwarded > 20, "{kind} is forwarded: {counts:?}");
    }
}

/// An answer is read as what Go says that it holds.
fn answer_is_read(message: &mut Message, came: &[u8]) {
    let passes = bytes(&message.passes);
    let (mut read, came) = (Vec::new(), came.to_vec());
    match message.kind.as_str() {
        "block" => {
            assert_eq!(snappy::decode_block(&came, passes.len()).unwrap(), passes);
            message.out = Some(hex(&snappy::encode_block(&passes)));
        }
        "stream" => assert_eq!(snappy::decode_stream(&came, passes.len()).unwrap(), passes),
        "ReadResponse" => {
            let response = snappy::decode_block(&came, BOUND).unwrap();
            read.extend(series_of_samples(&response).map(|series| label_set(series.unwrap())));
        }
        "ChunkedReadResponse" => {
            let (mut frames, mut raw) = (Frames::new(BOUND), Vec::new());
            for piece in came.chunks(1000) {
                let pushed = frames.push(piece, &mut |frame| {
                    raw.extend_from_slice(frame.raw);
                    read.extend(series_of_chunks(frame.message).map(|series| label_set(series.unwrap())));
                    Ok(())
                });
                pushed.unwrap();
            }
            assert_eq!((raw, frames.finish()), (passes, Ok(())));
        }
        "SeriesResponse" => read = streamed(checks::store, &came, &passes),
        "QueryResponse" => {
            let query = |number| match checks::query(number) {
                Care::Hold => Care::Drop,
                care => care,
            };
            read = streamed(query, &came, &passes);
        }
        other => panic!("no such kind: {other}"),
    }
    let expected: Vec<_> =
        message.series.take().unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(read, expected, "{} {}", message.kind, message.came);
}

type LabelSet = Vec<[String; 2]>;

fn streamed(care: fn(u64) -> Care, came: &[u8], passes: &[u8]) -> Vec<LabelSet> {
    let (out, events, end) = checks::run(care, BOUND, came, 1000);
    assert_eq!((hex(&out), end), (hex(passes), Ok(())));
    events.iter().map(|series| label_set(series)).collect()
}

fn label_set(series: &[u8]) -> LabelSet {
    labels(series).map(|label| label.map(|Label { name, value }| [hex(name), hex(value)]).unwrap()).collect()
}

fn generated() -> Vec<Message> {
    let number = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let arguments = ["generate", &number("TENANCY_WIRE_SEED", "1"), &number("TENANCY_WIRE_MESSAGES", "6000")];
    let output = Command::new(oracle()).args(arguments).output().expect("the oracle runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines(&output.stdout)
}

fn judged(messages: &[Message]) -> Vec<Verdict> {
    let mut child = Command::new(oracle())
        .arg("judge")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the oracle runs");
    let mut stdin = BufWriter::new(child.stdin.take().expect("stdin is piped"));
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            for message in messages {
                serde_json::to_writer(&mut stdin, message).expect("the oracle reads");
                stdin.write_all(b"\n").expect("the oracle reads");
            }
        });
        child.wait_with_output().expect("the oracle ends")
    });
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let verdicts: Vec<Verdict> = lines(&output.stdout);
    assert_eq!(verdicts.len(), messages.len());
    verdicts
}

fn lines<T: for<'t> Deserialize<'t>>(stdout: &[u8]) -> Vec<T> {
    let line = |line| serde_json::from_slice(line).expect("an answer");
    stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(line).collect()
}

fn oracle() -> &'static Path {
    static ORACLE: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wire-oracle");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/oracle");
        let build = Command::new("go").args(["build", "-o"]).arg(&binary).arg(".").current_dir(source).output();
        let build = build.unwrap_or_else(|error| panic!("this test needs Go 1.26.10 or later on the PATH: {error}"));
        assert!(build.status.success(), "go build failed: {}", String::from_utf8_lossy(&build.stderr));
        binary
    });
    &ORACLE
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
