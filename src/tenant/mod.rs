//! Who is asking: the bytes of a header, of a certificate or of metadata → one valid tenant, or several → the scope that
//! they stand for.
//!
//! - `source`: what names the tenant, and how it is read
//! - `certificate`, `metadata`: the forms in which Envoy hands those over
//!
//! ```text
//! tenants = id                              federation off; a certificate, a string in metadata
//! tenants = id *( "|" id )                  federation on; sorted, each once, in what goes on
//!
//! id, format "cortex" = 1*150( letter / digit / one of !-_.*'() )
//! id, format "thanos" = 1*256( UTF-8 without control characters ), equal to its own path base name
//! ```
//!
//! Sources. Cortex: `ValidTenantID` in Cortex's `pkg/util/users/tenant.go`, which also reserves `__markers__` and
//! `user-index.json.gz`. Mimir: its documentation page "About Grafana Mimir tenant IDs", which reserves `__mimir_cluster`.
//! Thanos: `IsTenantValid` in `pkg/tenancy/tenancy.go` (0.42.5). `__other__` is reserved by this filter, for its statistics.

pub mod certificate;
/// Metadata as Envoy writes it, for the tests: the tool has the encoder, since nothing in the filter writes any.
#[cfg(test)]
#[path = "../bin/tenancyctl/evidence.rs"]
#[allow(dead_code)]
pub mod evidence;
pub mod metadata;
mod source;

pub use source::{Evidence, Source};

use crate::scope::{OnConflict, Scope};
use crate::text;
use std::fmt;
use std::sync::Arc;

/// The longest header that is read, however many tenants it names. Each selector of a query grows by about as much.
pub const MAX_HEADER: usize = 4_096;
/// The longest ID in the `cortex` format, in bytes.
pub const MAX_CORTEX_ID: usize = 150;
/// The longest ID in the `thanos` format, in bytes. Thanos sets no bound; this one keeps statistics and logs readable.
pub const MAX_THANOS_ID: usize = 256;

const SEPARATOR: u8 = b'|';

/// Names that mean something else to Cortex, to Mimir or to this filter.
const RESERVED: &[&str] = &[".", "..", "__markers__", "user-index.json.gz", "__mimir_cluster", "__other__"];
/// Reserved in every format: tenants beyond the statistics' bound are counted under it.
const RESERVED_HERE: &[&str] = &["__other__"];

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
    joined: Arc<str>,
}

/// Why a tenant is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Nothing names a tenant: what is missing.
    Absent(&'static str),
    /// What should name one could be read in several ways, or in none: why.
    Unclear(&'static str),
    /// The proxy's own data can't be read: which.
    Unreadable(&'static str),
    /// The value is there, and empty. It is not the default tenant.
    Empty,
    /// An ID among several is empty.
    EmptyMember,
    /// A `|` while federation is off.
    FederationOff,
    /// A `|` where one tenant is named, whether or not several could be.
    Several,
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
            Error::Absent(missing) => write!(f, "no tenant: {missing}"),
            Error::Unclear(problem) => f.write_str(problem),
            Error::Unreadable(what) => write!(f, "the proxy's {what} can't be read"),
            Error::Several => write!(f, "one tenant is named here, and its ID can't hold a |"),
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
    /// Reads what a header holds.
    pub fn parse(value: &[u8], format: Format, federation: Federation) -> Result<Tenants, Error> {
        if !value.contains(&SEPARATOR) {
            return Tenants::one(value, format);
        }
        match federation {
            // Before its parts are looked at, so that they are not many.
            _ if value.len() > MAX_HEADER => Err(Error::TooLong { max: MAX_HEADER }),
            Federation::Off => Err(Error::FederationOff),
            Federation::On { max_tenants } => {
                let values: Vec<&[u8]> = value.split(|&byte| byte == SEPARATOR).collect();
                Tenants::several(&values, format, max_tenants)
            }
        }
    }

    /// Reads what names exactly one tenant.
    pub fn one(value: &[u8], format: Format) -> Result<Tenants, Error> {
        match value {
            b"" => Err(Error::Empty),
            value => Ok(Tenants { joined: check(value, format)?.into() }),
        }
    }

    /// Reads IDs, each of which names one tenant; `max_tenants` of them at most, or any number where it is 0.
    pub fn several(values: &[&[u8]], format: Format, max_tenants: u32) -> Result<Tenants, Error> {
        // Kept in order as they come: for so few, a sort would weigh more in the module than it saves.
        let mut ids: Vec<&str> = Vec::new();
        let mut length = 0;
        for value in values {
            length += value.len() + 1;
            if length > MAX_HEADER + 1 {
                return Err(Error::TooLong { max: MAX_HEADER });
            }
            if value.is_empty() {
                return Err(Error::EmptyMember);
            }
            let id = check(value, format)?;
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
        if max_tenants > 0 && ids.len() > max_tenants as usize {
            return Err(Error::TooMany { named: ids.len(), max: max_tenants });
        }
        match ids.is_empty() {
            true => Err(Error::Empty),
            false => Ok(Tenants { joined: ids.join("|").into() }),
        }
    }

    /// The IDs, joined by `|`: what goes upstream and into logs.
    pub fn joined(&self) -> &Arc<str> {
        &self.joined
    }

    /// Each ID, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.joined.split(char::from(SEPARATOR))
    }

    /// What a request of these tenants is confined to, where one label names them. With federation, a query may choose among
    /// them, so its own matchers on the label are kept, also where the request names one tenant only.
    pub fn scope(&self, label: &Arc<str>, on_conflict: OnConflict, federation: Federation) -> Scope {
        match (federation, self.joined.contains(char::from(SEPARATOR))) {
            (Federation::Off, false) => Scope::equal(label.clone(), self.joined.clone(), on_conflict),
            _ => Scope::one_of(label.clone(), &self.ids().collect::<Vec<_>>(), on_conflict),
        }
    }
}

fn check(value: &[u8], format: Format) -> Result<&str, Error> {
    let id = std::str::from_utf8(value).map_err(|_| Error::NotUtf8)?;
    let quoted = || text::quote(value);
    let max = match format {
        Format::Cortex => MAX_CORTEX_ID,
        Format::Thanos => MAX_THANOS_ID,
    };
    if id.len() > max {
        return Err(Error::TooLong { max });
    }
    if value.contains(&SEPARATOR) {
        return Err(Error::Several);
    }
    check_characters(id, format)?;
    let reserved = match format {
        Format::Cortex => RESERVED,
        Format::Thanos => RESERVED_HERE,
    };
    match reserved.contains(&id) {
        true => Err(Error::Reserved(quoted())),
        false => Ok(id),
    }
}

/// Whether an ID, or the beginning of one, holds nothing but what the format allows.
pub fn check_characters(id: &str, format: Format) -> Result<(), Error> {
    let quoted = || text::quote(id.as_bytes());
    match format {
        Format::Cortex if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte)) => {
            Err(Error::Character(quoted()))
        }
        // Space at the ends: HTTP/1 strips it on the way and HTTP/2 doesn't, so that two readers would see two tenants.
        Format::Thanos if !is_own_base_name(id) || id.chars().any(char::is_control) || id.trim() != id => {
            Err(Error::NotABaseName(quoted()))
        }
        Format::Cortex | Format::Thanos => Ok(()),
    }
}

/// `s == path.Base(s)` in Go: no slash in it, or nothing but one slash. (`path.Base("")` is `.`.)
fn is_own_base_name(s: &str) -> bool {
    s == "/" || !(s.is_empty() || s.contains('/'))
}

#[cfg(test)]
mod tests;
