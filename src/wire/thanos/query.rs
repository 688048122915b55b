//! The requests of `thanos.Query` (`api/query/querypb/query.proto`). The two number their fields differently.

use super::store::ShardInfo;
use crate::wire::protobuf::{Seen, message};

message! {
    /// `thanos.Query/Query`. Without `queryPlan` (14).
    QueryRequest<'m> {
        /// The expression. Empty is an error to Thanos.
        query: &'m [u8] = 1,
        /// Seconds since 1970.
        time_seconds: i64 = 2,
        /// How long the evaluation may take.
        timeout_seconds: i64 = 3,
        /// The coarsest downsampling that may be answered from.
        max_resolution_seconds: i64 = 4,
        /// Labels that are removed from the series, so that replicas become one.
        replica_labels: Vec<&'m [u8]> = 5,
        /// Whether stores are chosen by their address: the answer would tell which there are.
        store_matchers: Seen = 6,
        /// Whether replicas become one.
        enable_dedup: bool = 7,
        /// Whether failures become warnings.
        enable_partial_response: bool = 8,
        /// Thanos does not look at it.
        skip_chunks: bool = 10,
        /// A part of the series, by a hash of their labels.
        shard_info: Option<ShardInfo<'m>> = 11,
        /// How far back samples count. 0 is the server's default.
        lookback_delta_seconds: i64 = 12,
        /// 0 the server's default, 1 Prometheus's, 2 Thanos's.
        engine: i32 = 13,
        /// How many series one message of the answer holds.
        response_batch_size: i64 = 15,
    }
}

message! {
    /// `thanos.Query/QueryRange`. Without `queryPlan` (16).
    QueryRangeRequest<'m> {
        /// The expression. Empty is an error to Thanos.
        query: &'m [u8] = 1,
        /// Seconds since 1970.
        start_time_seconds: i64 = 2,
        /// Seconds since 1970.
        end_time_seconds: i64 = 3,
        /// The step.
        interval_seconds: i64 = 4,
        /// How long the evaluation may take.
        timeout_seconds: i64 = 5,
        /// The coarsest downsampling that may be answered from.
        max_resolution_seconds: i64 = 6,
        /// Labels that are removed from the series, so that replicas become one.
        replica_labels: Vec<&'m [u8]> = 7,
        /// Whether stores are chosen by their address: the answer would tell which there are.
        store_matchers: Seen = 8,
        /// Whether replicas become one.
        enable_dedup: bool = 9,
        /// Whether failures become warnings.
        enable_partial_response: bool = 10,
        /// Thanos does not look at it.
        skip_chunks: bool = 12,
        /// A part of the series, by a hash of their labels.
        shard_info: Option<ShardInfo<'m>> = 13,
        /// How far back samples count. 0 is the server's default.
        lookback_delta_seconds: i64 = 14,
        /// 0 the server's default, 1 Prometheus's, 2 Thanos's.
        engine: i32 = 15,
        /// How many series one message of the answer holds.
        response_batch_size: i64 = 17,
    }
}
