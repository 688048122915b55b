//! Who is asking: the bytes of a header → one valid tenant, or several → the matcher that they stand for.
//!
//! ```text
//! tenants = id                              federation off
//! tenants = id *( "|" id )                  federation on; sorted, each once, in what goes on
//!
//! id, format "cortex" = 1*150( letter / digit / one of !-_.*'() )
//! id, format "thanos" = 1*256( UTF-8 without control characters ), equal to its own path base name
//! ```
//!
//! Sources. Cortex: `ValidTenantID` in Cortex's `pkg/util/users/tenant.go`, which also reserves `__markers__` and
//! `user-index.json.gz`. Mimir: its documentation page "About Grafana Mimir tenant IDs", which reserves `__mimir_cluster`.
//! Thanos: `IsTenantValid` in `pkg/tenancy/tenancy.go` (0.42.5). `__other__` is reserved by this filter, for its statistics.

use crate::promql::{Enforcer, OnConflict};
use crate::text;
use std::fmt;
use std::rc::Rc;

/// The longest header that is read, however many tenants it names. Each selector of a query grows by about as much.
pub const MAX_HEADER: usize = 4_096;
/// The longest ID in the `cortex` format, in bytes.
pub const MAX_CORTEX_ID: usize = 150;
/// The longest ID in the `thanos` format, in bytes. Thanos sets no bound; this one keeps statistics and logs readable.
pub const MAX_THANOS_ID: usize = 256;

const SEPARATOR: char = '|';

/// Names that mean something else to Cortex, to Mimir or to this filter.
const RESERVED: &[&str] = &[".", "..", "__markers__", "user-index.json.gz", "__mimir_cluster", "__other__"];
/// Reserved in every format: tenants beyond the statistics' bound are counted under it.
const RESERVED_HERE: &str = "__other__";

/// Which IDs are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Cortex's and Mimir's character set.
    Cortex,
    /// Anything that is its own path base name.
    Thanos,
}

/// Whether a request may name several tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Federation {
    /// One only: a `|` is refused.
    Off,
    /// Several, separated by `|`.
    On {
        /// The most that one request may name; 0: no such limit.
        max_tenants: u32,
    },
}

/// One valid tenant or several, sorted and each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenants {
    /// The IDs joined by `|`, which no ID holds.
    joined: Rc<str>,
}

/// Why a tenant is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The value is there, and empty. It is not the default tenant.
    Empty,
    /// An ID among several is empty.
    EmptyMember,
    /// A `|` while federation is off.
    FederationOff,
    /// More IDs than `max_tenants`.
    TooMany {
        /// How many the request names.
        named: usize,
        /// How many it may name.
        max: u32,
    },
    /// Longer than the format's bound.
    TooLong {
        /// The bound in bytes.
        max: usize,
    },
    /// A character that the format doesn't have.
    Character(String),
    /// An ID that means something else.
    Reserved(String),
    /// Not its own path base name.
    NotABaseName(String),
    /// Not UTF-8.
    NotUtf8,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => write!(f, "the tenant is empty"),
            Error::EmptyMember => write!(f, "one of the tenants separated by | is empty"),
            Error::FederationOff => write!(f, "several tenants are named, but tenant_federation is not enabled"),
            Error::TooMany { named, max } => {
                write!(f, "{named} tenants are named, and at most {max} are allowed (tenant_federation.max_tenants)")
            }
            Error::TooLong { max } => write!(f, "the tenant is longer than {max} bytes"),
            Error::Character(id) => {
                write!(
                    f,
                    "tenant {id} holds a character that is not allowed: only letters, digits and !-_.*'() are (tenant_id_format: cortex)"
                )
            }
            Error::Reserved(id) => write!(f, "tenant {id} is a reserved name"),
            Error::NotABaseName(id) => {
                write!(
                    f,
                    "tenant {id} is not allowed: no slash, no control character, no space at either end (tenant_id_format: thanos)"
                )
            }
            Error::NotUtf8 => write!(f, "the tenant is not UTF-8"),
        }
    }
}

impl Tenants {
    /// Reads what a header, or the configuration, holds.
    pub fn parse(value: &[u8], format: Format, federation: Federation) -> Result<Tenants, Error> {
        if value.is_empty() {
            return Err(Error::Empty);
        }
        if value.len() > MAX_HEADER {
            return Err(Error::TooLong { max: MAX_HEADER });
        }
        let text = std::str::from_utf8(value).map_err(|_| Error::NotUtf8)?;
        if !text.contains(SEPARATOR) {
            check(text, format)?;
            return Ok(Tenants { joined: text.into() });
        }
        let Federation::On { max_tenants } = federation else {
            return Err(Error::FederationOff);
        };
        // Kept in order as they come: for so few, a sort would weigh more in the module than it saves.
        let mut ids: Vec<&str> = Vec::new();
        for id in text.split(SEPARATOR) {
            if id.is_empty() {
                return Err(Error::EmptyMember);
            }
            check(id, format)?;
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
        if max_tenants > 0 && ids.len() > max_tenants as usize {
            return Err(Error::TooMany { named: ids.len(), max: max_tenants });
        }
        Ok(Tenants { joined: ids.join("|").into() })
    }

    /// The IDs, joined by `|`: what goes upstream and into logs.
    pub fn joined(&self) -> &Rc<str> {
        &self.joined
    }

    /// Each ID, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.joined.split(SEPARATOR)
    }

    /// The matcher that scopes a query to these tenants. With federation, a query may choose among them, so its own
    /// matchers on the label are kept, also where the request names one tenant only.
    pub fn enforcer(&self, label: &str, on_conflict: OnConflict, federation: Federation) -> Enforcer {
        match federation {
            Federation::Off => Enforcer::equal(label, &self.joined, on_conflict),
            Federation::On { .. } => Enforcer::one_of(label, &self.ids().collect::<Vec<_>>(), on_conflict),
        }
    }
}

fn check(id: &str, format: Format) -> Result<(), Error> {
    let quoted = || text::quote(id.as_bytes());
    match format {
        Format::Cortex => {
            if id.len() > MAX_CORTEX_ID {
                return Err(Error::TooLong { max: MAX_CORTEX_ID });
            }
            if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte)) {
                return Err(Error::Character(quoted()));
            }
            if RESERVED.contains(&id) {
                return Err(Error::Reserved(quoted()));
            }
        }
        Format::Thanos => {
            if id.len() > MAX_THANOS_ID {
                return Err(Error::TooLong { max: MAX_THANOS_ID });
            }
            // Space at the ends: HTTP/1 strips it on the way and HTTP/2 doesn't, so that two readers would see two tenants.
            if !is_own_base_name(id) || id.chars().any(char::is_control) || id.trim() != id {
                return Err(Error::NotABaseName(quoted()));
            }
            if id == RESERVED_HERE {
                return Err(Error::Reserved(quoted()));
            }
        }
    }
    Ok(())
}

/// `s == path.Base(s)` in Go: no slash in it, or nothing but one slash. (`path.Base("")` is `.`.)
fn is_own_base_name(s: &str) -> bool {
    s == "/" || !(s.is_empty() || s.contains('/'))
}

#[cfg(test)]
mod tests {
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
        // As Go's path.Base answers.
        for id in ["team-a", "a b", "a:b", "é", ".", "..", "...", "/", "a,b", "a\\b", "\"", "{}"] {
            assert_eq!(thanos(id), Ok(id.to_owned()), "{id}");
        }
        for id in ["a/b", "/a", "a/", "//", "../a", "./", "a\n", "a\0", "\u{7f}", "\u{85}", " a", "a ", "a\t"] {
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
                .enforcer("tenant_id", OnConflict::Replace, MANY)
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
}
