//! The HTTP client of the tools that ask a running deployment: every answer is read to a bound, requests follow each other at a bounded
//! pace, and no redirect is followed.

use super::Failure;
use clap::Args;
use serde_json::Value;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use url::Url;

/// More of an answer is not read.
pub const MAX_ANSWER: u64 = 32 << 20;

/// How a server is reached.
#[derive(Args)]
pub struct Reach {
    /// A file of certificates, in PEM, that the server's is checked against; the usual authorities without it
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// How long an answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// How many requests are sent in a second, at most
    #[arg(long, value_name = "REQUESTS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// A client. All that share it share its pace.
pub struct Client {
    agent: Agent,
    timeout: Duration,
    pause: Duration,
    last: Cell<Option<Instant>>,
    sent: Cell<u32>,
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request.
#[derive(Clone, Default)]
pub struct Ask {
    pub method: String,
    /// The path with its query string, as it is sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Reach {
    /// A client; `certificate`: a file that holds the client's own certificate and its key, in PEM.
    pub fn client(&self, certificate: Option<&Path>) -> Result<Client, Failure> {
        let timeout = Duration::from_secs(self.timeout.max(1));
        let mut tls = TlsConfig::builder();
        if let Some(path) = &self.cacert {
            let authorities = certificates(path)?;
            tls = tls.root_certs(RootCerts::Specific(Arc::new(authorities)));
        }
        if let Some(path) = certificate {
            tls = tls.client_cert(Some(own_certificate(path)?));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .proxy(None)
            .timeout_global(Some(timeout))
            .user_agent(concat!("tenancyctl/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .new_agent();
        let pause = Duration::from_secs(1) / self.rate;
        Ok(Client { agent, timeout, pause, last: Cell::new(None), sent: Cell::new(0) })
    }
}

impl Client {
    /// How many requests were sent.
    pub fn sent(&self) -> u32 {
        self.sent.get()
    }

    /// Calls a method of a gRPC server; `base` is its URL without a path.
    pub fn call(&self, base: &str, ask: &Ask) -> Result<Answer, String> {
        self.keep_pace();
        super::grpc::call(base, ask, self.timeout)
    }

    fn keep_pace(&self) {
        if let Some(last) = self.last.get() {
            std::thread::sleep(self.pause.saturating_sub(last.elapsed()));
        }
        self.last.set(Some(Instant::now()));
        self.sent.set(self.sent.get() + 1);
    }

    /// Sends a request to a server; `base` is its URL without a path.
    pub fn send(&self, base: &str, ask: &Ask) -> Result<Answer, String> {
        self.keep_pace();
        let mut request = Request::builder().method(&*ask.method).uri(format!("{base}{}", ask.target));
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let answer = match &ask.body {
            Some(body) => self.agent.run(request.body(body.as_slice()).map_err(|error| error.to_string())?),
            None => self.agent.run(request.body(()).map_err(|error| error.to_string())?),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        // A stream of events has no end.
        let is_endless =
            headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"));
        let body = match is_endless {
            true => Vec::new(),
            false => {
                answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| error.to_string())?
            }
        };
        Ok(Answer { status: answer.status().as_u16(), headers, body })
    }
}

impl Ask {
    /// Whether it calls a method of gRPC.
    pub fn is_call(&self) -> bool {
        self.headers.iter().any(|(name, value)| name == "content-type" && value == "application/grpc")
    }
}

impl Answer {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// As JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What was answered instead of a success, in one short line.
    pub fn problem(&self) -> String {
        let json = self.json();
        let text = json.get("error").and_then(Value::as_str).map_or_else(|| self.text(), str::to_owned);
        format!("{} {}", self.status, shortened(&text, 200))
    }
}

/// A server's URL, divided into what stands before the path, and the path without its last `/`.
pub fn server(text: &str) -> Result<(String, String), Failure> {
    let broken = |problem: &str| Failure::Broken(format!("{text}: {problem}"));
    let url = Url::parse(text).map_err(|error| broken(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(broken("a URL begins with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(broken("the URL of a server has no query string"));
    }
    Ok((url[..url::Position::BeforePath].to_owned(), url.path().trim_end_matches('/').to_owned()))
}

/// A text without control characters, and not longer than this.
pub fn shortened(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).flat_map(char::escape_debug).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out.replace("\\\"", "\"").replace("\\'", "'")
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, Failure> {
    let bytes = super::read(path)?;
    let items: Result<Vec<_>, _> = parse_pem(&bytes).collect();
    items.map_err(|error| Failure::Broken(format!("{}: {error}", path.display())))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let found: Vec<_> = items(path)?
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Failure::Broken(format!("{}: there is no certificate in it", path.display())));
    }
    Ok(found)
}

fn own_certificate(path: &Path) -> Result<ClientCert, Failure> {
    let key = items(path)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let key = key.ok_or_else(|| Failure::Broken(format!("{}: there is no private key in it", path.display())))?;
    Ok(ClientCert::new_with_certs(&certificates(path)?, key))
}
