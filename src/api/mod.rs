//! The API table: which paths are served, with which methods and parameters, and what is done with request and answer.
//!
//! One constant. A path that is not in it is refused. A parameter that its row does not name is not forwarded.
//!
//! ```text
//! row       = handler, upstreams, path, methods, tenant, rule, parameters, times, evaluates, empty, answer, errors, switch
//! path      = exact / below (a path that ends in "/", and all under it) / around (one segment in the middle)
//! parameter = name, kind, single or repeated
//! ```
//!
//! To add an endpoint, add a row in `table`, and a gRPC method in `grpc`; its parameters stand in `parameters`. A row says everything about an endpoint: how it
//! reads times, whether it evaluates queries, its empty answer and the shape of its errors. Whatever depends on the kind of the
//! upstream alone stands in that kind's [`Profile`] (`profile`).
//!
//! With `ui`, the rows of `pages` are served too: the upstream's web pages, and neutral answers for what they ask that can't be scoped.
//!
//! `tenancyctl route` prints the table, and `docs/api-table.md` is that print.

mod alertmanager;
mod downsampling;
mod grpc;
mod pages;
pub(crate) mod parameters;
mod profile;
mod semantics;
mod table;
#[cfg(test)]
mod tests;

pub use alertmanager::{ALERTS, Part, SILENCE, SILENCES};
pub use downsampling::{Downsampling, Lookback, SourceResolution};
pub use grpc::{Call, SERVICES, is_grpc, is_protobuf};
pub use pages::{ASSET, HOME, Neutral, PAGE, Pages, find_page};
pub use parameters::{Cap, Kind, MAX_SEARCH_TERM, Moment, Parameter, Span};
pub use profile::{DefaultStep, Honours, Profile, Upstream};
pub use semantics::{Empty, ErrorShape, Times};
use table::ENFORCED_READ;
pub use table::{PASSTHROUGH, TABLE};

/// A method that some row allows. All others are refused everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: parameters in the URL, no body.
    Get,
    /// POST: parameters in the URL and in a form.
    Post,
    /// HEAD: as GET, and the answer has no body. Only health checks use it.
    Head,
    /// DELETE: parameters in the path. Only a silence is deleted.
    Delete,
}

impl Method {
    /// Reads `:method`, which is case-sensitive.
    pub fn read(method: &[u8]) -> Option<Method> {
        match method {
            b"GET" => Some(Method::Get),
            b"POST" => Some(Method::Post),
            b"HEAD" => Some(Method::Head),
            b"DELETE" => Some(Method::Delete),
            _ => None,
        }
    }

    /// As it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Head => "HEAD",
            Method::Delete => "DELETE",
        }
    }
}

/// Which paths a row is for, below a path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// This one.
    Exact(&'static str),
    /// Whatever begins so. Only for what is refused, and for the files of web pages.
    Below(&'static str),
    /// These two with one path segment between them: a label's name, a silence's ID.
    Around(&'static str, &'static str),
}

/// What is done with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Each query is rewritten, wherever it stands.
    Queries,
    /// Each selector gains the matcher; one is added to a request that has none.
    Selectors,
    /// Forwarded: what it asks for is no tenant's.
    Forward,
    /// Forwarded, and its answer is filtered. Selectors only narrow it; one is added where the operator says that the
    /// upstream reads it.
    Filtered,
    /// Forwarded to an upstream that isolates tenants by the header. Refused with `enforce_tenancy`, since nothing in it can be
    /// rewritten.
    ByHeader,
    /// As `ByHeader`, and the body is forwarded unread. Refused too where limits apply that would have to read it.
    ByHeaderUnread,
    /// A message of remote read: each of its queries gains the matcher, and it is written anew.
    RemoteRead,
    /// Samples of one tenant: forwarded unread, with exactly one tenant in the header.
    Write(Protocol),
    /// The metadata of metrics, made of what is the tenant's as the configuration says.
    Metadata,
    /// Forwarded as it came, but for the tenant header: the operator asked for it in `passthrough_paths`.
    Passthrough,
    /// A web page, or a file that it is made of: forwarded without a query string, which only the browser reads.
    Page,
    /// A redirection to the upstream's first page.
    Home,
    /// A gRPC method: its message is written anew, with the tenant's matchers.
    Grpc(Call),
    /// A part of Alertmanager's API, decided on as that part needs.
    Alertmanager(Part),
    /// Refused with 403, for this reason.
    Refuse(&'static str),
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Prometheus's remote write. Its version stands in the content type.
    RemoteWrite,
    /// OpenTelemetry's, over HTTP.
    Otlp,
    /// InfluxDB's lines.
    Influx,
}

/// What the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// JSON that the request was scoped to: passed on, but for messages that aren't the PromQL engine's.
    Messages,
    /// The same, with Thanos's `analysis` of how the query was run, which names stores.
    Analyzed,
    /// How Thanos would run the query, which tells what stores are labelled with.
    Explained,
    /// As `Messages`, one JSON object a line.
    Lines,
    /// Text that the request was scoped to, or that is about no tenant: passed on.
    Text,
    /// Rules of every tenant: filtered by their labels.
    Rules,
    /// Alerts of every tenant: filtered by their labels.
    Alerts,
    /// Rules of every tenant, of which the list of the tenant's alerts is made.
    AlertsOfRules,
    /// Exemplars of every tenant: filtered by their series' labels.
    Exemplars,
    /// The series of remote read, in one of its two forms: an answer with a series of another tenant is cut off.
    Series,
    /// The metadata of every tenant's metrics, or of the tenant's targets: filtered by names, or made of the targets'.
    Metadata,
    /// Targets of every tenant: filtered by their labels.
    Targets,
    /// The metadata of targets: filtered by their labels.
    TargetMetadata,
    /// A web page of the upstream, which holds no data: passed on, and never shown in a frame.
    Page,
    /// A file of a web page, the same for everybody: passed on, and kept by caches as the upstream says.
    Asset,
    /// Whatever it is: the operator asked for it in `passthrough_paths`.
    Untouched,
    /// The messages of a gRPC method.
    Grpc(Call),
    /// A part of Alertmanager's API, in its own format.
    Alertmanager(Part),
    /// None: nothing was asked.
    None,
}

impl Answer {
    /// Whether what the upstream answers is read when all went well: then it has to come whole and uncompressed.
    pub fn is_read(self) -> bool {
        match self {
            Answer::Messages
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Lines
            | Answer::Rules
            | Answer::Alerts
            | Answer::AlertsOfRules
            | Answer::Exemplars
            | Answer::Series
            | Answer::Metadata
            | Answer::Targets
            | Answer::TargetMetadata
            | Answer::Page
            | Answer::Alertmanager(_)
            | Answer::Grpc(_) => true,
            Answer::Text | Answer::Asset | Answer::Untouched | Answer::None => false,
        }
    }

    /// Whether it holds what is every tenant's, so that the exact tenants have to be known to filter it.
    pub fn is_filtered_by_owner(self) -> bool {
        match self {
            Answer::Grpc(call) => match call {
                Call::Exemplars | Call::Rules | Call::Targets | Call::Info => true,
                Call::Query | Call::QueryRange | Call::Series | Call::LabelNames | Call::LabelValues | Call::Health => {
                    false
                }
            },
            Answer::Alertmanager(part) => part != Part::ByHeader,
            Answer::Rules
            | Answer::Alerts
            | Answer::AlertsOfRules
            | Answer::Exemplars
            | Answer::Series
            | Answer::Metadata
            | Answer::Targets
            | Answer::TargetMetadata => true,
            Answer::Messages
            | Answer::Lines
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Text
            | Answer::Page
            | Answer::Asset
            | Answer::Untouched
            | Answer::None => false,
        }
    }
}

/// What an answer's labels are found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `query` and `query_range`.
    Samples,
    /// `series`.
    Series,
    /// `labels`.
    Names,
    /// `search/label_names`, a document a line.
    Found,
    /// `query_exemplars`.
    Exemplars,
    /// `rules`.
    Rules,
    /// `alerts`.
    Alerts,
    /// `targets`.
    Targets,
    /// `targets/metadata`.
    TargetMetadata,
}

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The `handler` tag: `query`, `query_range`, …
    pub handler: &'static str,
    /// The upstreams that serve it so.
    pub upstreams: &'static [Upstream],
    /// The path below a prefix.
    pub path: Path,
    /// The methods that are forwarded; none where the row refuses.
    pub methods: &'static [Method],
    /// Whether the request has to name a tenant. Health checks come from load balancers and kubelets, which are no tenants.
    pub needs_tenant: bool,
    /// What is done with the request.
    pub rule: Rule,
    /// The parameters that are forwarded. All others are dropped.
    pub parameters: &'static [Parameter],
    /// How the endpoint reads times.
    pub times: Times,
    /// Whether the endpoint evaluates its queries, so that limits and rules for queries apply to them.
    pub evaluates: bool,
    /// What is answered where limits leave nothing of a request. `None`: there is no such answer, and the request is refused.
    pub empty: Option<Empty>,
    /// What the answer holds.
    pub answer: Answer,
    /// How an error is told to the client.
    pub errors: ErrorShape,
    /// The upstream answers for one tenant only: a request of several is refused.
    pub one_tenant: bool,
    /// What is asked instead where the answer is filtered: a path, and a parameter that is added.
    pub instead: Option<(&'static str, (&'static str, &'static str))>,
    /// It is served without a prefix too, whatever `path_prefixes` says: the upstream has it beside its query API.
    pub at_root: bool,
    /// The key of the configuration without which the endpoint is refused; `None` where it is served always.
    pub switch: Option<Switch>,
    /// What is answered with `ui` where the endpoint would be refused.
    pub neutral: Option<Neutral>,
}

impl Route {
    /// The row that applies with `enforce_tenancy`. Remote read can be confined then, and its answer be checked, whatever the upstream does
    /// by the header.
    pub fn enforced(&'static self) -> &'static Route {
        match self.rule {
            Rule::ByHeaderUnread => &ENFORCED_READ,
            Rule::Queries
            | Rule::Selectors
            | Rule::Forward
            | Rule::Filtered
            | Rule::ByHeader
            | Rule::RemoteRead
            | Rule::Write(_)
            | Rule::Metadata
            | Rule::Passthrough
            | Rule::Grpc(_)
            | Rule::Alertmanager(_)
            | Rule::Page
            | Rule::Home
            | Rule::Refuse(_) => self,
        }
    }
}

/// A key of the configuration that has an endpoint served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `enable_remote_read`.
    RemoteRead,
    /// `allow_writes`.
    Writes,
    /// `enable_metadata`.
    Metadata,
    /// `ui`. Without it, the row is not looked at.
    Ui,
}

impl Switch {
    /// The key.
    pub fn key(self) -> &'static str {
        match self {
            Switch::RemoteRead => "enable_remote_read",
            Switch::Writes => "allow_writes",
            Switch::Metadata => "enable_metadata",
            Switch::Ui => "ui",
        }
    }

    /// Why the endpoint is refused without it.
    pub fn refusal(self) -> &'static str {
        match self {
            Switch::RemoteRead => "remote read is off: ask the operator for enable_remote_read",
            Switch::Writes => "writing is off: ask the operator for allow_writes",
            Switch::Metadata => "metadata and targets are off: ask the operator for enable_metadata",
            Switch::Ui => "web pages are off: ask the operator for ui",
        }
    }
}

impl Route {
    /// Whether its labels have the client's names with `federation_label`: those in the request and, where [`Route::shape`] says where they stand,
    /// those in the answer. Text is no structure in which names could be told from values.
    pub fn renames_labels(&self) -> bool {
        match self.rule {
            Rule::Queries | Rule::Selectors | Rule::Filtered => self.answer != Answer::Text,
            Rule::Forward
            | Rule::ByHeader
            | Rule::ByHeaderUnread
            | Rule::RemoteRead
            | Rule::Write(_)
            | Rule::Metadata
            | Rule::Passthrough
            | Rule::Grpc(_)
            | Rule::Alertmanager(_)
            | Rule::Page
            | Rule::Home
            | Rule::Refuse(_) => false,
        }
    }

    /// What the labels in its answer are found in.
    pub fn shape(&self) -> Option<Shape> {
        Some(match self.handler {
            "query" | "query_range" => Shape::Samples,
            "query_exemplars" => Shape::Exemplars,
            "series" => Shape::Series,
            "labels" => Shape::Names,
            "search_label_names" => Shape::Found,
            "rules" => Shape::Rules,
            "alerts" => Shape::Alerts,
            "targets" => Shape::Targets,
            "targets_metadata" => Shape::TargetMetadata,
            _ => return None,
        })
    }

    /// Whether the upstream prints or parses expressions of the client's, which costs it as much as a query.
    pub fn reads_expressions(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.kind == Kind::Expression)
    }
}

/// A row that a path matched.
#[derive(Debug, Clone, Copy)]
pub struct Found<'p> {
    /// The row.
    pub route: &'static Route,
    /// The segment in the middle, or what follows in a path that begins so, as it stands in the path.
    pub segment: Option<&'p [u8]>,
}

/// The first row for a path, from which the prefix has been taken.
pub fn find(upstream: Upstream, path: &[u8]) -> Option<Found<'_>> {
    find_in(TABLE, upstream, path)
}

/// The first row for the path of a gRPC method, which stands below no prefix.
pub fn find_call(upstream: Upstream, path: &[u8]) -> Option<Found<'_>> {
    find_in(SERVICES, upstream, path)
}

fn find_in<'p>(table: &'static [Route], upstream: Upstream, path: &'p [u8]) -> Option<Found<'p>> {
    table.iter().filter(|route| route.upstreams.contains(&upstream)).find_map(|route| match route.path {
        Path::Exact(exact) => (path == exact.as_bytes()).then_some(Found { route, segment: None }),
        Path::Below(base) => path.strip_prefix(base.as_bytes()).map(|below| Found { route, segment: Some(below) }),
        Path::Around(before, after) => {
            let segment = path.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes())?;
            (!segment.is_empty() && !segment.contains(&b'/')).then_some(Found { route, segment: Some(segment) })
        }
    })
}
