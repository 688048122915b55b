//! `tenancyctl route`: what becomes of a request, or the whole API table.

use super::{Failure, configuration, table};
use clap::Args;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::rejection::Rejection;
use promql_tenancy_filter::request::{BodyDecision, BodyPlan, Decision, Forward, Head, Reply, decide};
use promql_tenancy_filter::tenant::{Source, certificate, metadata};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Say what would become of a request; without METHOD and PATH, print the API table as Markdown
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Route {
    /// The plugin's configuration as JSON; the defaults without it
    #[arg(long, requires = "method")]
    config: Option<PathBuf>,
    /// The tenant that the request names, in whatever the configuration reads: its header, a client certificate, metadata.
    /// Without it, the request names none
    #[arg(long, requires = "method")]
    tenant: Option<String>,
    /// A header, as "name: value"; may be repeated
    #[arg(long = "header", short = 'H', requires = "method", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A form, sent as the body
    #[arg(long, short = 'd', requires = "method")]
    data: Option<String>,
    /// GET, POST, …
    #[arg(requires = "path")]
    method: Option<String>,
    /// The path, with its query string
    path: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl route                                                        # the table in docs/api-table.md
  tenancyctl route GET '/api/v1/query?query=up' --tenant team-a
  tenancyctl route POST /api/v1/labels --tenant team-a --data 'match[]=up'
  tenancyctl route --config plugin.json GET /api/v1/status/config        # refused: 403 forbidden_path: …";

impl Route {
    pub fn run(&self) -> Result<(), Failure> {
        let (Some(method), Some(path)) = (&self.method, &self.path) else {
            std::io::stdout().lock().write_all(table::markdown().as_bytes())?;
            return Ok(());
        };
        let config = configuration(self.config.as_ref())?;
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b":method", method.as_bytes()), (b":path", path.as_bytes())];
        let mut evidence = None;
        if let Some(tenant) = &self.tenant {
            match config.source() {
                Source::Header { name, .. } => headers.push((name.as_bytes(), tenant.as_bytes())),
                Source::Certificate(field) => evidence = Some(certificate::written(*field, tenant)),
                Source::Metadata(path) => evidence = Some(metadata::written(path, tenant)),
                Source::Static(_) => {
                    return Err(Failure::Broken("static_tenant_ids names the tenant: leave --tenant out".to_owned()));
                }
            }
        }
        for (name, value) in &self.headers {
            headers.push((name.as_bytes(), value.as_bytes()));
        }
        if self.data.is_some() && !self.headers.iter().any(|(name, _)| name == "content-type") {
            headers.push((b"content-type", b"application/x-www-form-urlencoded"));
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now.ok().and_then(|now| i64::try_from(now.as_millis()).ok());
        let head =
            Head { headers: &headers, evidence: evidence.as_deref(), end_of_stream: self.data.is_none(), now_ms };
        let out = match self.decide(&head, &config).map_err(refused)? {
            Outcome::Forwarded(forward, body) => self.describe(&forward, body.as_deref(), path),
            Outcome::Answered(reply) => answered(&reply),
        };
        std::io::stdout().lock().write_all(out.as_bytes())?;
        Ok(())
    }

    fn decide(&self, head: &Head<'_>, config: &Config) -> Result<Outcome, Rejection> {
        let forward = match decide(head, config, &RefCell::default()).map_err(|refused| refused.rejection)? {
            Decision::Forward(forward) => forward,
            Decision::Reply(reply) => return Ok(Outcome::Answered(reply)),
            Decision::Ask(ask) => match ask.pending {},
        };
        let Some(data) = &self.data else { return Ok(Outcome::Forwarded(forward.into(), None)) };
        match forward.body.finish(data.as_bytes(), head.now_ms, &RefCell::default())? {
            BodyDecision::Forward(finished) => Ok(Outcome::Forwarded(forward.into(), finished.body)),
            BodyDecision::Reply(reply) => Ok(Outcome::Answered(reply)),
        }
    }

    fn describe(&self, forward: &Forward, body: Option<&[u8]>, path: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path = forward.path.as_deref().map_or(path.to_owned(), text);
        let mut out = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a String can't fail.
            let _ = writeln!(out, "{name:9} {value}");
        };
        line("forwarded", forward.route.handler);
        line("tenant", &forward.tenant);
        line("path", &path);
        for name in &forward.remove {
            line("remove", name);
        }
        for (name, value) in &forward.set {
            line("set", &format!("{name}: {value}"));
        }
        let body = match (&forward.body, body, &self.data) {
            (BodyPlan::Absent, ..) => None,
            (BodyPlan::MustBeEmpty, ..) => Some("must be empty".to_owned()),
            (BodyPlan::Untouched, ..) => Some("passed on as it comes".to_owned()),
            (BodyPlan::Form(_), Some(rewritten), _) => Some(text(rewritten)),
            (BodyPlan::Form(_), None, data) => data.clone(),
        };
        if let Some(body) = body {
            line("body", &body);
        }
        out
    }
}

/// What becomes of a request that is not refused.
enum Outcome {
    /// It goes upstream, with the new body where that is replaced.
    Forwarded(Box<Forward>, Option<Vec<u8>>),
    /// The filter answers it.
    Answered(Reply),
}

fn refused(rejection: Rejection) -> Failure {
    let (status, reason) = (rejection.status(), rejection.reason());
    Failure::No(Some(format!("refused: {status} {reason}: {}", rejection.message())))
}

fn answered(reply: &Reply) -> String {
    format!(
        "answered  {} {}\nbody      {}\n",
        reply.status,
        reply.reason,
        String::from_utf8_lossy(&reply.body).trim_end()
    )
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is \"name: value\"")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}
