use super::super::owner::tests::owner;
use super::*;
use crate::wire::crc32c::crc32c;
use crate::wire::protobuf::{write_bytes, write_number, write_varint};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const STREAMED: &[u8] = b"application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
const SAMPLES: &[u8] = b"application/x-protobuf";
const MAX: usize = 1 << 16;

fn series(tenant: &str, content: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in [("__name__", "up"), ("tenant_id", tenant)] {
        let mut label = Vec::new();
        write_bytes(1, name.as_bytes(), &mut label);
        write_bytes(2, value.as_bytes(), &mut label);
        write_bytes(1, &label, &mut out);
    }
    write_bytes(2, &vec![7; content], &mut out);
    out
}

fn frame(tenants: &[&str], content: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for tenant in tenants {
        write_bytes(1, &series(tenant, content), &mut message);
    }
    write_number(2, 1, &mut message);
    framed(&message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(message.len() as u64, &mut out);
    out.extend_from_slice(&crc32c(message).to_be_bytes());
    out.extend_from_slice(message);
    out
}

fn samples(results: &[&[&str]], content: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for tenants in results {
        let mut result = Vec::new();
        for tenant in *tenants {
            write_bytes(1, &series(tenant, content), &mut result);
        }
        write_bytes(1, &result, &mut message);
    }
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

/// What is passed on of a body that comes in parts of this size, and why no more.
fn passed(content_type: &[u8], tenants: &str, body: &[u8], size: usize) -> (Vec<u8>, Option<Unreadable>) {
    let mut filter = Series::new(content_type, owner(tenants), MAX).unwrap();
    let (mut out, mut came) = (Vec::new(), 0);
    for part in body.chunks(size) {
        came += part.len();
        filter.push(part, false, &mut out);
        assert!(out.len() <= came);
    }
    filter.push(b"", true, &mut out);
    assert_eq!(filter.has_written(), !out.is_empty());
    (out, filter.fault())
}

#[test]
fn what_is_the_tenant_s_passes_as_it_came_however_it_is_divided() {
    let streamed = [frame(&["a", "a"], 300), frame(&[], 0), frame(&["b"], 3)].concat();
    let whole = samples(&[&["a", "b"], &[], &["a"]], 300);
    for size in [1, 2, 7, 100, 1 << 20] {
        assert_eq!(passed(STREAMED, "a|b", &streamed, size), (streamed.clone(), None), "{size}");
        assert_eq!(passed(SAMPLES, "a|b", &whole, size), (whole.clone(), None), "{size}");
    }
    assert_eq!(passed(STREAMED, "a", b"", 1), (vec![], None));
}

#[test]
fn a_foreign_series_ends_the_answer_before_its_frame() {
    let own = frame(&["a"], 9);
    for tenant in ["b", "", "aa", "a\0", "A"] {
        let foreign = frame(&["a", tenant], 9);
        let body = [own.clone(), foreign, own.clone()].concat();
        for size in [1, 3, 50] {
            assert_eq!(passed(STREAMED, "a", &body, size), (own.clone(), Some(Unreadable::Foreign)), "{tenant:?}");
        }
        // All of it at once: nothing is written, since it would not arrive.
        assert_eq!(passed(STREAMED, "a", &body, 1 << 20), (vec![], Some(Unreadable::Foreign)), "{tenant:?}");
        let body = samples(&[&["a"], &["a", tenant]], 9);
        assert_eq!(passed(SAMPLES, "a", &body, 5), (vec![], Some(Unreadable::Foreign)), "{tenant:?}");
    }
    let mut unlabelled = Vec::new();
    write_bytes(1, b"\x12\x01x", &mut unlabelled);
    assert_eq!(passed(STREAMED, "a", &framed(&unlabelled), 9), (vec![], Some(Unreadable::Foreign)));
}

#[test]
fn a_label_given_twice_is_foreign() {
    let mut twice = series("a", 0);
    twice.extend_from_slice(&series("b", 0));
    let mut message = Vec::new();
    write_bytes(1, &twice, &mut message);
    assert_eq!(passed(STREAMED, "a|b", &framed(&message), 9), (vec![], Some(Unreadable::Foreign)));
}

#[test]
fn an_error_in_mid_stream_cuts_the_answer_off() {
    let own = frame(&["a"], 9);
    for text in ["storage: tenant b is on fire\n", "\0", "x", "\u{7f}", "exceeded sample limit (5)\n"] {
        let body = [&own[..], text.as_bytes()].concat();
        let (out, fault) = passed(STREAMED, "a", &body, 1);
        assert_eq!(out, own, "{text:?}");
        assert!(fault.is_some(), "{text:?}");
    }
}

#[test]
fn lying_frames_and_messages_are_faults() {
    let own = frame(&["a"], 9);
    let mut wrong_sum = own.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let unknown = {
        let mut message = Vec::new();
        write_bytes(3, b"tenant b", &mut message);
        framed(&message)
    };
    for (body, fault) in [
        (&wrong_sum[..], Unreadable::Malformed),
        (&own[..own.len() - 1], Unreadable::Truncated),
        (&own[..1], Unreadable::Truncated),
        (&unknown, Unreadable::Malformed),
        (&framed(b"\x0a\x05\x0a"), Unreadable::Malformed),
        (&framed(b"\x0a\x03\x0a\x09\x0a"), Unreadable::Malformed),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Unreadable::TooLarge),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", Unreadable::Malformed),
        (b"\x81\x80\x80\x02aaaa", Unreadable::TooLarge),
    ] {
        assert_eq!(passed(STREAMED, "a", body, 3), (vec![], Some(fault)), "{body:x?}");
    }
    let own = samples(&[&["a"]], 9);
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; MAX + 1]).unwrap();
    for (body, fault) in [
        (&own[..own.len() - 1], Unreadable::Malformed),
        (b"", Unreadable::Malformed),
        (b"remote read: tenant b\n", Unreadable::Malformed),
        (&bomb, Unreadable::TooLarge),
        (&vec![0xff; MAX + 1], Unreadable::TooLarge),
        (b"\xff\xff\xff\xff\x0f", Unreadable::TooLarge),
        (&snappy::encode_block(b"\x12\x01x"), Unreadable::Malformed),
    ] {
        assert_eq!(passed(SAMPLES, "a", body, 1000), (vec![], Some(fault)), "{:.40}", format!("{body:x?}"));
    }
}

#[test]
fn frames_as_long_as_prometheus_writes_them_pass_whatever_may_be_held() {
    let long = frame(&["a"], (1 << 20) + 4_000);
    assert_eq!(passed(STREAMED, "a", &long, 16 << 10), (long.clone(), None));
    assert_eq!(passed(STREAMED, "a", &frame(&["a"], MAX_FRAME), 16 << 10).1, Some(Unreadable::TooLarge));
}

#[test]
fn only_the_two_formats_are_read_each_in_its_encoding() {
    for other in [&b"text/plain"[..], b"", b"application/json", b"application/x-protobuf2"] {
        assert!(Series::new(other, owner("a"), MAX).is_none());
    }
    let (samples, streamed) =
        (Series::new(SAMPLES, owner("a"), MAX).unwrap(), Series::new(STREAMED, owner("a"), MAX).unwrap());
    assert!(
        samples.takes_encoding(b"snappy") && samples.takes_encoding(b"identity") && !samples.takes_encoding(b"gzip")
    );
    assert!(streamed.takes_encoding(b"identity") && !streamed.takes_encoding(b"snappy"));
}
