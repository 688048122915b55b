//! Thanos's gRPC services: the rows of the methods that are served, and of those that are refused.
//!
//! A gRPC request is a POST whose path is `/package.Service/Method`, below no prefix, and whose content type is `application/grpc`. The rows
//! are looked at only with `enable_grpc`; a method without a row is unknown.
//!
//! Sources: the `.proto` files of Thanos 0.42.5 below `pkg/`, and what `cmd/thanos/query.go` registers.

use super::parameters as with;
use super::{Answer, Empty, ErrorShape, Method, Path, Route, Rule, Times, Upstream};

/// A gRPC method that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `thanos.Query/Query`: an instant query.
    Query,
    /// `thanos.Query/QueryRange`.
    QueryRange,
    /// `thanos.Store/Series`: series and their chunks.
    Series,
    /// `thanos.Store/LabelNames`.
    LabelNames,
    /// `thanos.Store/LabelValues`.
    LabelValues,
    /// `thanos.Exemplars/Exemplars`.
    Exemplars,
    /// `thanos.Rules/Rules`.
    Rules,
    /// `thanos.Targets/Targets`.
    Targets,
    /// `thanos.info.Info/Info`: what a component serves.
    Info,
    /// `grpc.health.v1.Health/Check`, which is served to requests without a tenant too.
    Health,
}

const THANOS: &[Upstream] = &[Upstream::Thanos];
const POST: &[Method] = &[Method::Post];

const UNSCOPED: &str = "its answer can't be scoped to a tenant";
const INTERNAL: &str = "it is internal to the upstream, and names the tenant in its body";
const OPERATORS: &str = "it is the operator's, not a tenant's";

/// The rows. The first one that matches decides.
pub static SERVICES: &[Route] = &[
    evaluates(call("grpc_query", "/thanos.Query/Query", Call::Query, Times::Instant, Some(Empty::Frames))),
    evaluates(call(
        "grpc_query_range",
        "/thanos.Query/QueryRange",
        Call::QueryRange,
        Times::Range,
        Some(Empty::Frames),
    )),
    call("grpc_series", "/thanos.Store/Series", Call::Series, Times::Between, Some(Empty::Frames)),
    call("grpc_label_names", "/thanos.Store/LabelNames", Call::LabelNames, Times::Between, Some(Empty::Message)),
    call("grpc_label_values", "/thanos.Store/LabelValues", Call::LabelValues, Times::Between, Some(Empty::Message)),
    call("grpc_exemplars", "/thanos.Exemplars/Exemplars", Call::Exemplars, Times::Between, Some(Empty::Frames)),
    call("grpc_rules", "/thanos.Rules/Rules", Call::Rules, Times::Unread, None),
    call("grpc_targets", "/thanos.Targets/Targets", Call::Targets, Times::Unread, None),
    call("grpc_info", "/thanos.info.Info/Info", Call::Info, Times::Unread, None),
    Route {
        needs_tenant: false,
        ..call("grpc_health", "/grpc.health.v1.Health/Check", Call::Health, Times::Unread, None)
    },
    refuse("grpc_metadata", Path::Below("/thanos.Metadata/"), UNSCOPED),
    refuse("grpc_status", Path::Below("/thanos.Status/"), UNSCOPED),
    refuse("grpc_write", Path::Below("/thanos.WriteableStore/"), INTERNAL),
    refuse("grpc_reflection", Path::Below("/grpc.reflection.v1.ServerReflection/"), OPERATORS),
    refuse("grpc_reflection", Path::Below("/grpc.reflection.v1alpha.ServerReflection/"), OPERATORS),
];

/// Whether a content type is gRPC's. Envoy turns the answers of the filter into gRPC's for the same ones (`Grpc::Common::hasGrpcContentType`
/// in 1.40.0): `application/grpc-web` and `application/grpc;…` are not among them.
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

/// Whether the messages are protobuf's, which a server reads by these content types alone.
pub fn is_protobuf(content_type: &[u8]) -> bool {
    matches!(content_type, b"application/grpc" | b"application/grpc+proto")
}

const fn call(handler: &'static str, path: &'static str, call: Call, times: Times, empty: Option<Empty>) -> Route {
    Route {
        handler,
        upstreams: THANOS,
        path: Path::Exact(path),
        methods: POST,
        needs_tenant: true,
        rule: Rule::Grpc(call),
        parameters: with::NONE,
        times,
        evaluates: false,
        one_tenant: false,
        instead: None,
        at_root: false,
        switch: None,
        neutral: None,
        empty,
        answer: Answer::Grpc(call),
        errors: ErrorShape::Grpc,
    }
}

const fn evaluates(route: Route) -> Route {
    Route { evaluates: true, ..route }
}

const fn refuse(handler: &'static str, path: Path, reason: &'static str) -> Route {
    Route {
        path,
        methods: &[],
        rule: Rule::Refuse(reason),
        answer: Answer::None,
        ..call(handler, "", Call::Health, Times::Unread, None)
    }
}
