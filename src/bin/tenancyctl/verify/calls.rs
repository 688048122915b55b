//! The checks of Thanos's gRPC services, over HTTP/2. Where `enable_grpc` serves a method, the tenant's own data has to arrive, and nothing of the
//! other tenant's, whatever the message and the metadata name. Every other method has to be refused, with the status that stands for it.

use super::super::http::Ask;
use super::check::{Check, Expect};
use super::data::Pair;
use super::deployment::Deployment;
use super::{queries, table};
use promql_tenancy_filter::api::{Call, Route, Rule, SERVICES, Upstream};
use promql_tenancy_filter::tenant::Source;
use promql_tenancy_filter::wire::labels::{Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::Message;
use promql_tenancy_filter::wire::thanos::{
    ExemplarsRequest, HealthRequest, InfoRequest, LabelNamesRequest, LabelValuesRequest, QueryRangeRequest,
    QueryRequest, RulesRequest, SeriesRequest, TargetsRequest,
};

/// `PERMISSION_DENIED`, `UNIMPLEMENTED` and `UNAUTHENTICATED`.
const DENIED: u8 = 7;
const UNIMPLEMENTED: u8 = 12;
const UNAUTHENTICATED: u8 = 16;
const OVER_TLS: &str = "gRPC over TLS is not checked: give --grpc with a http:// URL that speaks HTTP/2";
const UNKNOWN: &str =
    "gRPC is not checked: without --config it is not known whether it is served, and --grpc was not given";

/// What a message asks for.
#[derive(Clone, Copy)]
enum Asked {
    Own,
    OtherByName,
    Everybody,
}

pub fn checks(deployment: &Deployment<'_>, pair: &Pair<'_>, checks: &mut Vec<Check>) {
    if deployment.upstream != Upstream::Thanos {
        return;
    }
    let why = if deployment.has_plain_grpc() {
        (!deployment.is_configured() && !deployment.is_grpc_given()).then_some(UNKNOWN)
    } else {
        Some(OVER_TLS)
    };
    if let Some(why) = why {
        let ask = deployment.call(String::new(), &[]);
        let what = "Thanos's services".to_owned();
        checks.push(Check { group: "grpc", what, own: pair.number, ask, expect: Expect::Unchecked(why) });
        return;
    }
    let mut maker = Maker { deployment, pair, checks };
    let is_served = deployment.config.serves_grpc() || !deployment.is_configured();
    for route in SERVICES {
        match route.rule {
            Rule::Grpc(call) if is_served => maker.served(route, call),
            Rule::Grpc(_) => maker.refused(route, UNIMPLEMENTED),
            _ => maker.refused(route, if is_served { DENIED } else { UNIMPLEMENTED }),
        }
    }
    if is_served {
        maker.unknown();
        maker.metadata();
    }
}

struct Maker<'m> {
    deployment: &'m Deployment<'m>,
    pair: &'m Pair<'m>,
    checks: &'m mut Vec<Check>,
}

impl Maker<'_> {
    /// A call that names its tenant as the configuration reads it.
    fn named(&self, path: &str, message: &[u8]) -> Option<Ask> {
        self.deployment.named(&self.pair.own.id, self.deployment.call(path.to_owned(), message)).ok()
    }

    fn add(&mut self, group: &'static str, what: &str, ask: Option<Ask>, expect: Expect) {
        // A tenant that can't be named was refused before.
        let Some(ask) = ask else { return };
        self.checks.push(Check { group, what: format!("gRPC: {what}"), own: self.pair.number, ask, expect });
    }

    fn served(&mut self, route: &Route, call: Call) {
        let has_series = matches!(call, Call::Query | Call::QueryRange | Call::Series);
        for path in table::paths(route, self.pair) {
            let own = if has_series { Expect::Data } else { Expect::Anything };
            let cases: &[(&str, Asked, Expect)] = match call {
                Call::Rules | Call::Targets | Call::Info | Call::Health => &[("its own", Asked::Own, own)],
                Call::Query
                | Call::QueryRange
                | Call::Series
                | Call::LabelNames
                | Call::LabelValues
                | Call::Exemplars => &[
                    ("its own", Asked::Own, own),
                    ("the other tenant by name", Asked::OtherByName, Expect::Anything),
                    ("every tenant", Asked::Everybody, Expect::Anything),
                ],
            };
            for (what, asked, expect) in cases {
                let ask = self.named(&path, &self.message(call, *asked));
                self.add(route.handler, &format!("{path}: {what}"), ask, *expect);
            }
            // Who names no tenant gets nothing, unless there is a default.
            if route.needs_tenant && self.deployment.value("default_tenant_id").as_str() == Some("") {
                let ask = self.deployment.call(path.clone(), &self.message(call, Asked::Own));
                if let Source::Header { .. } = self.deployment.config.source()
                    && !self.deployment.is_named_before(&self.pair.own.id)
                {
                    let expect = Expect::Code(UNAUTHENTICATED);
                    self.add(route.handler, &format!("{path}: no tenant"), Some(ask), expect);
                }
            }
        }
    }

    fn refused(&mut self, route: &Route, code: u8) {
        for path in table::paths(route, self.pair) {
            let ask = self.named(&path, &[]);
            self.add(route.handler, &path, ask, Expect::Code(code));
        }
    }

    /// Methods that no table has, and a query of HTTP's API as a call.
    fn unknown(&mut self) {
        for path in ["/thanos.Query/TenancyctlVerify", "/tenancyctl.Verify/Verify", "/api/v1/query"] {
            let ask = self.named(path, &[]);
            self.add("grpc", &format!("{path}, which is no method"), ask, Expect::Code(UNIMPLEMENTED));
        }
    }

    /// Metadata that names the other tenant: by headers that the filter does not read, and by the one that it reads, a second time.
    fn metadata(&mut self) {
        let other = &self.pair.other.id;
        let read = match self.deployment.config.source() {
            Source::Header { name, .. } if !self.deployment.is_named_before(&self.pair.own.id) => {
                Some(name.to_string())
            }
            _ => None,
        };
        let mut names = vec![self.deployment.config.forward_tenant_header().to_string()];
        names.extend(["thanos-tenant", "x-scope-orgid", "x-tenant-id", "tenant"].map(str::to_owned));
        names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        names.sort_unstable();
        names.dedup();
        for (path, call) in [("/thanos.Query/Query", Call::Query), ("/thanos.Store/Series", Call::Series)] {
            for name in &names {
                let is_read = read.as_ref().is_some_and(|read| read.eq_ignore_ascii_case(name));
                let Some(mut ask) = self.named(path, &self.message(call, Asked::Everybody)) else { continue };
                ask.headers.push((name.clone(), other.clone()));
                let expect = if is_read { Expect::Refused } else { Expect::Anything };
                self.add("grpc", &format!("{path}: {name} names the other tenant"), Some(ask), expect);
            }
        }
    }

    fn message(&self, call: Call, asked: Asked) -> Vec<u8> {
        let own = &self.pair.own;
        let now = i64::try_from(self.deployment.now).unwrap_or(i64::MAX);
        let before = now.saturating_sub(3_600);
        // Stores don't look back as queries do.
        let (start, end) = (now.saturating_sub(3_600).saturating_mul(1_000), now.saturating_mul(1_000));
        let query = match asked {
            Asked::Own => own.own.clone(),
            Asked::OtherByName => queries::with(&own.own, &queries::matcher(self.pair, "=", &self.pair.other.id)),
            Asked::Everybody => queries::with(&own.own, &queries::matcher(self.pair, "=~", ".+")),
        };
        let query = query.as_bytes();
        let label = self.pair.label.as_bytes();
        let mut matchers = vec![Matcher { operator: Operator::Equal, name: b"__name__", value: own.metric.as_bytes() }];
        match asked {
            Asked::Own => {}
            Asked::OtherByName => {
                matchers.push(Matcher { operator: Operator::Equal, name: label, value: self.pair.other.id.as_bytes() });
            }
            Asked::Everybody => matchers.push(Matcher { operator: Operator::Matches, name: label, value: b".+" }),
        }
        // Stores that fail are warnings, as for Thanos's own page: what the others have is judged.
        let message: Box<dyn Message<'_> + '_> = match call {
            Call::Query => Box::new(QueryRequest {
                query,
                time_seconds: now,
                enable_partial_response: true,
                ..QueryRequest::default()
            }),
            Call::QueryRange => Box::new(QueryRangeRequest {
                query,
                start_time_seconds: before,
                end_time_seconds: now,
                interval_seconds: 60,
                enable_partial_response: true,
                ..QueryRangeRequest::default()
            }),
            Call::Series => {
                Box::new(SeriesRequest { matchers, min_time: start, max_time: end, ..SeriesRequest::default() })
            }
            Call::LabelNames => Box::new(LabelNamesRequest { matchers, start, end, ..LabelNamesRequest::default() }),
            Call::LabelValues => {
                Box::new(LabelValuesRequest { label, matchers, start, end, ..LabelValuesRequest::default() })
            }
            Call::Exemplars => Box::new(ExemplarsRequest { query, start, end, ..ExemplarsRequest::default() }),
            Call::Rules => Box::new(RulesRequest::default()),
            Call::Targets => Box::new(TargetsRequest::default()),
            Call::Info => Box::new(InfoRequest {}),
            Call::Health => Box::new(HealthRequest::default()),
        };
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        bytes
    }
}
