use super::*;
use crate::wire::grpc::write_frame;
use crate::wire::labels::{LabelSet, labels};
use crate::wire::protobuf::{write_bytes, write_message, write_number};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOUND: usize = 200;

/// As for `SeriesResponse`, and field 5 whose parts are handed out. Refuses the series of others, removes what it holds, and
/// writes each part of field 1 as a frame.
#[derive(Default)]
struct Store {
    seen: Vec<String>,
}

impl Watch for Store {
    fn care(&self, number: u64) -> Care {
        match number {
            1 => Care::Series,
            2 => Care::Hold,
            3 => Care::Drop,
            4 => Care::Batch,
            5 => Care::Parts,
            6 => Care::Field,
            _ => Care::Pass,
        }
    }

    fn enters(&self, number: u64) -> bool {
        number == 4
    }

    fn series(&mut self, series: &[u8]) -> Result<bool, StreamError> {
        for label in labels(series) {
            let label = label.map_err(StreamError::Message)?;
            match (label.name, label.value) {
                (b"tenant", b"a") => {}
                (b"tenant", b"removed") => return Ok(false),
                (b"tenant", _) => return Err(StreamError::Refused),
                _ => {}
            }
        }
        self.seen.push("series".to_owned());
        Ok(true)
    }

    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.seen.push(match event {
            Event::Field(field) => format!("field {}", field.len()),
            Event::Over(number) => format!("over {number}"),
            Event::End => "end".to_owned(),
            Event::Held(message) => format!("held {}", message.len()),
            Event::Part(Part::Begin(number)) => format!("begin {number}"),
            Event::Part(Part::Field(number, part)) => {
                let (field, _) = protobuf::next(&mut &*part).map_err(StreamError::Message)?;
                assert_eq!(field, number);
                if field == 1 {
                    write_frame(part, out).map_err(StreamError::Frame)?;
                }
                format!("part {field}")
            }
            Event::Part(Part::Over(number)) => format!("part over {number}"),
            Event::Part(Part::End(number)) => format!("end {number}"),
        });
        Ok(())
    }
}

fn bytes(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(number, content, &mut out);
    out
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_number(number, value, &mut out);
    out
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(message, &mut out).unwrap();
    out
}

/// A series with two labels and chunks of this size.
fn series(tenant: &str, size: usize) -> Vec<u8> {
    let label = |name, value| bytes(1, &[bytes(1, name), bytes(2, value)].concat());
    [label(b"__name__", b"up"), label(b"tenant", tenant.as_bytes()), bytes(2, &vec![9; size]), bytes(2, b"")].concat()
}

type Run = (Vec<u8>, Vec<String>, Result<(), StreamError>);

fn run(answer: &[u8], size: usize) -> Run {
    let (mut stream, mut store, mut out) = (Stream::new(BOUND), Store::default(), Vec::new());
    for piece in answer.chunks(size) {
        if let Err(error) = stream.push(piece, &mut store, &mut out) {
            assert_eq!(stream.push(b"", &mut store, &mut out), Err(error), "an error stays");
            assert_eq!(stream.finish(), Err(error));
            return (out, store.seen, Err(error));
        }
        assert!(stream.pending.len() <= BOUND + HEADER && stream.levels.len() <= 5);
    }
    (out, store.seen, stream.finish())
}

/// In pieces of every size. What passes before an error depends on no more than what has arrived.
fn all(answer: &[u8]) -> Run {
    let whole = run(answer, answer.len().max(1));
    for size in 1..answer.len() {
        assert_eq!(run(answer, size), whole, "pieces of {size}");
    }
    whole
}

fn fails(message: &[u8]) -> StreamError {
    let (out, _, end) = all(&frame(message));
    assert_eq!(out, b"", "nothing passes of {message:x?}");
    end.expect_err("an error")
}

#[test]
fn series_pass_and_the_rest_is_held_or_removed() {
    let first = frame(&bytes(1, &series("a", 300)));
    let batch = frame(&bytes(4, &[bytes(1, &series("a", 0)), bytes(1, &series("a", 10)), bytes(1, b"")].concat()));
    let other = frame(&[varint(7, 300), bytes(8, &[1; 300])].concat());
    let answer = [
        &first,
        &frame(&bytes(2, b"warning of b")),
        &frame(b""),
        &frame(&bytes(3, &[3; 1000])),
        &batch,
        &frame(&bytes(4, b"")),
        &other,
    ];
    let (out, seen, end) = all(&answer.map(|frame| &frame[..]).concat());
    assert_eq!(out, [&first[..], &frame(b""), &batch, &frame(&bytes(4, b"")), &other].concat());
    assert_eq!(seen, ["series", "held 14", "end", "end", "series", "series", "series"]);
    assert_eq!(end, Ok(()));
}

#[test]
fn a_foreign_series_passes_not_even_in_part() {
    let good = frame(&bytes(1, &series("a", 5)));
    for (message, before) in [
        (bytes(1, &series("b", 300)), 0),
        (bytes(4, &bytes(1, &series("b", 0))), 0),
        // In a batch, what stands before it has passed: the frame's header, the batch's, and the first series.
        (bytes(4, &[bytes(1, &series("a", 0)), bytes(1, &series("b", 0))].concat()), 5 + 2 + 2 + series("a", 0).len()),
    ] {
        let foreign = frame(&message);
        let (out, _, end) = all(&[&good[..], &foreign].concat());
        assert_eq!(out, [&good[..], &foreign[..before]].concat());
        assert_eq!(end, Err(StreamError::Refused));
    }
}

#[test]
fn a_series_ends_before_it_is_looked_at_or_with_its_first_other_field() {
    let label = bytes(1, &bytes(1, b"only"));
    for series in [label.clone(), [&label[..], &varint(9, 1)].concat(), Vec::new(), varint(9, 1)] {
        let answer = frame(&bytes(1, &series));
        assert_eq!(all(&answer), (answer.clone(), vec!["series".to_owned()], Ok(())));
    }
}

#[test]
fn labels_that_come_late_end_the_answer() {
    let late = bytes(1, &bytes(1, b"tenant"));
    let answer = frame(&bytes(1, &[&series("a", 3)[..], &late].concat()));
    let (out, seen, end) = all(&answer);
    assert_eq!((seen, end), (vec!["series".to_owned()], Err(StreamError::Late)));
    assert_eq!(out, answer[..answer.len() - late.len()]);
}

#[test]
fn parts_are_handed_out_whatever_the_message_is_long() {
    let parts = [bytes(1, &[5; 100]), varint(2, 7), bytes(2, &[6; 150])].concat();
    let message = [bytes(5, &parts.repeat(20)), bytes(3, b"hint"), bytes(5, b"")].concat();
    let (out, seen, end) = all(&frame(&message));
    assert_eq!(out, frame(&bytes(1, &[5; 100])).repeat(20));
    let once = ["part 1", "part 2", "part 2"];
    assert_eq!(seen, [&["begin 5"], &once.repeat(20)[..], &["end 5", "begin 5", "end 5", "end"]].concat());
    assert_eq!(end, Ok(()));
}

#[test]
fn parts_are_entered_in_turn_and_what_is_long_in_them_is_removed_alone() {
    let inner = [bytes(2, &[0; BOUND]), bytes(4, &varint(3, 1)), bytes(2, b"x")].concat();
    let message = bytes(5, &[varint(4, 1), bytes(4, &inner.repeat(2)), bytes(4, b"")].concat());
    let (out, seen, end) = all(&frame(&message));
    let once = ["part over 2", "begin 4", "part 3", "end 4", "part 2"];
    let expected =
        [&["begin 5", "part 4", "begin 4"], &once.repeat(2)[..], &["end 4", "begin 4", "end 4", "end 5", "end"]];
    assert_eq!((out, seen, end), (Vec::new(), expected.concat().iter().map(ToString::to_string).collect(), Ok(())));
    // A field that goes on beyond the one that it is in.
    assert_eq!(fails(&bytes(5, b"\x22\x02\x12\x05")), StreamError::Message(protobuf::Error::Cut));
}

#[test]
fn fields_that_need_different_treatment_are_an_error() {
    let (one, two, three, five) = (bytes(1, b""), bytes(2, b""), bytes(3, b""), bytes(5, b""));
    for (first, second) in [(&three, &one), (&three, &two), (&five, &one), (&five, &two)] {
        let (out, _, end) = all(&frame(&[&first[..], second].concat()));
        assert_eq!((out, end), (Vec::new(), Err(StreamError::Mixed)));
    }
    for second in [&two, &three, &five] {
        let answer = frame(&[&one[..], second].concat());
        let (out, _, end) = all(&answer);
        assert_eq!((&out[..], end), (&answer[..7], Err(StreamError::Mixed)));
    }
    // What is held is held whole, whatever follows.
    let (out, seen, end) = all(&frame(&[&two[..], &one].concat()));
    assert_eq!((out, seen, end), (Vec::new(), vec!["held 4".to_owned(), "end".to_owned()], Ok(())));
}

#[test]
fn what_is_held_is_bounded() {
    assert!(all(&frame(&bytes(2, &[0; BOUND - 3]))).2.is_ok());
    for (message, seen) in [
        (bytes(2, &[0; BOUND - 2]), &["over 2", "end"][..]),
        ([bytes(2, b""), vec![0; BOUND]].concat(), &["over 2", "end"]),
        (
            [bytes(5, &bytes(1, &[0; BOUND])), bytes(6, b"")].concat(),
            &["begin 5", "part over 1", "end 5", "field 2", "end"],
        ),
        ([bytes(6, &[0; BOUND]), bytes(6, b"")].concat(), &["over 6", "field 2", "end"]),
        (bytes(1, &[bytes(1, &[0; BOUND]), bytes(1, b""), bytes(2, b"chunk")].concat()), &["over 1", "end"]),
        (bytes(1, &bytes(1, &[0; 10]).repeat(BOUND / 12 + 1)), &["over 1", "end"]),
        // Labels without content count by what stands before them.
        (bytes(1, &bytes(1, b"").repeat(BOUND)), &["over 1", "end"]),
    ] {
        // Nothing of it passes, and the answer goes on.
        let good = frame(&bytes(1, &series("a", 5)));
        let expected = [seen, &["series"]].concat();
        assert_eq!(
            all(&[&frame(&message)[..], &good].concat()),
            (good, expected.iter().map(ToString::to_string).collect(), Ok(()))
        );
    }
    assert_eq!(fails(&bytes(4, &bytes(1, &bytes(1, &[0; BOUND])))), StreamError::Long);
}

#[test]
fn a_series_is_removed_where_nothing_of_its_message_has_passed() {
    let good = frame(&bytes(1, &series("a", 5)));
    for removed in [series("removed", 300), series("removed", 0)] {
        let (out, seen, end) = all(&[&good[..], &frame(&bytes(1, &removed)), &good].concat());
        assert_eq!((out, end), ([&good[..], &good].concat(), Ok(())));
        assert_eq!(seen, ["series", "end", "series"]);
    }
    let batch = frame(&bytes(4, &[bytes(1, &series("a", 0)), bytes(1, &series("removed", 0))].concat()));
    assert_eq!(all(&batch).2, Err(StreamError::Refused));
    let two = frame(&[bytes(1, &series("a", 0)), bytes(1, &series("removed", 0))].concat());
    assert_eq!(all(&two).2, Err(StreamError::Refused));
}

#[test]
fn broken_messages_are_refused() {
    use protobuf::Error::{Cut, Kind, Number, Type, Varint};
    for (message, error) in [
        // Cut, at each depth.
        (&b"\x0a"[..], Cut),
        (b"\x0a\x80", Cut),
        (b"\x0a\x01", Cut),
        (b"\x38", Cut),
        (b"\x39\0\0\0\0\0\0\0", Cut),
        (b"\x0a\x02\x0a\x01", Cut),
        (b"\x22\x04\x0a\x02\x0a\x01", Cut),
        (b"\x22\x02\x0a\x01\0\0", Cut),
        // A label that goes on beyond its series.
        (b"\x0a\x02\x0a\x02\x0a\0", Cut),
        (b"\x2a\x02\x0a\x02\x0a\0", Cut),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Cut),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Varint),
        (b"\0\0", Number),
        (b"\x80\x80\x80\x80\x10\0", Number),
        (b"\x0b", Kind),
        (b"\x0c", Kind),
        (b"\x08\0", Type),
        (b"\x25\0\0\0\0", Type),
        (b"\x28\0", Type),
        (b"\x0a\x02\x08\0", Type),
        (b"\x22\x02\x08\0", Type),
    ] {
        assert_eq!(fails(message), StreamError::Message(error), "{message:x?}");
    }
    assert_eq!(fails(b"\x22\x02\x10\0"), StreamError::Unknown);
}

#[test]
fn broken_frames_are_refused() {
    for (answer, error) in [
        (&b"\x01\0\0\0\0"[..], FrameError::Compressed),
        (b"\x02\0\0\0\0", FrameError::Flag),
        (b"<html>", FrameError::Flag),
        (b"\0\0\0\0", FrameError::Cut),
        (b"\0\0\0\0\x01", FrameError::Cut),
        (b"\0\0\0\0\x04\x12\x02h", FrameError::Cut),
        (b"\0\0\0\0\x04\x0a\x02", FrameError::Cut),
    ] {
        let (out, _, end) = all(answer);
        assert_eq!((out, end), (Vec::new(), Err(StreamError::Frame(error))), "{answer:x?}");
    }
}

#[test]
fn a_long_series_is_not_held() {
    let mut label_set = Vec::new();
    write_message(1, &LabelSet::default(), &mut label_set);
    let answer = frame(&bytes(1, &[label_set, bytes(2, &vec![0; 10 << 20])].concat()));
    let (mut stream, mut store) = (Stream::new(BOUND), Store::default());
    let mut passed = 0;
    for piece in answer.chunks(1 << 14) {
        let mut out = Vec::new();
        stream.push(piece, &mut store, &mut out).unwrap();
        assert!(out.capacity() <= 1 << 15 && stream.pending.capacity() <= 4 * BOUND);
        passed += out.len();
    }
    assert_eq!((passed, stream.finish()), (answer.len(), Ok(())));
}
