//! The checks beside the table: tenants that are named twice, wrongly or by another header, parameters that name the other tenant, forms, bodies
//! and paths that two programs could read differently, and errors.

use super::super::http::Ask;
use super::alerts::ALERTS;
use super::check::{Check, Expect};
use super::data::Pair;
use super::deployment::Deployment;
use super::queries;
use promql_tenancy_filter::api::{Switch, Upstream};
use promql_tenancy_filter::tenant::Source;
use url::form_urlencoded;

const QUERY: &str = "/api/v1/query";

struct Maker<'m> {
    deployment: &'m Deployment<'m>,
    pair: &'m Pair<'m>,
    checks: &'m mut Vec<Check>,
}

pub fn checks(deployment: &Deployment<'_>, pair: &Pair<'_>, checks: &mut Vec<Check>) {
    let mut maker = Maker { deployment, pair, checks };
    maker.private();
    maker.spoofed_headers();
    if let Source::Header { name, .. } = deployment.config.source()
        && !deployment.is_named_before(&pair.own.id)
    {
        maker.tenant_header(name);
    }
    if deployment.is_named_before(&pair.own.id) {
        maker.without_credentials();
    }
    maker.parameters();
    if deployment.upstream != Upstream::Alertmanager {
        maker.queries();
        maker.bodies();
        maker.paths();
        maker.errors();
    }
    maker.nowhere();
    maker.page();
    maker.methods();
}

impl Maker<'_> {
    fn add(&mut self, group: &'static str, what: &str, ask: Ask, expect: Expect) {
        let what = format!("{}: {what}", ask.method);
        self.checks.push(Check { group, what, own: self.pair.number, ask, expect });
    }

    /// A request of the tenant for its own series, with more parameters.
    fn own(&self, method: &str, more: &[(&str, &str)]) -> Option<Ask> {
        let time = self.deployment.now.to_string();
        let (path, mut parameters) = match self.deployment.upstream {
            // Its POST is a write.
            Upstream::Alertmanager if method != "GET" => return None,
            Upstream::Alertmanager => (ALERTS, Vec::new()),
            Upstream::Prometheus | Upstream::Thanos | Upstream::Cortex => {
                (QUERY, vec![("query", self.pair.own.own.as_str()), ("time", &*time)])
            }
        };
        parameters.extend(more);
        // A tenant that can't be named was refused before.
        self.deployment.request(&self.pair.own.id, method, path, &parameters).ok()
    }

    fn named(&self, method: &str, target: &str) -> Option<Ask> {
        self.deployment.named(&self.pair.own.id, self.deployment.plain(method, target)).ok()
    }

    /// Answers that no cache may give to another tenant.
    fn private(&mut self) {
        for method in ["GET", "POST"] {
            if let Some(ask) = self.own(method, &[]) {
                self.add("chain", "the answer is marked as private", ask, Expect::Private);
            }
        }
    }

    /// Headers that name a tenant to the upstream.
    fn spoofed_headers(&mut self) {
        let other = self.pair.other.id.clone();
        let config = &self.deployment.config;
        let header = match config.source() {
            Source::Header { name, .. } => Some(name.to_string()),
            _ => None,
        };
        let mut names = vec![config.forward_tenant_header().to_string()];
        // What stands before the filter sets the header that the filter reads, and the client's own has to be without effect.
        let is_named_before = self.deployment.is_named_before(&self.pair.own.id);
        names.extend(header.iter().filter(|_| is_named_before).cloned());
        let read = header.filter(|_| !is_named_before);
        names.extend(
            ["thanos-tenant", "x-scope-orgid", "x-scope-org-id", "x-tenant-id", "thanos_tenant"].map(str::to_owned),
        );
        names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        names.retain(|name| Some(name) != read.as_ref());
        names.sort_unstable();
        names.dedup();
        for name in names {
            for method in ["GET", "POST"] {
                if let Some(mut ask) = self.own(method, &[]) {
                    ask.headers.push((name.clone(), other.clone()));
                    // Envoy can be told to refuse underscores, and is in the examples.
                    let expect = if name.contains('_') { Expect::Proxy } else { Expect::Anything };
                    self.add("headers", &format!("{name} names the other tenant"), ask, expect);
                }
            }
        }
    }

    /// Without what names the tenant before the filter. Either what stands there refuses it, or the filter does; each tenant's data would be a leak to the
    /// other one.
    fn without_credentials(&mut self) {
        if let Some(mut ask) = self.own("GET", &[]) {
            ask.headers = self.deployment.plain("GET", "").headers;
            self.add("headers", "without what names the tenant", ask, Expect::Proxy);
        }
    }

    /// The header that names the tenant, where there is no other source.
    fn tenant_header(&mut self, name: &str) {
        let (id, other) = (self.pair.own.id.clone(), self.pair.other.id.clone());
        let time = self.deployment.now.to_string();
        let pairs = [("query", self.pair.own.own.as_str()), ("time", &time)];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let target = match self.deployment.upstream {
            Upstream::Alertmanager => ALERTS.to_owned(),
            Upstream::Prometheus | Upstream::Thanos | Upstream::Cortex => format!("{QUERY}?{query}"),
        };
        let joined = [format!("{id},{other}"), format!("{id}, {other}"), format!("{id}|{other}")];
        let refused = Expect::Refused;
        let mut cases: Vec<(String, Vec<String>, Expect)> = vec![
            ("the tenant header twice".to_owned(), vec![id.clone(), other.clone()], refused),
            ("the tenant header twice, the other tenant first".to_owned(), vec![other.clone(), id.clone()], refused),
            ("the empty tenant".to_owned(), vec![String::new()], Expect::Status(401)),
            ("a path as the tenant".to_owned(), vec![format!("{other}/../{id}")], refused),
            ("a matcher as the tenant".to_owned(), vec![format!("{id}\",{}=~\".*", self.pair.label)], refused),
        ];
        let is_federated = !matches!(
            self.deployment.value("tenant_federation").get("enabled"),
            Some(serde_json::Value::Bool(false)) | None
        );
        for (index, value) in joined.into_iter().enumerate() {
            if index < 2 || !is_federated {
                cases.push((format!("two tenants in one header: {value}"), vec![value], refused));
            }
        }
        for (what, values, expect) in cases {
            let mut ask = self.deployment.plain("GET", &target);
            ask.headers.extend(values.into_iter().map(|value| (name.to_owned(), value)));
            self.add("headers", &what, ask, expect);
        }
        // Nobody: refused, or the default tenant, whose data is neither one's unless it is one of them.
        let default = self.deployment.value("default_tenant_id");
        if default.as_str() != Some(&other) {
            let ask = self.deployment.plain("GET", &target);
            let is_refused = default.as_str() == Some("") || self.deployment.config.enforces() && default.is_null();
            self.add("headers", "no tenant", ask, if is_refused { Expect::Status(401) } else { Expect::Anything });
        }
    }

    /// Parameters that other programs read a tenant, a label or a store from.
    fn parameters(&mut self) {
        let other = self.pair.other.id.clone();
        let matcher = queries::matcher(self.pair, "=", &other);
        let selector = format!("{{{matcher}}}");
        let pair = format!("{}={other}", self.pair.label);
        let read = self.deployment.config.source().parameter().map(|name| name.to_string());
        let label = self.pair.label.to_owned();
        for (name, value) in [
            ("tenant", &other),
            (label.as_str(), &other),
            ("extra_filters", &selector),
            ("extra_filters[]", &selector),
            ("extra_label", &pair),
            ("match", &selector),
            ("match[]", &selector),
            ("storeMatch[]", &selector),
            ("replicaLabels[]", &label),
        ] {
            if read.as_deref() == Some(name) {
                continue;
            }
            for method in ["GET", "POST"] {
                if let Some(ask) = self.own(method, &[(name, value)]) {
                    self.add("parameters", &format!("{name}={value}"), ask, Expect::Anything);
                }
            }
        }
    }

    /// Two queries in one request, and one that two programs could read differently.
    fn queries(&mut self) {
        let asked = queries::with(&self.pair.own.own, &queries::matcher(self.pair, "=", &self.pair.other.id));
        for method in ["GET", "POST"] {
            if let Some(ask) = self.own(method, &[("query", &asked)]) {
                self.add("parameters", "two queries", ask, Expect::Refused);
            }
        }
        let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (own, asked) = (escape(&self.pair.own.own), escape(&asked));
        for (what, query) in [
            ("a semicolon", format!("query={own};query={asked}")),
            ("a broken escape", format!("query={own}&x=%zz")),
            ("an escaped name", format!("%71uery={own}&query={asked}")),
        ] {
            if let Some(ask) = self.named("GET", &format!("{QUERY}?{query}")) {
                self.add("parameters", what, ask, Expect::Refused);
            }
        }
        // One query in the URL and one in the form: whichever the upstream reads is the tenant's.
        if let Some(mut ask) = self.own("POST", &[]) {
            let separator = if ask.target.contains('?') { '&' } else { '?' };
            ask.target = format!("{}{separator}query={asked}", ask.target);
            self.add("parameters", "a query in the URL and one in the form", ask, Expect::Anything);
        }
    }

    /// Bodies that would not be read as a form, or twice.
    fn bodies(&mut self) {
        let text = |ask: &mut Ask, name: &str, value: &str| {
            ask.headers.retain(|(other, _)| other != name);
            ask.headers.push((name.to_owned(), value.to_owned()));
        };
        if let Some(mut ask) = self.own("POST", &[]) {
            text(&mut ask, "content-type", "multipart/form-data; boundary=x");
            self.add("bodies", "a form in another type", ask, Expect::Refused);
        }
        if let Some(mut ask) = self.own("POST", &[]) {
            text(&mut ask, "content-encoding", "gzip");
            self.add("bodies", "a compressed form", ask, Expect::Refused);
        }
        if let Some(mut ask) = self.own("GET", &[]) {
            let asked = queries::with(&self.pair.own.own, &queries::matcher(self.pair, "=", &self.pair.other.id));
            text(&mut ask, "content-type", "application/x-www-form-urlencoded");
            ask.body = Some(
                form_urlencoded::Serializer::new(String::new()).append_pair("query", &asked).finish().into_bytes(),
            );
            self.add("bodies", "a form with GET", ask, Expect::Refused);
        }
    }

    /// Paths that a proxy and a server may read differently. Where a proxy before the filter has made them plain, they are served.
    fn paths(&mut self) {
        let asked = queries::with(&self.pair.own.own, &queries::matcher(self.pair, "=", &self.pair.other.id));
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", &asked).finish();
        for path in [
            "//api/v1/query",
            "/api//v1/query",
            "/api/v1/./query",
            "/api/v1/x/../query",
            "/api/v1/x/%2e%2e/query",
            "/api/v1%2Fquery",
            "/api/v1/%71uery",
            "/api/v1\\query",
            "/api/v1/query/",
            "/API/v1/query",
            "/api/v1/query%00",
            "/api/v1/query;x",
        ] {
            if let Some(ask) = self.named("GET", &format!("{path}?{query}")) {
                self.add("paths", path, ask, Expect::Proxy);
            }
        }
    }

    fn nowhere(&mut self) {
        if let Some(ask) = self.named("GET", "/tenancyctl-verify") {
            let expect = if self.deployment.has("ui") { Expect::Anything } else { Expect::Status(404) };
            self.add("paths", "a path that nobody knows", ask, expect);
        }
    }

    /// The upstream's first page, where the path chooses the tenant.
    fn page(&mut self) {
        let Deployment { config, upstream, .. } = self.deployment;
        let (Some(path), Some(pages), true) =
            (config.tenant_path(), &upstream.profile().pages, config.serves(Switch::Ui))
        else {
            return;
        };
        if let Some(mut ask) = self.named("GET", &format!("/{}", pages.home)) {
            if !ask.target.starts_with(path.as_str()) {
                ask.target.insert_str(0, &path.of(&self.pair.own.id));
            }
            self.add("ui", "the first page stays below the tenant's path", ask, Expect::Page);
        }
    }

    fn methods(&mut self) {
        for (method, expect) in [
            ("HEAD", Expect::Refused),
            ("PUT", Expect::Refused),
            ("DELETE", Expect::Refused),
            ("OPTIONS", Expect::Anything),
        ] {
            if let Some(mut ask) = self.own("GET", &[]) {
                ask.method = method.to_owned();
                self.add("methods", "a query", ask, expect);
            }
        }
    }

    /// An error is one, and says so.
    fn errors(&mut self) {
        // Cortex 1.21.1 does not read it.
        let expect = match self.deployment.upstream {
            Upstream::Cortex => Expect::Anything,
            Upstream::Prometheus | Upstream::Thanos | Upstream::Alertmanager => Expect::Refused,
        };
        for method in ["GET", "POST"] {
            for (what, query) in [
                ("a query that ends too soon", "up{"),
                ("a function that nobody knows", "no_such_function(up)"),
                ("no query", ""),
            ] {
                if let Ok(ask) = self.deployment.request(&self.pair.own.id, method, QUERY, &[("query", query)]) {
                    self.add("errors", what, ask, Expect::Refused);
                }
            }
            if let Some(mut ask) = self.own(method, &[("timeout", "never")]) {
                ask.headers.push(("accept".to_owned(), "text/html".to_owned()));
                self.add("errors", "a duration that is none", ask, expect);
            }
        }
    }
}
