//! The messages of `thanos.Store` (`store/storepb/rpc.proto`).

use crate::wire::labels::Matcher;
use crate::wire::protobuf::message;

message! {
    /// `thanos.Store/Series`. Without `hints` (9).
    SeriesRequest<'m> {
        /// Milliseconds since 1970.
        min_time: i64 = 1,
        /// Milliseconds since 1970.
        max_time: i64 = 2,
        /// The selector. A store refuses a request without any but those that its external labels answer.
        matchers: Vec<Matcher<'m>> = 3,
        /// The coarsest downsampling that may be answered from.
        max_resolution_window: i64 = 4,
        /// The aggregates of downsampled data that are wanted.
        aggregates: Vec<i32> = 5,
        /// Replaced by the strategy.
        partial_response_disabled: bool = 6,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 7,
        /// Whether labels alone are wanted.
        skip_chunks: bool = 8,
        /// The step, in milliseconds.
        step: i64 = 10,
        /// The range of the selector, in milliseconds.
        range: i64 = 11,
        /// What the PromQL engine says of the request.
        query_hints: Option<QueryHints<'m>> = 12,
        /// A part of the series, by a hash of their labels.
        shard_info: Option<ShardInfo<'m>> = 13,
        /// Labels that are removed from the series.
        without_replica_labels: Vec<&'m [u8]> = 14,
        /// How many series are wanted at most.
        limit: i64 = 15,
        /// How many series one message of the answer holds.
        response_batch_size: i64 = 16,
    }
}

message! {
    /// What the PromQL engine says of a request.
    QueryHints<'m> {
        /// The step.
        step_millis: i64 = 1,
        /// The function or aggregation around the selector.
        func: Option<Func<'m>> = 2,
        /// How it groups.
        grouping: Option<Grouping<'m>> = 4,
        /// The range of the selector.
        range: Option<Range> = 5,
        /// The labels that are needed.
        projection_labels: Vec<&'m [u8]> = 6,
        /// Whether these are the needed ones, not those that aren't.
        projection_include: bool = 7,
    }
}

message! {
    /// A function or aggregation.
    Func<'m> {
        /// Its name.
        name: &'m [u8] = 1,
    }
}

message! {
    /// A grouping.
    Grouping<'m> {
        /// Whether it is `by`, not `without`.
        by: bool = 1,
        /// The labels.
        labels: Vec<&'m [u8]> = 3,
    }
}

message! {
    /// A range.
    Range {
        /// Its length.
        millis: i64 = 1,
    }
}

message! {
    /// A part of the series, by a hash of their labels.
    ShardInfo<'m> {
        /// Which part.
        shard_index: i64 = 1,
        /// Of how many.
        total_shards: i64 = 2,
        /// Whether the hash is of these labels, not of the others.
        by: bool = 3,
        /// The labels.
        labels: Vec<&'m [u8]> = 4,
    }
}

message! {
    /// `thanos.Store/LabelNames`. Without `hints` (5).
    LabelNamesRequest<'m> {
        /// Replaced by the strategy.
        partial_response_disabled: bool = 1,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 2,
        /// Milliseconds since 1970.
        start: i64 = 3,
        /// Milliseconds since 1970.
        end: i64 = 4,
        /// The series whose names are wanted.
        matchers: Vec<Matcher<'m>> = 6,
        /// Labels that are removed from the series.
        without_replica_labels: Vec<&'m [u8]> = 7,
        /// How many names are wanted at most.
        limit: i64 = 8,
    }
}

message! {
    /// `thanos.Store/LabelValues`. Without `hints` (6).
    LabelValuesRequest<'m> {
        /// The label.
        label: &'m [u8] = 1,
        /// Replaced by the strategy.
        partial_response_disabled: bool = 2,
        /// 0 turns failures into warnings, 1 into an error.
        partial_response_strategy: i32 = 3,
        /// Milliseconds since 1970.
        start: i64 = 4,
        /// Milliseconds since 1970.
        end: i64 = 5,
        /// The series whose values are wanted.
        matchers: Vec<Matcher<'m>> = 7,
        /// Labels that are removed from the series.
        without_replica_labels: Vec<&'m [u8]> = 8,
        /// How many values are wanted at most.
        limit: i64 = 9,
    }
}

message! {
    /// The answer to both. Without `hints` (3).
    NamesResponse<'m> {
        /// Names, or values.
        names: Vec<&'m [u8]> = 1,
        /// What failed, with the labels and addresses of any tenant's stores.
        warnings: Vec<&'m [u8]> = 2,
    }
}
