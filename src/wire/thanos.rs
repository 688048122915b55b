//! The messages of Thanos's gRPC services, of which the filter serves these. The field numbers are those of the `.proto` files
//! of Thanos 0.42.5 under `pkg/`, named at each message.
//!
//! What is not listed here is dropped, by intention: `hints` of the Store's requests, which name blocks, and `queryPlan`, a plan
//! with selectors of its own, which some version may prefer to `query`.

mod info;
mod query;
mod store;

pub use info::{ExemplarsInfo, InfoRequest, InfoResponse, Served, StoreInfo, TsdbInfo};
pub use query::{QueryRangeRequest, QueryRequest};
pub use store::{
    Func, Grouping, LabelNamesRequest, LabelValuesRequest, NamesResponse, QueryHints, Range, SeriesRequest, ShardInfo,
};

use super::protobuf::message;

message! {
    /// `thanos.Exemplars/Exemplars` (`exemplars/exemplarspb/rpc.proto`).
    ExemplarsRequest<'m> {
        /// The expression.
        query: &'m [u8] = 1,
        /// Milliseconds since 1970.
        start: i64 = 2,
        /// Milliseconds since 1970.
        end: i64 = 3,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 4,
    }
}

message! {
    /// `thanos.Rules/Rules` (`rules/rulespb/rpc.proto`).
    RulesRequest<'m> {
        /// 0 all, 1 alerts, 2 recording rules.
        kind: i32 = 1,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 2,
        /// Selectors, which the server does not look at: Thanos applies them where its HTTP API asks.
        matcher_string: Vec<&'m [u8]> = 3,
        /// Names of rules.
        rule_name: Vec<&'m [u8]> = 4,
        /// Names of groups.
        rule_group: Vec<&'m [u8]> = 5,
        /// Names of files.
        file: Vec<&'m [u8]> = 6,
    }
}

message! {
    /// `grpc.health.v1.Health/Check` (`grpc/health/v1/health.proto` of gRPC).
    HealthRequest<'m> {
        /// Which service; empty for the whole server.
        service: &'m [u8] = 1,
    }
}

message! {
    /// `thanos.Targets/Targets` (`targets/targetspb/rpc.proto`).
    TargetsRequest {
        /// 0 any, 1 active, 2 dropped.
        state: i32 = 1,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 2,
    }
}
