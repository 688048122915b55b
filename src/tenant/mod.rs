//! Identifies the tenant: reads the bytes of a header, a parameter, a client certificate or dynamic metadata, and validates the tenant IDs
//! in them.
//!
//! - `source`: what names the tenant, and how it is read
//! - `label`: the values of labels that are enforced beside the tenant's
//! - `certificate`, `metadata`: the formats in which Envoy returns a certificate's subject and dynamic metadata
//! - `claims`: which tenants the entries of a claim name
//!
//! ```text
//! tenants = id                              without federation; in a certificate; in a string in metadata
//! tenants = id *( "|" id )                  with federation; forwarded sorted and without duplicates
//!
//! id, format "cortex" = 1*150( letter / digit / one of !-_.*'() )
//! id, format "thanos" = 1*256( UTF-8 without control characters ), equal to its own path base name
//! ```
//!
//! Sources. Cortex: `ValidTenantID` in Cortex's `pkg/util/users/tenant.go`, which also reserves `__markers__` and
//! `user-index.json.gz`. Mimir: its documentation page "About Grafana Mimir tenant IDs", which reserves `__mimir_cluster`.
//! Thanos: `IsTenantValid` in `pkg/tenancy/tenancy.go` (0.42.5). `__other__` is reserved by this filter, for its stats.

mod by_id;
pub mod certificate;
pub mod claims;
/// Metadata as Envoy writes it, for the tests: the tool has the encoder, since nothing in the filter writes any.
#[cfg(test)]
#[path = "../bin/tenancyctl/evidence.rs"]
#[allow(dead_code)]
pub mod evidence;
pub mod label;
pub mod metadata;
mod source;

pub use by_id::{ById, Ids, Unreadable, unclear};
pub use claims::Claims;
pub use label::{EnforcedLabel, LabelError, LabelSource, LabelValues};
pub use source::{Clues, Evidence, Source};

use crate::scope::{OnConflict, Scope};
use crate::text;
use std::fmt;
use std::sync::Arc;

/// The length in bytes of the longest tenant header that is read, however many tenants it names. Each selector of a query grows by
/// about as much.
pub const MAX_HEADER: usize = 4_096;
/// The longest ID in the `cortex` format, in bytes.
pub const MAX_CORTEX_ID: usize = 150;
/// The longest ID in the `thanos` format, in bytes. Thanos has no limit; this one keeps stats and logs readable.
pub const MAX_THANOS_ID: usize = 256;

const SEPARATOR: u8 = b'|';

/// IDs that have a special meaning for Cortex, Mimir or this filter.
const RESERVED: &[&str] = &[".", "..", "__markers__", "user-index.json.gz", "__mimir_cluster", "__other__"];
/// IDs that are reserved in every format. Tenants beyond `stats.max_tenants` are counted as `__other__`.
const RESERVED_HERE: &[&str] = &["__other__"];

/// The rule for valid IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Cortex's and Mimir's character set.
    Cortex,
    /// Any text that is its own path base name.
    Thanos,
}

/// Whether a request may name several tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Federation {
    /// A request names one tenant: a `|` is refused.
    Off,
    /// A request may name several tenants, separated by `|`.
    On {
        /// The largest number of tenants in one request. 0 means no limit.
        max_tenants: u32,
    },
}

/// What the configuration says about the tenants of a request, whichever source names them.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Which IDs are valid.
    pub format: Format,
    /// Whether a request may name several.
    pub federation: Federation,
    /// Whether a valid tenant is served.
    pub allows: &'a dyn Fn(&str) -> bool,
}

impl Rules<'_> {
    /// Whether this is the ID of a tenant that is served.
    fn serves(&self, id: &[u8]) -> bool {
        !id.is_empty() && check(id, self.format).is_ok_and(|id| (self.allows)(id))
    }
}

/// One or several valid tenants, sorted and without duplicates.
///
/// ```
/// use promql_tenancy_filter::tenant::{Error, Federation, Format, Tenants};
///
/// let federation = Federation::On { max_tenants: 0 };
/// let tenants = Tenants::parse(b"team-b|team-a|team-b", Format::Cortex, federation).unwrap();
/// assert_eq!(&**tenants.joined(), "team-a|team-b");
///
/// // Without federation, a request names exactly one tenant, and an empty one is refused.
/// assert_eq!(Tenants::parse(b"team-b|team-a", Format::Cortex, Federation::Off), Err(Error::FederationOff));
/// assert_eq!(Tenants::parse(b"", Format::Cortex, Federation::Off), Err(Error::Empty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenants {
    /// The IDs joined by `|`, which can't occur in an ID.
    joined: Arc<str>,
}

/// Why the tenant can't be identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The request names no tenant. The text says what is missing.
    Absent(&'static str),
    /// The request lacks this header, which names the tenant.
    NoHeader(Arc<str>),
    /// The source can't be read, or not in only one way. The text says why.
    Unclear(&'static str),
    /// Data that the proxy made can't be read. The text says which.
    Unreadable(&'static str),
    /// The value is present and empty. It does not mean the default tenant.
    Empty,
    /// One of several IDs is empty.
    EmptyMember,
    /// The value holds a `|` while federation is off.
    FederationOff,
    /// The value of a source that names one tenant holds a `|`.
    Several,
    /// The upstream answers for one tenant at a time, and the request names several.
    OneAtATime,
    /// Samples are written for one tenant.
    OneWriter,
    /// The request names more tenants than `max_tenants`.
    TooMany {
        /// How many tenants the request names.
        named: usize,
        /// How many tenants it may name.
        max: u32,
    },
    /// The value is longer than allowed.
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The ID holds a character that the format doesn't allow.
    Character(String),
    /// The ID is reserved.
    Reserved(String),
    /// The ID is not its own path base name.
    NotABaseName(String),
    /// The ID is not UTF-8.
    NotUtf8,
    /// An entry of a claim names no tenant.
    UnknownEntry(String),
    /// A claim names no tenant that is served.
    NoneServed,
    /// The tenant that the path names is not one that the request may choose. Whether it exists is not told.
    NotOffered,
    /// The request may choose among several tenants, and its path names none.
    NotChosen,
    /// Several tenants are named, and `tenant_selectors` confines one of them to other labels.
    OwnSelector(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Absent(missing) => write!(f, "no tenant: {missing}; authenticate, or ask the operator"),
            Error::NoHeader(name) => {
                write!(f, "no tenant: send the header {name}, or ask the operator whether the authentication sets it")
            }
            Error::Unclear(problem) => f.write_str(problem),
            Error::Unreadable(what) => write!(f, "the proxy's {what} can't be read: ask the operator"),
            Error::Several => write!(f, "one tenant is named here, and its ID can't hold a |: name one"),
            Error::OneAtATime => {
                write!(f, "the upstream answers this path for one tenant at a time, and several are named: name one")
            }
            Error::OneWriter => write!(f, "a write needs exactly one tenant, and several are named: name one"),
            Error::Empty => write!(f, "the tenant is empty: name one"),
            Error::EmptyMember => write!(f, "one of the tenants separated by | is empty: leave the | out"),
            Error::FederationOff => {
                write!(f, "several tenants are named: name one, or ask the operator to enable tenant_federation")
            }
            Error::TooMany { named, max } => {
                write!(
                    f,
                    "{named} tenants are named, and at most {max} are allowed (tenant_federation.max_tenants): name fewer"
                )
            }
            Error::TooLong { max } => write!(f, "the tenant is longer than {max} bytes: name a shorter one"),
            Error::Character(id) => {
                write!(
                    f,
                    "tenant {id} holds a character that is not allowed: only letters, digits and !-_.*'() are (tenant_id_format: cortex); | separates several tenants"
                )
            }
            Error::Reserved(id) => write!(f, "tenant {id} is a reserved name: use another one"),
            Error::NotABaseName(id) => {
                write!(
                    f,
                    "tenant {id} is not allowed: no slash, no control character, no U+FFFD, no space at either end (tenant_id_format: thanos)"
                )
            }
            Error::NotUtf8 => write!(f, "the tenant is not UTF-8: encode it so"),
            Error::UnknownEntry(entry) => write!(f, "{entry} in the metadata names no tenant: ask the operator"),
            Error::NoneServed => write!(f, "the metadata names no tenant that is allowed here: ask the operator"),
            Error::NotOffered => {
                write!(f, "this tenant is not allowed here: name another one, or ask the operator to allow it")
            }
            Error::NotChosen => {
                write!(f, "several tenants are named: begin the path with one of them, as tenant_path says")
            }
            Error::OwnSelector(id) => {
                write!(
                    f,
                    "tenant {id} can't be named together with others: it has a selector of its own, so ask for it alone"
                )
            }
        }
    }
}

impl Tenants {
    /// Reads the value of a header.
    pub fn parse(value: &[u8], format: Format, federation: Federation) -> Result<Tenants, Error> {
        if !value.contains(&SEPARATOR) {
            return Tenants::one(value, format);
        }
        match federation {
            // Checked before the value is split, so that the number of parts is bounded.
            _ if value.len() > MAX_HEADER => Err(Error::TooLong { max: MAX_HEADER }),
            Federation::Off => Err(Error::FederationOff),
            Federation::On { max_tenants } => {
                let values: Vec<&[u8]> = value.split(|&byte| byte == SEPARATOR).collect();
                Tenants::several(&values, format, max_tenants)
            }
        }
    }

    /// Reads a value that names exactly one tenant.
    pub fn one(value: &[u8], format: Format) -> Result<Tenants, Error> {
        match value {
            b"" => Err(Error::Empty),
            value => Ok(Tenants { joined: check(value, format)?.into() }),
        }
    }

    /// Reads a list of values that each name one tenant. `max_tenants` is the largest number of tenants; 0 means no limit.
    pub fn several(values: &[&[u8]], format: Format, max_tenants: u32) -> Result<Tenants, Error> {
        // Each ID is inserted in order. The lists are short, and the code of a sort would make the module larger.
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

    /// The IDs joined by `|`, as they are forwarded to the upstream and written into logs.
    pub fn joined(&self) -> &Arc<str> {
        &self.joined
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        is_joined(&self.joined)
    }

    /// These tenants and others. Both may be named by either.
    pub fn with(&self, others: &Tenants) -> Tenants {
        let mut ids: Vec<&str> = self.ids().collect();
        for id in others.ids() {
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
        Tenants { joined: ids.join("|").into() }
    }

    /// The only one, where it is one.
    pub fn single(&self) -> Option<&str> {
        (!self.are_several()).then_some(&self.joined)
    }

    /// The IDs, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.joined.split(char::from(SEPARATOR))
    }

    /// What a request of these tenants is confined to, where one label names them. With federation, a query may choose among
    /// them, so its own matchers on the label are kept, also where the request names one tenant only.
    pub fn scope(&self, label: &Arc<str>, on_conflict: OnConflict, federation: Federation) -> Scope {
        match (federation, self.are_several()) {
            (Federation::Off, false) => Scope::equal(label.clone(), self.joined.clone(), on_conflict),
            _ => Scope::one_of(label.clone(), &self.ids().collect::<Vec<_>>(), on_conflict),
        }
    }
}

/// Whether this is the text of several tenants: their IDs joined by `|`, which no ID can hold.
pub fn is_joined(tenant: &str) -> bool {
    tenant.contains(char::from(SEPARATOR))
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

/// Checks that a value is the ID of one tenant, as [`Tenants::one`] does, and makes nothing of it: a configuration may hold a hundred thousand.
pub fn check_id(value: &[u8], format: Format) -> Result<(), Error> {
    match value {
        b"" => Err(Error::Empty),
        value => check(value, format).map(drop),
    }
}

/// Checks that an ID, or the beginning of an ID, holds only characters that the format allows.
pub fn check_characters(id: &str, format: Format) -> Result<(), Error> {
    let quoted = || text::quote(id.as_bytes());
    match format {
        Format::Cortex if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte)) => {
            Err(Error::Character(quoted()))
        }
        // Spaces at either end are refused: HTTP/1 strips them from a header and HTTP/2 doesn't, so the filter and the upstream could
        // see different tenants. No upstream reads U+FFFD in a string.
        Format::Thanos
            if !is_own_base_name(id)
                || id.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
                || id.trim() != id =>
        {
            Err(Error::NotABaseName(quoted()))
        }
        Format::Cortex | Format::Thanos => Ok(()),
    }
}

/// Whether `s == path.Base(s)` in Go. That is so for a text without a slash, and for a single slash. (`path.Base("")` is `.`.)
fn is_own_base_name(s: &str) -> bool {
    s == "/" || !(s.is_empty() || s.contains('/'))
}

#[cfg(test)]
mod tests;
