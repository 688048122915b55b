//! Answers over HTTP/2.

use super::Expect::{Filtered, Silent, Status, Withheld};
use super::{pieces, play_frames};
use crate::support::scripted::{End, Frames};

fn frames<'a>(data: impl IntoIterator<Item = &'a [u8]>, end: End) -> Frames {
    let headers = vec![("content-type", "application/json".to_owned())];
    Frames { status: 200, headers, data: data.into_iter().map(<[u8]>::to_vec).collect(), end }
}

fn trailers() -> End {
    End::Trailers(vec![("x-store", "team-b".to_owned()), ("grpc-message", "no such tenant: team-b".to_owned())])
}

#[test]
fn answers_are_filtered_however_they_are_framed() {
    play_frames("one frame", Filtered, |body, _| frames([body.as_bytes()], End::Here));
    play_frames("many frames", Filtered, |body, variant| frames(pieces(body, 24, variant), End::Here));
    play_frames("an empty frame at the end", Filtered, |body, _| frames([body.as_bytes(), b""], End::Here));
    play_frames("empty frames between", Filtered, |body, variant| {
        let pieces = pieces(body, 5, variant);
        frames(pieces.into_iter().flat_map(|piece| [piece, b""]).collect::<Vec<_>>(), End::Here)
    });
    // Envoy treats these frames as an attack.
    play_frames("empty frames without end", Withheld, |_, _| frames([&b""[..]; 20], End::Here));
    play_frames("with its length", Filtered, |body, _| {
        let mut frames = frames([body.as_bytes()], End::Here);
        frames.headers.push(("content-length", body.len().to_string()));
        frames
    });
}

#[test]
fn trailers_carry_nothing_and_end_an_answer() {
    play_frames("trailers", Filtered, |body, _| frames([body.as_bytes()], trailers()));
    play_frames("trailers after frames", Filtered, |body, variant| frames(pieces(body, 6, variant), trailers()));
    play_frames("trailers after an empty frame", Filtered, |body, _| frames([body.as_bytes(), b""], trailers()));
    play_frames("trailers without a frame", Withheld, |_, _| frames([], trailers()));
    play_frames("trailers after nothing", Withheld, |_, _| frames([&b""[..]], trailers()));
    play_frames("trailers too early", Withheld, |body, _| frames([&body.as_bytes()[..body.len() - 1]], trailers()));
    play_frames("an error with trailers", Status(500), |_, _| {
        let text = r#"{"status":"error","errorType":"internal","error":"no such tenant: team-b"}"#;
        Frames { status: 500, ..frames([text.as_bytes()], trailers()) }
    });
    play_frames("a text with trailers", Status(404), |_, _| {
        let headers = vec![("content-type", "text/plain".to_owned())];
        Frames {
            status: 404,
            headers,
            ..frames(
                [&b"no such tenant: team-b, sorry for the inconvenience that this may cause you, and goodbye"[..]],
                trailers(),
            )
        }
    });
    play_frames("a short text with trailers", Silent, |_, _| Frames {
        status: 404,
        headers: Vec::new(),
        ..frames([&b"team-b"[..]], trailers())
    });
}

#[test]
fn answers_that_end_too_early_are_no_answers() {
    play_frames("reset", Withheld, |body, _| frames([body.as_bytes()], End::Reset));
    play_frames("reset before the body", Withheld, |_, _| frames([], End::Reset));
    play_frames("reset in the body", Withheld, |body, variant| {
        frames(pieces(body, 8, variant).into_iter().take(5).collect::<Vec<_>>(), End::Reset)
    });
    play_frames("ended in the body", Withheld, |body, _| frames([&body.as_bytes()[..body.len() - 1]], End::Here));
    for more in [-5, 5] {
        play_frames(&format!("a length of {more} more"), Withheld, |body, _| {
            let mut frames = frames([body.as_bytes()], End::Here);
            frames.headers.push(("content-length", body.len().saturating_add_signed(more).to_string()));
            frames
        });
    }
}

#[test]
fn heads_alone_say_nothing() {
    for status in [200, 204, 304, 400, 404, 500, 503] {
        play_frames(&format!("{status}, alone"), Silent, |_, _| Frames { status, ..frames([], End::Here) });
    }
}
