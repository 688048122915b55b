//! The properties of the fuzz targets, seeded: over arbitrary bytes, and over bytes that are nearly messages.

use super::{checks, filter};
use promql_tenancy_filter::wire::protobuf::write_bytes;
use proptest::prelude::*;

/// Fields with small numbers, one in another.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        (1u8..18, any::<u8>()).prop_map(|(number, value)| vec![number << 3, value & 0x7f]),
        (1u8..16, prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(number, bytes)| field(number, &bytes)),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        (1u8..7, prop::collection::vec(inner, 0..5)).prop_map(|(number, fields)| field(number, &fields.concat()))
    })
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(u32::from(number), bytes, &mut out);
    out
}

/// Frames of gRPC and of remote read, mostly whole.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        9 => nested().prop_map(|message| {
            let mut frame = Vec::new();
            promql_tenancy_filter::wire::grpc::write_frame(&message, &mut frame).unwrap();
            frame
        }),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    (any::<u8>(), prop::collection::vec(frame, 0..5)).prop_map(|(size, frames)| [vec![size], frames.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn requests_of_fields(fields in prop::collection::vec(nested(), 0..6)) {
        filter::requests(&fields.concat());
    }

    #[test]
    fn answers_of_frames(bytes in frames()) {
        filter::answers(&bytes);
    }

    #[test]
    fn messages_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        checks::messages(&bytes);
    }

    #[test]
    fn messages_of_fields(fields in prop::collection::vec(nested(), 0..6)) {
        checks::messages(&fields.concat());
    }

    #[test]
    fn streams_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        checks::streams(&bytes);
    }

    #[test]
    fn streams_of_frames(bytes in frames()) {
        checks::streams(&bytes);
    }

    #[test]
    fn compressed_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::compressed(&bytes);
    }

    #[test]
    fn compressed_of_streams(chunks in prop::collection::vec((prop::sample::select(vec![0u8, 1, 2, 0x80, 0xfe, 0xff]), prop::collection::vec(any::<u8>(), 0..40)), 0..6)) {
        let mut stream = b"\xff\x06\0\0sNaPpY".to_vec();
        for (kind, content) in chunks {
            stream.extend([kind, content.len() as u8, 0, 0]);
            stream.extend(content);
        }
        checks::compressed(&stream);
    }
}
