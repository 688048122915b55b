//! What is taken of writes: `allow_writes`, `remote_write_versions` and `write_tenant_in_body`.

use super::ConfigError;
use crate::api::Upstream;
use crate::settings::Field;

/// What of writes is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    /// `allow_writes`.
    pub are_allowed: bool,
    /// `remote_write_versions`.
    pub versions: Vec<WriteVersion>,
    /// `write_tenant_in_body`.
    pub tenant_is_in_body: bool,
}

/// A version of Prometheus's remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteVersion {
    /// 1.0.
    One,
    /// 2.0.
    Two,
}

/// Why `allow_writes` can't be joined with `tenant_selectors` and `enforced_labels`.
pub const LABELS_OF_THE_WRITER: &str = "can't be joined with tenant_selectors or enforced_labels: a write is isolated by the tenant header \
                                        alone, and a tenant could write series with the labels by which another reads its own";
/// Why `allow_writes` can't be joined with `enforce_tenancy` before an upstream that isolates tenants.
pub const NOT_ISOLATED: &str = "can't be joined with \"enforce_tenancy\": true before this upstream: writes are isolated only where the upstream \
                                isolates tenants by the header";

/// The words of `remote_write_versions`.
pub const VERSIONS: &[(&str, WriteVersion)] = &[("1.0", WriteVersion::One), ("2.0", WriteVersion::Two)];

impl Writes {
    /// The defaults in front of an upstream. Thanos Receive before 0.43 answers 200 to a write of version 2.0 and stores nothing of it (observed
    /// with Thanos 0.42.5).
    pub fn of(upstream: Upstream) -> Writes {
        let versions = match upstream {
            Upstream::Thanos => vec![WriteVersion::One],
            Upstream::Prometheus | Upstream::Cortex | Upstream::Alertmanager => WriteVersion::ALL.into(),
        };
        Writes { are_allowed: false, versions, tenant_is_in_body: false }
    }
}

impl WriteVersion {
    /// All of them.
    pub const ALL: [WriteVersion; 2] = [WriteVersion::One, WriteVersion::Two];

    /// Its number.
    pub fn name(self) -> &'static str {
        match self {
            WriteVersion::One => "1.0",
            WriteVersion::Two => "2.0",
        }
    }

    /// Its message: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.
    pub fn message(self) -> &'static str {
        match self {
            WriteVersion::One => "prometheus.WriteRequest",
            WriteVersion::Two => "io.prometheus.write.v2.Request",
        }
    }

    /// The content type that says so.
    pub fn content_type(self) -> &'static str {
        match self {
            WriteVersion::One => "application/x-protobuf",
            WriteVersion::Two => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }
}

/// Reads `remote_write_versions`.
pub fn versions(field: Field) -> Result<Vec<WriteVersion>, ConfigError> {
    let none = field.error("at least one version is needed; allow_writes switches writing off");
    let mut versions = Vec::new();
    let items = field.items("a list of versions")?;
    if items.is_empty() {
        return Err(none);
    }
    for field in items {
        let version = field.word(VERSIONS)?;
        if versions.contains(&version) {
            return Err(field.error("this version is named twice"));
        }
        versions.push(version);
    }
    Ok(versions)
}
