use super::*;
use proptest::prelude::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MANY: Federation = Federation::On { max_tenants: 0 };

fn cortex(value: &str) -> Result<String, Error> {
    Tenants::parse(value.as_bytes(), Format::Cortex, Federation::Off).map(|tenants| tenants.joined().to_string())
}

fn thanos(value: &str) -> Result<String, Error> {
    Tenants::parse(value.as_bytes(), Format::Thanos, Federation::Off).map(|tenants| tenants.joined().to_string())
}

#[test]
fn cortex_ids_have_the_documented_characters() {
    let every = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!-_.*'()";
    assert_eq!(cortex(every), Ok(every.to_owned()));
    for byte in 0..=127u8 {
        let id = format!("a{}", char::from(byte));
        let allowed = every.contains(char::from(byte));
        assert_eq!(cortex(&id).is_ok(), allowed, "{id:?}");
    }
    assert!(matches!(cortex("é"), Err(Error::Character(_))));
    assert!(matches!(cortex("team:sub"), Err(Error::Character(_))), "dskit's sub-tenants are not tenants");
}

#[test]
fn length_is_bounded_in_bytes() {
    assert!(cortex(&"a".repeat(150)).is_ok());
    assert_eq!(cortex(&"a".repeat(151)), Err(Error::TooLong { max: 150 }));
    assert!(thanos(&"a".repeat(256)).is_ok());
    assert_eq!(thanos(&"é".repeat(129)), Err(Error::TooLong { max: 256 }));
    let long = vec!["a"; 3_000].join("|");
    assert_eq!(Tenants::parse(long.as_bytes(), Format::Cortex, MANY), Err(Error::TooLong { max: MAX_HEADER }));
}

#[test]
fn reserved_names_are_refused() {
    for id in RESERVED {
        assert!(matches!(cortex(id), Err(Error::Reserved(_))), "{id}");
    }
    assert!(cortex("...").is_ok());
    assert!(matches!(thanos("__other__"), Err(Error::Reserved(_))));
    assert!(matches!(Tenants::parse(b"a|__other__", Format::Thanos, MANY), Err(Error::Reserved(_))));
}

#[test]
fn thanos_ids_are_their_own_base_name() {
    // Go's path.Base returns these texts unchanged.
    for id in ["team-a", "a b", "a:b", "é", ".", "..", "...", "/", "a,b", "a\\b", "\"", "{}"] {
        assert_eq!(thanos(id), Ok(id.to_owned()), "{id}");
    }
    for id in ["a/b", "/a", "a/", "//", "../a", "./", "a\n", "a\0", "\u{7f}", "\u{85}", "\u{fffd}", " a", "a ", "a\t"] {
        assert!(matches!(thanos(id), Err(Error::NotABaseName(_))), "{id:?}");
    }
    assert_eq!(Tenants::parse(b"\xff", Format::Thanos, Federation::Off), Err(Error::NotUtf8));
}

#[test]
fn empty_is_no_tenant() {
    assert_eq!(cortex(""), Err(Error::Empty));
    assert_eq!(thanos(""), Err(Error::Empty));
    assert_eq!(Tenants::parse(b"", Format::Cortex, MANY), Err(Error::Empty));
    for value in ["|", "a|", "|a", "a||b"] {
        assert_eq!(Tenants::parse(value.as_bytes(), Format::Cortex, MANY), Err(Error::EmptyMember), "{value}");
    }
}

#[test]
fn several_tenants_are_refused_while_federation_is_off() {
    assert_eq!(cortex("a|b"), Err(Error::FederationOff));
    assert_eq!(thanos("a|b"), Err(Error::FederationOff));
}

#[test]
fn several_tenants_are_sorted_and_distinct() {
    let parse =
        |value: &str, max_tenants| Tenants::parse(value.as_bytes(), Format::Cortex, Federation::On { max_tenants });
    let tenants = parse("b|a|c|a", 0).unwrap();
    assert_eq!(&**tenants.joined(), "a|b|c");
    assert_eq!(tenants.ids().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(parse("a|a", 1).unwrap().joined(), parse("a", 1).unwrap().joined());
    assert_eq!(parse("a|b|a", 2).unwrap().ids().count(), 2);
    assert_eq!(parse("a|b|c", 2), Err(Error::TooMany { named: 3, max: 2 }));
}

#[test]
fn one_tenant_is_an_equality_and_several_are_quoted_alternatives() {
    let selector = |value: &str| {
        Tenants::parse(value.as_bytes(), Format::Cortex, MANY)
            .unwrap()
            .scope(&"tenant_id".into(), OnConflict::Replace, MANY)
            .selector()
    };
    assert_eq!(selector("team.a"), r#"{tenant_id="team.a"}"#);
    assert_eq!(selector("a|a"), r#"{tenant_id="a"}"#);
    let several = selector("team.a|b*");
    assert!(several.starts_with(r#"{tenant_id=~""#), "{several}");
    assert!(several.contains(r"b\\*") && several.contains(r"team\\.a"), "{several}");
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(2), ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_is_accepted_again_unchanged(value in proptest::collection::vec(prop_oneof![Just(b'|'), Just(b'.'), b'a'..=b'd', any::<u8>()], 0..12)) {
        for format in [Format::Cortex, Format::Thanos] {
            if let Ok(tenants) = Tenants::parse(&value, format, MANY) {
                prop_assert!(tenants.ids().all(|id| !id.is_empty()));
                prop_assert_eq!(Tenants::parse(tenants.joined().as_bytes(), format, MANY), Ok(tenants));
            }
        }
    }
}
