//! `tenancyctl route`: what becomes of a request, or the whole API table.

use super::naming::Identity;
use super::{Failure, configuration, confined, print, table};
use clap::Args;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::rejection::Rejection;
use promql_tenancy_filter::request::{
    Ask, BodyDecision, BodyPlan, Decision, Forward, Head, Reply, RoutedPart, Spread, decide,
};
use promql_tenancy_filter::tenant::Tenants;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::PathBuf;
use url::{Position, Url, form_urlencoded};

/// Say what would become of a request; without METHOD and PATH, print the API table as Markdown
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Route {
    /// The plugin's configuration, as JSON or YAML, or a file of Envoy's that holds it; the defaults without it
    #[arg(long, requires = "method")]
    config: Option<PathBuf>,
    /// The tenant that the request names, in whatever the configuration reads: its header, a parameter, its path, a client
    /// certificate, metadata. Without it, the request names none
    #[arg(long, requires = "method")]
    tenant: Option<String>,
    /// The claim as the identity provider writes it, where tenant_metadata reads one: JSON, or a text
    #[arg(long, requires = "method", conflicts_with = "tenant")]
    claim: Option<String>,
    #[command(flatten)]
    labels: confined::Labels,
    /// A header, as "name: value"; may be repeated
    #[arg(long = "header", short = 'H', requires = "method", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A form, sent as the body, as it is
    #[arg(long, short = 'd', requires = "method")]
    data: Option<String>,
    /// A parameter of a form that is sent as the body, as name=value, which is escaped; may be repeated
    #[arg(long, requires = "method", conflicts_with = "data", value_parser = parameter, value_name = "NAME=VALUE")]
    data_urlencode: Vec<(String, String)>,
    /// GET, POST, …
    #[arg(requires = "path")]
    method: Option<String>,
    /// The path with its query string, as it is; or a URL, of which they are taken, as a browser would send them
    path: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl route                                                        # the table in docs/api-table.md
  tenancyctl route GET '/api/v1/query?query=up' --tenant team-a
  tenancyctl route GET 'https://prometheus.example/api/v1/query?query=sum(up) by (job)' --tenant team-a
  tenancyctl route POST /api/v1/labels --tenant team-a --data-urlencode 'match[]=up{job=\"api\"}'
  tenancyctl route --config keycloak.json --claim '[\"/team-a\", \"offline_access\"]' GET '/api/v1/query?query=up'
  tenancyctl route --config plugin.json GET /api/v1/status/config        # refused: 403 forbidden_path: …";

impl Route {
    pub fn run(&self) -> Result<(), Failure> {
        let (Some(method), Some(path)) = (&self.method, &self.path) else {
            return print(&table::markdown());
        };
        let config = configuration(self.config.as_ref())?;
        let path = target(path)?;
        let data = self.form();
        let identity = Identity::new(&config, self.tenant.as_deref(), self.claim.as_deref(), path)?;
        let path = identity.path();
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b":method", method.as_bytes()), (b":path", path.as_bytes())];
        headers.extend(identity.header());
        self.labels.check(&config)?;
        let of_labels = self.labels.headers(&config);
        let given = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        headers.extend(of_labels.chain(given).map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let label_evidence = self.labels.metadata(&config);
        if data.is_some() && !self.headers.iter().any(|(name, _)| name == "content-type") {
            headers.push((b"content-type", b"application/x-www-form-urlencoded"));
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now.ok().and_then(|now| i64::try_from(now.as_millis()).ok());
        let head = Head {
            headers: &headers,
            evidence: identity.evidence(),
            label_evidence: label_evidence.as_deref(),
            end_of_stream: data.is_none(),
            now_ms,
        };
        let why = identity.why(&config, &headers);
        let out = match outcome(&head, &config, data.as_deref()).map_err(|rejection| refused(&rejection, &why))? {
            Outcome::Forwarded(forward, body) => {
                let confined = forward.tenant.as_deref().map(|tenant| self.confined(&config, &headers, tenant));
                describe(&forward, data, body.as_deref(), path, &why, &confined.unwrap_or_default())
            }
            Outcome::Asks(ask) => asks(&ask),
            Outcome::Answered(reply) => answered(&reply),
            Outcome::Spread(parts) => spread(&parts),
        };
        print(&out)
    }

    /// What the request is confined to, and why.
    fn confined(&self, config: &Config, headers: &[(&[u8], &[u8])], tenant: &str) -> String {
        if !config.enforces() {
            return confined::BY_HEADER.to_owned();
        }
        let ids: Vec<&[u8]> = tenant.split('|').map(str::as_bytes).collect();
        let header = |index: usize| {
            let name = config.enforced_labels().get(index).and_then(|label| label.header());
            let mut found = headers.iter().filter(|(header, _)| name.is_some_and(|name| name.as_bytes() == *header));
            Ok(found.next().map(|(_, value)| *value))
        };
        let metadata = self.labels.metadata(config);
        let labels = config.label_values(header, metadata.as_deref()).ok();
        let tenants = Tenants::several(&ids, config.format(), 0).ok();
        let scope = tenants.as_ref().zip(labels).and_then(|(tenants, labels)| config.scope(tenants, &labels).ok());
        // What was decided on has all of them.
        tenants.zip(scope).map_or(String::new(), |(tenants, scope)| confined::lines(config, &tenants, &scope))
    }

    /// The form that is sent as the body.
    fn form(&self) -> Option<String> {
        if self.data_urlencode.is_empty() {
            return self.data.clone();
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        Some(form.extend_pairs(&self.data_urlencode).finish())
    }
}

fn outcome(head: &Head<'_>, config: &Config, form: Option<&str>) -> Result<Outcome, Rejection> {
    let forward = match decide(head, config, &RefCell::default()).map_err(|refused| refused.rejection)? {
        Decision::Forward(forward) => forward,
        Decision::Reply(reply) => return Ok(Outcome::Answered(reply)),
        Decision::Ask(ask) => return Ok(Outcome::Asks(Box::new(ask))),
    };
    let Some(form) = form else { return Ok(Outcome::Forwarded(forward.into(), None)) };
    match forward.body.finish(form.as_bytes(), head.now_ms, &RefCell::default())? {
        BodyDecision::Forward(finished) => Ok(Outcome::Forwarded(forward.into(), finished.body)),
        BodyDecision::Reply(reply) => Ok(Outcome::Answered(reply)),
        BodyDecision::Confirm(confirm) => Ok(Outcome::Asks(Box::new(confirm.ask))),
        BodyDecision::Spread(spread) => Ok(Outcome::Spread(spread)),
    }
}

/// What becomes of a request that is not refused.
enum Outcome {
    /// It goes upstream, with the new body where that is replaced.
    Forwarded(Box<Forward>, Option<Vec<u8>>),
    /// The upstream is asked something first.
    Asks(Box<Ask>),
    /// The filter answers it.
    Answered(Reply),
    /// Its body is sent in parts.
    Spread(Box<Spread>),
}

fn refused(rejection: &Rejection, why: &[String]) -> Failure {
    let (status, reason) = (rejection.status(), rejection.reason());
    let mut message = format!("refused: {status} {reason}: {}", rejection.message());
    // How the tenant was named explains only a refusal that is about it.
    if matches!(rejection, Rejection::Tenant(_) | Rejection::NotAllowed(_)) {
        why.iter().for_each(|line| message += &format!("\n         {line}"));
    }
    Failure::No(Some(message))
}

fn answered(reply: &Reply) -> String {
    format!(
        "answered  {} {}\nbody      {}\n",
        reply.status,
        reply.reason,
        String::from_utf8_lossy(&reply.body).trim_end()
    )
}

fn asks(ask: &Ask) -> String {
    let mut out = String::new();
    line(&mut out, "asks", &format!("{} first, in the cluster {}", ask.route.handler, ask.cluster));
    line(&mut out, "tenant", &ask.tenant);
    for (name, value) in &ask.headers {
        line(&mut out, "with", &format!("{name}: {value}"));
    }
    out
}

fn spread(spread: &Spread) -> String {
    let mut out = String::new();
    line(&mut out, "sent", &format!("{} in {} parts", spread.route.handler, spread.parts.len()));
    for RoutedPart { tenant, cluster, count, body, .. } in &spread.parts {
        let whose = tenant.as_deref().map_or("without a tenant".to_owned(), |tenant| format!("of {tenant}"));
        let to = cluster.as_deref().map_or("refused".to_owned(), |cluster| format!("to the cluster {cluster}"));
        line(&mut out, "part", &format!("{count} {whose}, {to}: {}", String::from_utf8_lossy(body)));
    }
    out
}

fn describe(
    forward: &Forward,
    data: Option<String>,
    body: Option<&[u8]>,
    path: &str,
    why: &[String],
    confined: &str,
) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = forward.path.as_deref().map_or(path.to_owned(), text);
    let mut out = String::new();
    line(&mut out, "forwarded", forward.route.handler);
    line(&mut out, "tenant", forward.tenant.as_deref().unwrap_or("none: it is served to everybody"));
    why.iter().for_each(|why| line(&mut out, "", why));
    out.push_str(confined);
    line(&mut out, "path", &path);
    if let Some((_, query)) = path.split_once('?') {
        parameters(&mut out, query);
    }
    for name in &forward.remove {
        line(&mut out, "remove", name);
    }
    for (name, value) in &forward.set {
        line(&mut out, "set", &format!("{name}: {value}"));
    }
    match &forward.body {
        BodyPlan::Absent => {}
        BodyPlan::MustBeEmpty => line(&mut out, "body", "must be empty"),
        BodyPlan::Untouched => line(&mut out, "body", "passed on as it comes"),
        BodyPlan::Bounded(most) => line(&mut out, "body", &format!("passed on as it comes, up to {most} bytes")),
        BodyPlan::RemoteRead(_) => line(&mut out, "body", "one message of remote read, confined and written anew"),
        BodyPlan::Message(_) => line(&mut out, "body", "one gRPC message, written anew"),
        BodyPlan::Routes(_) => line(&mut out, "body", "alerts, sent in parts to the clusters of alert_routes"),
        BodyPlan::Alerts(_) | BodyPlan::Silence(_) => {
            line(&mut out, "body", &body.map_or("JSON, confined and written anew".to_owned(), text));
        }
        BodyPlan::Form(_) => {
            if let Some(form) = body.map(text).or(data) {
                line(&mut out, "body", &form);
                parameters(&mut out, &form);
            }
        }
    }
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{name:9} {value}");
}

/// The parameters of a query string or form, for a reader: without the escapes of a URL.
fn parameters(out: &mut String, form: &str) {
    for (name, value) in form_urlencoded::parse(form.as_bytes()) {
        line(out, "", &format!("  {} = {}", printable(&name), printable(&value)));
    }
}

/// Nothing that would move a terminal's cursor.
pub fn printable(text: &str) -> String {
    let escape = |c: char| if matches!(c, '"' | '\'' | '\\') { String::from(c) } else { c.escape_debug().to_string() };
    text.chars().map(escape).collect()
}

/// What a client sends as `:path`. A path is taken as it is, since what a hostile client would send is a question as well; of a
/// URL, it is what every browser makes of it.
fn target(argument: &str) -> Result<String, Failure> {
    if argument.starts_with('/') || !argument.contains("://") {
        return Ok(argument.to_owned());
    }
    let url = Url::parse(argument).map_err(|error| Failure::Broken(format!("{argument}: {error}")))?;
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
}

pub fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is \"name: value\"")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}
