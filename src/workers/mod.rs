//! Byte formats of what the workers of one proxy share.
//!
//! - `leases`: how many queries of a tenant run
//! - `in_flight`: the gauge that is summed over workers, some of which may have died
//! - `roster`: which tenants have series of their own

pub mod in_flight;
pub mod leases;
mod roster;

pub use roster::{Roster, Seat};
