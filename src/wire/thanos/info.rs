//! The messages of `thanos.info.Info` (`info/infopb/rpc.proto`): what a component serves, and which labels its series have.

use crate::wire::labels::LabelSet;
use crate::wire::protobuf::message;

message! {
    /// `thanos.info.Info/Info`, which asks for nothing in particular.
    InfoRequest {}
}

message! {
    /// The answer.
    InfoResponse<'m> {
        /// The external labels of what it serves, one set for each database. None: any series may be there.
        label_sets: Vec<LabelSet<'m>> = 1,
        /// `sidecar`, `query`, …
        component_type: &'m [u8] = 2,
        /// That it is a store.
        store: Option<StoreInfo<'m>> = 3,
        /// That it has rules.
        rules: Option<Served> = 4,
        /// That it has metadata of metrics.
        metric_metadata: Option<Served> = 5,
        /// That it has targets.
        targets: Option<Served> = 6,
        /// That it has exemplars.
        exemplars: Option<ExemplarsInfo> = 7,
        /// That it answers queries.
        query: Option<Served> = 8,
        /// That it tells of its databases.
        status: Option<Served> = 9,
    }
}

message! {
    /// That a service is there.
    Served {}
}

message! {
    /// What a store has.
    StoreInfo<'m> {
        /// Milliseconds since 1970.
        min_time: i64 = 1,
        /// Milliseconds since 1970.
        max_time: i64 = 2,
        /// Whether it reads `shard_info`.
        supports_sharding: bool = 3,
        /// Whether it reads `without_replica_labels`.
        supports_without_replica_labels: bool = 5,
        /// Its databases.
        tsdb_infos: Vec<TsdbInfo<'m>> = 6,
    }
}

message! {
    /// A database.
    TsdbInfo<'m> {
        /// Its external labels.
        labels: Option<LabelSet<'m>> = 1,
        /// Milliseconds since 1970.
        min_time: i64 = 2,
        /// Milliseconds since 1970.
        max_time: i64 = 3,
    }
}

message! {
    /// From when to when there are exemplars.
    ExemplarsInfo {
        /// Milliseconds since 1970.
        min_time: i64 = 1,
        /// Milliseconds since 1970.
        max_time: i64 = 2,
    }
}
