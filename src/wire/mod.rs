//! Binary formats: Protocol Buffers, gRPC's frames, snappy; and the messages of Prometheus and Thanos that are written in them.
//!
//! ```text
//! remote_read  thanos      messages
//! labels                   what both are made of
//! grpc                     frames, and answers as they stream by
//! snappy  protobuf         encodings
//! crc32c                   checksums
//! ```
//!
//! Nothing here knows tenants. All of it reads untrusted bytes: in bounded memory, in linear time, and without a panic.

pub mod crc32c;
pub mod grpc;
pub mod labels;
pub mod protobuf;
pub mod remote_read;
pub mod snappy;
pub mod thanos;
