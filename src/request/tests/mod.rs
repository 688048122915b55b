//! Requests as tables: what goes upstream, or why not.

mod alertmanager;
mod confinement;
mod dry_run;
mod enforcement;
mod federation_label;
mod frontends;
mod grpc;
mod hostile;
mod isolated;
#[cfg(not(target_family = "wasm"))]
mod leaks;
mod limits;
mod limits_parsing;
mod limits_rules;
mod limits_upstream;
mod memory;
mod metadata;
mod naming;
mod pages;
mod properties;
mod remote_read;
mod sources;
mod statistics;
mod writes;

use super::*;

/// What time it is in these tests.
pub const NOW: i64 = 1_800_000_000_000;

/// A request, built from a method and a target.
#[derive(Debug, Clone)]
pub struct Request {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    evidence: Option<Vec<u8>>,
    label_evidence: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
}

/// What goes upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub path: String,
    pub body: Option<String>,
    pub headers: Vec<(String, String)>,
    pub tenant: String,
    pub handler: &'static str,
}

impl Request {
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Request {
        let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
        Request {
            headers: vec![
                pair(":method", method.as_bytes()),
                pair(":path", target.as_ref()),
                pair(":scheme", b"http"),
                pair(":authority", b"localhost"),
            ],
            evidence: None,
            label_evidence: None,
            body: None,
        }
    }

    pub fn get(target: impl AsRef<[u8]>) -> Request {
        Request::new("GET", target)
    }

    pub fn form(target: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Request {
        let length = body.as_ref().len().to_string();
        Request::new("POST", target)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", length)
            .body(body)
    }

    pub fn tenant(self, tenant: &str) -> Request {
        self.header("thanos-tenant", tenant)
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// What the proxy says of the client.
    pub fn evidence(mut self, evidence: impl AsRef<[u8]>) -> Request {
        self.evidence = Some(evidence.as_ref().to_vec());
        self
    }

    /// What the proxy says of labels that are enforced beside the tenant's.
    pub fn label_evidence(mut self, evidence: impl AsRef<[u8]>) -> Request {
        self.label_evidence = Some(evidence.as_ref().to_vec());
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// The decision on the head, which is to forward the request.
    pub fn decide(&self, config: &Worker) -> Result<Forward, Refused> {
        self.decision(config).map(|decision| match decision {
            Decision::Forward(forward) => forward,
            Decision::Reply(reply) => panic!("answered: {reply:?}"),
            Decision::Ask(ask) => panic!("asked: {ask:?}"),
        })
    }

    fn decision(&self, config: &Worker) -> Result<Decision, Refused> {
        self.with_head(|head| decide(head, config, &config.memo))
    }

    /// Whether nothing is enforced on it.
    pub fn is_in_dry_run(&self, config: &Worker) -> bool {
        self.with_head(|head| is_in_dry_run(head, config, &decide(head, config, &config.memo)))
    }

    fn with_head<T>(&self, then: impl FnOnce(&Head<'_>) -> T) -> T {
        let headers: Vec<(&[u8], &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        then(&Head {
            headers: &headers,
            evidence: self.evidence.as_deref(),
            label_evidence: self.label_evidence.as_deref(),
            end_of_stream: self.body.is_none(),
            now_ms: Some(NOW),
        })
    }

    /// What goes upstream. The filter does not answer the request itself.
    pub fn send(&self, config: &Worker) -> Result<Sent, Rejection> {
        self.outcome(config).map(|outcome| outcome.unwrap_or_else(|reply| panic!("answered: {reply:?}")))
    }

    /// Enacts the decision, as the host does: what goes upstream, or the filter's own answer.
    pub fn outcome(&self, config: &Worker) -> Result<Result<Sent, Reply>, Rejection> {
        let forward = match self.decision(config).map_err(|refused| refused.rejection)? {
            Decision::Forward(forward) => forward,
            Decision::Reply(reply) => return Ok(Err(reply)),
            Decision::Ask(ask) => panic!("asked: {ask:?}"),
        };
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !forward.remove.iter().any(|removed| removed.as_bytes() == &**name));
        for (name, value) in &forward.set {
            headers.retain(|(other, _)| other != name.as_bytes());
            headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let mut path = text(headers[1].1.clone());
        if let Some(new) = &forward.path {
            path = text(new.clone());
        }
        let body = match &self.body {
            Some(body) => match forward.body.finish(body, Some(NOW), &config.memo)? {
                BodyDecision::Forward(finished) => Some(text(finished.body.unwrap_or_else(|| body.clone()))),
                BodyDecision::Reply(reply) => return Ok(Err(reply)),
                other @ (BodyDecision::Confirm(_) | BodyDecision::Spread(_)) => panic!("not forwarded: {other:?}"),
            },
            None => None,
        };
        let headers = headers.into_iter().skip(4).map(|(name, value)| (text(name), text(value))).collect();
        Ok(Ok(Sent {
            path,
            body,
            headers,
            tenant: forward.tenant.as_deref().unwrap_or("").to_owned(),
            handler: forward.route.handler,
        }))
    }
}

/// One worker: a configuration, and what was rewritten lately.
pub struct Worker {
    config: Config,
    memo: RefCell<Memo>,
}

impl std::ops::Deref for Worker {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

pub fn config(json: &str) -> Worker {
    Worker { config: Config::parse(json.as_bytes()).expect("a valid configuration"), memo: RefCell::default() }
}

/// The decoded pairs of a form or of a target's query string.
pub fn pairs(form: &str) -> Vec<(String, String)> {
    let form = form.split_once('?').map_or(if form.starts_with('/') { "" } else { form }, |(_, query)| query);
    crate::go::form::pairs(form.as_bytes())
        .map(|pair| pair.expect("a form that was written here"))
        .map(|pair| {
            (
                String::from_utf8(pair.key.into_owned()).expect("UTF-8"),
                String::from_utf8(pair.value.into_owned()).expect("UTF-8"),
            )
        })
        .collect()
}

/// All values of a parameter, in URL and form, in the order in which Go reads them: the form's first.
pub fn values(sent: &Sent, name: &str) -> Vec<String> {
    let form = sent.body.as_deref().map(pairs).unwrap_or_default();
    form.into_iter().chain(pairs(&sent.path)).filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

#[track_caller]
pub fn reason(request: &Request, config: &Worker) -> &'static str {
    match request.send(config) {
        Ok(sent) => panic!("forwarded: {:.200}", format!("{sent:?}")),
        Err(rejection) => {
            assert!(!rejection.message().is_empty());
            rejection.reason()
        }
    }
}
