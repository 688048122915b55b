//! What holds for all bytes. The fuzz targets `wire_messages`, `wire_streams` and `wire_compressed` call these, and so do the seeded
//! tests. A property that doesn't hold panics.

use promql_tenancy_filter::wire::grpc::{Care, Encoding, Event, FrameError, Part, Stream, StreamError, Watch, message};
use promql_tenancy_filter::wire::labels::labels;
use promql_tenancy_filter::wire::remote_read::{self, Frames, series_of_chunks, series_of_samples};
use promql_tenancy_filter::wire::{protobuf, snappy};

use super::kinds::KINDS;

/// Whatever the bytes: no panic. What is read and written reads as the same, in no more bytes than came; and where the end was cut
/// off, what is read had ended there.
pub fn messages(bytes: &[u8]) {
    for (kind, _, same) in KINDS {
        let Ok(once) = same(bytes) else { continue };
        // A negative member of an enumeration may come in five bytes, and is written in ten.
        assert!(once.len() <= 2 * bytes.len(), "{kind} grows: {bytes:x?}");
        assert_eq!(same(&once).as_ref(), Ok(&once), "{kind}: {bytes:x?}");
        assert!(ends(bytes).contains(&bytes.len()), "{kind} is read within a field: {bytes:x?}");
    }
    for series in series_of_samples(bytes).chain(series_of_chunks(bytes)).map_while(Result::ok).take(100) {
        labels(series).for_each(drop);
    }
}

/// Where the fields of a message end.
pub fn ends(bytes: &[u8]) -> Vec<usize> {
    let (mut rest, mut ends) = (bytes, vec![0]);
    while protobuf::take(&mut rest).is_some() {
        ends.push(bytes.len() - rest.len());
    }
    ends
}

/// Whatever the bytes, and however they arrive: the same passes, bounded; and what has passed passes again.
pub fn streams(bytes: &[u8]) {
    const BOUND: usize = 64;
    let Some((&size, answer)) = bytes.split_first() else { return };
    let size = usize::from(size).max(1);
    for care in [store as fn(u64) -> Care, query, parts] {
        let (out, events, end) = run(care, BOUND, answer, answer.len().max(1));
        assert_eq!(run(care, BOUND, answer, size), (out.clone(), events.clone(), end), "in pieces of {size}");
        assert!(out.len() <= answer.len());
        assert!(events.iter().all(|event| event.len() <= BOUND));
        if end.is_ok() {
            let (again, _, end) = run(care, BOUND, &out, size);
            assert_eq!((again, end), (out, Ok(())));
        }
    }

    let frames = |size: usize| {
        let (mut frames, mut raw) = (Frames::new(BOUND), Vec::new());
        let pushed = answer.chunks(size).try_for_each(|piece| {
            frames.push(piece, &mut |frame: remote_read::Frame| {
                assert!(frame.message.len() <= BOUND && frame.raw.ends_with(frame.message));
                raw.extend_from_slice(frame.raw);
                Ok(())
            })
        });
        (raw, pushed.and_then(|()| frames.finish()))
    };
    let (raw, end) = frames(size);
    assert!(answer.starts_with(&raw) && (end.is_err() || raw.len() == answer.len()));
    assert_eq!(frames(answer.len().max(1)), (raw, end));
}

/// Whatever the bytes: what is decoded is bounded, and what is encoded is decoded.
pub fn compressed(bytes: &[u8]) {
    const BOUND: usize = 1 << 16;
    for decoded in [snappy::decode_block(bytes, BOUND), snappy::decode_stream(bytes, BOUND)].into_iter().flatten() {
        assert!(decoded.len() <= BOUND);
        assert_eq!(snappy::decode_block(&snappy::encode_block(&decoded), BOUND), Ok(decoded));
    }
    for encoding in [Encoding::Identity, Encoding::Snappy] {
        match message(bytes, encoding, BOUND) {
            Ok(message) => assert!(message.len() <= BOUND),
            Err(error) => assert!(!error.text().is_empty() && (error == FrameError::Empty) == bytes.is_empty()),
        }
    }
}

/// As for `thanos.Store/Series`.
pub fn store(number: u64) -> Care {
    match number {
        1 => Care::Series,
        4 => Care::Batch,
        _ => Care::Drop,
    }
}

/// As for `thanos.Query/Query`.
pub fn query(number: u64) -> Care {
    match number {
        1 => Care::Hold,
        2 => Care::Series,
        3 => Care::Pass,
        4 => Care::Batch,
        _ => Care::Drop,
    }
}

/// As for `thanos.Targets/Targets`, of which nothing is written.
pub fn parts(number: u64) -> Care {
    match number {
        1 => Care::Parts,
        2 => Care::Field,
        _ => Care::Hold,
    }
}

/// What passes, what was handed out, and how it ends, of an answer in pieces of this size.
pub type Run = (Vec<u8>, Vec<Vec<u8>>, Result<(), StreamError>);

/// Runs an answer, of which what is held is removed.
pub fn run(care: fn(u64) -> Care, bound: usize, answer: &[u8], size: usize) -> Run {
    let (mut stream, mut watch, mut out) =
        (Stream::new(bound), Recorder { care, depth: 0, events: Vec::new() }, Vec::new());
    let pushed = answer.chunks(size).try_for_each(|piece| stream.push(piece, &mut watch, &mut out));
    (out, watch.events, pushed.and_then(|()| stream.finish()))
}

struct Recorder {
    care: fn(u64) -> Care,
    /// How many messages are entered, one within the other.
    depth: usize,
    events: Vec<Vec<u8>>,
}

impl Watch for Recorder {
    fn care(&self, number: u64) -> Care {
        (self.care)(number)
    }

    fn enters(&self, number: u64) -> bool {
        self.depth < 4 && number == 2
    }

    fn series(&mut self, labels: &[u8]) -> Result<bool, StreamError> {
        self.events.push(labels.to_vec());
        Ok(true)
    }

    fn event(&mut self, event: Event<'_>, _: &mut Vec<u8>) -> Result<(), StreamError> {
        match event {
            Event::Held(bytes) => self.events.push(bytes.to_vec()),
            Event::Field(bytes) | Event::Part(Part::Field(_, bytes)) => {
                assert_eq!(ends(bytes), [0, bytes.len()], "a part is one field");
                self.events.push(bytes.to_vec());
            }
            Event::Part(Part::Begin(_)) => self.depth += 1,
            Event::Part(Part::End(_)) => self.depth = self.depth.checked_sub(1).expect("a message that was entered"),
            Event::Part(Part::Over(_)) | Event::Over(_) | Event::End => {}
        }
        Ok(())
    }
}
