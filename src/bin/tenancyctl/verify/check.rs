//! One request, and what is expected of its answer.

use super::super::Failure;
use super::super::http::{Answer, Ask, shortened};
use super::data::{Data, Pair};
use super::deployment::Deployment;
use super::judge::{self, Found};
use promql_tenancy_filter::api::Upstream;

/// gRPC's `UNIMPLEMENTED`, as it is written.
const UNIMPLEMENTED: &str = "12";

pub struct Check {
    /// The endpoint's name in the API table, or a group of checks.
    pub group: &'static str,
    pub what: String,
    /// Who asks: which of the two tenants; its number.
    pub own: usize,
    pub ask: Ask,
    pub expect: Expect,
}

/// What is expected of an answer. None of them holds anything of the other tenant's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A success that holds something.
    Data,
    /// A success, or a refusal that looks like one.
    Anything,
    /// Nothing is found, or it is refused.
    Nothing,
    /// As `Anything`; the proxy itself may refuse it before the filter, in a form of its own.
    Proxy,
    /// As `Anything`; a success has series with all of their labels.
    Series,
    /// It is refused.
    Refused,
    /// It is refused with this status.
    Status(u16),
    /// A call is refused with this gRPC status.
    Code(u8),
    /// A success that no cache keeps, for the tenant.
    Private,
    /// A web page that asks for all it needs below the tenant's path.
    Page,
    /// It could not be checked, and why.
    Unchecked(&'static str),
}

impl Check {
    pub fn run(&self, deployment: &Deployment, data: &Data) -> Result<Found, Failure> {
        if let Expect::Unchecked(why) = self.expect {
            return Ok(Found::unchecked(why));
        }
        let pair = data.pair(self.own, 1 - self.own);
        let answer = match deployment.send(&pair.own.id, &self.ask) {
            // Where the configuration serves no gRPC, what stands there may speak HTTP/1.1 alone.
            Err(_) if self.ask.is_call() && !deployment.config.serves_grpc() && !deployment.is_grpc_given() => {
                return Ok(Found::unchecked("HTTP/2 without TLS is not spoken there"));
            }
            answer => answer?,
        };
        if answer.header("x-tenancy-dry-run").is_some() {
            return Ok(Found::bad("the filter is in dry run: it does not isolate".to_owned()));
        }
        let is_whole = matches!(self.expect, Expect::Series);
        if let Some(found) = judge::foreign(&answer, &pair, is_whole) {
            return Ok(Found::leak(found));
        }
        Ok(match self.ask.is_call() {
            true => self.judged_call(&answer, &pair),
            false => self.judged(&answer, deployment),
        })
    }

    /// A call is answered with a status, whatever HTTP's is.
    fn judged_call(&self, answer: &Answer, pair: &Pair<'_>) -> Found {
        let Some(status) = answer.header("grpc-status") else {
            return Found::bad(format!("{} without a gRPC status", answer.status));
        };
        let said =
            || format!("gRPC status {status} {}", shortened(answer.header("grpc-message").unwrap_or_default(), 120));
        match self.expect {
            Expect::Data if status == UNIMPLEMENTED => Found::unchecked("what is behind the filter does not serve it"),
            Expect::Data if status != "0" => Found::bad(said()),
            Expect::Data if !judge::holds_metric(answer, pair) => Found::bad("its own data does not arrive".to_owned()),
            Expect::Refused if status == "0" => Found::bad("not refused".to_owned()),
            Expect::Code(code) if status != code.to_string() => Found::bad(format!("{} instead of {code}", said())),
            Expect::Data
            | Expect::Anything
            | Expect::Proxy
            | Expect::Nothing
            | Expect::Series
            | Expect::Refused
            | Expect::Status(_)
            | Expect::Code(_)
            | Expect::Private
            | Expect::Page
            | Expect::Unchecked(_) => Found::good(),
        }
    }

    fn judged(&self, answer: &Answer, deployment: &Deployment) -> Found {
        let is_refused = (400..600).contains(&answer.status);
        let body = || shortened(&answer.text(), 120);
        // What has no body has no object in it.
        let has_form = self.ask.method != "HEAD" && self.expect != Expect::Proxy;
        if is_refused
            && has_form
            && let Some(problem) = judge::malformed(answer, deployment.upstream)
        {
            return Found::bad(problem);
        }
        match self.expect {
            Expect::Data | Expect::Private | Expect::Page if !answer.is_success() => Found::bad(answer.problem()),
            Expect::Data if judge::is_empty(answer) => Found::bad("its own data does not arrive".to_owned()),
            Expect::Private => private(answer, deployment),
            Expect::Page => page(answer, &self.ask.target, deployment),
            Expect::Nothing if !is_refused && !judge::is_empty(answer) => {
                Found::leak(format!("the other tenant's data influences the answer: {}", body()))
            }
            Expect::Refused if !is_refused => Found::bad(format!("not refused: {} {}", answer.status, body())),
            Expect::Status(status) if answer.status != status => {
                Found::bad(format!("{} instead of {status}: {}", answer.status, body()))
            }
            Expect::Anything | Expect::Proxy | Expect::Series if !is_refused && !answer.is_success() => {
                Found::bad(format!("neither a success nor an error: {}", answer.status))
            }
            Expect::Data
            | Expect::Anything
            | Expect::Proxy
            | Expect::Nothing
            | Expect::Series
            | Expect::Refused
            | Expect::Status(_)
            | Expect::Code(_)
            | Expect::Unchecked(_) => Found::good(),
        }
    }
}

/// Without the header that names the prefix, an upstream's page asks past the tenant's path, where nothing is served.
fn page(answer: &Answer, target: &str, deployment: &Deployment) -> Found {
    let split = deployment.config.tenant_path().and_then(|path| path.split(target.as_bytes()));
    let Some(outside) = split.and_then(|split| judge::outside_of_path(&answer.text(), split.prefix)) else {
        return Found::good();
    };
    let advice = match deployment.upstream {
        Upstream::Thanos => {
            "start Thanos Query with --web.prefix-header=X-Forwarded-Prefix, and without --web.external-prefix"
        }
        Upstream::Prometheus | Upstream::Cortex | Upstream::Alertmanager => {
            "--web.external-url must have no path, or the one that path_prefixes has"
        }
    };
    Found::bad(format!("the page refers to {outside:?}, which is not below the tenant's path: {advice}"))
}

/// What the filter says to caches. Without it, the filter is not there, or something takes it away.
fn private(answer: &Answer, deployment: &Deployment) -> Found {
    let cache_control = answer.header("cache-control").unwrap_or_default();
    if !cache_control.contains("no-store") {
        return Found::bad(format!("cache-control is {cache_control:?}, not private, no-store: is the filter there?"));
    }
    let vary = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
    match deployment.config.vary() {
        Some(names) if !names.split(", ").all(|name| vary.contains(name)) => {
            Found::bad(format!("vary is {vary:?}, without {names}"))
        }
        Some(_) | None => Found::good(),
    }
}
