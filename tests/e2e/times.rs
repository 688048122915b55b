//! Times and durations: `src/go/time.rs` reads them as the upstreams do. The test sends generated texts directly to Prometheus and Thanos. Their answer
//! to `time()` shows how they read a text.

use crate::generator::Rng;
use crate::support::http::{Request, Response, form};
use crate::support::{prometheus, thanos};
use promql_tenancy_filter::go::time;

const TEXTS: u64 = 700;

/// Beyond this many milliseconds the engine's own clock, in nanoseconds, wraps around: only whether a time is read is compared.
const CLOCK: u64 = i64::MAX as u64 / 1_000_000;

#[test]
fn a_time_is_read_as_upstream_reads_it() {
    for (port, upstream) in [(prometheus().upstream.port(), "Prometheus"), (thanos().upstream.port(), "Thanos")] {
        let ask = |text: &str| ask(port, "/api/v1/query", &[("query", "time()"), ("time", text)]);
        let (mut read, mut refused, mut out_of_range) = (0, 0, 0);
        let extremes = ["-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"];
        for text in (0..TEXTS).map(time_text).chain(extremes.map(String::from)) {
            let answer = ask(&text);
            match time::instant(text.as_bytes()) {
                // Thanos has no names for the ends of time.
                Some(_) if extremes.contains(&text.as_str()) && upstream == "Thanos" => assert_eq!(answer.status, 400),
                Some(ours) => {
                    assert_eq!(answer.status, 200, "{upstream}: {text:?} is {ours} here, there {}", answer.text());
                    read += 1;
                    if ours.unsigned_abs() < CLOCK {
                        let theirs = milliseconds(&answer.json()["data"]["result"][1]);
                        // Before 1970 the engine drops what is finer upwards when it evaluates, and downwards when it asks its
                        // storage (`timeMilliseconds`, `timestamp.FromTime`). A time of whole milliseconds is the same to both.
                        let upwards = ours < 0 && text.contains('T') && theirs == ours + 1;
                        assert!(theirs == ours || upwards, "{upstream}: {text:?} is {ours} here, {theirs} there");
                        let mut written = Vec::new();
                        time::write(ours, &mut written);
                        let written = String::from_utf8(written).unwrap();
                        let again = ask(&written).json()["data"]["result"][1].clone();
                        assert_eq!(milliseconds(&again), ours, "{upstream}: {text:?}, written as {written}");
                    }
                }
                None if answer.status == 200 => {
                    assert!(is_no_time(&text), "{upstream} reads {text:?}: {}", answer.text());
                    out_of_range += 1;
                }
                None => {
                    assert_eq!(answer.status, 400, "{upstream}: {text:?}: {}", answer.text());
                    refused += 1;
                }
            }
        }
        println!(
            "{upstream}: {read} times are read alike, {refused} refused by both, {out_of_range} by us: out of range"
        );
        assert!(read > TEXTS / 3 && refused > TEXTS / 10, "the texts are of both kinds");
    }
}

#[test]
fn a_duration_is_read_as_upstream_reads_it() {
    for (port, upstream) in [(prometheus().upstream.port(), "Prometheus"), (thanos().upstream.port(), "Thanos")] {
        let (mut read, mut refused, mut measured) = (0, 0, 0);
        for text in (0..TEXTS).map(duration_text) {
            // A lookback of any length will do.
            let answer = ask(port, "/api/v1/query", &[("query", "time()"), ("lookback_delta", &text)]);
            let Some(ours) = time::duration(text.as_bytes()) else {
                let no_number = answer.status == 200 && text.to_ascii_lowercase().contains("nan");
                assert!(answer.status == 400 || no_number, "{upstream} reads {text:?}: {}", answer.text());
                refused += 1;
                continue;
            };
            assert_eq!(answer.status, 200, "{upstream}: {text:?} is {ours} here, there {}", answer.text());
            read += 1;
            // The second of two steps shows how long one is, in whole milliseconds.
            let step = ours / 1_000_000;
            if step <= 0 || step.unsigned_abs() >= CLOCK {
                continue;
            }
            let mut end = Vec::new();
            time::write(step, &mut end);
            let end = String::from_utf8(end).unwrap();
            let range = [("query", "time()"), ("start", "0"), ("end", &end), ("step", &text)];
            let answer = ask(port, "/api/v1/query_range", &range).json();
            let values =
                answer["data"]["result"][0]["values"].as_array().unwrap_or_else(|| panic!("{text:?}: {answer}"));
            let second = values.last().map(|value| milliseconds(&value[1]));
            assert_eq!((values.len(), second), (2, Some(step)), "{upstream}: {text:?}");
            measured += 1;
        }
        println!("{upstream}: {read} durations are read alike, {measured} measured, {refused} refused by both");
        assert!(measured > TEXTS / 4 && refused > TEXTS / 10, "the texts are of both kinds");
    }
}

fn ask(port: u16, path: &str, parameters: &[(&str, &str)]) -> Response {
    Request::get(&format!("{path}?{}", form(parameters))).send(port)
}

/// A printed number of seconds.
fn milliseconds(value: &serde_json::Value) -> i64 {
    let seconds: f64 = value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"));
    (seconds * 1000.0).round() as i64
}

/// Numbers that Go converts to integers that depend on the processor.
fn is_no_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase().replace('_', "");
    let unsigned = lower.trim_start_matches(['+', '-']);
    let huge = unsigned.parse::<f64>().is_ok_and(|seconds| seconds > 9.2e15);
    let huge_hexadecimal =
        unsigned.strip_prefix("0x").and_then(|digits| digits.split_once('p')).is_some_and(|(digits, power)| {
            let whole = u128::from_str_radix(digits.split('.').next().unwrap_or_default(), 16).unwrap_or(0);
            whole as f64 * 2f64.powi(power.parse().unwrap_or(0)) > 9.2e15
        });
    huge || huge_hexadecimal || unsigned.starts_with("inf") || unsigned.starts_with("nan")
}

fn time_text(seed: u64) -> String {
    let mut rng = Rng::new(seed ^ 0x7469_6d65);
    let text = if rng.chance(50) { float(&mut rng) } else { date(&mut rng) };
    broken(&mut rng, text)
}

fn duration_text(seed: u64) -> String {
    const UNITS: [&str; 7] = ["y", "w", "d", "h", "m", "s", "ms"];
    let mut rng = Rng::new(seed ^ 0x6475_7261);
    let text = if rng.chance(40) {
        float(&mut rng)
    } else {
        let mut text = String::new();
        for unit in UNITS {
            if rng.chance(25) {
                text += &digits(&mut rng, 3);
                text += unit;
            }
        }
        if text.is_empty() { "5m".to_owned() } else { text }
    };
    broken(&mut rng, text)
}

fn float(rng: &mut Rng) -> String {
    const WORDS: [&str; 8] = ["inf", "Inf", "+Inf", "-inf", "infinity", "NaN", "nan", "1e400"];
    let mut text = rng.pick(&["", "", "", "", "+", "-"]).to_owned();
    match rng.weighted(&[50, 25, 15, 5]) {
        0 => {
            text += &digits(rng, 11);
            if rng.chance(60) {
                text += ".";
                text += &digits(rng, 9);
            }
        }
        1 => text += &format!("{}.{}e{}{}", digits(rng, 3), digits(rng, 12), rng.pick(&["", "+", "-"]), rng.below(12)),
        2 => {
            let power = rng.pick(&["p0", "p-3", "P+12", "p4", "p-60", "p"]);
            text += &format!("0x{:x}.{:x}{power}", rng.next() >> rng.below(64), rng.below(4096));
        }
        _ => text = rng.pick(&WORDS).to_owned(),
    }
    if rng.chance(10) {
        let place = rng.below(text.len() + 1);
        text.insert(place, '_');
    }
    text
}

fn date(rng: &mut Rng) -> String {
    let year = rng
        .pick(&[0, 1, 1583, 1677, 1678, 1899, 1900, 1968, 1969, 1970, 1999, 2000, 2023, 2024, 2100, 2261, 2263, 9999]);
    let (month, day) = (1 + rng.below(12), 1 + rng.below(31));
    let hour = if rng.chance(10) { format!("{}", rng.below(24)) } else { format!("{:02}", rng.below(24)) };
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour}:{:02}:{:02}", rng.below(60), rng.below(60));
    if rng.chance(50) {
        text += rng.pick(&[".", ".", ","]);
        text += &digits(rng, 12);
    }
    if rng.chance(60) {
        text + "Z"
    } else {
        text + rng.pick(&["+", "-"]) + &format!("{:02}:{:02}", rng.below(26), rng.below(62))
    }
}

/// A random number of digits, up to this many.
fn digits(rng: &mut Rng, most: usize) -> String {
    (0..=rng.below(most)).map(|_| char::from(b'0' + rng.below(10) as u8)).collect()
}

/// Changes, removes or inserts a character, one time in five.
fn broken(rng: &mut Rng, text: String) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    if rng.chance(20) {
        let place = rng.below(characters.len());
        let other =
            rng.pick(&['0', '6', '9', '.', ',', '-', '+', ':', 'T', 't', 'Z', 'z', 'e', 'x', 'p', '_', 'm', 's', ' ']);
        match rng.below(3) {
            0 => characters[place] = other,
            1 => characters.insert(place, other),
            _ if characters.len() > 1 => drop(characters.remove(place)),
            _ => {}
        }
    }
    characters.into_iter().collect()
}
