//! The table of keys. A key whose value decides what another may be stands before it.

use super::super::explain::{self, either};
use super::super::json::Field;
use super::super::shape::{self, Shape, words};
use super::super::source::{CERTIFICATE_FIELDS, MAX_PATTERN};
use super::super::{
    AlertRoutes, Allowed, CONFLICTS, Config, ConfigError, FORMATS, METADATA, MetadataBy, Stats, TenantPath, allowed,
    check, claims, confinement, effective, stats, writes,
};
use super::Key;
use crate::limits::Unit;
use serde_json::Value;

const WRITE_VERSION: Shape = Shape::Word(|| words(writes::VERSIONS));

pub const ROWS: [Key; 47] = [
    Key {
        name: "upstream",
        shape: Shape::Word(|| words(&check::words_of_upstreams())),
        default: r#""prometheus""#,
        meaning: "whose API table applies, and the defaults of forward_tenant_header, enforce_tenancy and path_prefixes",
        docs: "docs/api-table.md",
        read: |draft, field| put(&mut draft.config, check::upstream(&field).map(Config::defaults)),
        show: |config| config.upstream.name().into(),
        says: None,
    },
    Key {
        name: "tenant_header",
        shape: Shape::HEADER,
        default: r#""thanos-tenant""#,
        meaning: "the client's header that names the tenant",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.header, field),
        show: |config| config.source.header().map_or(Value::Null, |name| (**name).into()),
        says: Some(|config| {
            let is_named = config.source.header().is_some();
            either(is_named, "the client's header that names the tenant", "no header names the tenant")
        }),
    },
    Key {
        name: "default_tenant_id",
        shape: Shape::TEXT,
        default: r#""default-tenant""#,
        meaning: "the tenant of a request without the header; empty: such a request is refused with 401",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.default_id, field),
        show: explain::default_tenant,
        says: Some(explain::what_default_tenant_does),
    },
    Key {
        name: "tenant_certificate_field",
        shape: Shape::Word(|| words(CERTIFICATE_FIELDS)),
        default: r#""""#,
        meaning: "the field of the client certificate's subject that names the tenant, instead of the header",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.certificate_field, field),
        show: |config| explain::certificate_field(config).into(),
        says: Some(|config| {
            let says = "the field of the client certificate's subject that names the tenant; the header is ignored";
            let is_unused = explain::certificate_field(config).is_empty();
            either(is_unused, "the client certificate does not name the tenant", says)
        }),
    },
    Key {
        name: "tenant_metadata",
        shape: claims::SHAPE,
        default: "",
        meaning: "where Envoy's dynamic metadata names the tenant, instead of the header: a namespace, and keys below it",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.metadata, field),
        show: explain::metadata,
        says: Some(|config| {
            let says = "where Envoy's dynamic metadata names the tenant; the header is ignored";
            either(explain::metadata(config).is_null(), "no metadata names the tenant", says)
        }),
    },
    Key {
        name: "tenant_groups",
        shape: claims::GROUPS,
        default: "",
        meaning: "the tenants of each group that the claim names; needs tenant_metadata",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.groups, field),
        show: explain::groups,
        says: Some(|config| {
            let says = "entries of the claim are groups, and these are their tenants";
            either(explain::groups(config).is_null(), "no groups are mapped to tenants", says)
        }),
    },
    Key {
        name: "tenant_parameter",
        shape: Shape::TEXT,
        default: r#""""#,
        meaning: "the URL parameter that names the tenant, instead of the header; it is believed as a header is, and not forwarded",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.parameter, field),
        show: |config| config.source.parameter().map_or("", |name| name).into(),
        says: Some(|config| {
            let says = "the URL parameter that names the tenant; it is believed as a header is, and not forwarded";
            either(config.source.parameter().is_some(), says, "no parameter names the tenant")
        }),
    },
    Key {
        name: "tenant_path",
        shape: Shape::TENANT_PATH,
        default: r#""""#,
        meaning: "the prefix behind which the path chooses one of the tenants that the source names",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.tenant_path, field),
        show: |config| config.tenant_path().map_or("", TenantPath::as_str).into(),
        says: Some(explain::what_the_path_does),
    },
    Key {
        name: "static_tenant_ids",
        shape: Shape::set(&Shape::NAME, 1),
        default: "",
        meaning: "the tenants of every request, instead of the header",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.static_ids, field),
        show: explain::static_ids,
        says: Some(|config| {
            let says = "the tenants of every request; the header is ignored";
            either(explain::static_ids(config).is_null(), "requests name the tenant", says)
        }),
    },
    Key {
        name: "tenant_regex",
        shape: shape::text(1, MAX_PATTERN as u32, ""),
        default: "",
        meaning: "an operator's view: every request sees all tenants that this pattern matches; needs static_tenant_ids",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.source.regex, field),
        show: |config| config.view.as_deref().map_or(Value::Null, Value::from),
        says: Some(|config| {
            let says = "every request sees all tenants that this pattern matches";
            either(config.view.is_some(), says, "every request sees the tenants that are named")
        }),
    },
    Key {
        name: "tenant_id_format",
        shape: Shape::Word(|| words(FORMATS)),
        default: r#""cortex""#,
        meaning: "which tenant IDs are valid",
        docs: "docs/tenants.md",
        read: |draft, field| put(&mut draft.config.format, field.word(FORMATS)),
        show: |config| explain::name(FORMATS, config.format).into(),
        says: None,
    },
    Key {
        name: "tenant_federation",
        shape: Shape::Object(|| check::FEDERATION.into()),
        default: r#"{"enabled":false,"max_tenants":0}"#,
        meaning: "whether a request may name several tenants, separated by |",
        docs: "docs/promql.md",
        read: |draft, field| put(&mut draft.config.federation, check::federation(field)),
        show: explain::federation,
        says: Some(explain::what_federation_does),
    },
    Key {
        name: "allowed_tenants",
        shape: allowed::SHAPE,
        default: "",
        meaning: "the tenants that are served, by their IDs and by how those begin; all others are refused with 403",
        docs: "docs/tenants.md",
        read: |draft, field| {
            let judges = draft.told.is_none();
            put(&mut draft.config.allowed, Allowed::read(field, draft.config.format, judges).map(Some))
        },
        show: |config| config.allowed.as_ref().map_or(Value::Null, Allowed::to_json),
        says: Some(|config| either(config.allowed.is_some(), "only these are served", "every valid tenant is served")),
    },
    Key {
        name: "forward_tenant_header",
        shape: Shape::HEADER,
        default: r#""thanos-tenant""#,
        meaning: "the header that is set upstream, once",
        docs: "docs/tenants.md",
        read: |draft, field| {
            put(&mut draft.config.forward_tenant_header, check::forward_tenant_header(&field).map(Into::into))
        },
        show: |config| (*config.forward_tenant_header).into(),
        says: None,
    },
    Key {
        name: "strip_headers",
        shape: Shape::set(&Shape::HEADER, 0),
        default: "[]",
        meaning: "more headers that are removed from what the client sent",
        docs: "docs/authentication.md",
        read: |draft, field| put(&mut draft.config.strip_headers, check::strip_headers(field)),
        show: |config| config.strip_headers.clone().into(),
        says: Some(|config| {
            format!("removed from what the client sent, besides {}", explain::always_removed(config).join(", "))
        }),
    },
    Key {
        name: "enforce_tenancy",
        shape: Shape::Boolean,
        default: "true",
        meaning: "whether queries are rewritten; without it, the upstream has to isolate tenants by the header",
        docs: "docs/api-table.md",
        read: |draft, field| put(&mut draft.config.enforce, field.boolean()),
        show: |config| config.enforce.into(),
        says: Some(|config| {
            let off = "queries are not rewritten: the upstream has to isolate tenants by the header";
            either(config.enforce, "each selector gains the tenant's matcher", off)
        }),
    },
    Key {
        name: "tenant_label_name",
        shape: Shape::NAME,
        default: r#""tenant_id""#,
        meaning: "the label that is enforced",
        docs: "docs/configuration.md",
        read: |draft, field| put(&mut draft.config.label, check::label(&field).map(Into::into)),
        show: |config| (*config.label).into(),
        says: None,
    },
    Key {
        name: "federation_label",
        shape: Shape::Either(&[Shape::Boolean, Shape::NAME]),
        default: "false",
        meaning: "the name by which requests of several tenants know the tenant label, as Cortex's __tenant_id__, which is the name for true",
        docs: "docs/federation.md",
        read: |draft, field| {
            let renaming = check::federation_label(&field, &draft.config);
            put(&mut draft.config.renaming, renaming)
        },
        show: |config| match &config.renaming {
            None => false.into(),
            Some(renaming) => (*renaming.federation_label().text).into(),
        },
        says: Some(|config| {
            let on = "requests of several tenants know the tenant label by this name";
            either(config.renaming.is_some(), on, "labels have the names that they are stored with")
        }),
    },
    Key {
        name: "on_conflict",
        shape: Shape::Word(|| words(CONFLICTS)),
        default: r#""replace""#,
        meaning: "what becomes of a query's own matchers on the label that is enforced",
        docs: "docs/promql.md",
        read: |draft, field| put(&mut draft.config.on_conflict, field.word(CONFLICTS)),
        show: |config| explain::name(CONFLICTS, config.on_conflict).into(),
        says: Some(explain::what_conflicts_do),
    },
    Key {
        name: "tenant_selectors",
        shape: Shape::ByTenant(&Shape::NAME),
        default: "{}",
        meaning: "by tenant ID, the PromQL selector that the tenant is confined to instead of the tenant label",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.confinement.selectors, field),
        show: explain::selectors,
        says: Some(explain::what_selectors_do),
    },
    Key {
        name: "enforced_labels",
        shape: confinement::LABELS,
        default: "[]",
        meaning: "labels that are enforced beside the tenant's, each with its value from a header, metadata or a fixed list",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.confinement.labels, field),
        show: explain::enforced_labels,
        says: Some(|config| {
            let some = "each selector gains a matcher on each of these labels; a request without a value for one is refused with 401";
            either(config.enforced_labels().is_empty(), "no other label is enforced", some)
        }),
    },
    Key {
        name: "shared_tenants",
        shape: Shape::set(&Shape::NAME, 0),
        default: "[]",
        meaning: "tenants whose data every tenant sees beside its own",
        docs: "docs/tenants.md",
        read: |draft, field| keep(&mut draft.confinement.shared, field),
        show: explain::shared_tenants,
        says: Some(|config| {
            let some = "every tenant sees the data of these tenants beside its own";
            either(config.confinement.shared.is_some(), some, "a tenant sees its own data only")
        }),
    },
    Key {
        name: "path_prefixes",
        shape: Shape::set(&Shape::PREFIX, 1),
        default: r#"[""]"#,
        meaning: "where the API's paths begin; the longest that fits decides",
        docs: "docs/api-table.md",
        read: |draft, field| put(&mut draft.config.path_prefixes, check::path_prefixes(field, draft.config.upstream)),
        show: |config| config.path_prefixes.clone().into(),
        says: None,
    },
    Key {
        name: "passthrough_paths",
        shape: Shape::set(&Shape::PATH, 0),
        default: "[]",
        meaning: "exact paths that are forwarded without enforcement, with the tenant's header",
        docs: "docs/tenants.md",
        read: |draft, field| put(&mut draft.config.passthrough_paths, check::passthrough_paths(field)),
        show: |config| config.passthrough_paths.iter().cloned().collect(),
        says: None,
    },
    Key {
        name: "max_response_bytes",
        shape: Shape::Count(1, u32::MAX),
        default: "1048576",
        meaning: "the largest answer that is held back to be filtered; Envoy has to buffer as much",
        docs: "docs/answers.md",
        read: |draft, field| put(&mut draft.config.max_response_bytes, check::max_response_bytes(&field)),
        show: |config| config.max_response_bytes.into(),
        says: None,
    },
    Key {
        name: "shared_rules",
        shape: Shape::Boolean,
        default: "false",
        meaning: "rules without the tenant label are shown with the tenant's active alerts in them",
        docs: "docs/answers.md",
        read: |draft, field| put(&mut draft.config.shared_rules, field.boolean()),
        show: |config| config.shared_rules.into(),
        says: Some(|config| {
            let on = "rules without the tenant label are shown with the tenant's active alerts in them";
            either(config.shared_rules, on, "rules without the tenant label are not shown")
        }),
    },
    Key {
        name: "match_rules",
        shape: Shape::Boolean,
        default: "false",
        meaning: "the upstream is asked for the tenant's rules only, by match[], besides filtering",
        docs: "docs/answers.md",
        read: |draft, field| put(&mut draft.config.match_rules, check::match_rules(&field, draft.config.shared_rules)),
        show: |config| config.match_rules.into(),
        says: Some(|config| {
            let on = "rules are asked for by match[], and filtered";
            either(config.match_rules, on, "all rules are asked for, and filtered")
        }),
    },
    Key {
        name: "allow_on_headers_stop_iteration",
        shape: Shape::Boolean,
        default: "false",
        meaning: "says that Envoy's option of that name is set: an answer that can't be filtered is then a 502",
        docs: "docs/answers.md",
        read: |draft, field| put(&mut draft.config.can_hold_heads, field.boolean()),
        show: |config| config.can_hold_heads.into(),
        says: Some(|config| {
            let on = "Envoy's option of that name is set: an answer that can't be filtered is a 502";
            let off =
                "an answer that can't be filtered becomes an error object, under the status that was sent already";
            either(config.can_hold_heads, on, off)
        }),
    },
    Key {
        name: "stats",
        shape: Shape::Object(|| stats::MEMBERS.into()),
        default: r#"{"max_tenants":1000,"samples":false,"tags":"envoy","tenant_separator":"|"}"#,
        meaning: "what is counted, and for how many tenants",
        docs: "docs/stats.md",
        read: |draft, field| put(&mut draft.config.stats, Stats::read(field)),
        show: |config| config.stats.explain(),
        says: Some(|config| config.stats.meaning()),
    },
    Key {
        name: "limits",
        shape: Shape::Object(shape::limits),
        default: "{}",
        meaning: "what a tenant without an override may ask for; what is not set is not limited",
        docs: "docs/tenant-limits.md",
        read: |draft, field| keep(&mut draft.limits, field),
        show: |config| effective::object(&config.limits.defaults),
        says: None,
    },
    Key {
        name: "overrides",
        shape: Shape::ByTenant(&Shape::Object(shape::overrides)),
        default: "{}",
        meaning: "by tenant ID, one tenant's own limits; each counts before the one in limits",
        docs: "docs/tenant-limits.md",
        read: |draft, field| keep(&mut draft.overrides, field),
        show: effective::overrides,
        says: Some(|config| match config.limits.count() {
            0 => "no tenant has limits of its own".to_owned(),
            count => format!("{count} tenants have limits of their own"),
        }),
    },
    Key {
        name: "lookback_delta",
        shape: Shape::DURATION,
        default: r#""5m""#,
        meaning: "how far back the upstream looks for a sample",
        docs: "docs/reach.md",
        read: |draft, field| put(&mut draft.config.lookback_ms, check::interval(&field)),
        show: |config| Unit::Duration.write(config.lookback_ms).into(),
        says: None,
    },
    Key {
        name: "default_evaluation_interval",
        shape: Shape::DURATION,
        default: r#""1m""#,
        meaning: "the upstream's step of a subquery that names none",
        docs: "docs/configuration.md",
        read: |draft, field| put(&mut draft.config.subquery_step_ms, check::interval(&field)),
        show: |config| Unit::Duration.write(config.subquery_step_ms).into(),
        says: None,
    },
    Key {
        name: "log_queries",
        shape: Shape::Boolean,
        default: "false",
        meaning: "the line of a refused request in the log holds its query",
        docs: "docs/tenants.md",
        read: |draft, field| put(&mut draft.config.log_queries, field.boolean()),
        show: |config| config.log_queries.into(),
        says: Some(|config| {
            let on = "a refused request's query stands in its line of the log";
            either(config.log_queries, on, "no query's text is logged")
        }),
    },
    Key {
        name: "dry_run",
        shape: Shape::Boolean,
        default: "false",
        meaning: "everything is decided and nothing is enforced: tenants are not isolated",
        docs: "docs/rollout.md",
        read: |draft, field| put(&mut draft.config.dry_run, field.boolean()),
        show: |config| config.dry_run.into(),
        says: Some(|config| {
            let on = "NOTHING IS ENFORCED: every request and answer passes as it came";
            either(config.dry_run, on, "what is decided is enforced")
        }),
    },
    Key {
        name: "call_out_cluster",
        shape: Shape::NAME,
        default: "",
        meaning: "the Envoy cluster of the upstream, which is asked where a decision needs it",
        docs: "docs/metadata.md",
        read: |draft, field| put(&mut draft.config.call_out_cluster, check::call_out_cluster(&field)),
        show: |config| config.call_out_cluster.as_deref().map_or(Value::Null, Value::from),
        says: None,
    },
    Key {
        name: "call_out_timeout",
        shape: Shape::DURATION,
        default: r#""5s""#,
        meaning: "how long the upstream's answer to such a question is waited for",
        docs: "docs/metadata.md",
        read: |draft, field| put(&mut draft.config.call_out_timeout_ms, check::call_out_timeout(&field)),
        show: |config| Unit::Duration.write(config.call_out_timeout_ms.into()).into(),
        says: None,
    },
    Key {
        name: "alert_routes",
        shape: Shape::ByTenant(&Shape::NAME),
        default: "",
        meaning: "by tenant ID, the Envoy cluster that the alerts go to which a shared ruler posts; \"*\" for the rest",
        docs: "docs/alertmanager.md",
        read: |draft, field| {
            let routes = AlertRoutes::read(field, draft.config.format);
            put(&mut draft.config.alert_routes, routes.map(|routes| Some(routes.into())))
        },
        show: |config| {
            let routes = config.alert_routes.as_ref();
            routes.map_or(Value::Null, |routes| {
                routes.entries().map(|(id, to)| (id.into_owned(), Value::from(&**to))).collect()
            })
        },
        says: Some(|config| {
            let on = "alerts are split by tenant, and sent to these clusters";
            either(config.alert_routes.is_some(), on, "alerts are one tenant's")
        }),
    },
    Key {
        name: "allow_silence_of_all",
        shape: Shape::Boolean,
        default: "false",
        meaning: "a tenant may post a silence that has no matcher besides the tenant's",
        docs: "docs/alertmanager.md",
        read: |draft, field| put(&mut draft.config.allows_silence_of_all, field.boolean()),
        show: |config| config.allows_silence_of_all.into(),
        says: None,
    },
    Key {
        name: "enable_metadata",
        shape: Shape::Either(&[Shape::Boolean, Shape::Word(|| words(METADATA))]),
        default: "false",
        meaning: "metadata and targets are served: metadata by the names of the tenant's metrics, or of the tenant's targets",
        docs: "docs/metadata.md",
        read: |draft, field| {
            let by = check::enable_metadata(&field, &draft.config);
            put(&mut draft.config.metadata_by, by)
        },
        show: |config| config.metadata_by.map_or(Value::from(false), |by| explain::name(METADATA, by).into()),
        says: Some(|config| match config.metadata_by {
            None => "metadata and targets are refused".to_owned(),
            Some(MetadataBy::Names) => "metadata of the tenant's metric names is shown, without help texts".to_owned(),
            Some(MetadataBy::Targets) => "metadata of the tenant's targets is shown".to_owned(),
        }),
    },
    Key {
        name: "enable_remote_read",
        shape: Shape::Boolean,
        default: "false",
        meaning: "Prometheus's remote read is served, confined to the tenant",
        docs: "docs/remote-read.md",
        read: |draft, field| put(&mut draft.config.serves_remote_read, field.boolean()),
        show: |config| config.serves_remote_read.into(),
        says: Some(|config| {
            let on = "remote read is served, confined to the tenant";
            either(config.serves_remote_read, on, "remote read is refused")
        }),
    },
    Key {
        name: "allow_writes",
        shape: Shape::Boolean,
        default: "false",
        meaning: "samples may be written, to an upstream that stores them under the tenant header",
        docs: "docs/writes.md",
        read: |draft, field| put(&mut draft.config.writes.are_allowed, field.boolean()),
        show: |config| config.writes.are_allowed.into(),
        says: Some(|config| {
            let on = "samples may be written";
            either(config.writes.are_allowed, on, "writing is refused")
        }),
    },
    Key {
        name: "remote_write_versions",
        shape: Shape::set(&WRITE_VERSION, 1),
        default: r#"["1.0","2.0"]"#,
        meaning: "the versions of remote write that the upstream takes; others are answered 415; with upstream thanos the default is 1.0",
        docs: "docs/writes.md",
        read: |draft, field| put(&mut draft.config.writes.versions, writes::versions(field)),
        show: |config| config.writes.versions.iter().map(|version| version.name()).collect::<Vec<_>>().into(),
        says: None,
    },
    Key {
        name: "write_tenant_in_body",
        shape: Shape::Boolean,
        default: "false",
        meaning: "Receive runs with --receive.split-tenant-label-name, so that writes can't be isolated by the header: they are refused",
        docs: "docs/writes.md",
        read: |draft, field| put(&mut draft.config.writes.tenant_is_in_body, field.boolean()),
        show: |config| config.writes.tenant_is_in_body.into(),
        says: None,
    },
    Key {
        name: "enable_grpc",
        shape: Shape::Boolean,
        default: "false",
        meaning: "Thanos's gRPC services are served, enforced",
        docs: "docs/grpc.md",
        read: |draft, field| put(&mut draft.config.serves_grpc, check::enable_grpc(&field, draft.config.upstream)),
        show: |config| config.serves_grpc.into(),
        says: Some(|config| {
            let on = "Thanos's gRPC services are served, enforced";
            either(config.serves_grpc, on, "gRPC requests are refused")
        }),
    },
    Key {
        name: "ui",
        shape: Shape::Boolean,
        default: "false",
        meaning: "the upstream's web pages are served, with a page to choose a tenant, and neutral answers for what can't be scoped",
        docs: "docs/web-pages.md",
        read: |draft, field| put(&mut draft.config.serves_pages, check::ui(&field, draft.config.upstream)),
        show: |config| config.serves_pages.into(),
        says: Some(|config| {
            let on = "the upstream's web pages are served, and a page to choose a tenant";
            either(config.serves_pages, on, "web pages are not served")
        }),
    },
    Key {
        name: "extra_parameters",
        shape: Shape::set(&Shape::NAME, 0),
        default: "[]",
        meaning: "request parameters that are forwarded besides those that an endpoint knows",
        docs: "docs/api-table.md",
        read: |draft, field| put(&mut draft.config.extra_parameters, check::extra_parameters(field).map(Into::into)),
        show: |config| config.extra_parameters.to_vec().into(),
        says: None,
    },
];

fn put<T>(place: &mut T, value: Result<T, ConfigError>) -> Result<(), ConfigError> {
    value.map(|value| *place = value)
}

fn keep(place: &mut Option<Field>, field: Field) -> Result<(), ConfigError> {
    *place = Some(field);
    Ok(())
}
