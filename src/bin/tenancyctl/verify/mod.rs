//! `tenancyctl verify`: asks a deployment, as each of two tenants, for everything that the API table has, and judges the answers: nothing
//! of the other tenant's is in them, what is refused is refused, and an error looks like one.
//!
//! - `deployment`: how a tenant's requests are sent
//! - `data`: two tenants, a metric, and what tells their data apart
//! - `judge`: whose data an answer holds
//! - `check`: one request, and what is expected of its answer
//! - `alerts`: the checks of an Alertmanager
//! - `calls`: the checks of the gRPC services
//! - `table`: the checks of each row of the API table; `queries`: what is asked in PromQL; `hostile`: the checks beside the table
//! - `report`: what was found

mod alerts;
mod calls;
mod check;
mod data;
mod deployment;
mod hostile;
mod judge;
mod queries;
mod report;
mod table;

use super::{Failure, confined, http};
use clap::{Args, ValueEnum};
use deployment::Deployment;
use promql_tenancy_filter::api::Upstream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// So many requests after each other may stay without an answer.
const MAX_UNANSWERED: u32 = 2;

/// Prove that tenants are isolated on a running deployment
///
/// URL is what the tenants use, with its path if the API stands below one. It is asked as two tenants: each endpoint of the API
/// table, by each of its methods, for selectors, parameters and aggregations that reach for the other tenant's data; what has to be refused;
/// and headers, parameters and paths that name the other tenant. GET and POST are both asked, so that a cache that answers past the
/// filter is found. Nothing is written.
///
/// Without --config, the filter's defaults are assumed: the header THANOS-TENANT, the label tenant_id.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// The URL that tenants use
    url: String,
    /// A tenant; give two. Without them, two are looked for: in the upstream, and in the configuration
    #[arg(long = "tenant", value_name = "ID")]
    tenants: Vec<String>,
    /// The plugin's configuration, as JSON or YAML, or a file of Envoy's that holds it
    #[arg(long)]
    config: Option<PathBuf>,
    /// What is behind the filter, where it can be asked without the filter from here: the tenants' data is compared with what it has
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The URL of the gRPC services, http:// for HTTP/2 without TLS, where a listener of its own serves them
    #[arg(long, value_name = "URL")]
    grpc: Option<String>,
    /// A URL that must not answer from here, such as the upstream's; may be repeated
    #[arg(long, value_name = "URL")]
    unreachable: Vec<String>,
    /// What the upstream is; found out without it
    #[arg(long, value_name = "UPSTREAM")]
    kind: Option<Kind>,
    /// A metric that both tenants have; one is looked for without it
    #[arg(long)]
    metric: Option<String>,
    /// A header of every request, as "name: value"; may be repeated
    #[arg(long = "header", short = 'H', value_parser = super::route::header)]
    headers: Vec<(String, String)>,
    /// A header of this tenant's requests, such as its token, as "ID=name: value"; may be repeated. Where tenants are named by a
    /// token, it names the tenant
    #[arg(long = "as", value_name = "ID=NAME: VALUE", value_parser = header_of)]
    as_tenant: Vec<(String, (String, String))>,
    /// This tenant's client certificate with its key, in PEM, as ID=FILE; may be repeated
    #[arg(long, value_name = "ID=FILE", value_parser = super::route::parameter)]
    certificate: Vec<(String, String)>,
    #[command(flatten)]
    labels: confined::Labels,
    /// Wait so many seconds for both tenants to have data
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Print every check, not only what failed
    #[arg(long, short)]
    verbose: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: http::Reach,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl verify http://127.0.0.1:10000 --tenant team-a --tenant team-b
  tenancyctl verify https://metrics.example --config plugin.json --upstream http://thanos-query:10902
  tenancyctl verify https://metrics.example --config plugin.json --as 'team-a=Authorization: Bearer …' --as 'team-b=Authorization: Bearer …'
  tenancyctl verify https://mimir.example/prometheus --tenant a --tenant b --kind cortex
  tenancyctl verify http://127.0.0.1:10000 --config grpc.json --grpc http://127.0.0.1:10001 --tenant a --tenant b
  tenancyctl verify https://alerts.example --tenant a --tenant b --kind alertmanager

Exit status:
  0  isolated
  1  a leak, a refusal that is missing, an error that does not look like one, or data that does not arrive
  2  wrong usage, nobody answers, or there is nothing to tell two tenants apart";

/// An upstream, as `upstream` of the configuration names it.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Prometheus,
    Thanos,
    Cortex,
    Mimir,
    Alertmanager,
}

impl Kind {
    fn upstream(self) -> Upstream {
        match self {
            Kind::Prometheus => Upstream::Prometheus,
            Kind::Thanos => Upstream::Thanos,
            Kind::Cortex | Kind::Mimir => Upstream::Cortex,
            Kind::Alertmanager => Upstream::Alertmanager,
        }
    }
}

impl Verify {
    pub fn run(&self) -> Result<(), Failure> {
        let start = Instant::now();
        let find = || {
            let deployment = Deployment::new(self)?;
            let data = data::Data::find(self, &deployment)?;
            Ok((deployment, data))
        };
        let (deployment, data) = loop {
            match find() {
                Err(Failure::Broken(_)) if start.elapsed() < Duration::from_secs(self.wait) => {
                    std::thread::sleep(Duration::from_secs(1));
                }
                found => break found?,
            }
        };
        let mut checks = Vec::new();
        for (own, other) in [(0, 1), (1, 0)] {
            let pair = data.pair(own, other);
            table::checks(&deployment, &pair, &mut checks);
            hostile::checks(&deployment, &pair, &mut checks);
        }
        let mut report = report::Report::new(self.json, self.verbose, &data);
        let all = checks.len();
        let mut unanswered = 0;
        for (index, check) in checks.iter().enumerate() {
            report::progress(index, all);
            let found = match check.run(&deployment, &data) {
                Ok(found) => {
                    unanswered = 0;
                    found
                }
                // One request that is not answered is a finding; a deployment that answers no more can't be judged.
                Err(Failure::Broken(problem)) if unanswered < MAX_UNANSWERED => {
                    unanswered += 1;
                    judge::Found::bad(problem)
                }
                Err(failure) => return Err(failure),
            };
            report.add(check, found);
        }
        report::progress_ends();
        deployment.compare_with_upstream(&data, &mut report)?;
        for url in &self.unreachable {
            report.unreachable(url, deployment.reaches(url)?);
        }
        report.finish(&deployment)
    }
}

fn header_of(text: &str) -> Result<(String, (String, String)), String> {
    let (tenant, header) = text.split_once('=').ok_or("write ID=name: value")?;
    Ok((tenant.to_owned(), super::route::header(header)?))
}
