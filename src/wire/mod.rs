//! Binary formats: protobuf.

pub mod protobuf;
