use super::*;
use crate::wire::protobuf::write_varint;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOUND: usize = 1000;

fn frame(message: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    write_varint(message.len() as u64, &mut raw);
    raw.extend(crc32c(message).to_be_bytes());
    raw.extend(message);
    raw
}

/// The messages of an answer that arrives in pieces of this size, and how it ends. What was handed out raw is the answer.
fn messages(answer: &[u8], size: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let (mut frames, mut messages, mut raws) = (Frames::new(BOUND), Vec::new(), Vec::new());
    for piece in answer.chunks(size) {
        let pushed = frames.push(piece, &mut |frame| {
            messages.push(frame.message.to_vec());
            raws.extend_from_slice(frame.raw);
            Ok(())
        });
        if let Err(error) = pushed {
            assert_eq!((frames.push(b"", &mut |_| Ok(())), frames.finish()), (pushed, pushed), "an error stays");
            return (messages, Err(error));
        }
    }
    assert!(answer.starts_with(&raws));
    (messages, frames.finish())
}

#[test]
fn frames_are_read_in_any_pieces() {
    let long = vec![7; BOUND];
    let expected = vec![b"one".to_vec(), Vec::new(), long, b"four".to_vec()];
    let answer: Vec<u8> = expected.iter().flat_map(|message| frame(message)).collect();
    for size in 1..=answer.len() {
        assert_eq!(messages(&answer, size), (expected.clone(), Ok(())), "pieces of {size}");
    }
    assert_eq!(messages(b"", 1), (Vec::new(), Ok(())));
}

#[test]
fn what_is_cut_is_never_whole() {
    let answer = [frame(b"one"), frame(b"two")].concat();
    for cut in 0..answer.len() {
        let (read, end) = messages(&answer[..cut], 3);
        let whole = cut / frame(b"one").len();
        assert_eq!(read, [b"one".to_vec()][..whole].to_vec(), "cut to {cut}");
        assert_eq!(end.is_ok(), cut % frame(b"one").len() == 0, "cut to {cut}");
    }
}

#[test]
fn broken_frames_are_refused() {
    let good = frame(b"one");
    for at in 1..good.len() {
        let mut other = good.clone();
        other[at] ^= 0x10;
        assert_eq!(messages(&other, 2), (Vec::new(), Err(FrameError::Checksum)), "byte {at}");
    }
    for size in [1, 100] {
        assert_eq!(messages(&frame(&[0; BOUND + 1]), size).1, Err(FrameError::Long));
        assert_eq!(messages(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", size).1, Err(FrameError::Long));
        assert_eq!(messages(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", size).1, Err(FrameError::Length));
        // What Prometheus appends when it fails in mid-stream.
        let answer = [&good[..], b"expanding series: storage is closed\n"].concat();
        let (read, end) = messages(&answer, size);
        assert_eq!((read, end), (vec![b"one".to_vec()], Err(FrameError::Cut)));
    }
}

#[test]
fn no_more_is_held_than_has_arrived() {
    let mut frames = Frames::new(1 << 30);
    // A length of 512 MiB.
    frames.push(b"\x80\x80\x80\x80\x02sums", &mut |_| panic!("no frame is whole")).unwrap();
    assert!(frames.held.capacity() < 100);
    assert_eq!(frames.finish(), Err(FrameError::Cut));
}

#[test]
fn who_looks_may_refuse() {
    let answer = [frame(b"one"), frame(b"two")].concat();
    for size in [1, 100] {
        let (mut frames, mut shown) = (Frames::new(BOUND), 0);
        let end = answer.chunks(size).try_for_each(|piece| {
            frames.push(piece, &mut |_| {
                shown += 1;
                Err(FrameError::Refused)
            })
        });
        assert_eq!((end, shown), (Err(FrameError::Refused), 1));
    }
}
