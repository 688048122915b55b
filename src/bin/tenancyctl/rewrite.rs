//! `tenancyctl rewrite`: what becomes of a query.
//!
//! With `--jsonl`, one JSON string a line in and one JSON object a line out, for tests that ask a million times: locked and
//! buffered, and flushed whenever the next line isn't here yet, so that a program can also ask one line at a time.

use super::second_opinion::{Operator, Opinion, Wanted, second_opinion};
use super::{Failure, configuration, confined};
use clap::Args;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::promql;
use promql_tenancy_filter::scope::{MatchOp, Scope};
use promql_tenancy_filter::tenant::Tenants;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

/// Rewrite a query as it would go upstream, each selector with the tenant's matcher
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Rewrite {
    /// The tenant; several are separated by |, where the configuration enables tenant_federation. Needed unless static_tenant_ids
    /// names it
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    labels: confined::Labels,
    /// Also say, on standard error, what the tenant is confined to, and which key is behind each matcher
    #[arg(long)]
    explain: bool,
    /// The plugin's configuration, as JSON or YAML, or a file of Envoy's that holds it; the defaults without it
    #[arg(long)]
    config: Option<PathBuf>,
    /// Read a match[] value, which is one series selector, instead of a query
    #[arg(long)]
    selector: bool,
    /// Read one JSON string a line from standard input, and write one JSON object a line
    #[arg(long, conflicts_with = "query")]
    jsonl: bool,
    /// Also ask promql-parser whether every selector of the result carries the matcher
    #[arg(long)]
    verify: bool,
    /// The query; standard input without it
    query: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl rewrite --tenant team-a 'topk(scalar(limit), errors_total)'
  tenancyctl rewrite --tenant team-a --selector '{job=\"api\"}'
  tenancyctl rewrite --tenant team-a --verify 'sum by (job) (up) / on (job) foo'
  tenancyctl rewrite --tenant 'team-a|team-b' --config federated.json up
  tenancyctl rewrite --tenant team-a --label cluster=eu --config labels.json --explain up
  printf '%s\\n' '\"up\"' '\"up{\"' | tenancyctl rewrite --tenant team-a --jsonl

With --jsonl, each answer is one of
  {\"ok\":\"up{tenant_id=\\\"team-a\\\"}\"}
  {\"error\":{\"kind\":\"syntax\",\"message\":\"1:4: parse error: …\",\"start\":3,\"end\":3}}
where start and end are byte offsets, and kind is syntax, too_large, info, reserved or conflict, or input where the line is not a
JSON string. With --verify, an ok carries \"verify\" too: {\"opinion\":\"agrees\",\"selectors\":1}, or \"open\" with the selectors that lack
the matcher, or \"unread\" with the reason.";

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    kind: &'static str,
    message: String,
    start: u32,
    end: u32,
}

#[derive(Serialize)]
#[serde(tag = "opinion", rename_all = "lowercase")]
enum Verdict {
    Agrees { selectors: usize },
    Open { selectors: Vec<String> },
    Unread { reason: String },
}

impl From<Opinion> for Verdict {
    fn from(opinion: Opinion) -> Self {
        match opinion {
            Opinion::Agrees { selectors } => Verdict::Agrees { selectors },
            Opinion::Open { selectors } => Verdict::Open { selectors },
            Opinion::Unread { reason } => Verdict::Unread { reason },
        }
    }
}

/// The matchers, and how to ask about it.
struct Rewriter {
    scope: Scope,
    wanted: Option<Wanted>,
    selector: bool,
}

impl Rewriter {
    fn rewrite(&self, query: &str, out: &mut Vec<u8>) -> Result<(), promql::Error> {
        out.clear();
        let rewrite = if self.selector { promql::rewrite_selector } else { promql::rewrite };
        rewrite(query.as_bytes(), &self.scope, out).map(drop)
    }

    fn verify(&self, rewritten: &str) -> Option<Opinion> {
        self.wanted.as_ref().map(|wanted| second_opinion(rewritten, wanted))
    }
}

impl Rewrite {
    pub fn run(&self) -> Result<(), Failure> {
        let config = configuration(self.config.as_ref())?;
        let tenants = confined::tenants(&config, self.tenant.as_deref())?;
        let scope = confined::scope(&config, &tenants, &self.labels.values(&config)?)?;
        let scope = scope.renamed(config.renaming(&tenants).cloned());
        if self.explain {
            anstream::eprint!("{}", confined::lines(&config, &tenants, &scope));
        }
        let rewriter =
            Rewriter { wanted: self.verify.then(|| wanted(&config, &tenants, &scope)), scope, selector: self.selector };
        if self.jsonl { lines(&rewriter) } else { self.single(&rewriter) }
    }

    fn single(&self, rewriter: &Rewriter) -> Result<(), Failure> {
        let query = match &self.query {
            Some(query) => query.clone(),
            None => {
                let mut query = String::new();
                io::stdin().lock().read_to_string(&mut query)?;
                query
            }
        };
        let mut rewritten = Vec::new();
        rewriter.rewrite(&query, &mut rewritten).map_err(|error| Failure::No(Some(error.to_string())))?;
        let rewritten = String::from_utf8_lossy(&rewritten);
        writeln!(io::stdout().lock(), "{rewritten}")?;
        match rewriter.verify(&rewritten) {
            None => Ok(()),
            Some(Opinion::Agrees { selectors }) => {
                eprintln!("verify: promql-parser agrees: the matcher is on all of {selectors} selectors");
                Ok(())
            }
            Some(Opinion::Unread { reason }) => {
                eprintln!("verify: promql-parser has no opinion: {reason}");
                Ok(())
            }
            Some(Opinion::Open { selectors }) => Err(Failure::No(Some(format!(
                "verify: promql-parser disagrees: the matcher is missing on {}",
                selectors.join(", ")
            )))),
        }
    }
}

fn wanted(config: &Config, tenants: &Tenants, scope: &Scope) -> Wanted {
    let mut matchers = scope.matchers();
    match (config.view(), matchers.next(), matchers.next()) {
        // What is quoted is quoted here once more, so that the opinion doesn't rest on the filter's own quoting.
        (None, Some(_), None) if config.is_by_label(tenants) => {
            Wanted::new(config.label(), &tenants.ids().collect::<Vec<_>>())
        }
        (Some(pattern), Some(_), Some(_)) if config.enforced_labels().is_empty() => {
            Wanted::pattern(config.label(), pattern)
        }
        _ => Wanted::all(
            &scope
                .matchers()
                .map(|matcher| (&*matcher.label, operator(matcher.op), &*matcher.value))
                .collect::<Vec<_>>(),
        ),
    }
}

fn operator(op: MatchOp) -> Operator {
    match op {
        MatchOp::Equal => Operator::Equal,
        MatchOp::NotEqual => Operator::NotEqual,
        MatchOp::Regex => Operator::Regex,
        MatchOp::NotRegex => Operator::NotRegex,
    }
}

fn lines(rewriter: &Rewriter) -> Result<(), Failure> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let (mut line, mut rewritten) = (Vec::new(), Vec::new());
    let mut disagreed = false;
    loop {
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let answer = answer(rewriter, &line, &mut rewritten);
        disagreed |= matches!(answer.verify, Some(Verdict::Open { .. }));
        serde_json::to_writer(&mut output, &answer).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
    }
    output.flush()?;
    if disagreed {
        return Err(Failure::No(Some("verify: promql-parser disagrees: see the lines with \"open\"".to_owned())));
    }
    Ok(())
}

fn answer<'r>(rewriter: &Rewriter, line: &[u8], rewritten: &'r mut Vec<u8>) -> Answer<'r> {
    let query: String = match serde_json::from_slice(line) {
        Ok(query) => query,
        Err(error) => {
            let problem = Problem { kind: "input", message: format!("not a JSON string: {error}"), start: 0, end: 0 };
            return Answer { ok: None, verify: None, error: Some(problem) };
        }
    };
    match rewriter.rewrite(&query, rewritten) {
        Ok(()) => {
            let ok = String::from_utf8_lossy(rewritten);
            let verify = rewriter.verify(&ok).map(Verdict::from);
            Answer { ok: Some(ok), verify, error: None }
        }
        Err(error) => {
            let problem =
                Problem { kind: error.kind.name(), message: error.to_string(), start: error.start, end: error.end };
            Answer { ok: None, verify: None, error: Some(problem) }
        }
    }
}
