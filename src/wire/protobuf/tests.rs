use super::*;
use crate::wire::labels::{Label, Matcher, Operator, labels};
use crate::wire::remote_read::{Query, ReadHints, ReadRequest};
use crate::wire::thanos::{InfoResponse, QueryRequest, SeriesRequest, TargetsRequest};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_kind_is_read_to_its_end() {
    let mut message: &[u8] = b"\x08\x96\x01\x11\0\0\0\0\0\0\xf0\x3f\x1a\x02hi\x25\0\0\x80\x3f\xa2\x06\0";
    let mut read = Vec::new();
    while !message.is_empty() {
        read.push(take(&mut message).unwrap());
    }
    let (one, text) = (Value::Eight(1f64.to_le_bytes()), Value::Bytes(b"hi"));
    let four = Value::Four(1f32.to_le_bytes());
    assert_eq!(read, [(1, Value::Varint(150)), (2, one), (3, text), (4, four), (100, Value::Bytes(b""))]);
}

#[test]
fn what_is_cut_or_of_no_kind_is_not_read() {
    for (message, error) in [
        (&b""[..], Error::Cut),
        (b"\x08", Error::Cut),
        (b"\x08\x80", Error::Cut),
        (b"\x11\0\0\0\0\0\0\0", Error::Cut),
        (b"\x1a\x03hi", Error::Cut),
        (b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Error::Cut),
        (b"\x25\0\0\0", Error::Cut),
        (b"\x0b", Error::Kind),
        (b"\x0c", Error::Kind),
        (b"\x0e", Error::Kind),
        (b"\x0f", Error::Kind),
        (b"\0\0", Error::Number),
        (b"\x02\0", Error::Number),
        // 2^29, and what would be field 1 if it were cut to 32 bits.
        (b"\x80\x80\x80\x80\x10\0", Error::Number),
        (b"\x88\x80\x80\x80\x80\x80\x01\0", Error::Number),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0", Error::Varint),
        // The 65th bit.
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Error::Varint),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0", Error::Varint),
    ] {
        assert_eq!(next(&mut &*message), Err(error), "{message:x?}");
        assert_eq!(take(&mut &*message), None, "{message:x?}");
    }
}

#[test]
fn the_longest_numbers_are_read() {
    assert_eq!(next(&mut &b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..]), Ok((1, Value::Varint(u64::MAX))));
    assert_eq!(next(&mut &b"\xf8\xff\xff\xff\x0f\0"[..]), Ok((MAX_NUMBER, Value::Varint(0))));
    // Longer than it has to be, which every reader takes.
    assert_eq!(next(&mut &b"\x88\x80\0\x81\x80\0"[..]), Ok((1, Value::Varint(1))));
}

#[test]
fn the_last_value_of_a_scalar_wins() {
    let request: QueryRequest = read(b"\x0a\x01a\x10\x01\x0a\x02bc\x10\x02\x38\x01\x38\0").unwrap();
    assert_eq!((request.query, request.time_seconds, request.enable_dedup), (&b"bc"[..], 2, false));
    assert_eq!(written(&request), b"\x0a\x02bc\x10\x02");
}

#[test]
fn repeated_fields_are_appended_and_messages_merged() {
    let request: QueryRequest =
        read(b"\x2a\x01a\x5a\x04\x08\x01\x22\0\x2a\x01b\x5a\x07\x08\x02\x10\x03\x22\x01c").unwrap();
    assert_eq!(request.replica_labels, [b"a", b"b"]);
    let shard = request.shard_info.unwrap();
    assert_eq!((shard.shard_index, shard.total_shards), (2, 3));
    assert_eq!(shard.labels, [&b""[..], b"c"]);
}

#[test]
fn packed_or_not_is_the_same() {
    for message in [&b"\x12\x02\x01\0"[..], b"\x10\x01\x10\0", b"\x12\0\x12\x01\x01\x10\0"] {
        let request: ReadRequest = read(message).unwrap();
        assert_eq!(request.accepted_response_types, [1, 0], "{message:x?}");
        assert_eq!(written(&request), b"\x12\x02\x01\0");
    }
    assert_eq!(read::<ReadRequest>(b"\x12\x01\x80"), Err(Error::Cut));
    assert_eq!(read::<ReadRequest>(b"\x15\0\0\0\0"), Err(Error::Type));
}

#[test]
fn unknown_fields_are_dropped_but_read() {
    let request: TargetsRequest = read(b"\x08\x01\xa2\x06\x02hi\x7d\0\0\0\0\x10\x01").unwrap();
    assert_eq!(written(&request), b"\x08\x01\x10\x01");
    assert_eq!(read::<TargetsRequest>(b"\xa2\x06\x03hi"), Err(Error::Cut));
    // A plan of a query, and the hints of a store.
    assert_eq!(written(&read::<QueryRequest>(b"\x72\x03\x0a\x01{").unwrap()), b"");
    assert_eq!(written(&read::<SeriesRequest>(b"\x4a\x03\x0a\x01x").unwrap()), b"");
}

#[test]
fn values_of_another_type_are_errors() {
    for message in [&b"\x08\x01"[..], b"\x0d\0\0\0\0", b"\x12\x01a", b"\x11\0\0\0\0\0\0\0\0", b"\x28\x01", b"\x58\x01"]
    {
        assert_eq!(read::<QueryRequest>(message), Err(Error::Type), "{message:x?}");
    }
    // Within an inner message too, which ends where it says.
    assert_eq!(read::<QueryRequest>(b"\x5a\x02\x0a\0"), Err(Error::Type));
    assert_eq!(read::<QueryRequest>(b"\x5a\x01\x08\x01"), Err(Error::Cut));
}

#[test]
fn a_chosen_store_is_seen_and_not_written() {
    for message in [&b"\x32\0"[..], b"\x32\x02\x0a\0", b"\x30\x01"] {
        let request: QueryRequest = read(message).unwrap();
        assert_eq!(request.store_matchers, Seen(true), "{message:x?}");
        assert_eq!(written(&request), b"");
    }
}

#[test]
fn enumerations_are_cut_to_32_bits_and_operators_are_not() {
    // 2^32 + 1, and -1.
    let request: TargetsRequest =
        read(b"\x08\x81\x80\x80\x80\x10\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap();
    assert_eq!((request.state, request.partial_response_strategy), (1, -1));
    assert_eq!(written(&request), b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");

    for (message, operator) in [
        (&b""[..], Ok(Operator::Equal)),
        (b"\x08\x01", Ok(Operator::NotEqual)),
        (b"\x08\x02", Ok(Operator::Matches)),
        (b"\x08\x01\x08\x03", Ok(Operator::NotMatches)),
        (b"\x08\x04", Err(Error::Member)),
        (b"\x08\x80\x80\x80\x80\x10", Err(Error::Member)),
        (b"\x0a\x01a", Err(Error::Type)),
    ] {
        assert_eq!(read::<Matcher>(message).map(|matcher| matcher.operator), operator, "{message:x?}");
    }
}

#[test]
fn empty_fields_are_bounded_in_number() {
    let queries = |count: usize| b"\x0a\0".repeat(count);
    assert_eq!(read::<ReadRequest>(&queries(MAX_FIELDS)).unwrap().queries.len(), MAX_FIELDS);
    assert_eq!(read::<ReadRequest>(&queries(MAX_FIELDS + 1)), Err(Error::Many));
    // Those of inner messages count, packed numbers too.
    let mut matchers = Vec::new();
    write_bytes(1, &b"\x1a\0".repeat(MAX_FIELDS), &mut matchers);
    assert_eq!(read::<ReadRequest>(&matchers), Err(Error::Many));
    let mut types = Vec::new();
    write_bytes(2, &vec![0; MAX_FIELDS], &mut types);
    assert_eq!(read::<ReadRequest>(&types), Err(Error::Many));
    assert!(read_bounded::<ReadRequest>(&types, MAX_FIELDS + 1).is_ok());
}

#[test]
fn a_request_is_written_anew_with_what_was_added() {
    let tenant = String::from("team-a");
    let message = written(&ReadRequest {
        queries: vec![Query {
            start_timestamp_ms: -1,
            end_timestamp_ms: i64::MAX,
            matchers: vec![matcher(Operator::NotMatches, b"__name__", b"up")],
            hints: Some(ReadHints { func: b"rate", grouping: vec![b"", b"pod"], by: true, ..Default::default() }),
        }],
        accepted_response_types: vec![1],
    });
    let mut request: ReadRequest = read(&message).unwrap();
    request.queries[0].matchers.push(matcher(Operator::Equal, b"tenant_id", tenant.as_bytes()));
    let again = written(&request);
    let read: ReadRequest = read(&again).unwrap();
    assert_eq!(read, request);
    assert_eq!(read.queries[0].matchers[1].value, b"team-a");
}

#[test]
fn empty_messages_are_told_from_absent_ones() {
    let response: InfoResponse = read(b"\x0a\0\x22\0").unwrap();
    assert_eq!(response.label_sets.len(), 1);
    assert!(response.rules.is_some() && response.targets.is_none());
    assert_eq!(written(&response), b"\x0a\0\x22\0");
}

#[test]
fn labels_are_read_where_they_stand() {
    let series = b"\x0a\x06\x0a\x01a\x12\x01b\x12\x02\x08\x01\x0a\x03\x0a\x01c";
    let found: Result<Vec<Label>, Error> = labels(series).collect();
    assert_eq!(found.unwrap(), [Label { name: b"a", value: b"b" }, Label { name: b"c", value: b"" }]);
    // The first error ends it.
    for broken in [&b"\x08\x01\x0a\0"[..], b"\x0a\x02\x0a\x01\x0a\0", b"\x0a\x01\x08\x0a\0", b"\x0a\x05"] {
        let found: Vec<_> = labels(broken).collect();
        assert!(matches!(found[..], [Err(_)]), "{broken:x?}: {found:?}");
    }
}

fn matcher<'m>(operator: Operator, name: &'m [u8], value: &'m [u8]) -> Matcher<'m> {
    Matcher { operator, name, value }
}

fn written(message: &dyn Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.write(&mut out);
    out
}
