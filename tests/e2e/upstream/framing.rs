//! The framing of HTTP/1 answers: where an answer begins and ends, by its headers and by what the upstream sends.

use super::Expect::{Filtered, Silent, Status, Withheld};
use super::{JSON, chunked, pieces, play, send, sized};
use crate::support::scripted::Step;

/// Response headers of these lines. The connection is not used again.
fn head(version: &str, lines: &str) -> Step {
    send(format!("{version} 200 OK\r\n{JSON}connection: close\r\n{lines}\r\n"))
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

/// The whole body in one chunk, without the final chunk.
fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}

#[test]
fn answers_are_filtered_however_they_are_cut() {
    play("with a length", Filtered, |body, _| sized("200 OK", JSON, body));
    play("in one chunk", Filtered, |body, _| chunked(JSON, [body.as_bytes()]));
    play("in chunks of one byte, at once", Filtered, |body, _| {
        let chunks: String = body.bytes().map(|byte| format!("1\r\n{}\r\n", char::from(byte))).collect();
        // A character of two bytes would be two here.
        if body.is_ascii() { vec![head("HTTP/1.1", CHUNKED), send(chunks + "0\r\n\r\n")] } else { one_by_one(body) }
    });
    play("dripping", Filtered, |body, variant| chunked(JSON, pieces(body, 24, variant)));
    play("dripping, with a length", Filtered, |body, variant| {
        let mut steps = vec![head("HTTP/1.1", &format!("content-length: {}\r\n", body.len()))];
        for piece in pieces(body, 24, variant) {
            steps.extend([send(piece), Step::Pause]);
        }
        steps
    });
    play("its end after a pause", Filtered, |body, _| {
        let mut steps = vec![head("HTTP/1.1", CHUNKED), send(chunk(body))];
        steps.extend([Step::Pause, Step::Pause, send("0\r\n\r\n")]);
        steps
    });
    play("until the connection ends", Filtered, |body, _| vec![head("HTTP/1.1", ""), send(body)]);
    play("HTTP/1.0", Filtered, |body, _| vec![head("HTTP/1.0", ""), send(body)]);
    play("HTTP/1.0, dripping", Filtered, |body, variant| {
        let mut steps = vec![head("HTTP/1.0", "")];
        for piece in pieces(body, 12, variant) {
            steps.extend([send(piece), Step::Pause]);
        }
        steps
    });
    play("chunks with extensions", Filtered, |body, _| {
        let text = format!("{:x};team-b=team-b\r\n{body}\r\n0;team-b\r\n\r\n", body.len());
        vec![head("HTTP/1.1", CHUNKED), send(text)]
    });
    play("after interim answers", Filtered, |body, _| {
        let mut steps = vec![send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")];
        steps.extend(sized("200 OK", JSON, body));
        steps
    });
}

fn one_by_one(body: &str) -> Vec<Step> {
    let mut steps = vec![head("HTTP/1.1", CHUNKED)];
    steps.extend(body.bytes().map(|byte| Step::Send(vec![b'1', b'\r', b'\n', byte, b'\r', b'\n'])));
    steps.push(send("0\r\n\r\n"));
    steps
}

#[test]
fn answers_that_end_too_early_are_no_answers() {
    for length in [0, 1, 20, 100] {
        play(&format!("closed {length} bytes before its length"), Withheld, |body, _| {
            let end = body.len() - length;
            let declared = if length == 0 { body.len() + 1 } else { body.len() };
            vec![head("HTTP/1.1", &format!("content-length: {declared}\r\n")), send(&body.as_bytes()[..end])]
        });
        play(&format!("reset {length} bytes before its end"), Withheld, |body, _| {
            let piece = &body.as_bytes()[..body.len() - length];
            let text = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            vec![head("HTTP/1.1", CHUNKED), send(text), Step::Pause, Step::Reset]
        });
    }
    play("closed before the last chunk", Withheld, |body, _| vec![head("HTTP/1.1", CHUNKED), send(chunk(body))]);
    play("closed in a chunk", Withheld, |body, _| {
        vec![head("HTTP/1.1", CHUNKED), send(&chunk(body)[..body.len() - 3])]
    });
    play("closed after the head", Withheld, |_, _| vec![head("HTTP/1.1", CHUNKED)]);
    play("reset after the head", Withheld, |_, _| vec![head("HTTP/1.1", CHUNKED), Step::Pause, Step::Reset]);
    play("closed in the head", Status(502), |_, _| vec![send("HTTP/1.1 200 OK\r\nteam-b: x")]);
    play("nothing", Status(503), |_, _| Vec::new());
    play("reset at once", Status(503), |_, _| vec![Step::Reset]);
    play("a length that is less", Withheld, |body, _| {
        vec![head("HTTP/1.1", &format!("content-length: {}\r\n", body.len() - 5)), send(body)]
    });
}

#[test]
fn answers_whose_length_can_be_read_in_two_ways_are_refused() {
    let both = |length: usize| format!("content-length: {length}\r\n{CHUNKED}");
    play("a length and chunks", Withheld, |body, _| {
        vec![head("HTTP/1.1", &both(body.len())), send(chunk(body) + "0\r\n\r\n")]
    });
    play("two lengths", Withheld, |body, _| {
        let lengths = format!("content-length: {}\r\ncontent-length: 5\r\n", body.len());
        vec![head("HTTP/1.1", &lengths), send(body)]
    });
    for length in ["-1", "0x10", "1e3", "99999999999999999999", "", "5, 6", "+5", "five"] {
        play(&format!("content-length {length:?}"), Withheld, |body, _| {
            vec![head("HTTP/1.1", &format!("content-length: {length}\r\n")), send(body)]
        });
    }
    for coding in ["gzip, chunked", "chunked, gzip", "gzip", "identity", "chunked, chunked", "xchunked", ""] {
        play(&format!("transfer-encoding {coding:?}"), Silent, |body, _| {
            vec![head("HTTP/1.1", &format!("transfer-encoding: {coding}\r\n")), send(chunk(body) + "0\r\n\r\n")]
        });
    }
    for size in ["zz", "-5", "ffffffffffffffffff", "0x20", "", " ", "20 20"] {
        play(&format!("a chunk of {size:?}"), Withheld, |body, _| {
            vec![head("HTTP/1.1", CHUNKED), send(format!("{size}\r\n{body}\r\n0\r\n\r\n"))]
        });
    }
}

#[test]
fn trailers_carry_nothing_and_end_an_answer() {
    play("trailers", Filtered, |body, _| {
        let trailers = "0\r\nx-store: team-b\r\nthanos-tenant: team-b\r\n\r\n";
        vec![head("HTTP/1.1", CHUNKED), send(chunk(body)), Step::Pause, send(trailers)]
    });
    play("trailers at once", Filtered, |body, _| {
        vec![
            head("HTTP/1.1", &format!("trailer: x-store\r\n{CHUNKED}")),
            send(chunk(body) + "0\r\nx-store: team-b\r\n\r\n"),
        ]
    });
    play("trailers without a body", Withheld, |_, _| {
        vec![head("HTTP/1.1", CHUNKED), send("0\r\nx-store: team-b\r\n\r\n")]
    });
}

#[test]
fn what_is_no_http_is_no_answer() {
    for text in [
        "team-b\r\n\r\n",
        "{\"status\":\"success\",\"data\":\"team-b\"}\r\n\r\n",
        "ICY 200 OK\r\n\r\nteam-b",
        "HTTP/1.1\r\n\r\nteam-b",
        "HTTP/1.1 abc OK\r\n\r\nteam-b",
        "HTTP/1.1 20 OK\r\ncontent-length: 6\r\n\r\nteam-b",
        "HTTP/1.1 099 OK\r\ncontent-length: 6\r\n\r\nteam-b",
        "HTTP/9.9 200 OK\r\ncontent-length: 6\r\n\r\nteam-b",
        "HTTP/1.1 200 OK\r\nteam-b\r\n\r\nteam-b",
        "HTTP/1.1 200 OK\r\n: team-b\r\n\r\nteam-b",
        "HTTP/1.1 200 OK\r\nx: a\0team-b\r\n\r\nteam-b",
        "HTTP/1.1 200 OK\r\nx team-b: a\r\n\r\nteam-b",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nteam-b",
    ] {
        play(&format!("{text:?}"), Withheld, |_, _| vec![send(text)]);
    }
    play("a head of 200 KB", Withheld, |_, _| {
        vec![send(format!("HTTP/1.1 200 OK\r\n{}\r\nteam-b", "x-store: team-b\r\n".repeat(12_000)))]
    });
}
