//! How requests are sent to the deployment, as a tenant and otherwise, and to what is behind it.

use super::super::http::{self, Answer, Ask, Client};
use super::super::naming::Identity;
use super::super::{Failure, configuration};
use super::Verify;
use super::data::Data;
use super::judge::{Found, label_sets};
use super::report::Report;
use promql_tenancy_filter::api::Upstream;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::scope::Inside;
use promql_tenancy_filter::tenant::{Source, Tenants};
use promql_tenancy_filter::wire::grpc::write_frame;
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use url::form_urlencoded;

pub struct Deployment<'v> {
    verify: &'v Verify,
    pub config: Config,
    pub upstream: Upstream,
    base: String,
    /// The server of the gRPC services.
    grpc: String,
    /// What stands before the paths of the API table.
    prefix: String,
    client: Client,
    /// Of tenants that have a certificate of their own.
    clients: BTreeMap<String, Client>,
    /// Unix time in seconds: the same in all requests, so that two tenants' requests differ in the tenant alone.
    pub now: u64,
    version: OnceCell<String>,
}

impl<'v> Deployment<'v> {
    pub fn new(verify: &'v Verify) -> Result<Self, Failure> {
        let config = configuration(verify.config.as_ref())?;
        let (base, path) = http::server(&verify.url)?;
        let grpc = verify.grpc.as_deref().map(http::server).transpose()?.map_or_else(|| base.clone(), |(base, _)| base);
        let mut clients = BTreeMap::new();
        for (tenant, path) in &verify.certificate {
            clients.insert(tenant.clone(), verify.reach.client(Some(Path::new(path)))?);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let mut deployment = Deployment {
            verify,
            upstream: verify.kind.map_or(config.upstream(), super::Kind::upstream),
            config,
            base,
            grpc,
            prefix: path,
            client: verify.reach.client(None)?,
            clients,
            now,
            version: OnceCell::new(),
        };
        deployment.find_prefix()?;
        deployment.upstream = match verify.kind {
            Some(kind) => kind.upstream(),
            None if verify.config.is_some() || deployment.upstream == Upstream::Alertmanager => deployment.upstream,
            None => deployment.guess(),
        };
        deployment.adjust()?;
        Ok(deployment)
    }

    /// Where neither the URL nor the configuration says below which path the API stands, it is looked for.
    fn find_prefix(&mut self) -> Result<(), Failure> {
        let tenant = self.verify.tenants.first().map_or("tenancyctl", String::as_str).to_owned();
        let prefixes: Vec<String> = match self.prefix.as_str() {
            "" => vec![String::new(), "/prometheus".to_owned(), "/api/prom".to_owned()],
            given => vec![given.to_owned()],
        };
        let (path, parameters): (_, &[_]) = match self.upstream {
            Upstream::Alertmanager => (super::alerts::ALERTS, &[]),
            Upstream::Prometheus | Upstream::Thanos | Upstream::Cortex => ("/api/v1/query", &[("query", "vector(1)")]),
        };
        let mut first = None;
        for prefix in prefixes {
            self.prefix = prefix.clone();
            let answer = self.ask(&tenant, "GET", path, parameters)?;
            // What is refused for its tenant is there.
            if answer.is_success() || matches!(answer.status, 400 | 401) {
                return Ok(());
            }
            first.get_or_insert(prefix);
        }
        self.prefix = first.unwrap_or_default();
        Ok(())
    }

    /// What the upstream says that it is: Thanos's versions begin with 0, and Mimir names itself.
    fn guess(&self) -> Upstream {
        let tenant = self.verify.tenants.first().map_or("tenancyctl", String::as_str);
        let Ok(answer) = self.ask(tenant, "GET", "/api/v1/status/buildinfo", &[]) else { return self.upstream };
        let json = answer.json();
        let word = |name: &str| json.pointer(&format!("/data/{name}")).and_then(Value::as_str).unwrap_or_default();
        let _ = self.version.set(word("version").to_owned());
        if word("application").contains("Mimir") || word("application").contains("Cortex") {
            Upstream::Cortex
        } else if word("version").starts_with("0.") || word("version").starts_with("v0.") {
            Upstream::Thanos
        } else {
            self.upstream
        }
    }

    /// Without a configuration, the defaults for the upstream are assumed.
    fn adjust(&mut self) -> Result<(), Failure> {
        if self.verify.config.is_some() {
            return Ok(());
        }
        let json = format!("{{\"upstream\": {:?}}}", self.upstream.name());
        self.config = Config::parse(json.as_bytes()).map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(())
    }

    /// A request of a tenant, with parameters in the URL, or in a form where the method is POST.
    pub fn request(&self, tenant: &str, method: &str, path: &str, parameters: &[(&str, &str)]) -> Result<Ask, Failure> {
        let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let (target, body) = match (method, pairs.is_empty()) {
            ("POST", _) => (path.to_owned(), Some(pairs.into_bytes())),
            (_, true) => (path.to_owned(), None),
            (_, false) => (format!("{path}?{pairs}"), None),
        };
        let mut ask = self.plain(method, &target);
        if body.is_some() {
            ask.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
        ask.body = body;
        self.named(tenant, ask)
    }

    /// The same request, naming this tenant as the configuration reads it.
    pub fn named(&self, tenant: &str, mut ask: Ask) -> Result<Ask, Failure> {
        let of_tenant: Vec<_> = self.verify.as_tenant.iter().filter(|(id, _)| id == tenant).collect();
        ask.headers.extend(of_tenant.iter().map(|(_, header)| header.clone()));
        ask.headers
            .extend(self.verify.labels.headers(&self.config).map(|(name, value)| (name.to_owned(), value.to_owned())));
        let is_named_otherwise = match self.config.source() {
            Source::Header { .. } => !of_tenant.is_empty(),
            Source::Parameter(_) | Source::Allowed { .. } => false,
            Source::Certificate(_) | Source::Metadata(_) | Source::Static(_) => true,
        };
        if is_named_otherwise {
            return Ok(ask);
        }
        let identity = Identity::new(&self.config, Some(tenant), None, ask.target)?;
        ask.target = identity.path().to_owned();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ask.headers.extend(identity.header().map(|(name, value)| (text(name), text(value))));
        Ok(ask)
    }

    /// Whether a header of the command line's, such as a token, names this tenant, and not the header that the filter reads: what stands
    /// before the filter sets that one.
    pub fn is_named_before(&self, tenant: &str) -> bool {
        self.verify.as_tenant.iter().any(|(id, _)| id == tenant)
    }

    /// A request that names nobody.
    pub fn plain(&self, method: &str, target: &str) -> Ask {
        Ask {
            method: method.to_owned(),
            target: format!("{}{target}", self.prefix),
            headers: self.verify.headers.clone(),
            body: None,
        }
    }

    /// A call of a gRPC method that names nobody. Its path stands below no prefix.
    pub fn call(&self, path: String, message: &[u8]) -> Ask {
        let mut headers = self.verify.headers.clone();
        headers.extend(
            [("content-type", "application/grpc"), ("te", "trailers")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut body = Vec::new();
        // Only a message of more than 4 GiB has no frame.
        let _ = write_frame(message, &mut body);
        Ask { method: "POST".to_owned(), target: path, headers, body: Some(body) }
    }

    /// Whether gRPC can be asked: there is no client for HTTP/2 over TLS here.
    pub fn has_plain_grpc(&self) -> bool {
        self.grpc.starts_with("http://")
    }

    /// Whether the command line says where gRPC is served.
    pub fn is_grpc_given(&self) -> bool {
        self.verify.grpc.is_some()
    }

    pub fn ask(&self, tenant: &str, method: &str, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.send(tenant, &self.request(tenant, method, path, parameters)?)
    }

    /// Sends a request; `tenant` chooses the client certificate.
    pub fn send(&self, tenant: &str, ask: &Ask) -> Result<Answer, Failure> {
        let client = self.clients.get(tenant).unwrap_or(&self.client);
        if ask.is_call() {
            return client.call(&self.grpc, ask).map_err(|error| Failure::Broken(format!("{}: {error}", self.grpc)));
        }
        client.send(&self.base, ask).map_err(|error| Failure::Broken(format!("{}{}: {error}", self.base, self.prefix)))
    }

    /// What asks the upstream, past the filter, for what is this tenant's.
    pub fn ask_upstream(
        &self,
        tenant: &str,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Option<Result<Answer, Failure>> {
        let url = self.verify.upstream.as_ref()?;
        let ask = || {
            let (base, prefix) = http::server(url)?;
            let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
            let target = if pairs.is_empty() { format!("{prefix}{path}") } else { format!("{prefix}{path}?{pairs}") };
            let header = (self.config.forward_tenant_header().to_string(), tenant.to_owned());
            let ask = Ask { method: "GET".to_owned(), target, headers: vec![header], body: None };
            self.client.send(&base, &ask).map_err(|error| Failure::Broken(format!("{url}: {error}")))
        };
        Some(ask())
    }

    /// What this tenant is confined to; `None` where the upstream confines it.
    pub fn scope(&self, tenant: &str) -> Result<Option<(Inside, String)>, Failure> {
        if !self.config.enforces() {
            return Ok(None);
        }
        let tenants: Tenants =
            self.config.tenants(tenant.as_bytes()).map_err(|error| Failure::Broken(format!("{tenant}: {error}")))?;
        let values = self.verify.labels.values(&self.config)?;
        let scope =
            self.config.scope(&tenants, &values).map_err(|error| Failure::Broken(format!("{tenant}: {error}")))?;
        let inside = scope.inside().map_err(|error| Failure::Broken(format!("{tenant}: {error}")))?;
        Ok(Some((inside, scope.written().to_owned())))
    }

    /// Whether both tenants get what the upstream has of theirs.
    pub fn compare_with_upstream(&self, data: &Data, report: &mut Report) -> Result<(), Failure> {
        if self.upstream == Upstream::Alertmanager {
            return Ok(());
        }
        for subject in &data.subjects {
            let scope = self.scope(&subject.id)?.map(|(_, written)| written);
            let selector = match &scope {
                Some(written) => format!("{{__name__={},{written}}}", Value::from(&*subject.metric)),
                None => format!("{{__name__={}}}", Value::from(&*subject.metric)),
            };
            let time = self.now.to_string();
            let parameters = [("query", selector.as_str()), ("time", &time)];
            let Some(answer) = self.ask_upstream(&subject.id, "/api/v1/query", &parameters) else { return Ok(()) };
            let answer = answer?;
            if !answer.is_success() {
                return Err(Failure::Broken(format!("the upstream: {}", answer.problem())));
            }
            let own = self.ask(&subject.id, "GET", "/api/v1/query", &[("query", &subject.own), ("time", &time)])?;
            let sets = |answer: &Answer| {
                let mut sets: Vec<String> =
                    label_sets(&answer.json()).iter().map(|set| Value::Object((*set).clone()).to_string()).collect();
                sets.sort_unstable();
                sets
            };
            let (expected, got) = (sets(&answer), sets(&own));
            let what = "gets what the upstream has of its data, and no more";
            let found = if expected == got {
                Found::good()
            } else {
                Found::bad(format!("{} series instead of {}", got.len(), expected.len()))
            };
            report.note("upstream", &subject.id, what, found);
        }
        Ok(())
    }

    /// Whether something answers there.
    pub fn reaches(&self, url: &str) -> Result<bool, Failure> {
        let (base, prefix) = http::server(url)?;
        let ask = Ask { method: "GET".to_owned(), target: format!("{prefix}/"), ..Ask::default() };
        Ok(self.client.send(&base, &ask).is_ok())
    }

    /// How many requests the deployment got.
    pub fn sent(&self) -> u32 {
        self.client.sent() + self.clients.values().map(Client::sent).sum::<u32>()
    }

    /// What the configuration says of a key that not every version has.
    pub fn has(&self, key: &str) -> bool {
        self.value(key) == Value::Bool(true)
    }

    /// The value of a key of the configuration, as JSON.
    pub fn value(&self, key: &str) -> Value {
        let settings = self.config.explain();
        let setting = settings.iter().find(|setting| setting.key == key);
        setting.and_then(|setting| serde_json::from_str(&setting.value).ok()).unwrap_or(Value::Null)
    }

    /// Whether the configuration is known, and not assumed to be the defaults.
    pub fn is_configured(&self) -> bool {
        self.verify.config.is_some()
    }
}
