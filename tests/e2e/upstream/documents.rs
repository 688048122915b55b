//! Valid and invalid JSON, in correct HTTP framing.

use super::Expect::{Filtered, Silent, Withheld};
use super::{Expect, JSON, chunked, pieces, play, sized};

/// The body is sent with its length to one client, and in chunks to the other.
fn play_document(name: &str, expect: Expect, document: impl Fn(&str) -> Vec<u8>) {
    play(name, expect, |body, variant| {
        let document = document(body);
        if variant % 2 == 0 {
            return sized("200 OK", JSON, document);
        }
        let size = (document.len() / 3).max(1);
        chunked(JSON, document.chunks(size).collect::<Vec<_>>())
    });
}

/// With something else in place of a text that stands in each body.
fn with(body: &str, old: &str, new: &str) -> Vec<u8> {
    assert!(body.contains(old), "{body}");
    body.replacen(old, new, 1).into_bytes()
}

const DATA: &str = r#""data":"#;

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    play_document("data twice", Withheld, |body| with(body, DATA, r#""data":null,"data":"#));
    play_document("warnings twice", Withheld, |body| {
        with(body, r#""warnings":"#, r#""warnings":["team-b"],"warnings":"#)
    });
    play_document("status twice", Withheld, |body| with(body, DATA, r#""status":"success","data":"#));
    play_document("an error twice", Withheld, |body| {
        with(body, DATA, r#""error":"1:1: parse error: x","error":"team-b","data":"#)
    });
}

#[test]
fn what_only_resembles_a_known_member_goes() {
    for key in
        ["Data", "DATA", r"d\u0061ta", "Warnings", r"\u0077arnings", "data ", "", "__proto__", "tenants", r"\ud800"]
    {
        play_document(key, Filtered, |body| {
            with(body, DATA, &format!(r#""{key}":["team-b",{{"team-b":"team-b"}}],"data":"#))
        });
    }
    let long = "team-b".repeat(30_000);
    play("a key of 180 KB", Filtered, |body, _| {
        sized("200 OK", JSON, with(body, DATA, &format!(r#""{long}":"{long}","data":"#)))
    });
    play("a number of 180 KB", Filtered, |body, _| {
        sized("200 OK", JSON, with(body, DATA, &format!(r#""x":{},"data":"#, "9".repeat(180_000))))
    });
    play("numbers out of range", Filtered, |body, _| {
        sized("200 OK", JSON, with(body, DATA, r#""x":[1e999,-0.0e-999],"data":"#))
    });
    play("white space", Filtered, |body, _| {
        let spaced = body.replacen(DATA, &format!("\r\n\t {DATA} \n"), 1).replacen("}}", "} }", 0);
        sized("200 OK", JSON, spaced + "\n\n  ")
    });
}

#[test]
fn depth_costs_nothing() {
    for (name, open, close) in [("lists", "[", "]"), ("objects", r#"{"a":"#, "}")] {
        let deep = |depth: usize| format!("{}\"team-b\"{}", open.repeat(depth), close.repeat(depth));
        play(&format!("{name}, 60 deep"), Filtered, |body, _| {
            sized("200 OK", JSON, with(body, DATA, &format!(r#""x":{},"data":"#, deep(60))))
        });
        play(&format!("{name}, 30,000 deep"), Filtered, |body, _| {
            sized("200 OK", JSON, with(body, DATA, &format!(r#""x":{},"data":"#, deep(30_000))))
        });
        play(&format!("{name} that never close"), Withheld, |body, _| {
            sized("200 OK", JSON, with(body, DATA, &format!(r#""x":{}"#, open.repeat(100_000))))
        });
    }
}

#[test]
fn messages_of_any_length_and_type_name_nobody() {
    let long = "team-b ".repeat(30_000);
    play("a warning of 210 KB", Silent, |body, _| {
        sized("200 OK", JSON, with(body, r#""warnings":["#, &format!(r#""warnings":["{long}","#)))
    });
    play("10,000 warnings", Silent, |body, _| {
        sized(
            "200 OK",
            JSON,
            with(body, r#""warnings":["#, &format!(r#""warnings":[{}"#, r#""team-b","#.repeat(10_000))),
        )
    });
    play("an engine's warning that goes on too long", Silent, |body, _| {
        sized("200 OK", JSON, with(body, r#""warnings":["#, &format!(r#""warnings":["PromQL warning: {long}","#)))
    });
    for warnings in [
        r#"[["team-b"]]"#,
        r#"{"a":"team-b"}"#,
        r#""team-b""#,
        r#"[7,"team-b"]"#,
        r#"["team-b",]"#,
        r#"["team-b" "x"]"#,
        "[nteam-b]",
        "team-b",
    ] {
        play_document(warnings, Withheld, |body| {
            with(body, r#""warnings":"#, &format!(r#""warnings":{warnings},"x":"#))
        });
        play_document(
            &format!("error {warnings}"),
            if warnings == r#""team-b""# { Silent } else { Withheld },
            |body| with(body, DATA, &format!(r#""error":{warnings},"data":"#)),
        );
    }
    for status in [r#""team-b""#, r#"{"a":"team-b"}"#, "null", "7", r#""success team-b""#] {
        play_document(&format!("status {status}"), Withheld, |body| with(body, r#""success""#, status));
    }
}

#[test]
fn what_is_no_json_is_no_answer() {
    let utf16 = |body: &str, bytes: fn(u16) -> [u8; 2]| body.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    play_document("UTF-16, little end first", Withheld, |body| utf16(body, u16::to_le_bytes));
    play_document("UTF-16, big end first", Withheld, |body| utf16(body, u16::to_be_bytes));
    play_document("UTF-16 with its mark", Withheld, |body| utf16(&format!("\u{feff}{body}"), u16::to_le_bytes));
    play_document("a byte order mark", Withheld, |body| format!("\u{feff}{body}").into_bytes());
    play_document("a NUL before it", Withheld, |body| format!("\0{body}").into_bytes());
    play_document("a NUL in it", Withheld, |body| with(body, DATA, "\0\"data\":"));
    play_document("a prefix", Withheld, |body| format!(")]}}',\n{body}").into_bytes());
    play_document("a name before it", Withheld, |body| format!("team-b{body}").into_bytes());
    play_document("a comment", Withheld, |body| with(body, DATA, "/*team-b*/\"data\":"));
    play_document("a comma too many", Withheld, |body| with(body, DATA, ",\"data\":"));
    play_document("a key without quotes", Withheld, |body| with(body, DATA, "data:"));
    play_document("single quotes", Withheld, |body| with(body, DATA, "'data':"));
    for document in [
        "team-b",
        "null",
        "[]",
        "7",
        "true",
        "\"team-b\"",
        "[\"team-b\"]",
        "{",
        "{team-b}",
        "<html>team-b</html>",
        "\n",
        "NaN",
        "\0",
        "team-b,",
    ] {
        play_document(&format!("{document:?}"), Withheld, |_| document.as_bytes().to_vec());
    }
    // In a streamed answer, only the structure is parsed. Bytes that are not UTF-8 don't change that.
    play_document("bytes that are no text", Filtered, |body| {
        let mut document = with(body, DATA, r#""x":"?team-b","data":"#);
        let at = document.iter().position(|byte| *byte == b'?').unwrap();
        document[at] = 0xff;
        document
    });
}

#[test]
fn what_follows_a_document_does_not_pass() {
    for tail in
        ["team-b", "{\"error\":\"team-b\"}", "\0team-b", ",", "}", "\n{\"status\":\"success\",\"data\":\"team-b\"}"]
    {
        play_document(&format!("{tail:?} behind it"), Silent, |body| format!("{body}{tail}").into_bytes());
    }
}

#[test]
fn documents_that_end_too_early_are_no_answers() {
    for part in 1..12 {
        play(&format!("{part}/12 of it"), Withheld, |body, variant| {
            let end = body.len() * part / 12 - variant % 16;
            sized("200 OK", JSON, &body.as_bytes()[..end])
        });
        play(&format!("{part}/12 of it, in chunks"), Withheld, |body, variant| {
            let pieces = pieces(body, 12, variant);
            chunked(JSON, pieces.into_iter().take(part).collect::<Vec<_>>())
        });
    }
}
