//! Remote write: how the tests' data gets into Prometheus, Thanos Receive and Cortex. All of it is version 1.0 but for [`message_2`].
//!
//! Field numbers are those of prompb/types.proto and prompb/io/prometheus/write/v2/types.proto in Prometheus 3.15.

use super::http::{Body, Request};

/// A time series to write.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// With `__name__`, in any order.
    pub labels: Vec<(String, String)>,
    pub samples: Vec<Sample>,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Debug, Clone)]
pub struct Sample {
    pub milliseconds: i64,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    Float(f64),
    /// A native histogram of schema 0: the counts of the buckets (0.5, 1], (1, 2], (2, 4], …
    Histogram(Vec<u64>),
}

#[derive(Debug, Clone)]
pub struct Exemplar {
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub milliseconds: i64,
}

/// Writes the series, and asserts that they were taken. A tenant is named to Thanos Receive only.
pub fn write(port: u16, path: &str, tenant: Option<&str>, series: &[Series]) {
    let mut request = Request::new("POST", path)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0");
    request.body = Body::Sized(message(series));
    if let Some(tenant) = tenant {
        request = request.tenant(tenant);
    }
    let answer = request.send(port);
    assert!((200..300).contains(&answer.status), "remote write: {} {}", answer.status, answer.text());
}

/// The body of a write.
pub fn message(series: &[Series]) -> Vec<u8> {
    let mut message = Vec::new();
    for series in series {
        nested(&mut message, 1, &encode(series));
    }
    snappy(&message)
}

/// The body of a write that holds metadata only: of each metric, its name and its help. The type is counter.
pub fn metadata_message(metrics: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, help) in metrics {
        let mut metadata = Vec::new();
        number(&mut metadata, 1, 1);
        nested(&mut metadata, 2, name.as_bytes());
        nested(&mut metadata, 4, help.as_bytes());
        nested(&mut message, 3, &metadata);
    }
    snappy(&message)
}

/// The body of a write of version 2.0, in which series name texts by their place in one list, the first of which is empty.
pub fn message_2(series: &[Series]) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut encoded = Vec::new();
    for series in series {
        let mut out = Vec::new();
        nested(&mut out, 1, &references(&mut symbols, &series.labels));
        samples(&mut out, [2, 3], &series.samples);
        for exemplar in &series.exemplars {
            let mut content = Vec::new();
            nested(&mut content, 1, &references(&mut symbols, &exemplar.labels));
            double(&mut content, 2, exemplar.value);
            number(&mut content, 3, exemplar.milliseconds as u64);
            nested(&mut out, 4, &content);
        }
        nested(&mut encoded, 5, &out);
    }
    let mut message = Vec::new();
    for symbol in symbols {
        nested(&mut message, 4, symbol.as_bytes());
    }
    message.extend(encoded);
    snappy(&message)
}

fn references(symbols: &mut Vec<String>, labels: &[(String, String)]) -> Vec<u8> {
    let mut sorted = labels.to_vec();
    sorted.sort();
    let mut out = Vec::new();
    for text in sorted.into_iter().flat_map(|(name, value)| [name, value]) {
        let place = symbols.iter().position(|symbol| *symbol == text).unwrap_or_else(|| {
            symbols.push(text);
            symbols.len() - 1
        });
        varint(&mut out, place as u64);
    }
    out
}

fn encode(series: &Series) -> Vec<u8> {
    let mut out = labels(1, &series.labels);
    samples(&mut out, [2, 4], &series.samples);
    for exemplar in &series.exemplars {
        let mut encoded = labels(1, &exemplar.labels);
        double(&mut encoded, 2, exemplar.value);
        number(&mut encoded, 3, exemplar.milliseconds as u64);
        nested(&mut out, 3, &encoded);
    }
    out
}

/// Samples and histograms, by the numbers of their fields.
fn samples(out: &mut Vec<u8>, [floats, histograms]: [u64; 2], samples: &[Sample]) {
    for Sample { milliseconds, value } in samples {
        match value {
            Value::Float(value) => {
                let mut sample = Vec::new();
                double(&mut sample, 1, *value);
                number(&mut sample, 2, *milliseconds as u64);
                nested(out, floats, &sample);
            }
            Value::Histogram(counts) => nested(out, histograms, &histogram(counts, *milliseconds)),
        }
    }
}

/// The protocol wants them sorted.
fn labels(field: u64, labels: &[(String, String)]) -> Vec<u8> {
    let mut sorted = labels.to_vec();
    sorted.sort();
    let mut out = Vec::new();
    for (name, value) in sorted {
        let mut label = Vec::new();
        nested(&mut label, 1, name.as_bytes());
        nested(&mut label, 2, value.as_bytes());
        nested(&mut out, field, &label);
    }
    out
}

fn histogram(counts: &[u64], milliseconds: i64) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, 1, counts.iter().sum());
    double(
        &mut out,
        3,
        counts.iter().zip(0i32..).map(|(&count, power)| count as f64 * 0.75 * f64::from(1 << power)).sum(),
    );
    number(&mut out, 4, zigzag(0));
    double(&mut out, 5, 1e-128);
    number(&mut out, 6, 0);
    let mut span = Vec::new();
    number(&mut span, 1, zigzag(0));
    number(&mut span, 2, counts.len() as u64);
    nested(&mut out, 11, &span);
    let mut deltas = Vec::new();
    let mut last = 0;
    for &count in counts {
        varint(&mut deltas, zigzag(count as i64 - last));
        last = count as i64;
    }
    nested(&mut out, 12, &deltas);
    number(&mut out, 15, milliseconds as u64);
    out
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn nested(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Snappy's block format with literals only: valid, and no smaller.
fn snappy(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, content.len() as u64);
    for literal in content.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&u16::try_from(literal.len() - 1).unwrap().to_le_bytes());
        out.extend_from_slice(literal);
    }
    out
}
