//! Per-tenant limits, whole.
//!
//! - `limit`: each limit that is one number; `rules`: `blocked_queries` and `query_rejection`
//! - `settings`: what a configuration sets, and what is in force for some tenants; `read`: JSON → settings
//! - `requested`: what a request asks for; `window`: the times that are allowed; `bounds`: checks that move no time
//! - `decision`: the decision on a request: which times are written, or why it is not forwarded (`refusal`)
//! - `ranges`: the same for requests that name times for each selector
//!
//! To add a limit that is one number, add it to [`Limit`] and [`TABLE`], and check it in `bounds` or `window`.
//!
//! Names and meaning are Cortex's (pkg/util/validation/limits.go and pkg/querier/querier.go, 1.21) and Mimir's
//! (pkg/util/validation/limits.go, 3.0). docs/tenant-limits.md says whose each is, and where it differs.

mod bounds;
mod decision;
mod limit;
mod ranges;
mod read;
mod refusal;
mod requested;
mod rules;
mod settings;
mod window;

pub use decision::{Engine, RequestLimits};
pub use limit::{Limit, Place, TABLE, Unit};
pub use ranges::{Left, Ranges};
pub(crate) use read::{duration, limits as read};
pub use refusal::{Refusal, Stop};
pub use requested::Requested;
pub use rules::{Applies, Attributes, Between, Blocked, Comparisons, RuleInput, Text};
pub use settings::{InForce, Limits, Set, Told};
